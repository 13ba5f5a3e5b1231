#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LIST_MAX = 10000, NAME_RANDOM_BYTES = 8 };

/* ---- bytes and answers ---- */

int files_write(int fd, const void *bytes, size_t length)
{
        const char *at = bytes;

        while (length > 0) {
                ssize_t n = write(fd, at, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return -1;
                at += n;
                length -= (size_t)n;
        }
        return 0;
}

ssize_t files_read(int fd, void *target, size_t length)
{
        size_t have = 0;

        while (have < length) {
                ssize_t n = read(fd, (char *)target + have, length - have);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                have += (size_t)n;
        }
        return (ssize_t)have;
}

int files_say(const char *format, ...)
{
        char line[FILES_LINE_BYTES];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(line, sizeof line - 1, format, args);
        va_end(args);
        if (n < 0)
                return -1;
        if ((size_t)n > sizeof line - 2)
                n = sizeof line - 2;
        /* The answer stays one line, whatever names are in it. */
        for (int i = 0; i < n; i++)
                if (line[i] == '\n' || line[i] == '\0')
                        line[i] = '?';
        line[n] = '\n';
        return files_write(STDOUT_FILENO, line, (size_t)n + 1);
}

int files_fail(int err, const char *sentence, const char *name)
{
        (void)files_say("error %d %s%s%.300s", err, sentence, name == NULL ? "" : ": ", name == NULL ? "" : name);
        return 1;
}

static int fail_errno(const char *path)
{
        int r = errno;

        return files_fail(r, r == EINVAL ? "it is not a regular file" : strerror(r), path);
}

static bool parse_number(const char *text, long long *ret_number)
{
        char *end;

        errno = 0;
        *ret_number = strtoll(text, &end, 10);
        return errno == 0 && end != text && *end == '\0';
}

int files_open_regular(int directory_fd, const char *path, int flags, struct stat *ret_status)
{
        int fd = openat(directory_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);

        if (fd < 0)
                return -1;
        if (fstat(fd, ret_status) == 0 && S_ISREG(ret_status->st_mode))
                return fd;
        errno = S_ISDIR(ret_status->st_mode) ? EISDIR : EINVAL;
        close(fd);
        return -1;
}

/* ---- get PATH FIRST LAST ---- */

/* Chooses the bytes of a range (RFC 9110, section 14.1.2): FIRST -1 is the last LAST bytes, LAST -1 goes to the end.
 * False: the file has none of them. */
static bool choose_range(long long size, long long first, long long last, long long *ret_first, long long *ret_length)
{
        if (first < 0) {
                first = last < size ? size - last : 0;
                last = size - 1;
        }
        if (last < 0 || last >= size)
                last = size - 1;
        *ret_first = first;
        *ret_length = last - first + 1;
        return first < size && first <= last;
}

/* The length was announced already: fewer bytes are a failure, further bytes are left out. */
static int send_bytes(int fd, long long first, long long length)
{
        static char block[FILES_BLOCK_BYTES];

        while (length > 0) {
                size_t wanted = length < FILES_BLOCK_BYTES ? (size_t)length : FILES_BLOCK_BYTES;
                ssize_t n = pread(fd, block, wanted, first);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0 || files_write(STDOUT_FILENO, block, (size_t)n) < 0)
                        return 1;
                first += n;
                length -= n;
        }
        return 0;
}

static int get(char **arguments)
{
        struct stat status;
        long long first, last, length;
        bool is_whole;
        int fd;

        if (!parse_number(arguments[1], &first) || !parse_number(arguments[2], &last))
                return files_fail(EINVAL, "a malformed range", NULL);
        fd = files_open_regular(AT_FDCWD, arguments[0], 0, &status);
        if (fd < 0)
                return fail_errno(arguments[0]);
        is_whole = first == 0 && last == -1;
        if (!choose_range((long long)status.st_size, first, last, &first, &length) && !is_whole) {
                (void)files_say("range %lld", (long long)status.st_size);
                return 1;
        }
        if (files_say("ok %lld %o %lld %lld %lld", (long long)status.st_size, (unsigned)(status.st_mode & 07777),
                      (long long)status.st_mtime, first, length > 0 ? length : 0) < 0)
                return 1;
        return send_bytes(fd, first, length);
}

/* ---- put PATH SIZE MODE PARENTS ---- */

/* Opens the directory of path. *ret_name is the part after the last slash. */
static int open_parent(const char *path, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        char parent[PATH_MAX];

        *ret_name = slash == NULL ? path : slash + 1;
        if (**ret_name == '\0' || strcmp(*ret_name, ".") == 0 || strcmp(*ret_name, "..") == 0) {
                errno = EISDIR;
                return -1;
        }
        if (slash == NULL)
                return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if ((size_t)(slash - path) >= sizeof parent) {
                errno = ENAMETOOLONG;
                return -1;
        }
        memcpy(parent, path, (size_t)(slash - path));
        parent[slash - path] = '\0';
        return open(slash == path ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_parents(const char *path)
{
        char parent[PATH_MAX];
        size_t length = strlen(path);

        if (length >= sizeof parent)
                return;
        memcpy(parent, path, length + 1);
        /* A failure shows when the parent is opened. */
        for (char *slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void)mkdir(parent, 0777);
                *slash = '/';
        }
}

static int random_name(char *target, size_t size)
{
        unsigned char random[NAME_RANDOM_BYTES];
        int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : files_read(fd, random, sizeof random);
        int used = snprintf(target, size, ".carrel-put.");

        if (fd >= 0)
                close(fd);
        if (n != (ssize_t)sizeof random)
                return -1;
        for (size_t i = 0; i < sizeof random; i++)
                used += snprintf(target + used, size - (size_t)used, "%02x", random[i]);
        return 0;
}

/* Makes a file without a name, so that nothing is left of it when we are killed. Where the file system cannot do that,
 * the file has a name. */
static int make_nameless(int parent_fd, const char *name, bool *ret_has_name)
{
        int fd = openat(parent_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

        *ret_has_name = fd < 0;
        return fd >= 0 ? fd : openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int give_name(int fd, int parent_fd, const char *name)
{
        char self[64];

        (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        return linkat(AT_FDCWD, self, parent_fd, name, AT_SYMLINK_FOLLOW);
}

/* Reads exactly size bytes; fewer are an error, as the sender may have gone in the middle. */
static int take_bytes(int fd, long long size)
{
        static char block[FILES_BLOCK_BYTES];
        long long left = size;

        for (;;) {
                ssize_t n = files_read(STDIN_FILENO, block, sizeof block);

                if (n < 0 || files_write(fd, block, (size_t)n) < 0)
                        return -1;
                left -= n;
                if (n < (ssize_t)sizeof block)
                        break;
        }
        if (left == 0)
                return 0;
        errno = EPROTO;
        return -1;
}

/* The requested mode, or that of the replaced file, or the default. */
static mode_t choose_mode(int parent_fd, const char *name, long long wanted)
{
        struct stat status;

        if (wanted >= 0)
                return (mode_t)wanted & 07777;
        if (fstatat(parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode))
                return status.st_mode & 07777;
        return 0644;
}

/* Nothing checks for a directory of that name: rename(2) refuses to replace one (EISDIR). */
static int put_into(int parent_fd, const char *name, long long size, long long mode)
{
        char temporary[64];
        bool has_name;
        int fd;
        int r;

        if (random_name(temporary, sizeof temporary) < 0)
                return -1;
        fd = make_nameless(parent_fd, temporary, &has_name);
        if (fd < 0)
                return -1;
        r = take_bytes(fd, size);
        if (r == 0)
                r = fchmod(fd, choose_mode(parent_fd, name, mode));
        if (r == 0)
                r = fsync(fd);
        if (r == 0 && !has_name) {
                r = give_name(fd, parent_fd, temporary);
                has_name = r == 0;
        }
        if (r == 0)
                r = renameat(parent_fd, temporary, parent_fd, name);
        if (r < 0 && has_name) {
                int err = errno;

                (void)unlinkat(parent_fd, temporary, 0);
                errno = err;
        }
        close(fd);
        return r;
}

static int put(char **arguments)
{
        long long size, mode, parents;
        const char *name;
        int parent_fd;

        if (!parse_number(arguments[1], &size) || !parse_number(arguments[2], &mode) ||
            !parse_number(arguments[3], &parents))
                return files_fail(EINVAL, "a malformed number", NULL);
        if (parents != 0)
                make_parents(arguments[0]);
        parent_fd = open_parent(arguments[0], &name);
        if (parent_fd < 0 || put_into(parent_fd, name, size, mode) < 0)
                return fail_errno(arguments[0]);
        return files_say("ok %lld", size) < 0;
}

/* ---- list PATH ---- */

static char kind_of(mode_t mode)
{
        if (S_ISREG(mode))
                return 'f';
        if (S_ISDIR(mode))
                return 'd';
        if (S_ISLNK(mode))
                return 'l';
        return 'o';
}

/* Writes "KIND MODE SIZE MTIME NAME" and a NUL, which no name contains. */
static int list_entry(int directory_fd, const char *name)
{
        struct stat status;
        char head[96];
        int n;

        if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return 0; /* it was just removed */
        n = snprintf(head, sizeof head, "%c %o %lld %lld ", kind_of(status.st_mode), (unsigned)(status.st_mode & 07777),
                     (long long)status.st_size, (long long)status.st_mtime);
        if (files_write(STDOUT_FILENO, head, (size_t)n) < 0)
                return -1;
        return files_write(STDOUT_FILENO, name, strlen(name) + 1);
}

static int list(char **arguments)
{
        int fd = open(arguments[0], O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        unsigned listed = 0;

        if (directory == NULL)
                return fail_errno(arguments[0]);
        if (files_say("ok") < 0)
                return 1;
        while (listed < LIST_MAX && (entry = readdir(directory)) != NULL) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                if (list_entry(fd, entry->d_name) < 0)
                        return 1;
                listed++;
        }
        return 0;
}

/* ---- remove PATH RECURSIVE ---- */

enum { REMOVALS_A_WORD = 1000 };

/* Writes a line to stdout now and then: the client sees nothing else of a removal that takes long. */
static void note_removal(void)
{
        static unsigned removed;

        if (++removed % REMOVALS_A_WORD == 0)
                (void)files_say("on");
}

static int remove_at(int directory_fd, const char *name, bool is_recursive, unsigned depth);

static int empty_directory(int directory_fd, const char *name, unsigned depth)
{
        int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *directory = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        int r = 0;

        if (directory == NULL)
                return -1;
        while (r == 0 && (entry = readdir(directory)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = remove_at(fd, entry->d_name, true, depth + 1);
        closedir(directory);
        return r;
}

static int remove_at(int directory_fd, const char *name, bool is_recursive, unsigned depth)
{
        struct stat status;

        if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return -1;
        note_removal();
        if (!S_ISDIR(status.st_mode))
                return unlinkat(directory_fd, name, 0);
        if (depth >= FILES_DEPTH_MAX) {
                errno = ELOOP;
                return -1;
        }
        if (is_recursive && empty_directory(directory_fd, name, depth) < 0)
                return -1;
        return unlinkat(directory_fd, name, AT_REMOVEDIR);
}

/* The id of fd's mount (proc(5), /proc/PID/fdinfo); -1: not known. */
static int mount_of(int fd)
{
        static const char KEY[] = "mnt_id:";
        char path[64], line[64];
        FILE *file;
        int id = -1;

        (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        file = fopen(path, "re");
        while (file != NULL && id < 0 && fgets(line, sizeof line, file) != NULL)
                if (strncmp(line, KEY, sizeof KEY - 1) == 0)
                        id = (int)strtol(line + sizeof KEY - 1, NULL, 10);
        if (file != NULL)
                fclose(file);
        return id;
}

static bool is_mount(int parent_fd, const char *name)
{
        struct stat above, status;
        int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        bool is_other;

        if (fd < 0)
                return false;
        is_other = mount_of(fd) != mount_of(parent_fd) ||
                   (fstat(parent_fd, &above) == 0 && fstat(fd, &status) == 0 && above.st_dev != status.st_dev);
        close(fd);
        return is_other;
}

/* Refuses a directory that must stay before anything in it is removed. */
static int check_removal(int parent_fd, const char *name)
{
        struct stat above, status;

        if (is_mount(parent_fd, name)) {
                errno = EBUSY;
                return -1;
        }
        if (faccessat(parent_fd, ".", W_OK | X_OK, 0) < 0 || fstat(parent_fd, &above) < 0 ||
            fstatat(parent_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return -1;
        if ((above.st_mode & S_ISVTX) == 0 || geteuid() == 0 || above.st_uid == geteuid() || status.st_uid == geteuid())
                return 0;
        errno = EPERM;
        return -1;
}

static int remove_path(char **arguments)
{
        bool is_recursive = strcmp(arguments[1], "1") == 0;
        const char *name;
        int parent_fd = open_parent(arguments[0], &name);

        if (parent_fd < 0 || (is_recursive && check_removal(parent_fd, name) < 0) ||
            remove_at(parent_fd, name, is_recursive, 0) < 0) {
                if (errno == EBUSY)
                        return files_fail(EBUSY,
                                          "it is a mount of the carrel and cannot be removed: name what is in it",
                                          arguments[0]);
                return fail_errno(arguments[0]);
        }
        return files_say("ok") < 0;
}

/* ---- the table ---- */

static int pack(char **arguments)
{
        return files_pack(arguments[0]);
}

static int unpack(char **arguments)
{
        make_parents(arguments[0]);
        return files_unpack(arguments[0]);
}

static const struct {
        const char *name;
        int n_arguments;
        int (*run)(char **arguments);
} OPERATIONS[] = {
        { "get", 3, get }, { "list", 1, list },          { "pack", 1, pack },
        { "put", 4, put }, { "remove", 2, remove_path }, { "unpack", 1, unpack },
};

int files_main(int argc, char **argv)
{
        /* The user's programs have the same uid, and carreld's client trusts this output. If the program is installed
         * unreadable, as it should be, the kernel has made it undumpable already. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return files_fail(errno, "cannot make itself undumpable", NULL);
        for (size_t i = 0; argc > 0 && i < sizeof OPERATIONS / sizeof *OPERATIONS; i++)
                if (strcmp(OPERATIONS[i].name, argv[0]) == 0 && argc - 1 == OPERATIONS[i].n_arguments)
                        return OPERATIONS[i].run(argv + 1);
        return files_fail(ENOSYS, "no such file operation", NULL);
}
