/* The hardened profile of every carrel, as data (docs/threats.md, "The default profile"). It has each constant that an
 * engine is given or that verify/ reads back from the kernel, once. The places that programs inside use too are in
 * inside.h. No request and no setting can change the profile: the encoders add the values of struct container_spec.
 * Keys that only Docker's API has (AutoRemove, LogConfig, ...) are in engine/docker/create-body.c. */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

struct buffer;

/* The engines whose requests name a row. For the others, the API cannot express it or the engine's default is the same.
 */
enum profile_engine { PROFILE_DOCKER = 1, PROFILE_PODMAN = 2, PROFILE_OCI = 4 };

/* Options of every mount that a user can write to. Docker's API has none for a bind mount: verify/remount.c sets them.
 */
#define PROFILE_BARE "nosuid,nodev"
/* Formats for printf(3) with the size in bytes, a uint64_t. */
#define PROFILE_TMP_OPTIONS "rw," PROFILE_BARE ",exec,size=%" PRIu64 ",mode=1777"
#define PROFILE_SHM_OPTIONS "noexec,mode=1777,size=%" PRIu64
/* The kernel counts terminals for the whole host (kernel.pty.max), so a carrel has a limited share. A remount must name
 * all of these options again (devpts_remount, fs/devpts/inode.c). */
#define PROFILE_TERMINALS_OPTIONS "ptmxmode=0666,mode=0620,max=128"
#define PROFILE_PROPAGATION "rprivate"
/* Where lxcfs(8) is mounted (its package), and its type in /proc/PID/mountinfo. */
#define LXCFS_DIRECTORY "/var/lib/lxcfs"
#define LXCFS_TYPE "fuse.lxcfs"
enum { PROFILE_LXCFS_FILES = 7 };
/* No search domain. Docker would replace an empty list by the host's; a resolver without one tries the host name's
 * domain. */
#define PROFILE_DNS_SEARCH "."

/* How many user ids, and group ids, a container with a user namespace has. */
enum { PROFILE_USERNS_IDS = 65536 };

/* A rule for the process or its root, in the terms of each side; NULL: that side has none. */
struct profile_rule {
        const char *promise;                         /* for readers of the table */
        const char *docker_key, *docker_json;        /* in HostConfig of POST /containers/create */
        const char *oci_object, *oci_key, *oci_json; /* in config.json of the OCI runtime specification 1.0 */
        const char *status_key, *status_value;       /* a line of /proc/PID/status (proc(5)) */
        bool is_monitors;                            /* also for the process that holds a kernel of its own */
};

struct profile_namespace {
        const char *oci_type;
        const char *proc_name;                /* in /proc/PID/ns */
        const char *docker_key, *docker_json; /* in HostConfig; NULL: it is always new */
        bool is_verified;                     /* verify/ checks that it is not carreld's */
        bool is_monitors;                     /* also for the process that holds a kernel of its own */
};

struct profile_rlimit {
        const char *oci_type;
        int resource;            /* RLIMIT_*, getrlimit(2) */
        const char *docker_name; /* NULL: not set on Docker and Podman */
        /* Title of the limit in /proc/PID/limits, for limits that the kernel counts per user; else NULL. They are
         * verified where each container has users of its own (engine_about.has_user_namespaces). They are never above
         * carreld's own limit, which cannot be raised inside a user namespace. */
        const char *per_user_title;
        uint64_t most;
        bool is_nofile; /* the value is in the spec */
};

enum profile_writing {
        PROFILE_AS_ABOVE, /* like the mount that it is on: read-only, unless that is PROFILE_KERNELS */
        PROFILE_USERS,    /* may be writable if it is PROFILE_BARE */
        PROFILE_KERNELS   /* the kernel's own: it and the mounts below may be writable */
};

struct profile_mount {
        const char *target;
        const char *type;    /* NULL: a bind mount or tmpfs of the spec */
        const char *options; /* separated by commas; NULL: those of the spec's INSIDE_TMP */
        unsigned engines;    /* set of enum profile_engine */
        enum profile_writing writing;
};

struct profile_path {
        const char *path;
        bool is_masked; /* else read-only */
        bool is_file;   /* masked with /dev/null; else a directory, masked with an empty tmpfs */
};

struct profile_sysctl {
        const char *key, *value;
        const char *value_in_userns; /* NULL: the same */
        bool is_ipv6;                /* a kernel without IPv6 has none */
};

struct profile_device {
        const char *path;
        unsigned major;
        int minor;    /* -1: all of them */
        bool is_node; /* a device node of /dev; else part of devpts */
};

struct profile_file {
        const char *source, *target; /* on the host, and inside */
};

struct profile_option {
        const char *word;
        uint64_t attribute; /* MOUNT_ATTR_*, mount_setattr(2) */
};

/* Each table ends with a row whose first member is NULL. */
struct profile {
        const struct profile_rule *rules;
        const struct profile_namespace *namespaces;
        const struct profile_rlimit *rlimits;
        const struct profile_mount *mounts;
        const struct profile_path *paths;
        const struct profile_sysctl *sysctls;
        const struct profile_device *devices;
        const struct profile_option *bare; /* PROFILE_BARE */
        const struct profile_file *lxcfs;  /* bound read-only where lxcfs is used */
};

extern const struct profile PROFILE;

/* The most inodes of a tmpfs of this size: one for each page, at least 1024. An inode takes about 1 KiB of kernel
 * memory, which counts as the carrel's. Docker and Podman have no such option for every tmpfs: verify/remount.c sets
 * it. */
uint64_t profile_inodes(uint64_t bytes);

/* The most memory that the sockets of a carrel may use, where the kernel counts it apart (cgroup v1). */
uint64_t profile_socket_bytes(uint64_t memory_bytes);

/* Appends the resolv.conf of a carrel; addresses is NULL-terminated. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int profile_resolv_conf(struct buffer *buffer, const char *const *addresses);
