#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "scope.h"
#include "sysctl.h"

/* When sockets are over their memory limit (cgroup v1), a connection that nobody reads still accepts its first window:
 * 64 KiB with the kernel's default of 128 KiB, 16 KiB with this. A connection that is read grows to the maximum as fast
 * as before. */
enum { RECEIVE_BYTES = 32768 };

static int connect_here(struct nl_sock **ret_socket)
{
        struct nl_sock *socket = nl_socket_alloc();

        if (socket == NULL)
                return -ENOMEM;
        if (nl_connect(socket, NETLINK_ROUTE) < 0) {
                nl_socket_free(socket);
                return -EIO;
        }
        *ret_socket = socket;
        return 0;
}

/* /proc/sys/net shows the namespace of the process that opens it. A setting that this kernel does not have needs no
 * change. Only the carrel's own programs can reach its ports, so all of them may use low ports and ping sockets (ip(7),
 * icmp(7)). The kernel reads the group ids of ping_group_range in the user namespace of the writer, up to 2^31 - 1
 * (GID_T_MAX). A range that a runtime has written inside a user namespace stays. */
static int set_sysctls(void)
{
        static const struct {
                const char *path, *value;
        } SYSCTLS[] = {
                { "ipv6/conf/all/disable_ipv6", INSIDE_DISABLE_IPV6 },
                { "ipv4/ip_unprivileged_port_start", INSIDE_PORT_START },
        };
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof SYSCTLS / sizeof *SYSCTLS; i++) {
                r = sysctl_set(SYSCTLS[i].path, SYSCTLS[i].value);
                r = r == -ENOENT ? 0 : r;
        }
        if (r == 0)
                r = sysctl_replace("ipv4/ping_group_range", "1\t0", INSIDE_PING_GROUPS);
        r = r == -ENOENT ? 0 : r;
        if (r == 0)
                r = sysctl_lower_default("ipv4/tcp_rmem", RECEIVE_BYTES);
        return r == -ENOENT ? 0 : r;
}

int netns_connect(int netns_fd, struct nl_sock **ret_socket, struct fault *why)
{
        AUTO(auto_close) int home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        struct nl_sock *socket = NULL;
        int r;

        if (home_fd < 0)
                return fault_set(why, FAULT_INTERNAL, errno, "cannot open the host's network namespace: %s",
                                 strerror(errno));
        if (setns(netns_fd, CLONE_NEWNET) < 0)
                return fault_set(why, FAULT_CARREL_LOST, errno, "cannot enter the carrel's network namespace: %s",
                                 strerror(errno));
        r = set_sysctls();
        if (r == 0)
                r = connect_here(&socket);
        if (setns(home_fd, CLONE_NEWNET) < 0)
                abort();
        if (r < 0)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot prepare the carrel's network namespace: %s",
                                 strerror(-r));
        *ret_socket = socket;
        return 0;
}
