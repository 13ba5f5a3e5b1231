#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "confine.h"
#include "content.h"
#include "furnish.h"
#include "scope.h"
#include "str.h"
#include "temporary.h"

enum { PIECE_BYTES = 1 << 16, REPORT_MAX_BYTES = 1 << 20 };
/* The child's only descriptors. */
enum { ARCHIVE_FD = 3, REPORT_FD = 4, WORKPLACE_FD = 5, FIRST_FREE_FD = 6, HIGH_FD = 100 };

/* The environment for an archive without a configuration. */
static const char *const DEFAULT_ENVIRONMENT[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        NULL,
};

/* ---- the child ---- */

/* The report of a failure is 'F', the kind and the message of a fault. Otherwise it is the place of the tree ('o':
 * outer, 'r': rootfs) and the image as image.json. */
static void report_fault(const struct fault *why)
{
        char text[sizeof why->message + 32];
        int n = snprintf(text, sizeof text, "F%d %s", why->kind, why->message);

        if (write(REPORT_FD, text, (size_t)n) != n)
                _exit(2);
}

static void report_image(const struct stored_image *image, bool is_in_outer)
{
        AUTO(auto_free) char *json = stored_image_encode(image);
        size_t length = json == NULL ? 0 : strlen(json);
        const char *at = json;

        if (json == NULL || write(REPORT_FD, is_in_outer ? "o" : "r", 1) != 1)
                _exit(2);
        while (length > 0) {
                ssize_t n = write(REPORT_FD, at, length);

                if (n <= 0)
                        _exit(2);
                at += n;
                length -= (size_t)n;
        }
}

/* carreld trusts standard output, so the child has none. */
static int silence(void)
{
        AUTO(auto_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int i = 0; i < ARCHIVE_FD; i++)
                if (nothing < 0 || dup2(nothing, i) < 0)
                        return -errno;
        return 0;
}

/* Moves each descriptor to its number and closes all others: a descriptor of an outside directory would lead out of the
 * chroot. */
static int arrange(const int wanted[3])
{
        int high[3];
        int r;

        for (int i = 0; i < 3; i++) {
                high[i] = fcntl(wanted[i], F_DUPFD, HIGH_FD);
                if (high[i] < 0)
                        return -errno;
        }
        r = silence();
        for (int i = 0; r == 0 && i < 3; i++)
                if (dup2(high[i], ARCHIVE_FD + i) < 0)
                        r = -errno;
        return r == 0 && syscall(SYS_close_range, FIRST_FREE_FD, ~0U, 0) < 0 ? -errno : r;
}

static int unpack_confined(const struct import *import, pid_t parent, struct stored_image *image, bool *ret_in_outer,
                           struct fault *why)
{
        struct assembly assembly = { .archive_fd = ARCHIVE_FD,
                                     .format = import->format,
                                     .max_bytes = import->max_bytes,
                                     .max_entries = import->max_entries };
        const struct confinement confinement = { .program = "carrel-image",
                                                 .parent = parent,
                                                 .root_fd = WORKPLACE_FD,
                                                 .file_max_bytes = import->max_bytes };
        int r = confine(&confinement, why);

        if (r < 0)
                return r;
        if (mkdir("outer", 0755) < 0 || mkdir("rootfs", 0755) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, errno, "cannot make a directory: %s", strerror(errno));
        assembly.outer_fd = open("outer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assembly.rootfs_fd = open("rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (assembly.outer_fd < 0 || assembly.rootfs_fd < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open a directory: %s", strerror(errno));
        close(WORKPLACE_FD);
        return assemble(&assembly, image, ret_in_outer, why);
}

static void run_child(const struct import *import, pid_t parent, int report_fd, int workplace_fd)
{
        const int wanted[3] = { import->archive_fd, report_fd, workplace_fd };
        struct stored_image image = STORED_IMAGE_NONE;
        struct fault why = { 0 };
        bool is_in_outer = false;

        if (arrange(wanted) < 0)
                _exit(2);
        if (unpack_confined(import, parent, &image, &is_in_outer, &why) < 0)
                report_fault(&why);
        else
                report_image(&image, is_in_outer);
        _exit(0);
}

/* ---- its report, which is hostile too, because it has read the archive ---- */

static int read_report(int fd, struct buffer *report)
{
        char piece[4096];
        ssize_t n;

        while ((n = read(fd, piece, sizeof piece)) > 0)
                if (report->length + (size_t)n > REPORT_MAX_BYTES || buffer_append(report, piece, (size_t)n) < 0)
                        return -EBADMSG;
        return n < 0 ? -errno : 0;
}

static int take_fault(const char *text, struct fault *why)
{
        char *end;
        long kind = strtol(text, &end, 10);

        if (kind != FAULT_RESOURCE_EXHAUSTED && kind != FAULT_INTERNAL)
                kind = FAULT_IMAGE_REFUSED;
        return fault_set(why, (enum fault_kind)kind, EINVAL, "%s", *end == ' ' ? end + 1 : end);
}

static int judge_end(int status, const struct buffer *report, struct fault *why)
{
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM,
                                 "the unpacker was killed: this machine is short of memory");
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
                return fault_set(why, FAULT_IMAGE_REFUSED, ETIME,
                                 "the archive takes too much processor time to unpack");
        if (WIFSIGNALED(status))
                return fault_set(why, FAULT_IMAGE_REFUSED, EBADMSG, "the unpacker crashed on the archive (signal %d)",
                                 WTERMSIG(status));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || report->length < 2)
                return fault_set(why, FAULT_INTERNAL, EIO, "the unpacker ended without a report");
        return report->data[0] == 'F' ? take_fault(report->data + 1, why) : 0;
}

static int take_report(int status, const struct buffer *report, struct stored_image *image, bool *ret_in_outer,
                       struct fault *why)
{
        int r = judge_end(status, report, why);

        if (r < 0 || report->data == NULL)
                return r < 0 ? r : -EIO;
        *ret_in_outer = report->data[0] == 'o';
        r = stored_image_decode(report->data + 1, report->length - 1, image);
        if (r == 0 && image->n_binds > 0) /* an archive has none */
                r = -EBADMSG;
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "the unpacker's report cannot be parsed") : 0;
}

/* ---- the parent ---- */

static int unpack(const struct import *import, const struct workplace *workplace, struct stored_image *image,
                  bool *ret_in_outer, struct fault *why)
{
        AUTO(buffer_free) struct buffer report = { 0 };
        int fds[2];
        int status = 0;
        pid_t parent = getpid();
        pid_t pid;
        int r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, errno, "cannot make a pipe: %s", strerror(errno));
        pid = fork();
        if (pid == 0)
                run_child(import, parent, fds[1], workplace->fd);
        close(fds[1]);
        r = pid < 0 ? -errno : read_report(fds[0], &report);
        close(fds[0]);
        if (r < 0 && pid > 0)
                (void)kill(pid, SIGKILL);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot unpack: %s", strerror(-r));
        return take_report(status, &report, image, ret_in_outer, why);
}

/* Layers are read more than once, so a pipe is copied into a file. */
static int spool(int from_fd, int to_fd, uint64_t max_bytes, struct fault *why)
{
        char piece[PIECE_BYTES];
        char size[STR_SIZE_BYTES];
        uint64_t total = 0;
        ssize_t n;

        while ((n = read(from_fd, piece, sizeof piece)) > 0) {
                total += (uint64_t)n;
                if (total > max_bytes)
                        return fault_set(why, FAULT_IMAGE_REFUSED, EFBIG, "the archive has more than %s",
                                         str_size(max_bytes, size));
                if (write(to_fd, piece, (size_t)n) != n)
                        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOSPC, "no room for the archive");
        }
        return n < 0 ? fault_set(why, FAULT_INTERNAL, errno, "cannot read the archive: %s", strerror(errno)) : 0;
}

static int open_archive(int fd, const struct workplace *workplace, uint64_t max_bytes, int *ret_fd, struct fault *why)
{
        AUTO(auto_close) int file = -1;
        char directory[64];
        struct stat about;
        int r;

        if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
                *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
                return *ret_fd < 0 ? fault_set(why, FAULT_RESOURCE_EXHAUSTED, errno, "too many open files") : 0;
        }
        (void)snprintf(directory, sizeof directory, "/proc/self/fd/%d", workplace->fd);
        file = temporary_open(directory);
        if (file < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -file, "cannot make a temporary file: %s",
                                 strerror(-file));
        r = spool(fd, file, max_bytes, why);
        if (r == 0)
                *ret_fd = TAKE_FD(file);
        return r;
}

static int set_default_environment(struct stored_image *image)
{
        size_t count = sizeof DEFAULT_ENVIRONMENT / sizeof *DEFAULT_ENVIRONMENT;

        free(image->environment[0]);
        free(image->environment);
        image->environment = calloc(count, sizeof *image->environment);
        for (size_t i = 0; image->environment != NULL && DEFAULT_ENVIRONMENT[i] != NULL; i++) {
                image->environment[i] = strdup(DEFAULT_ENVIRONMENT[i]);
                if (image->environment[i] == NULL)
                        return -ENOMEM;
        }
        return image->environment == NULL ? -ENOMEM : 0;
}

/* Moves the tree to its place for the store, and computes its digest. */
static int weigh(const struct import *import, const struct workplace *workplace, bool is_in_outer,
                 struct stored_image *image, struct fault *why)
{
        const struct budget limits = { import->max_bytes, import->max_entries + FURNISHED_MAX };
        AUTO(auto_close) int fd = -1;
        int r;

        if (is_in_outer && (unlinkat(workplace->fd, "rootfs", AT_REMOVEDIR) < 0 ||
                            renameat(workplace->fd, "outer", workplace->fd, "rootfs") < 0))
                return fault_set(why, FAULT_INTERNAL, errno, "cannot move the image: %s", strerror(errno));
        if (is_in_outer && set_default_environment(image) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        fd = openat(workplace->fd, "rootfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fchmod(fd, 0755) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open the image: %s", strerror(errno));
        image->created_wall_ms = clock_wall_ms();
        r = furnish(fd, why);
        return r < 0 ? r : content_digest(fd, &limits, image, why);
}

int import_run(struct store *store, const struct import *import, struct stored_image *ret_image, bool *ret_is_new,
               struct fault *why)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        AUTO(auto_close) int archive_fd = -1;
        struct workplace workplace = { .fd = -1 };
        struct import opened = *import;
        bool is_in_outer = false;
        int r = store_begin(store, &workplace, why);

        if (r == 0)
                r = open_archive(import->archive_fd, &workplace, import->max_bytes, &archive_fd, why);
        opened.archive_fd = archive_fd;
        if (r == 0)
                r = unpack(&opened, &workplace, &image, &is_in_outer, why);
        if (r == 0)
                r = weigh(&opened, &workplace, is_in_outer, &image, why);
        if (r == 0)
                r = store_commit(store, &workplace, &image, import->reference, ret_is_new, why);
        store_abandon(store, &workplace);
        if (r < 0)
                return r;
        *ret_image = image;
        image = STORED_IMAGE_NONE;
        return 0;
}
