/* `file unpack PATH`: unpacks a tar stream from stdin into a directory. Refuses names that lead out of it, and entries
 * that are not a file, directory or link; the error has the entry's name. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files-sparse.h"
#include "files-tar.h"
#include "files.h"

/* So that a size padded to whole blocks does not overflow. */
static const long long SIZE_MAX_BYTES = 1LL << 62;

struct unpack {
        int root_fd;
        mode_t mask; /* bits that a mode may have */
        unsigned long long n_entries;
        char name[TAR_NAME_MAX]; /* of this entry; "": no record has it */
        char link[TAR_NAME_MAX];
        long long size; /* -1: as in the header */
        long long mtime;
        bool has_mtime;        /* from a record */
        bool is_named;         /* `name` is the real one; the name in a pax header is a placeholder */
        struct sparse *sparse; /* of this entry */
        const char *problem;
};

static int fail(struct unpack *unpack, int err, const char *problem)
{
        unpack->problem = problem;
        errno = err;
        return -1;
}

/* ---- numbers ---- */

/* Octal digits between spaces and NULs, or GNU's 256-based numbers, which may be negative. */
static int read_number(struct unpack *unpack, const char *field, size_t size, long long *ret_number)
{
        long long number = 0;
        size_t i = 0;

        if ((field[0] & 0x80) != 0) {
                number = (field[0] & 0x40) != 0 ? -1 : field[0] & 0x3F;
                for (i = 1; i < size; i++) {
                        if (number > (1LL << 54) || number < -(1LL << 54))
                                return fail(unpack, EINVAL, "a number that is too large");
                        number = number * 256 + (unsigned char)field[i];
                }
                *ret_number = number;
                return 0;
        }
        while (i < size && field[i] == ' ')
                i++;
        for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
                number = number << 3 | (field[i] - '0');
        if (i < size && field[i] != ' ' && field[i] != '\0')
                return fail(unpack, EINVAL, "a malformed number");
        *ret_number = number;
        return 0;
}

/* Decimal digits, all of it. */
static int read_decimal(struct unpack *unpack, const char *text, size_t length, long long *ret_number)
{
        long long number = 0;

        for (size_t i = 0; i < length; i++) {
                if (text[i] < '0' || text[i] > '9' || number > SIZE_MAX_BYTES / 10)
                        return fail(unpack, EINVAL, "a malformed number");
                number = number * 10 + (text[i] - '0');
        }
        if (length == 0 || number > SIZE_MAX_BYTES)
                return fail(unpack, EINVAL, "a malformed number");
        *ret_number = number;
        return 0;
}

/* ---- the stream ---- */

static int read_block(struct unpack *unpack, void *block)
{
        ssize_t n = files_read(STDIN_FILENO, block, TAR_BLOCK);

        if (n < 0)
                return -1;
        return n == TAR_BLOCK ? 0 : fail(unpack, EINVAL, "the archive ends too early");
}

static long long padded(long long size)
{
        return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

/* Zeros become a hole, so that a file that is all hole in the carrel takes no disk space here. */
static int put(int fd, const char *bytes, size_t length)
{
        if (length > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0)
                return lseek(fd, (off_t)length, SEEK_CUR) < 0 ? -1 : 0;
        return files_write(fd, bytes, length);
}

/* Copies size bytes to fd; -1: drops them. */
static int copy_bytes(struct unpack *unpack, int fd, long long size)
{
        static char block[FILES_BLOCK_BYTES];

        while (size > 0) {
                size_t wanted = size < FILES_BLOCK_BYTES ? (size_t)size : FILES_BLOCK_BYTES;
                ssize_t n = files_read(STDIN_FILENO, block, wanted);

                if (n < 0)
                        return -1;
                if (n < (ssize_t)wanted)
                        return fail(unpack, EINVAL, "the archive ends too early");
                if (fd >= 0 && put(fd, block, wanted) < 0)
                        return -1;
                size -= (long long)wanted;
        }
        return 0;
}

/* The same, and reads the padding. */
static int copy(struct unpack *unpack, int fd, long long size)
{
        return copy_bytes(unpack, fd, size) < 0 ? -1 : copy_bytes(unpack, -1, padded(size) - size);
}

/* ---- records before an entry ---- */

static bool is_key(const char *key, size_t length, const char *name)
{
        return strlen(name) == length && memcmp(key, name, length) == 0;
}

static int take_name(struct unpack *unpack, char *target, const char *value, size_t length)
{
        if (length >= TAR_NAME_MAX || memchr(value, '\0', length) != NULL)
                return fail(unpack, EINVAL, "a name that is too long or has a NUL");
        memcpy(target, value, length);
        target[length] = '\0';
        return 0;
}

/* Seconds; a fraction is ignored. */
static int take_time(struct unpack *unpack, const char *value, size_t length)
{
        bool is_negative = length > 0 && value[0] == '-';
        const char *digits = value + is_negative;
        const char *point = memchr(value, '.', length);
        long long seconds;

        if (read_decimal(unpack, digits, (size_t)((point != NULL ? point : value + length) - digits), &seconds) < 0)
                return -1;
        unpack->mtime = is_negative ? -seconds : seconds;
        unpack->has_mtime = true;
        return 0;
}

static int take_record(struct unpack *unpack, const char *key, size_t key_length, const char *value, size_t length)
{
        static const char SPARSE[] = "GNU.sparse.", VOLUME[] = "GNU.volume.";

        if (is_key(key, key_length, "path"))
                return unpack->is_named ? 0 : take_name(unpack, unpack->name, value, length);
        if (is_key(key, key_length, "linkpath"))
                return take_name(unpack, unpack->link, value, length);
        if (is_key(key, key_length, "size"))
                return read_decimal(unpack, value, length, &unpack->size) < 0 ? fail(unpack, EINVAL, "a malformed size")
                                                                              : 0;
        if (is_key(key, key_length, "mtime"))
                return take_time(unpack, value, length);
        if (is_key(key, key_length, "GNU.sparse.name")) {
                unpack->is_named = true;
                return take_name(unpack, unpack->name, value, length);
        }
        if (key_length > strlen(SPARSE) && memcmp(key, SPARSE, strlen(SPARSE)) == 0) {
                const char *problem =
                        sparse_take(unpack->sparse, key + strlen(SPARSE), key_length - strlen(SPARSE), value, length);

                return problem == NULL ? 0 : fail(unpack, EINVAL, problem);
        }
        if (key_length > strlen(VOLUME) && memcmp(key, VOLUME, strlen(VOLUME)) == 0)
                return fail(unpack, EINVAL, "a part of an archive of several volumes");
        return 0;
}

/* A global record applies to all later entries. The records that git and other programs write there change no entry. */
static int take_global(struct unpack *unpack, const char *key, size_t key_length)
{
        static const char *const HARMLESS[] = { "atime",      "charset", "comment", "ctime", "gid", "gname",
                                                "hdrcharset", "mtime",   "uid",     "uname", NULL };

        for (size_t i = 0; HARMLESS[i] != NULL; i++)
                if (is_key(key, key_length, HARMLESS[i]))
                        return 0;
        return fail(unpack, EINVAL, "a global header that changes names, sizes or contents");
}

/* Records "LENGTH KEY=VALUE\n". */
static int take_records(struct unpack *unpack, const char *at, size_t left, bool is_global)
{
        while (left > 0) {
                char *end;
                size_t length = strtoul(at, &end, 10);
                size_t head = (size_t)(end - at) + 1;
                const char *equals;

                if (*end != ' ' || length <= head || length > left || at[length - 1] != '\n')
                        return fail(unpack, EINVAL, "a malformed pax record");
                equals = memchr(end + 1, '=', length - head);
                if (equals == NULL)
                        return fail(unpack, EINVAL, "a malformed pax record");
                if ((is_global ? take_global(unpack, end + 1, (size_t)(equals - end) - 1)
                               : take_record(unpack, end + 1, (size_t)(equals - end) - 1, equals + 1,
                                             length - 2 - (size_t)(equals - at))) < 0)
                        return -1;
                at += length;
                left -= length;
        }
        return 0;
}

static int read_extension(struct unpack *unpack, char type, long long size)
{
        static char text[TAR_PAX_MAX + TAR_BLOCK + 1];
        char *target = type == 'L' ? unpack->name : unpack->link;

        if (size < 0 || size > TAR_PAX_MAX)
                return fail(unpack, EINVAL, "an extended header that is too long");
        for (long long at = 0; at < padded(size); at += TAR_BLOCK)
                if (read_block(unpack, text + at) < 0)
                        return -1;
        text[size] = '\0';
        if (type == 'g' || type == 'x')
                return take_records(unpack, text, (size_t)size, type == 'g');
        if (strlen(text) >= TAR_NAME_MAX)
                return fail(unpack, EINVAL, "a name that is too long");
        memcpy(target, text, strlen(text) + 1);
        return 0;
}

/* ---- names ---- */

/* Removes leading "./" and trailing slashes; refuses a name that leads out. */
static int tidy(struct unpack *unpack, char *name)
{
        char *from = name;
        size_t length;

        if (*from == '/')
                return fail(unpack, EINVAL, "an absolute name");
        while (from[0] == '.' && from[1] == '/')
                for (from += 2; *from == '/'; from++)
                        ;
        memmove(name, from, strlen(from) + 1);
        length = strlen(name);
        while (length > 0 && name[length - 1] == '/')
                name[--length] = '\0';
        for (const char *at = name; *at != '\0'; at += strcspn(at, "/"), at += strspn(at, "/"))
                if (strcspn(at, "/") == 2 && at[0] == '.' && at[1] == '.')
                        return fail(unpack, EINVAL, "a name with \"..\"");
        return 0;
}

/* Opens the directory of name below the root, and follows no symlink. *ret_last is the last part. */
static int open_parent(struct unpack *unpack, char *name, bool is_making, const char **ret_last)
{
        int fd = dup(unpack->root_fd);
        char *at = name;

        for (char *slash = strchr(at, '/'); fd >= 0 && slash != NULL; slash = strchr(at, '/')) {
                int next;

                *slash = '\0';
                if (is_making && *at != '\0' && mkdirat(fd, at, 0777) < 0 && errno != EEXIST) {
                        close(fd);
                        return -1;
                }
                next = openat(fd, *at == '\0' ? "." : at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                *slash = '/';
                close(fd);
                fd = next;
                at = slash + 1;
        }
        *ret_last = at;
        return fd;
}

/* ---- entries ---- */

static void set_times(int directory_fd, const char *name, long long mtime)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = (time_t)mtime } };

        (void)utimensat(directory_fd, name, times, AT_SYMLINK_NOFOLLOW);
}

/* Copies a file that has holes: perhaps a map, and then its parts. *size is the stored size, and becomes the size of
 * the whole file. */
static int copy_sparse(struct unpack *unpack, int fd, long long *size)
{
        char block[TAR_BLOCK];
        long long left = padded(*size);
        long long stored = *size;
        const char *problem = NULL;

        while (problem == NULL && sparse_wants_map(unpack->sparse) && left > 0) {
                if (read_block(unpack, block) < 0)
                        return -1;
                left -= TAR_BLOCK;
                stored -= TAR_BLOCK;
                problem = sparse_feed(unpack->sparse, block);
        }
        if (problem == NULL)
                problem = sparse_check(unpack->sparse, stored, size);
        if (problem != NULL)
                return fail(unpack, EINVAL, problem);
        for (size_t i = 0; i < unpack->sparse->n_parts; i++) {
                const struct sparse_part *part = &unpack->sparse->parts[i];

                if (lseek(fd, part->offset, SEEK_SET) < 0 || copy_bytes(unpack, fd, part->length) < 0)
                        return -1;
                left -= part->length;
        }
        return copy_bytes(unpack, -1, left);
}

static int make_file(struct unpack *unpack, int parent_fd, const char *name, long long size, mode_t mode)
{
        int fd;
        int r;

        if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                return -1;
        fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -1;
        r = sparse_is_one(unpack->sparse) ? copy_sparse(unpack, fd, &size) : copy(unpack, fd, size);
        if (r == 0)
                r = ftruncate(fd, size); /* a hole at the end */
        if (r == 0)
                r = fchmod(fd, mode);
        close(fd);
        return r;
}

static int make_directory(int parent_fd, const char *name, mode_t mode)
{
        struct stat status;

        if (mkdirat(parent_fd, name, 0777) < 0) {
                if (errno != EEXIST || fstatat(parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                        return -1;
                if (!S_ISDIR(status.st_mode)) {
                        errno = ENOTDIR;
                        return -1;
                }
        }
        /* We keep our own access for entries below it. */
        return fchmodat(parent_fd, name, mode | S_IRWXU, 0);
}

/* The target is opened below the root: linkat(2) would follow symlinks on the way, which may come from the archive. */
static int make_hard_link(struct unpack *unpack, int parent_fd, const char *name)
{
        struct stat status;
        const char *last;
        int directory_fd;
        int r;

        if (tidy(unpack, unpack->link) < 0)
                return -1;
        directory_fd = open_parent(unpack, unpack->link, false, &last);
        if (directory_fd < 0)
                return -1;
        r = fstatat(directory_fd, last, &status, AT_SYMLINK_NOFOLLOW);
        if (r == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
                r = fail(unpack, EINVAL, "a link to something that is not a file");
        if (r == 0)
                r = linkat(directory_fd, last, parent_fd, name, 0);
        close(directory_fd);
        return r;
}

static int make_link(struct unpack *unpack, int parent_fd, const char *name, char type)
{
        if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                return -1;
        if (type == '2')
                return symlinkat(unpack->link, parent_fd, name);
        return make_hard_link(unpack, parent_fd, name);
}

static int make_entry(struct unpack *unpack, char type, long long size, mode_t mode, long long mtime)
{
        const char *name;
        int parent_fd;
        int r;

        if (tidy(unpack, unpack->name) < 0)
                return -1;
        if (unpack->name[0] == '\0' || strcmp(unpack->name, ".") == 0)
                return type == '5' ? copy(unpack, -1, size) : fail(unpack, EINVAL, "an entry without a name");
        parent_fd = open_parent(unpack, unpack->name, true, &name);
        if (parent_fd < 0)
                return -1;
        if (type == '5')
                r = make_directory(parent_fd, name, mode);
        else if (type == '1' || type == '2')
                r = make_link(unpack, parent_fd, name, type);
        else
                r = make_file(unpack, parent_fd, name, size, mode);
        if (r == 0 && type != '5' && type != '1') /* a hard link has those of its file */
                set_times(parent_fd, name, mtime);
        if (r == 0 && (type == '5' || type == '1' || type == '2'))
                r = copy(unpack, -1, size);
        close(parent_fd);
        unpack->n_entries++;
        return r;
}

/* Takes the names of the header where no record has them. */
static void fill_names(struct unpack *unpack, const struct tar_header *header)
{
        if (unpack->name[0] == '\0' && memcmp(header->magic, "ustar", 6) == 0 && header->prefix[0] != '\0')
                (void)snprintf(unpack->name, sizeof unpack->name, "%.155s/%.100s", header->prefix, header->name);
        else if (unpack->name[0] == '\0')
                (void)snprintf(unpack->name, sizeof unpack->name, "%.100s", header->name);
        if (unpack->link[0] == '\0')
                (void)snprintf(unpack->link, sizeof unpack->link, "%.100s", header->link_name);
}

static void forget_entry(struct unpack *unpack)
{
        unpack->name[0] = unpack->link[0] = '\0';
        unpack->size = -1;
        unpack->has_mtime = unpack->is_named = false;
        sparse_forget(unpack->sparse);
}

/* GNU's old form: parts are in the header, and in blocks after it. */
static int take_old_sparse(struct unpack *unpack, const struct tar_header *header)
{
        const char *problem = sparse_take_header(unpack->sparse, header);
        char block[TAR_BLOCK];

        while (problem == NULL && sparse_wants_block(unpack->sparse)) {
                if (read_block(unpack, block) < 0)
                        return -1;
                problem = sparse_take_block(unpack->sparse, block);
        }
        return problem == NULL ? 0 : fail(unpack, EINVAL, problem);
}

/* Old archives have no type for a directory: it is a file whose name ends with a slash. */
static char type_of(const struct unpack *unpack, const struct tar_header *header)
{
        size_t length = strlen(unpack->name);

        if (header->type != '\0' && header->type != '0')
                return header->type == '7' || header->type == 'S' ? '0' : header->type;
        return length > 0 && unpack->name[length - 1] == '/' ? '5' : '0';
}

static int take_entry(struct unpack *unpack, const struct tar_header *header)
{
        long long size, mode, mtime;
        char type;
        int r;

        if (read_number(unpack, header->size, sizeof header->size, &size) < 0 ||
            read_number(unpack, header->mode, sizeof header->mode, &mode) < 0 ||
            read_number(unpack, header->mtime, sizeof header->mtime, &mtime) < 0)
                return -1;
        if (header->type != '\0' && strchr("xgLK", header->type) != NULL)
                return read_extension(unpack, header->type, size);
        fill_names(unpack, header);
        if (header->type == 'S' && take_old_sparse(unpack, header) < 0)
                return -1;
        type = type_of(unpack, header);
        if (unpack->size >= 0)
                size = unpack->size;
        if (unpack->has_mtime)
                mtime = unpack->mtime;
        if (strchr("0125", type) == NULL)
                return fail(unpack, EINVAL, "an entry that is not a file, directory or link");
        if (size < 0 || size > SIZE_MAX_BYTES || (type != '0' && sparse_is_one(unpack->sparse)))
                return fail(unpack, EINVAL, "a malformed size");
        r = make_entry(unpack, type, type == '0' ? size : 0, (mode_t)mode & unpack->mask, mtime);
        if (r == 0)
                forget_entry(unpack);
        return r;
}

static bool is_empty(const struct tar_header *header)
{
        static const struct tar_header EMPTY;

        return memcmp(header, &EMPTY, sizeof EMPTY) == 0;
}

static int take_archive(struct unpack *unpack)
{
        static char rest[FILES_BLOCK_BYTES];
        struct tar_header header;
        long long sum;

        for (;;) {
                if (read_block(unpack, &header) < 0)
                        return -1;
                if (is_empty(&header))
                        break;
                if (read_number(unpack, header.checksum, sizeof header.checksum, &sum) < 0 ||
                    sum != (long long)tar_checksum(&header))
                        return fail(unpack, EINVAL, "the input is not a tar archive");
                if (take_entry(unpack, &header) < 0)
                        return -1;
        }
        /* The sender may not have finished: read the rest. */
        while (files_read(STDIN_FILENO, rest, sizeof rest) > 0)
                ;
        return 0;
}

int files_unpack(const char *path)
{
        return files_unpack_masked(path, 07777, 0);
}

int files_unpack_masked(const char *path, mode_t mask, int flags)
{
        static struct sparse sparse;
        static struct unpack unpack = { .size = -1, .sparse = &sparse };

        if (mkdir(path, 0777) < 0 && errno != EEXIST)
                return files_fail(errno, strerror(errno), path);
        unpack.mask = mask;
        unpack.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
        if (unpack.root_fd < 0)
                return files_fail(errno, strerror(errno), path);
        if (take_archive(&unpack) < 0)
                return files_fail(errno, unpack.problem != NULL ? unpack.problem : strerror(errno),
                                  unpack.name[0] != '\0' ? unpack.name : NULL);
        return files_say("ok %llu", unpack.n_entries) < 0;
}
