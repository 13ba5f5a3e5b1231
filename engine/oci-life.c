/* How it is known that a container lives and has died: by a pidfd of its process 1, and by nothing else. */
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

void oci_life_tell(struct box *box, enum engine_event_kind kind)
{
        const struct oci *oci = box->oci;
        const char *value;
        const struct engine_event event = {
                .kind = kind, .id = box->info.id, .exec_id = "", .exit_code = box->info.exit_code
        };

        if (oci->on_event == NULL)
                return;
        value = container_label(&box->info, oci->watched.key);
        if (value != NULL && strcmp(value, oci->watched.value) == 0)
                oci->on_event(oci->on_event_arg, &event);
}

/* <linux/pidfd.h>'s PIDFD_GET_INFO with PIDFD_INFO_EXIT (Linux 6.15): the exit status of a process that was never our
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

/* As a shell counts it; -1 where the kernel does not tell, or not yet. */
static int exit_code_of(int pidfd)
{
        struct pidfd_exit_info info = { .mask = PIDFD_EXIT_MASK };

        if (ioctl(pidfd, PIDFD_EXIT_INFO, &info) < 0 || (info.mask & PIDFD_EXIT_MASK) == 0)
                return -1;
        return WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code) : 128 + WTERMSIG(info.exit_code);
}

static void on_exit_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct box *box = watcher->data;

        ev_io_stop(loop, watcher);
        box->info.exit_code = exit_code_of(box->pidfd);
        close(TAKE_FD(box->pidfd));
        box->info.pid = 0;
        box->info.status = CONTAINER_DEAD;
        box->info.is_oom_killed = oci_cgroup_oom_kills(box->cgroup) > 0;
        if (box->info.is_oom_killed)
                oci_life_tell(box, ENGINE_CONTAINER_OOM);
        oci_life_tell(box, ENGINE_CONTAINER_DIED);
}

static int read_pid(const struct box *box, int *ret_pid, int64_t *ret_written_ms)
{
        char path[PATH_BYTES];
        char text[32] = "";
        FILE *file;
        struct stat status = { 0 };
        uint64_t pid = 0;

        if (oci_store_path(box->oci, box->info.id, "pid", path, sizeof path) < 0 || (file = fopen(path, "re")) == NULL)
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

/* Whether a runtime has begun with it: crun first makes a directory for it (and its cgroup is ours, and there before);
 * others make its cgroup. */
static bool was_begun(const struct box *box)
{
        char path[PATH_BYTES];

        if (!box->oci->makes_cgroups)
                return oci_cgroup_exists(box->cgroup);
        (void)snprintf(path, sizeof path, OCI_RUNTIME_ROOT "/%s", box->info.id);
        return faccessat(box->oci->state_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The pid may be another process's by now, so it counts only while it is in the container's cgroup; and that is
 * asked before it is asked whether the process still lives. */
int oci_life_attach(struct box *box)
{
        AUTO(auto_close) int pidfd = -1;
        int64_t written_ms = 0;
        int pid = 0;
        int r = read_pid(box, &pid, &written_ms);

        if (r == 0) {
                pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
                r = pidfd < 0 || !oci_cgroup_holds(pid, box->info.id) || !is_alive(pidfd) ? -ESRCH : 0;
        }
        if (r < 0) {
                bool was_started = r != -ENOENT || was_begun(box);

                box->info.status = was_started ? CONTAINER_DEAD : CONTAINER_CREATED;
                return r;
        }
        box->pidfd = TAKE_FD(pidfd);
        box->info.pid = pid;
        box->info.status = CONTAINER_RUNNING;
        box->info.started_wall_ms = written_ms;
        ev_io_init(&box->on_exit, on_exit_event, box->pidfd, EV_READ);
        box->on_exit.data = box;
        ev_io_start(box->oci->loop, &box->on_exit);
        return 0;
}
