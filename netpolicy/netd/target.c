#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scope.h"

enum { CGROUP_BYTES = 16384 };

static int lost(struct fault *why, int pid, const char *how)
{
        return fault_set(why, FAULT_CARREL_LOST, ESRCH, "process %d is not the carrel's: %s", pid, how);
}

static int open_of(int pid, const char *name)
{
        char path[64];

        (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
        return open(path, O_RDONLY | O_CLOEXEC);
}

/* An id inside a longer word belongs to another container. */
static bool has_word(const char *text, const char *word)
{
        size_t length = strlen(word);

        for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
                bool is_start = at > text && (at[-1] == '/' || at[-1] == '-');
                bool is_end = at[length] == '\0' || strchr("/.\n", at[length]) != NULL;

                if (is_start && is_end)
                        return true;
        }
        return false;
}

static int check_cgroup(int pid, const char *container_id, struct fault *why)
{
        AUTO(auto_close) int fd = open_of(pid, "cgroup");
        char text[CGROUP_BYTES + 1];
        size_t length = 0;
        ssize_t n = 1;

        if (fd < 0)
                return lost(why, pid, "it has ended");
        while (n > 0 && length < CGROUP_BYTES) {
                n = read(fd, text + length, CGROUP_BYTES - length);
                length += n > 0 ? (size_t)n : 0;
        }
        text[length] = '\0';
        return has_word(text, container_id) ? 0 : lost(why, pid, "it is in another cgroup");
}

static int check_namespace(int netns_fd, struct fault *why)
{
        struct stat ours;
        struct stat theirs;

        if (stat("/proc/self/ns/net", &ours) < 0 || fstat(netns_fd, &theirs) < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot compare network namespaces: %s", strerror(errno));
        if (ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
                return fault_set(why, FAULT_INTERNAL, EPERM, "refused: the container shares the host's network");
        return 0;
}

int target_open(int pid, const char *container_id, int *ret_netns_fd, struct fault *why)
{
        AUTO(auto_close) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        AUTO(auto_close) int netns_fd = -1;
        struct pollfd exited = { .fd = pidfd, .events = POLLIN };
        int r;

        if (pidfd < 0)
                return lost(why, pid, "it has ended");
        r = check_cgroup(pid, container_id, why);
        if (r < 0)
                return r;
        netns_fd = open_of(pid, "ns/net");
        if (netns_fd < 0)
                return lost(why, pid, "its network namespace has ended");
        r = check_namespace(netns_fd, why);
        if (r < 0)
                return r;
        if (poll(&exited, 1, 0) != 0)
                return lost(why, pid, "it has just exited");
        *ret_netns_fd = TAKE_FD(netns_fd);
        return 0;
}
