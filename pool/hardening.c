#include "hardening.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scope.h"

enum { PROC_TEXT_BYTES = 16384 };

/* The line's text behind "Key:" and blanks, or NULL. */
static const char *find_line(const char *status, const char *key)
{
        size_t length = strlen(key);

        for (const char *line = status; line != NULL; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, length) == 0 && line[length] == ':')
                        return line + length + 1 + strspn(line + length + 1, "\t ");
        }
        return NULL;
}

static bool line_is(const char *status, const char *key, const char *wanted)
{
        const char *found = find_line(status, key);
        size_t length = strlen(wanted);

        return found != NULL && strncmp(found, wanted, length) == 0 && (found[length] == '\n' || found[length] == '\0');
}

int hardening_judge(const char *status, uint32_t uid, uint32_t gid, struct fault *why)
{
        char uids[64];
        char gids[64];
        const struct {
                const char *key;
                const char *wanted;
        } promises[] = {
                { "CapInh", "0000000000000000" },
                { "CapPrm", "0000000000000000" },
                { "CapEff", "0000000000000000" },
                { "CapBnd", "0000000000000000" },
                { "CapAmb", "0000000000000000" },
                { "NoNewPrivs", "1" },
                { "Seccomp", "2" },
                { "Uid", uids },
                { "Gid", gids },
        };

        (void)snprintf(uids, sizeof uids, "%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32, uid, uid, uid, uid);
        (void)snprintf(gids, sizeof gids, "%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32, gid, gid, gid, gid);
        for (size_t i = 0; i < sizeof promises / sizeof *promises; i++)
                if (!line_is(status, promises[i].key, promises[i].wanted))
                        return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                         "the started container lacks a promise: %s is not %s; it was removed",
                                         promises[i].key, promises[i].wanted);
        if (uid == 0 || gid == 0)
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM, "a carrel must not run as root");
        return 0;
}

/* A whole small file of /proc into text[PROC_TEXT_BYTES]. */
static int read_proc(int pid, const char *name, char *text)
{
        AUTO(auto_close) int fd = -1;
        char path[64];
        size_t length = 0;
        ssize_t got;

        (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        while ((got = read(fd, text + length, PROC_TEXT_BYTES - 1 - length)) != 0) {
                if (got < 0 && errno != EINTR)
                        return -errno;
                length += got > 0 ? (size_t)got : 0;
                if (length == PROC_TEXT_BYTES - 1)
                        return -EFBIG;
        }
        text[length] = '\0';
        return 0;
}

static bool has_ended(int pidfd)
{
        struct pollfd poller = { .fd = pidfd, .events = POLLIN };

        return poll(&poller, 1, 0) != 0; /* readable once the process has ended (pidfd_open(2)); an error counts too */
}

int hardening_check(int pid, int pidfd, const char *container_id, uint32_t uid, uint32_t gid, struct fault *why)
{
        char status[PROC_TEXT_BYTES];
        char cgroups[PROC_TEXT_BYTES];

        if (read_proc(pid, "status", status) < 0 || read_proc(pid, "cgroup", cgroups) < 0 || has_ended(pidfd))
                return fault_set(why, FAULT_CARREL_LOST, ESRCH, "the container ended as soon as it was started");
        if (strstr(cgroups, container_id) == NULL)
                return fault_set(why, FAULT_HARDENING_MISSING, EPERM,
                                 "process %d, which the engine named, is not in a cgroup of the container", pid);
        return hardening_judge(status, uid, gid, why);
}
