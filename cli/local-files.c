#include "local-files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "scope.h"

enum { REMOVE_FDS = 16 };

int local_nameless(void)
{
        const char *directory = getenv("TMPDIR");
        int fd =
                open(directory != NULL && *directory == '/' ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : fd;
}

static int await(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int local_pack(const char *directory)
{
        int fd = local_nameless();
        pid_t pid;
        int r;

        if (fd < 0)
                return fd;
        pid = fork();
        if (pid == 0) {
                /* "." is the name of the archive's root, not of the directory. */
                if (chdir(directory) < 0 || dup2(fd, STDOUT_FILENO) < 0)
                        _exit(1);
                _exit(files_pack_stream("."));
        }
        r = pid < 0 ? -errno : await(pid);
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

static int spool(int fd)
{
        static char block[FILES_BLOCK_BYTES];
        AUTO(auto_close) int target = local_nameless();
        ssize_t n;

        if (target < 0)
                return target;
        while ((n = files_read(fd, block, sizeof block)) > 0)
                if (files_write(target, block, (size_t)n) < 0)
                        return -errno;
        if (n < 0 || lseek(target, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(target);
}

int local_take_input(int fd)
{
        struct stat status;

        if (fstat(fd, &status) < 0)
                return -errno;
        /* The beginning may have been read already. */
        if (!S_ISREG(status.st_mode) || lseek(fd, 0, SEEK_CUR) != 0)
                return spool(fd);
        int copied = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        return copied < 0 ? -errno : copied;
}

static void close_pair(const int fds[2])
{
        close(fds[0]);
        close(fds[1]);
}

int local_unpack_begin(struct local_unpack *unpack, const char *directory)
{
        int input[2], answer[2];

        if (pipe2(input, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(answer, O_CLOEXEC) < 0) {
                int r = errno;

                close_pair(input);
                return -r;
        }
        unpack->pid = fork();
        if (unpack->pid == 0) {
                close(input[1]);
                if (dup2(input[0], STDIN_FILENO) < 0 || dup2(answer[1], STDOUT_FILENO) < 0)
                        _exit(1);
                /* An earlier copy may have created a link of that name. */
                _exit(files_unpack_masked(directory, 0777, O_NOFOLLOW));
        }
        close(input[0]);
        close(answer[1]);
        unpack->input_fd = input[1];
        unpack->answer_fd = answer[0];
        if (unpack->pid >= 0)
                return 0;
        int r = errno;
        close(input[1]);
        close(answer[0]);
        return -r;
}

int local_unpack_write(struct local_unpack *unpack, const void *bytes, size_t length)
{
        const char *at = bytes;

        while (length > 0) {
                ssize_t n = write(unpack->input_fd, at, length);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        at += n;
                        length -= (size_t)n;
                }
        }
        return 0;
}

int local_unpack_end(struct local_unpack *unpack, char *ret_problem, size_t size)
{
        char line[FILES_LINE_BYTES] = "";
        ssize_t n;
        int r;

        close(unpack->input_fd);
        n = files_read(unpack->answer_fd, line, sizeof line - 1);
        close(unpack->answer_fd);
        r = await(unpack->pid);
        line[n > 0 ? n : 0] = '\0';
        line[strcspn(line, "\n")] = '\0';
        if (r == 0)
                return 0;
        /* "error ERRNO SENTENCE" */
        const char *sentence = strchr(line, ' ');
        sentence = sentence == NULL ? NULL : strchr(sentence + 1, ' ');
        (void)snprintf(ret_problem, size, "%s", sentence != NULL ? sentence + 1 : "it ended without an error message");
        return r;
}

int local_is_directory(const char *path)
{
        struct stat status;

        return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int local_take_file(const char *directory, const char *name, const char *target)
{
        AUTO(auto_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat status;

        if (fd < 0 || fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EPROTO;
        return renameat(fd, name, AT_FDCWD, target) < 0 ? -errno : 0;
}

int local_take_directory(const char *directory, const char *name, const char *target)
{
        AUTO(auto_close) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return renameat(fd, name, AT_FDCWD, target) < 0 ? -errno : 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
        (void)status, (void)kind, (void)place;
        return remove(path) < 0 ? -errno : 0;
}

int local_remove(const char *directory)
{
        int r = nftw(directory, remove_entry, REMOVE_FDS, FTW_DEPTH | FTW_MOUNT | FTW_PHYS);

        return r == -1 ? -errno : r;
}
