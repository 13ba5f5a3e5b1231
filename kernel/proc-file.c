#include "proc-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scope.h"
#include "str.h"

enum { STAT_MAX = 4096 };

static int read_all(int fd, size_t max_bytes, struct buffer *text)
{
        char piece[4096];

        for (;;) {
                ssize_t length = read(fd, piece, sizeof piece);

                if (length < 0 && errno == EINTR)
                        continue;
                if (length <= 0)
                        return length < 0 ? -errno : 0;
                if (text->length + (size_t)length > max_bytes)
                        return -E2BIG;
                if (buffer_append(text, piece, (size_t)length) != 0)
                        return -ENOMEM;
        }
}

int proc_file_read_at(int directory, const char *path, size_t max_bytes, char **ret_text)
{
        AUTO(auto_close) int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct buffer text = { 0 };
        char *taken;
        int r;

        if (fd < 0)
                return -errno;
        r = read_all(fd, max_bytes, &text);
        if (r != 0) {
                buffer_free(&text);
                return r;
        }
        taken = buffer_take(&text);
        if (taken == NULL)
                return -ENOMEM;
        *ret_text = taken;
        return 0;
}

int proc_file_read(const char *path, size_t max_bytes, char **ret_text)
{
        return proc_file_read_at(AT_FDCWD, path, max_bytes, ret_text);
}

int proc_pid_read(pid_t pid, const char *name, size_t max_bytes, char **ret_text)
{
        char path[64];
        int length = snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);

        if (length < 0 || (size_t)length >= sizeof path)
                return -EINVAL;
        return proc_file_read(path, max_bytes, ret_text);
}

int process_parse(const char *stat, struct process *ret_process)
{
        /* The program chooses its name in parentheses, which may hold spaces and parentheses. */
        const char *behind_name = strrchr(stat, ')');
        struct process process = { 0 };
        int pid, parent, session, threads;

        if (behind_name == NULL || sscanf(stat, "%d (", &pid) != 1)
                return -EBADMSG;
        if (sscanf(behind_name, ") %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %" SCNu64,
                   &process.state, &parent, &session, &threads, &process.start_ticks) != 5)
                return -EBADMSG;
        process.pid = pid;
        process.parent = parent;
        process.session = session;
        process.threads = threads;
        *ret_process = process;
        return 0;
}

int process_read(pid_t pid, struct process *ret_process)
{
        AUTO(auto_free) char *text = NULL;
        int r = proc_pid_read(pid, "stat", STAT_MAX, &text);

        return text == NULL ? r : process_parse(text, ret_process);
}
