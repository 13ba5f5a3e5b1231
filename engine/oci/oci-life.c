/* Whether a container lives is known only by a pidfd of its process 1. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { PATH_BYTES = 512 };

void oci_life_tell(struct oci_container *container, enum engine_event_kind kind)
{
        const struct oci *oci = container->oci;
        const char *value;
        const struct engine_event event = {
                .kind = kind, .id = container->info.id, .exec_id = "", .exit_code = container->info.exit_code
        };

        if (oci->on_event == NULL)
                return;
        value = container_label(&container->info, oci->watched.key);
        if (value != NULL && strcmp(value, oci->watched.value) == 0)
                oci->on_event(oci->on_event_arg, &event);
}

/* PIDFD_GET_INFO with PIDFD_INFO_EXIT of <linux/pidfd.h> (Linux 6.15): the exit status of a process that is not our
 * child. Declared here because the headers of the build may be older than the kernel. */
struct pidfd_exit_info {
        uint64_t mask;
        uint64_t cgroup_id;
        uint32_t ids[13];
        int32_t exit_code;
        uint64_t more[2];
};
#define PIDFD_EXIT_INFO _IOWR(0xFF, 11, struct pidfd_exit_info)
#define PIDFD_EXIT_MASK (1ULL << 3)

/* As a shell counts it; -1 if the kernel does not report it, or not yet. */
static int exit_code_of(int pidfd)
{
        struct pidfd_exit_info info = { .mask = PIDFD_EXIT_MASK };

        if (ioctl(pidfd, PIDFD_EXIT_INFO, &info) < 0 || (info.mask & PIDFD_EXIT_MASK) == 0)
                return -1;
        return WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : 128 + WTERMSIG(info.exit_code);
}

static void on_exit_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct oci_container *container = watcher->data;

        ev_io_stop(loop, watcher);
        container->info.exit_code = exit_code_of(container->pidfd);
        close(TAKE_FD(container->pidfd));
        container->info.pid = 0;
        container->info.status = CONTAINER_DEAD;
        container->info.is_oom_killed = oci_cgroup_oom_kills(container->cgroup) > 0;
        if (container->info.is_oom_killed)
                oci_life_tell(container, ENGINE_CONTAINER_OOM);
        oci_life_tell(container, ENGINE_CONTAINER_DIED);
}

static int read_pid(const struct oci_container *container, int *ret_pid, int64_t *ret_written_ms)
{
        char path[PATH_BYTES];
        char text[32] = "";
        FILE *file;
        struct stat status = { 0 };
        uint64_t pid = 0;

        if (oci_store_path(container->oci, container->info.id, "pid", path, sizeof path) < 0 ||
            (file = fopen(path, "re")) == NULL)
                return -ENOENT;
        if (fgets(text, sizeof text, file) == NULL || fstat(fileno(file), &status) < 0)
                text[0] = '\0';
        (void)fclose(file);
        text[strcspn(text, "\n")] = '\0';
        if (str_parse_u64(text, 2, INT32_MAX, &pid) < 0)
                return -EBADMSG;
        *ret_pid = (int)pid;
        *ret_written_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
        return 0;
}

static bool is_alive(int pidfd)
{
        struct pollfd poller = { .fd = pidfd, .events = POLLIN };

        return poll(&poller, 1, 0) == 0;
}

/* Whether a runtime has begun to start it. crun first makes a directory for it, while its cgroup is there before; other
 * runtimes make its cgroup. */
static bool was_begun(const struct oci_container *container)
{
        char path[PATH_BYTES];

        if (!container->oci->makes_cgroups)
                return oci_cgroup_exists(container->cgroup);
        (void)snprintf(path, sizeof path, OCI_RUNTIME_ROOT "/%s", container->info.id);
        return faccessat(container->oci->state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The pid may belong to another process by now, so it counts only while it is in the container's cgroup. That is
 * checked before it is checked whether the process still lives. */
int oci_life_attach(struct oci_container *container)
{
        AUTO(auto_close) int pidfd = -1;
        int64_t written_ms = 0;
        int pid = 0;
        int r = read_pid(container, &pid, &written_ms);

        if (r == 0) {
                pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
                r = pidfd < 0 || !oci_cgroup_holds(pid, container->info.id) || !is_alive(pidfd) ? -ESRCH : 0;
        }
        if (r < 0) {
                bool was_started = r != -ENOENT || was_begun(container);

                container->info.status = was_started ? CONTAINER_DEAD : CONTAINER_CREATED;
                return r;
        }
        container->pidfd = TAKE_FD(pidfd);
        container->info.pid = pid;
        container->info.status = CONTAINER_RUNNING;
        container->info.started_wall_ms = written_ms;
        ev_io_init(&container->on_exit, on_exit_event, container->pidfd, EV_READ);
        container->on_exit.data = container;
        ev_io_start(container->oci->loop, &container->on_exit);
        return 0;
}
