#include "freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc-file.h"
#include "scope.h"

#define PIN "carrel-pin"

enum { LOOKS = 64, STATE_BYTES = 128, PIN_PATH_BYTES = CGROUP_PATH_BYTES + sizeof PIN };

static const struct {
        const char *file, *freeze, *thaw;
        const char *state, *is_frozen;
} FILES[] = {
        [FREEZER_V1] = { "freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN" },
        [FREEZER_V2] = { "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1" },
};

void freezer_open_at(struct freezer *ret_freezer, enum freezer_kind kind, const char *path)
{
        struct freezer freezer = FREEZER_CLOSED;

        freezer.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (freezer.directory >= 0) {
                freezer.kind = kind;
                freezer.state = openat(freezer.directory, FILES[kind].state, O_RDONLY | O_CLOEXEC);
        }
        *ret_freezer = freezer;
}

void freezer_open(struct freezer *ret_freezer, const struct cgroup_mounts *mounts, pid_t init, const char *container_id)
{
        struct cgroup cgroup;

        *ret_freezer = FREEZER_CLOSED;
        if (init <= 0 || cgroup_find(mounts, init, container_id, &cgroup) != 0)
                return;
        if (cgroup.freezer_dir[0] != '\0')
                freezer_open_at(ret_freezer, FREEZER_V1, cgroup.freezer_dir);
        else if (cgroup.unified_dir[0] != '\0')
                freezer_open_at(ret_freezer, FREEZER_V2, cgroup.unified_dir);
}

void freezer_close(struct freezer *freezer)
{
        if (freezer->directory >= 0)
                close(freezer->directory);
        if (freezer->state >= 0)
                close(freezer->state);
        *freezer = FREEZER_CLOSED;
}

/* The file gives its text again at offset 0 (seq_file.rst); that of a removed group gives ENODEV. */
bool freezer_is_frozen(const struct freezer *freezer)
{
        char state[STATE_BYTES] = "";

        return freezer->state >= 0 && pread(freezer->state, state, sizeof state - 1, 0) > 0 &&
               strstr(state, FILES[freezer->kind].is_frozen) != NULL;
}

int freezer_set(const struct freezer *freezer, bool is_frozen)
{
        return freezer_set_at(freezer->kind, freezer->directory, is_frozen);
}

int freezer_set_at(enum freezer_kind kind, int directory, bool is_frozen)
{
        AUTO(auto_close) int fd = -1;
        const char *text = is_frozen ? FILES[kind].freeze : FILES[kind].thaw;

        if (kind == FREEZER_NONE)
                return -EOPNOTSUPP;
        fd = openat(directory, FILES[kind].file, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

void freezer_await_at(enum freezer_kind kind, int directory)
{
        for (int i = 0; kind != FREEZER_NONE && i < LOOKS; i++) {
                AUTO(auto_free) char *state = NULL;

                if (proc_file_read_at(directory, FILES[kind].state, STATE_BYTES, &state) != 0 ||
                    strstr(state, FILES[kind].is_frozen) != NULL)
                        return;
        }
}

static bool name_pin(const struct cgroup_mounts *mounts, char ret_path[static PIN_PATH_BYTES])
{
        (void)snprintf(ret_path, PIN_PATH_BYTES, "%s/" PIN, mounts->of[CGROUP_FREEZER].point);
        return mounts->of[CGROUP_FREEZER].point[0] != '\0';
}

/* If this fails, each freeze takes longer, and nothing else changes. */
void freezer_pin(const struct cgroup_mounts *mounts)
{
        AUTO(auto_close) int directory = -1;
        char path[PIN_PATH_BYTES];

        if (!name_pin(mounts, path) || (mkdir(path, 0755) != 0 && errno != EEXIST))
                return;
        directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory >= 0)
                (void)freezer_set_at(FREEZER_V1, directory, true);
}

void freezer_unpin(const struct cgroup_mounts *mounts)
{
        char path[PIN_PATH_BYTES];

        if (name_pin(mounts, path))
                (void)rmdir(path);
}
