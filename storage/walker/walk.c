#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scope.h"
#include "trail.h"

/* A directory that is being read; the first is the root. Its stream is closed while the walk is far below. */
struct reading {
        DIR *stream;
        long position; /* after the last entry that was read (telldir(3)) */
        struct stat status;
};

struct walk {
        struct trail trail;
        struct reading *readings; /* trail.depth + 1 of them, once the root was entered */
        size_t n_readings, capacity;
        uint64_t n_changed;
};

int walk_new(struct walk **ret_walk, int root_fd)
{
        struct walk *walk = calloc(1, sizeof *walk);

        if (walk == NULL)
                return -ENOMEM;
        walk->trail.root_fd = root_fd;
        *ret_walk = walk;
        return 0;
}

static void close_stream(struct reading *reading)
{
        if (reading->stream != NULL)
                (void)closedir(reading->stream);
        reading->stream = NULL;
}

struct walk *walk_free(struct walk *walk)
{
        if (walk == NULL)
                return NULL;
        for (size_t i = 0; i < walk->n_readings; i++)
                close_stream(&walk->readings[i]);
        free(walk->readings);
        trail_end(&walk->trail);
        free(walk);
        return NULL;
}

uint64_t walk_changed(const struct walk *walk)
{
        return walk->n_changed;
}

/* The offsets of telldir(3) are the kernel's, and mean the same in another open file of the same directory. NFS needs
 * that of every file system. */
static int open_stream(struct reading *reading, int directory_fd)
{
        AUTO(auto_close) int fd = trail_open(directory_fd, ".", O_RDONLY | O_DIRECTORY);

        if (fd < 0)
                return fd;
        reading->stream = fdopendir(fd);
        if (reading->stream == NULL)
                return -errno;
        (void)TAKE_FD(fd);
        if (reading->position != 0)
                seekdir(reading->stream, reading->position);
        return 0;
}

static int add_reading(struct walk *walk, const struct stat *status)
{
        size_t capacity = walk->capacity > 0 ? walk->capacity * 2 : 64;

        if (walk->n_readings == walk->capacity) {
                struct reading *readings = reallocarray(walk->readings, capacity, sizeof *readings);

                if (readings == NULL)
                        return -ENOMEM;
                walk->readings = readings;
                walk->capacity = capacity;
        }
        if (walk->n_readings >= TRAIL_OPEN_MAX)
                close_stream(&walk->readings[walk->n_readings - TRAIL_OPEN_MAX]);
        walk->readings[walk->n_readings++] = (struct reading){ .status = *status };
        return 0;
}

static int enter(struct walk *walk, struct walk_step *step)
{
        int fd = trail_fd(&walk->trail);

        if (fd < 0)
                return fd;
        if (fstat(fd, &step->status) < 0)
                return -errno;
        step->kind = WALK_ENTER;
        step->directory_fd = fd;
        return add_reading(walk, &step->status);
}

/* The trail keeps the directory, which the step shows, until the next step. */
static int leave(struct walk *walk, int fd, struct walk_step *step)
{
        struct reading *reading = &walk->readings[walk->n_readings - 1];

        step->kind = WALK_LEAVE;
        step->directory_fd = fd;
        step->name = walk->trail.depth > 0 ? walk->trail.levels[walk->trail.depth - 1].name : "";
        step->status = reading->status;
        close_stream(reading);
        walk->n_readings--;
        return 0;
}

static bool has_left(const struct walk *walk)
{
        return walk->n_readings == walk->trail.depth && walk->trail.depth > 0;
}

static bool is_itself(const char *name)
{
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* NULL with *ret_r 0: the directory has no more. */
static const struct dirent *read_entry(struct reading *reading, int fd, int *ret_r)
{
        const struct dirent *entry;

        *ret_r = reading->stream == NULL ? open_stream(reading, fd) : 0;
        if (*ret_r < 0)
                return NULL;
        do {
                errno = 0;
                entry = readdir(reading->stream);
        } while (entry != NULL && is_itself(entry->d_name));
        if (entry == NULL)
                *ret_r = -errno;
        else
                reading->position = entry->d_off;
        return entry;
}

static bool has_changed(int r)
{
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP;
}

static int look_at(struct walk *walk, int fd, const char *name, struct walk_step *step)
{
        int r;

        if (fstatat(fd, name, &step->status, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        step->name = name;
        if (S_ISDIR(step->status.st_mode)) {
                r = trail_enter(&walk->trail, name);
                return r < 0 ? r : enter(walk, step);
        }
        step->kind = WALK_ENTRY;
        step->directory_fd = fd;
        return 0;
}

int walk_next(struct walk *walk, struct walk_step *ret_step)
{
        *ret_step = (struct walk_step){ .kind = WALK_END, .directory_fd = -1, .name = "" };
        if (walk->n_readings == 0 && walk->capacity == 0)
                return enter(walk, ret_step);
        if (has_left(walk))
                trail_leave(&walk->trail);
        if (walk->n_readings == 0)
                return 0;
        for (;;) {
                int fd = trail_fd(&walk->trail);
                int r = fd;
                const struct dirent *entry = NULL;

                if (fd >= 0)
                        entry = read_entry(&walk->readings[walk->n_readings - 1], fd, &r);
                if (entry == NULL)
                        return r < 0 ? r : leave(walk, fd, ret_step);
                r = look_at(walk, fd, entry->d_name, ret_step);
                if (!has_changed(r))
                        return r;
                walk->n_changed++;
        }
}
