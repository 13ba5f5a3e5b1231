/* `file pack PATH`: a tar stream of a file or a directory. FIFOs, sockets and devices are left out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files-tar.h"
#include "files.h"

/* The largest number that eleven octal digits hold. */
static const long long OCTAL_MAX = 077777777777;

struct walk {
        char name[TAR_NAME_MAX]; /* of the entry, as in the archive */
        size_t length;
        void *linked; /* a tree of struct linked (tsearch(3)) */
};

unsigned tar_checksum(const struct tar_header *header)
{
        const unsigned char *bytes = (const unsigned char *)header;
        unsigned sum = 8 * ' ';

        for (size_t i = 0; i < sizeof *header; i++)
                if (i < offsetof(struct tar_header, checksum) || i >= offsetof(struct tar_header, type))
                        sum += bytes[i];
        return sum;
}

/* Digits and a NUL. A number that does not fit is in a pax record, and zero here. */
static void put_octal(char *field, size_t size, long long number)
{
        char digits[24];

        (void)snprintf(digits, sizeof digits, "%0*llo", (int)size - 1,
                       number < 0 || number > OCTAL_MAX ? 0 : (unsigned long long)number);
        memcpy(field, digits, size);
}

static int write_header(const char *name, const char *link, const struct stat *status, char type, long long size)
{
        struct tar_header header = { .magic = "ustar", .version = { '0', '0' }, .type = type };
        char sum[8];

        memcpy(header.name, name, strnlen(name, sizeof header.name));
        if (link != NULL)
                memcpy(header.link_name, link, strnlen(link, sizeof header.link_name));
        put_octal(header.mode, sizeof header.mode, status->st_mode & 07777);
        put_octal(header.uid, sizeof header.uid, 0);
        put_octal(header.gid, sizeof header.gid, 0);
        put_octal(header.size, sizeof header.size, size);
        put_octal(header.mtime, sizeof header.mtime, status->st_mtime);
        (void)snprintf(sum, sizeof sum, "%06o", tar_checksum(&header));
        memcpy(header.checksum, sum, 7);
        header.checksum[7] = ' ';
        return files_write(STDOUT_FILENO, &header, sizeof header);
}

static int pad(long long size)
{
        static const char ZEROS[TAR_BLOCK];
        size_t rest = (size_t)(size % TAR_BLOCK);

        return rest == 0 ? 0 : files_write(STDOUT_FILENO, ZEROS, TAR_BLOCK - rest);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static size_t put_record(char *target, size_t size, const char *key, const char *value)
{
        size_t rest = strlen(key) + strlen(value) + 3;
        size_t digits = 1;
        int n;

        while (snprintf(NULL, 0, "%zu", rest + digits) != (int)digits)
                digits++;
        n = snprintf(target, size, "%zu %s=%s\n", rest + digits, key, value);
        return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

/* Writes pax records before the header for values that its fields cannot hold. */
static int write_pax(const char *name, const char *link, const struct stat *status, long long size)
{
        static char records[3 * TAR_NAME_MAX];
        struct stat plain = { .st_mode = 0644, .st_mtime = status->st_mtime };
        char text[32];
        size_t length = 0;

        if (strlen(name) > sizeof((struct tar_header *)0)->name)
                length += put_record(records, sizeof records, "path", name);
        if (link != NULL && strlen(link) > sizeof((struct tar_header *)0)->link_name)
                length += put_record(records + length, sizeof records - length, "linkpath", link);
        (void)snprintf(text, sizeof text, "%lld", size);
        if (size > OCTAL_MAX)
                length += put_record(records + length, sizeof records - length, "size", text);
        if (length == 0)
                return 0;
        if (write_header("pax", NULL, &plain, 'x', (long long)length) < 0 ||
            files_write(STDOUT_FILENO, records, length) < 0)
                return -1;
        return pad((long long)length);
}

static int write_entry(const char *name, const char *link, const struct stat *status, char type, long long size)
{
        return write_pax(name, link, status, size) < 0 ? -1 : write_header(name, link, status, type, size);
}

/* ---- hard links ---- */

/* A file with several names, and the first of them in the archive. */
struct linked {
        dev_t device;
        ino_t inode;
        char name[];
};

static int compare_linked(const void *a, const void *b)
{
        const struct linked *left = a, *right = b;

        if (left->device != right->device)
                return left->device < right->device ? -1 : 1;
        return (left->inode > right->inode) - (left->inode < right->inode);
}

/* The name under which the file is in the archive already, or NULL. */
static const char *earlier_name(const struct walk *walk, const struct stat *status)
{
        const struct linked wanted = { .device = status->st_dev, .inode = status->st_ino };
        void *found = status->st_nlink > 1 ? tfind(&wanted, &walk->linked, compare_linked) : NULL;

        return found != NULL ? (*(struct linked *const *)found)->name : NULL;
}

/* If memory runs out, a later name becomes a copy. */
static void note_name(struct walk *walk, const struct stat *status)
{
        size_t size = strlen(walk->name) + 1;
        struct linked *linked = status->st_nlink > 1 ? malloc(sizeof *linked + size) : NULL;

        if (linked == NULL)
                return;
        linked->device = status->st_dev;
        linked->inode = status->st_ino;
        memcpy(linked->name, walk->name, size);
        if (tsearch(linked, &walk->linked, compare_linked) == NULL)
                free(linked);
}

static void forget_names(struct walk *walk)
{
        while (walk->linked != NULL) {
                struct linked *linked = *(struct linked **)walk->linked;

                (void)tdelete(linked, &walk->linked, compare_linked);
                free(linked);
        }
}

/* ---- entries ---- */

/* The size is in the header already: a file that shrinks meanwhile is filled with zeros. */
static int pack_file(int directory_fd, const char *base, struct walk *walk)
{
        static char block[FILES_BLOCK_BYTES];
        struct stat status;
        int fd = files_open_regular(directory_fd, base, O_NOFOLLOW, &status);
        const char *first;
        long long left;
        int r;

        if (fd < 0)
                return errno == EACCES || errno == ENOENT || errno == EINVAL ? 0 : -1;
        first = earlier_name(walk, &status);
        if (first != NULL) {
                close(fd);
                return write_entry(walk->name, first, &status, '1', 0);
        }
        left = status.st_size;
        r = write_entry(walk->name, NULL, &status, '0', left);
        if (r == 0)
                note_name(walk, &status);
        while (r == 0 && left > 0) {
                size_t wanted = left < FILES_BLOCK_BYTES ? (size_t)left : FILES_BLOCK_BYTES;
                ssize_t n = files_read(fd, block, wanted);

                if (n < (ssize_t)wanted)
                        memset(block + (n < 0 ? 0 : n), 0, wanted - (size_t)(n < 0 ? 0 : n));
                r = files_write(STDOUT_FILENO, block, wanted);
                left -= (long long)wanted;
        }
        close(fd);
        return r < 0 ? -1 : pad(status.st_size);
}

static int pack_link(int directory_fd, const char *base, const struct walk *walk, const struct stat *status)
{
        char target[TAR_NAME_MAX];
        ssize_t n = readlinkat(directory_fd, base, target, sizeof target - 1);

        if (n < 0)
                return 0;
        target[n] = '\0';
        return write_entry(walk->name, target, status, '2', 0);
}

static int pack_at(int directory_fd, const char *base, struct walk *walk, unsigned depth);

static int pack_children(int fd, struct walk *walk, unsigned depth)
{
        DIR *directory = fdopendir(fd);
        size_t length = walk->length;
        struct dirent *entry;
        int r = 0;

        if (directory == NULL) {
                close(fd);
                return -1;
        }
        while (r == 0 && (entry = readdir(directory)) != NULL) {
                size_t added = strlen(entry->d_name);

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (length + added + 2 > sizeof walk->name) {
                        errno = ENAMETOOLONG;
                        r = -1;
                        break;
                }
                memcpy(walk->name + length, entry->d_name, added + 1);
                walk->length = length + added;
                r = pack_at(dirfd(directory), entry->d_name, walk, depth + 1);
        }
        walk->length = length;
        walk->name[length] = '\0';
        closedir(directory);
        return r;
}

static int pack_directory(int directory_fd, const char *base, struct walk *walk, const struct stat *status,
                          unsigned depth)
{
        int fd;

        if (depth >= FILES_DEPTH_MAX || walk->length + 2 > sizeof walk->name) {
                errno = ELOOP;
                return -1;
        }
        walk->name[walk->length++] = '/';
        walk->name[walk->length] = '\0';
        if (write_entry(walk->name, NULL, status, '5', 0) < 0)
                return -1;
        fd = openat(directory_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == EACCES || errno == ENOENT ? 0 : -1;
        return pack_children(fd, walk, depth);
}

static int pack_at(int directory_fd, const char *base, struct walk *walk, unsigned depth)
{
        struct stat status;

        if (fstatat(directory_fd, base, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return depth == 0 ? -1 : 0;
        if (S_ISDIR(status.st_mode))
                return pack_directory(directory_fd, base, walk, &status, depth);
        if (S_ISREG(status.st_mode))
                return pack_file(directory_fd, base, walk);
        if (S_ISLNK(status.st_mode))
                return pack_link(directory_fd, base, walk, &status);
        return 0;
}

/* The last part of the path; "." when there is no such part. */
static const char *last_part(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash == NULL ? path : slash + 1;

        return *name == '\0' || strcmp(name, "..") == 0 ? "." : name;
}

/* Follows path if it is a symlink, but no symlinks below it. */
int files_pack_stream(const char *path)
{
        static const char END[2 * TAR_BLOCK];
        struct walk walk = { .linked = NULL };
        char base[PATH_MAX];
        int r;

        walk.length = (size_t)snprintf(walk.name, sizeof walk.name, "%s", last_part(path));
        if (walk.length >= sizeof walk.name || realpath(path, base) == NULL)
                return 1;
        r = pack_at(AT_FDCWD, base, &walk, 0);
        forget_names(&walk);
        if (r < 0)
                return 1;
        return files_write(STDOUT_FILENO, END, sizeof END) < 0;
}

int files_pack(const char *path)
{
        struct stat status;

        if (stat(path, &status) < 0)
                return files_fail(errno, strerror(errno), path);
        if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
                return files_fail(EINVAL, "it is neither a file nor a directory", path);
        /* An error after this line shows as a stream without its end. */
        if (files_say("ok %c", S_ISDIR(status.st_mode) ? 'd' : 'f') < 0)
                return 1;
        return files_pack_stream(path);
}
