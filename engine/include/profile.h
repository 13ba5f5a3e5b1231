/* The hardened profile of every carrel, as data (docs/threats.md, "The default profile"). Each constant that an engine
 * is given, or that verify/ reads back from the kernel, stands here once. No request and no setting can change it: the
 * encoders put the values of struct container_spec beside it. Keys that only Docker's API has (AutoRemove, LogConfig,
 * ...) are in engine/docker/create-body.c. */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

struct buffer;

/* Engines whose requests name a mount; the others mount it unasked, or not at all. */
enum profile_engine { PROFILE_DOCKER = 1, PROFILE_PODMAN = 2, PROFILE_OCI = 4 };

/* The user's directory inside. */
#define PROFILE_WORKSPACE "/workspace"
#define PROFILE_TMP "/tmp"
#define PROFILE_SHM "/dev/shm"
#define PROFILE_CGROUPS "/sys/fs/cgroup"
#define PROFILE_TERMINALS "/dev/pts"

/* Of every mount that a user can write to. */
#define PROFILE_BARE "nosuid,nodev"
/* Formats for printf(3): a uint64_t of bytes. */
#define PROFILE_TMP_OPTIONS "rw," PROFILE_BARE ",exec,size=%" PRIu64 ",mode=1777"
#define PROFILE_SHM_OPTIONS "noexec,mode=1777,size=%" PRIu64
/* Terminals are counted for the whole host (kernel.pty.max): one carrel has a share of them. A remount must name all
 * of these options again (devpts_remount, fs/devpts/inode.c). */
#define PROFILE_TERMINALS_OPTIONS "ptmxmode=0666,mode=0620,max=128"
#define PROFILE_PROPAGATION "rprivate"
/* No search domain: an empty list would copy the host's, and without any a resolver tries the host name's domain. */
#define PROFILE_DNS_SEARCH "."

/* User ids of each container that has a user namespace, and as many group ids. */
enum { PROFILE_USERNS_IDS = 65536 };

/* A promise about the process or its root, in the words of each side; NULL: that side has none. */
struct profile_rule {
        const char *promise;                         /* for the reader */
        const char *docker_key, *docker_json;        /* in HostConfig of POST /containers/create */
        const char *oci_object, *oci_key, *oci_json; /* in config.json of the OCI runtime specification 1.0 */
        const char *status_key, *status_value;       /* a line of /proc/PID/status (proc(5)) */
        bool is_monitors;                            /* holds for the process that holds a kernel of its own, too */
};

struct profile_namespace {
        const char *oci_type;
        const char *proc_name;                /* in /proc/PID/ns */
        const char *docker_key, *docker_json; /* in HostConfig; NULL: always a new one */
        bool is_verified;                     /* that it is not carreld's own */
        bool is_monitors;                     /* ... of the process that holds a kernel of its own, too */
};

struct profile_rlimit {
        const char *oci_type;
        int resource;            /* RLIMIT_*, getrlimit(2) */
        const char *docker_name; /* NULL: not set there */
        /* The hard limit's title in /proc/PID/limits. Set where what the kernel counts per user is counted for one
         * container (engine_about.has_user_namespaces), and never above carreld's own limit: there is no raising one
         * inside a user namespace. NULL: not such a limit. */
        const char *per_user_title;
        uint64_t most;
        bool is_nofile; /* the value is the spec's */
};

enum profile_writing {
        PROFILE_AS_ABOVE, /* as the mount that it is on: read-only, unless that is the kernel's own */
        PROFILE_USERS,    /* may be writable, and is PROFILE_BARE then */
        PROFILE_KERNELS   /* the kernel's own: it and what is below may be writable */
};

struct profile_mount {
        const char *target;
        const char *type;    /* NULL: a bind mount or tmpfs of the spec */
        const char *options; /* separated by commas; NULL: as the spec's PROFILE_TMP */
        unsigned engines;    /* set of enum profile_engine */
        enum profile_writing writing;
};

struct profile_path {
        const char *path;
        bool is_masked; /* else read-only */
        bool is_file;   /* masked by a bind of /dev/null; else a directory, by an empty tmpfs */
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
        bool is_node; /* a runtime copies the host's node; else it comes with the mount */
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
};

extern const struct profile PROFILE;

/* The most that sockets of a carrel with this much memory may take, where the kernel counts them apart (cgroup v1). */
uint64_t profile_socket_bytes(uint64_t memory_bytes);

/* Appends the resolv.conf of a carrel; addresses end with NULL. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int profile_resolv_conf(struct buffer *buffer, const char *const *addresses);
