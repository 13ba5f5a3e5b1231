#include "content.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "scope.h"
#include "str.h"

enum { PIECE_BYTES = 1 << 17 };

struct content {
        struct sha256_ctx context;
        uint64_t bytes;
        uint64_t entries;
        char *piece; /* PIECE_BYTES */
};

/* Every text with its length before it, so that no two contents give the same stream. */
static void add(struct content *content, const char *text, size_t length)
{
        char prefix[32];
        int n = snprintf(prefix, sizeof prefix, "%zu:", length);

        sha256_update(&content->context, (size_t)n, (const uint8_t *)prefix);
        sha256_update(&content->context, length, (const uint8_t *)text);
}

static void add_text(struct content *content, const char *text)
{
        add(content, text, strlen(text));
}

static void add_number(struct content *content, uint64_t number)
{
        char text[32];

        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        add_text(content, text);
}

static int add_file(struct content *content, int directory_fd, const char *name, const struct stat *about)
{
        AUTO(auto_close) int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        uint64_t total = 0;
        ssize_t n = 0;

        if (fd < 0)
                return -errno;
        add_number(content, (uint64_t)about->st_size);
        while ((n = read(fd, content->piece, PIECE_BYTES)) > 0) {
                sha256_update(&content->context, (size_t)n, (const uint8_t *)content->piece);
                total += (uint64_t)n;
        }
        if (n < 0)
                return -errno;
        content->bytes += total / (about->st_nlink > 0 ? about->st_nlink : 1);
        return total == (uint64_t)about->st_size ? 0 : -EIO;
}

static int add_link(struct content *content, int directory_fd, const char *name)
{
        char target[ENTRY_PATH_BYTES];
        ssize_t n = readlinkat(directory_fd, name, target, sizeof target);

        if (n < 0)
                return -errno;
        add(content, target, (size_t)n);
        return 0;
}

/* ---- directories, by name ---- */

struct names {
        char **list;
        size_t count;
};

static void auto_names(struct names *names)
{
        for (size_t i = 0; i < names->count; i++)
                free(names->list[i]);
        free(names->list);
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct names *names, const char *name)
{
        if ((names->count & (names->count - 1)) == 0) { /* a power of two: full */
                size_t capacity = names->count == 0 ? 1 : names->count * 2;
                char **list = reallocarray(names->list, capacity, sizeof *list);

                if (list == NULL)
                        return -ENOMEM;
                names->list = list;
        }
        names->list[names->count] = strdup(name);
        return names->list[names->count] == NULL ? -ENOMEM : (names->count++, 0);
}

static int read_names(int directory_fd, struct names *names)
{
        int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;
        int r = 0;

        if (directory == NULL) {
                r = -errno;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        while (r == 0 && (entry = readdir(directory)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = add_name(names, entry->d_name);
        (void)closedir(directory);
        if (r == 0 && names->count > 0)
                qsort(names->list, names->count, sizeof *names->list, compare);
        return r;
}

static int add_directory(struct content *content, int directory_fd);

static int add_entry(struct content *content, int directory_fd, const char *name) /* NOLINT(misc-no-recursion) */
{
        AUTO(auto_close) int fd = -1;
        struct stat about;

        if (fstatat(directory_fd, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        content->entries++;
        add_text(content, name);
        add_number(content, about.st_mode); /* its type too; constants of the kernel's interface */
        if (S_ISREG(about.st_mode))
                return add_file(content, directory_fd, name, &about);
        if (S_ISLNK(about.st_mode))
                return add_link(content, directory_fd, name);
        if (!S_ISDIR(about.st_mode))
                return -EBADMSG;
        fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : add_directory(content, fd);
}

/* As deep as the tree, which ENTRY_DEPTH_MAX bounds. */
static int add_directory(struct content *content, int directory_fd) /* NOLINT(misc-no-recursion) */
{
        AUTO(auto_names) struct names names = { 0 };
        int r = read_names(directory_fd, &names);

        if (r == 0)
                add_number(content, names.count);
        for (size_t i = 0; r == 0 && i < names.count; i++)
                r = add_entry(content, directory_fd, names.list[i]);
        return r;
}

static void add_settings(struct content *content, const struct stored_image *image)
{
        size_t count = 0;

        while (image->environment != NULL && image->environment[count] != NULL)
                count++;
        add_number(content, count);
        for (size_t i = 0; i < count; i++)
                add_text(content, image->environment[i]);
        add_number(content, image->has_volumes);
        add_number(content, image->n_binds);
        for (size_t i = 0; i < image->n_binds; i++) {
                add_text(content, image->binds[i].source);
                add_text(content, image->binds[i].target);
        }
}

int content_digest(int rootfs_fd, struct stored_image *image, struct fault *why)
{
        AUTO(auto_free) char *piece = malloc(PIECE_BYTES);
        struct content content = { .piece = piece };
        uint8_t digest[SHA256_DIGEST_SIZE];
        int r;

        if (piece == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        sha256_init(&content.context);
        add_text(&content, "carrel image 1");
        add_settings(&content, image);
        r = add_directory(&content, rootfs_fd);
        if (r < 0)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot read the unpacked image: %s", strerror(-r));
        sha256_digest(&content.context, sizeof digest, digest);
        (void)snprintf(image->id, sizeof image->id, "sha256:");
        for (size_t i = 0; i < sizeof digest; i++)
                (void)snprintf(image->id + 7 + 2 * i, 3, "%02x", digest[i]);
        image->bytes = content.bytes;
        image->entries = content.entries;
        return 0;
}
