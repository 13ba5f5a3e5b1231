#include "profile.h"

#include <linux/mount.h>
#include <sys/resource.h>

#include "inside.h"
#include "str.h"

/* capabilities(7): none in any set. */
#define NO_CAPABILITIES "{\"bounding\":[],\"effective\":[],\"inheritable\":[],\"permitted\":[],\"ambient\":[]}"
#define NO_CAPABILITY_BITS "0000000000000000"

/* The system call filter is in seccomp.c; each encoder adds it in its engine's own form. */
static const struct profile_rule RULES[] = {
        { "no capability", .docker_key = "CapDrop", .docker_json = "[\"ALL\"]", .oci_object = "process",
          .oci_key = "capabilities", .oci_json = NO_CAPABILITIES },
        { "no capability added", .docker_key = "CapAdd", .docker_json = "[]" },
        { "no capability", .status_key = "CapInh", .status_value = NO_CAPABILITY_BITS },
        { "no capability", .status_key = "CapPrm", .status_value = NO_CAPABILITY_BITS },
        { "no capability", .status_key = "CapEff", .status_value = NO_CAPABILITY_BITS },
        { "no capability", .status_key = "CapBnd", .status_value = NO_CAPABILITY_BITS },
        { "no capability", .status_key = "CapAmb", .status_value = NO_CAPABILITY_BITS },
        { "no new privileges", .docker_key = "SecurityOpt", .docker_json = "[\"no-new-privileges:true\"]",
          .oci_object = "process", .oci_key = "noNewPrivileges", .oci_json = "true", .status_key = "NoNewPrivs",
          .status_value = "1", .is_monitors = true },
        { "a system call filter", .status_key = "Seccomp", .status_value = "2", .is_monitors = true },
        { "not privileged", .docker_key = "Privileged", .docker_json = "false" },
        { "a read-only root", .docker_key = "ReadonlyRootfs", .docker_json = "true", .oci_object = "root",
          .oci_key = "readonly", .oci_json = "true" },
        { "no mount propagates", .oci_object = "linux", .oci_key = "rootfsPropagation",
          .oci_json = "\"" PROFILE_PROPAGATION "\"" }, /* Docker and Podman always do so */
        { "no device of its own", .docker_key = "Devices", .docker_json = "[]", .oci_object = "resources",
          .oci_key = "devices", .oci_json = "[{\"allow\":false,\"access\":\"rwm\"}]" },
        { "no device rule", .docker_key = "DeviceCgroupRules", .docker_json = "[]" },
        { "no device request", .docker_key = "DeviceRequests", .docker_json = "[]" },
        { "no group", .docker_key = "GroupAdd", .docker_json = "[]" },
        { 0 },
};

/* The network namespace is empty: carrel-netd plugs the network in. The embedded engine adds a user namespace where
 * the host supports it (OCI_USERNS_PATH); Docker and Podman are asked for none. */
static const struct profile_namespace NAMESPACES[] = {
        { "pid", "pid", "PidMode", "\"\"", .is_verified = true },
        { "network", "net", "NetworkMode", "\"none\"", .is_verified = true, .is_monitors = true },
        { "ipc", "ipc", "IpcMode", "\"private\"", .is_verified = true },
        { "uts", "uts", "UTSMode", "\"\"", .is_verified = true },
        { "mount", "mnt", NULL, NULL, .is_verified = true, .is_monitors = true },
        { "cgroup", "cgroup", "CgroupnsMode", "\"private\"" },
        { 0 },
};

/* RLIMIT_SIGPENDING counts queued signals and POSIX timers, RLIMIT_MSGQUEUE bytes. On Docker and Podman all carrels
 * have one user, so such a limit would hold for all of them together. */
static const struct profile_rlimit RLIMITS[] = {
        { "RLIMIT_CORE", RLIMIT_CORE, "core", NULL, 0, false },
        { "RLIMIT_NOFILE", RLIMIT_NOFILE, "nofile", NULL, 0, true },
        { "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING, NULL, "Max pending signals", 16384, false },
        { "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE, NULL, "Max msgqueue size", 819200, false },
        { 0 },
};

/* The order is that of mounting. Docker and Podman mount the rows of PROFILE_OCI by themselves: their terminals have no
 * limit, which verify/remount.c sets.
 *
 * Beside a read-only root, Podman mounts writable tmpfs of its own, without a size, on /run, /tmp and /var/tmp, unless
 * the request has a mount there. /var/tmp is often a link to /tmp, so a mount on it covers the spec's /tmp: it has the
 * same options.
 *
 * On cgroup v1 a runtime mounts a tmpfs at /sys/fs/cgroup to hold the (read-only) hierarchies, crun's with mode 1777.
 * verify/ makes it read-only. */
static const struct profile_mount MOUNTS[] = {
        { "/proc", "proc", "nosuid,noexec,nodev", PROFILE_OCI, PROFILE_KERNELS },
        { "/dev", "tmpfs", "nosuid,strictatime,mode=755,size=64k", PROFILE_OCI, PROFILE_KERNELS },
        { INSIDE_TERMINALS, "devpts", "nosuid,noexec,newinstance," PROFILE_TERMINALS_OPTIONS, PROFILE_OCI,
          PROFILE_AS_ABOVE },
        { "/dev/mqueue", "mqueue", "nosuid,noexec,nodev", PROFILE_OCI, PROFILE_AS_ABOVE },
        { "/sys", "sysfs", "nosuid,noexec,nodev,ro", PROFILE_OCI, PROFILE_AS_ABOVE },
        { INSIDE_CGROUPS, "cgroup", "nosuid,noexec,nodev,relatime,ro", PROFILE_OCI, PROFILE_USERS },
        { INSIDE_WORKSPACE, NULL, NULL, 0, PROFILE_USERS },
        { INSIDE_TMP, NULL, NULL, 0, PROFILE_USERS },
        { "/run", "tmpfs", "ro,noexec,size=65536,mode=0755", PROFILE_PODMAN, PROFILE_AS_ABOVE },
        { "/var/tmp", "tmpfs", NULL, PROFILE_PODMAN, PROFILE_USERS },
        { 0 },
};

/* The paths that Docker 20.10 masks and makes read-only. Docker and Podman are not given these: without the key they
 * use their own defaults, which later versions extend. */
static const struct profile_path PATHS[] = {
        { "/proc/acpi", .is_masked = true },
        { "/proc/asound", .is_masked = true },
        { "/proc/kcore", .is_masked = true, .is_file = true },
        { "/proc/keys", .is_masked = true, .is_file = true },
        { "/proc/latency_stats", .is_masked = true, .is_file = true },
        { "/proc/sched_debug", .is_masked = true, .is_file = true },
        { "/proc/scsi", .is_masked = true },
        { "/proc/timer_list", .is_masked = true, .is_file = true },
        { "/proc/timer_stats", .is_masked = true, .is_file = true },
        { "/sys/firmware", .is_masked = true },
        { "/sys/devices/virtual/powercap", .is_masked = true },
        { "/proc/bus" },
        { "/proc/fs" },
        { "/proc/irq" },
        { "/proc/sys" },
        { "/proc/sysrq-trigger", .is_file = true },
        { 0 },
};

/* All groups inside may use ports below 1024 and ping sockets (ip(7), icmp(7)): the namespace is the carrel's own.
 * `default` applies to an interface that is plugged in later. */
static const struct profile_sysctl SYSCTLS[] = {
        { "net.ipv4.ip_unprivileged_port_start", INSIDE_PORT_START, NULL, false },
        { "net.ipv4.ping_group_range", INSIDE_PING_GROUPS, "0 65535", false },
        { "net.ipv6.conf.all.disable_ipv6", INSIDE_DISABLE_IPV6, NULL, true },
        { "net.ipv6.conf.default.disable_ipv6", INSIDE_DISABLE_IPV6, NULL, true },
        { 0 },
};

/* The devices that a carrel may open (OCI runtime specification, "Default Devices"). It can make no node (no
 * CAP_MKNOD). */
static const struct profile_device DEVICES[] = {
        { "/dev/null", 1, 3, true },   { "/dev/zero", 1, 5, true },          { "/dev/full", 1, 7, true },
        { "/dev/random", 1, 8, true }, { "/dev/urandom", 1, 9, true },       { "/dev/tty", 5, 0, true },
        { "/dev/ptmx", 5, 2, false },  { INSIDE_TERMINALS, 136, -1, false }, { 0 },
};

static const struct profile_option BARE[] = {
        { "nosuid", MOUNT_ATTR_NOSUID },
        { "nodev", MOUNT_ATTR_NODEV },
        { 0 },
};

#define LXCFS_FILE(target)                                                                                             \
        {                                                                                                              \
                LXCFS_DIRECTORY target, target                                                                         \
        }

/* runc (1.1) lets no other file of /proc be a mount point. */
static const struct profile_file LXCFS[PROFILE_LXCFS_FILES + 1] = {
        LXCFS_FILE("/proc/cpuinfo"), LXCFS_FILE("/proc/diskstats"),
        LXCFS_FILE("/proc/loadavg"), LXCFS_FILE("/proc/meminfo"),
        LXCFS_FILE("/proc/stat"),    LXCFS_FILE("/proc/swaps"),
        LXCFS_FILE("/proc/uptime"),  { 0 },
};

const struct profile PROFILE = {
        .rules = RULES,
        .namespaces = NAMESPACES,
        .rlimits = RLIMITS,
        .mounts = MOUNTS,
        .paths = PATHS,
        .sysctls = SYSCTLS,
        .devices = DEVICES,
        .bare = BARE,
        .lxcfs = LXCFS,
};

/* An eighth: the most that a carrel may take of the host beyond its memory. The least is what a few fast connections
 * need (tcp_rmem and tcp_wmem go up to 6 and 4 MiB). */
uint64_t profile_socket_bytes(uint64_t memory_bytes)
{
        enum { SHARE = 8, LEAST_BYTES = 8 << 20 };
        uint64_t share = memory_bytes / SHARE;

        return share > LEAST_BYTES ? share : LEAST_BYTES;
}

uint64_t profile_inodes(uint64_t bytes)
{
        enum { PAGE_BYTES = 4096, LEAST = 1024 };
        uint64_t pages = bytes / PAGE_BYTES;

        return pages > LEAST ? pages : LEAST;
}

int profile_resolv_conf(struct buffer *buffer, const char *const *addresses)
{
        int r = buffer_text(buffer, "search " PROFILE_DNS_SEARCH "\n");

        for (; r == 0 && addresses != NULL && *addresses != NULL; addresses++)
                r = buffer_format(buffer, "nameserver %s\n", *addresses);
        return r;
}
