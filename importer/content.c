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
#include "linked.h"
#include "scope.h"
#include "str.h"

enum { PIECE_BYTES = 1 << 17, FORBIDDEN_MODE = 07022 };

struct content {
        struct sha256_ctx context;
        struct budget left;
        uint64_t bytes;
        uint64_t entries;
        struct linked linked; /* files with several names are read once */
        char *piece;          /* PIECE_BYTES */
};

/* Each text follows its length, so that no two contents give the same stream. */
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

static int digest_file(struct content *content, int directory_fd, const char *name, const struct stat *about,
                       uint8_t ret_digest[static SHA256_DIGEST_SIZE])
{
        AUTO(auto_close) int fd = -1;
        struct sha256_ctx context;
        uint64_t total = 0;
        ssize_t n = 0;

        if ((uint64_t)about->st_size > content->left.bytes)
                return -EFBIG;
        fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        sha256_init(&context);
        while (total <= (uint64_t)about->st_size && (n = read(fd, content->piece, PIECE_BYTES)) > 0) {
                sha256_update(&context, (size_t)n, (const uint8_t *)content->piece);
                total += (uint64_t)n;
        }
        if (n < 0 || total != (uint64_t)about->st_size)
                return n < 0 ? -errno : -EIO;
        sha256_digest(&context, SHA256_DIGEST_SIZE, ret_digest);
        content->left.bytes -= total;
        content->bytes += total;
        return 0;
}

static int add_file(struct content *content, int directory_fd, const char *name, const struct stat *about)
{
        const uint8_t *known = about->st_nlink > 1 ? linked_find(&content->linked, about->st_ino) : NULL;
        uint8_t digest[SHA256_DIGEST_SIZE];
        int r = 0;

        add_number(content, (uint64_t)about->st_size);
        if (known == NULL)
                r = digest_file(content, directory_fd, name, about, digest);
        if (r == 0)
                add(content, (const char *)(known != NULL ? known : digest), sizeof digest);
        if (r == 0 && known == NULL && about->st_nlink > 1)
                r = linked_add(&content->linked, about->st_ino, digest);
        return r;
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

/* tree.h makes no file with these bits. If one has them, the archive has taken over the unpacker. */
static bool is_plain(const struct stat *about)
{
        if (S_ISLNK(about->st_mode))
                return true;
        return (S_ISREG(about->st_mode) || S_ISDIR(about->st_mode)) && (about->st_mode & FORBIDDEN_MODE) == 0;
}

static int add_directory(struct content *content, int directory_fd, unsigned depth);

static int add_entry(struct content *content, int directory_fd, const char *name, /* NOLINT(misc-no-recursion) */
                     unsigned depth)
{
        AUTO(auto_close) int fd = -1;
        struct stat about;

        if (fstatat(directory_fd, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (depth > ENTRY_DEPTH_MAX || content->left.entries == 0)
                return depth > ENTRY_DEPTH_MAX ? -ENAMETOOLONG : -E2BIG;
        content->left.entries--;
        content->entries++;
        if (!is_plain(&about))
                return -EBADMSG;
        add_text(content, name);
        add_number(content, about.st_mode); /* includes the type; constants of the kernel's interface */
        if (S_ISREG(about.st_mode))
                return add_file(content, directory_fd, name, &about);
        if (S_ISLNK(about.st_mode))
                return add_link(content, directory_fd, name);
        fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : add_directory(content, fd, depth + 1);
}

/* Recurses as deep as the tree is, with a descriptor for each directory on the path. */
static int add_directory(struct content *content, int directory_fd, unsigned depth) /* NOLINT(misc-no-recursion) */
{
        AUTO(auto_names) struct names names = { 0 };
        int r = read_names(directory_fd, &names);

        if (r == 0)
                add_number(content, names.count);
        for (size_t i = 0; r == 0 && i < names.count; i++)
                r = add_entry(content, directory_fd, names.list[i], depth);
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

static int fail(int r, struct fault *why)
{
        if (r == -EFBIG || r == -E2BIG || r == -ENAMETOOLONG || r == -EBADMSG)
                return fault_set(why, FAULT_IMAGE_REFUSED, -r,
                                 "the unpacked image is larger or deeper than allowed, or has other kinds of files: %s",
                                 strerror(-r));
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot read the unpacked image: %s", strerror(-r));
        return fault_set(why, FAULT_INTERNAL, -r, "cannot read the unpacked image: %s", strerror(-r));
}

int content_digest(int rootfs_fd, const struct budget *limits, struct stored_image *image, struct fault *why)
{
        AUTO(auto_free) char *piece = malloc(PIECE_BYTES);
        struct content content = { .piece = piece, .left = *limits };
        uint8_t digest[SHA256_DIGEST_SIZE];
        int r;

        if (piece == NULL)
                return fail(-ENOMEM, why);
        sha256_init(&content.context);
        add_text(&content, "carrel image 2");
        add_settings(&content, image);
        r = add_directory(&content, rootfs_fd, 0);
        linked_release(&content.linked);
        if (r < 0)
                return fail(r, why);
        sha256_digest(&content.context, sizeof digest, digest);
        (void)snprintf(image->id, sizeof image->id, "sha256:");
        for (size_t i = 0; i < sizeof digest; i++)
                (void)snprintf(image->id + 7 + 2 * i, 3, "%02x", digest[i]);
        image->bytes = content.bytes;
        image->entries = content.entries;
        return 0;
}
