/* The cgroup of a container: its processes, and what the kernel has counted there. cgroup v1, v2 and the hybrid of both
 * (cgroups(7); Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst). A container's processes cannot leave
 * their cgroup (cgroupfs is read-only inside). So membership, unlike a pid or a parent, is a fact that a hostile
 * program cannot change. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_hierarchy {
        CGROUP_CPU,
        CGROUP_CPUACCT,
        CGROUP_FREEZER,
        CGROUP_MEMORY,
        CGROUP_PIDS,
        CGROUP_UNIFIED,
        CGROUP_HIERARCHIES
};
enum { CGROUP_PATH_BYTES = 512 };

struct cgroup_mount {
        char point[CGROUP_PATH_BYTES]; /* "" when the hierarchy is not mounted */
        char root[CGROUP_PATH_BYTES];  /* the part of the hierarchy that is mounted there, usually "/" */
};

/* Mount points of this host's hierarchies. */
struct cgroup_mounts {
        struct cgroup_mount of[CGROUP_HIERARCHIES];
};

/* Files of a container's cgroup; "" if a hierarchy lacks them. */
struct cgroup {
        char oom_file[CGROUP_PATH_BYTES];
        char pids_file[CGROUP_PATH_BYTES];
        char members_file[CGROUP_PATH_BYTES];
        char memory_limit_file[CGROUP_PATH_BYTES];
        char pids_limit_file[CGROUP_PATH_BYTES];
        char tasks_file[CGROUP_PATH_BYTES];        /* the number of tasks: threads are counted, and groups below */
        char socket_limit_file[CGROUP_PATH_BYTES]; /* cgroup v1; on v2 the memory limit covers sockets */
        char socket_usage_file[CGROUP_PATH_BYTES]; /* cgroup v1, as above; bytes in use */
        char freezer_dir[CGROUP_PATH_BYTES];       /* cgroup v1 */
        char unified_dir[CGROUP_PATH_BYTES];
};

#define CGROUP_UNCOUNTED UINT64_MAX

struct cgroup_counters {
        /* CGROUP_UNCOUNTED: it cannot be read */
        uint64_t oom_kills;    /* processes killed by the OOM killer */
        uint64_t pids_refused; /* forks refused by pids.max */
};

/* The kernel's limits; UINT64_MAX: none, or it cannot be read. */
struct cgroup_limits {
        uint64_t memory_bytes;
        uint64_t pids;
        uint64_t socket_bytes; /* of the buffers of sockets only; 0: memory_bytes covers them */
};

/* Parses the text of /proc/<pid>/mountinfo (proc(5)). Hierarchies that it does not have stay "". */
void cgroup_parse_mounts(const char *mountinfo, struct cgroup_mounts *ret_mounts);
/* Reads and parses that of this process. 0 or a negative errno. */
int cgroup_read_mounts(struct cgroup_mounts *ret_mounts);

/* Parses the text of /proc/<pid>/cgroup into the files of the cgroup named after container_id.
 * -ENOENT: no hierarchy names it. */
int cgroup_parse(const struct cgroup_mounts *mounts, const char *text, const char *container_id,
                 struct cgroup *ret_cgroup);
/* The same for a living process, usually the container's init. -ESRCH: that process is not in that container. It has
 * ended and its pid was reused, or the pid was wrong. */
int cgroup_find(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id, struct cgroup *ret_cgroup);

/* The directories of a container's cgroup, with a slash at the end; "" if a hierarchy lacks it. */
struct cgroup_dirs {
        char of[CGROUP_HIERARCHIES][CGROUP_PATH_BYTES];
};
/* As cgroup_parse and cgroup_find. */
int cgroup_parse_dirs(const struct cgroup_mounts *mounts, const char *text, const char *container_id,
                      struct cgroup_dirs *ret_dirs);
int cgroup_find_dirs(const struct cgroup_mounts *mounts, pid_t pid, const char *container_id,
                     struct cgroup_dirs *ret_dirs);

/* Whether a line of /proc/<pid>/cgroup has the container's id (at least 12 hex digits) as a whole word. */
bool cgroup_text_names(const char *text, const char *container_id);
/* Whether pid, or a thread of it, is in the container now. false when it cannot be read. */
bool cgroup_holds(pid_t pid, const char *container_id);
/* The same for a group whose full name is not part of any other group's name. */
bool cgroup_holds_named(pid_t pid, const char *name);

/* Every process of the cgroup, as host pids; malloc'd. 0, -ENOENT (the cgroup is gone), -E2BIG, -ENOMEM. */
int cgroup_members(const struct cgroup *cgroup, pid_t **ret_pids, size_t *ret_count);

void cgroup_count(const struct cgroup *cgroup, struct cgroup_counters *ret_counters);

/* Reads the counters of a group that is read often: it keeps the files open. */
struct cgroup_reader {
        struct cgroup cgroup;
        int oom_fd, pids_fd; /* -1: closed */
};
void cgroup_reader_count(struct cgroup_reader *reader, struct cgroup_counters *ret_counters);
/* Closes the files until the next read. */
void cgroup_reader_rest(struct cgroup_reader *reader);
/* Limits the buffers of sockets (TCP and UDP) that are made from now on. cgroup v1 does not count them as memory, and
 * without this limit not at all (mem_cgroup_sk_alloc in mm/memcontrol.c). Does nothing on v2. */
void cgroup_bound_sockets(const struct cgroup *cgroup, uint64_t bytes);
void cgroup_read_limits(const struct cgroup *cgroup, struct cgroup_limits *ret_limits);
/* Reads a tasks_file or a socket_usage_file; CGROUP_UNCOUNTED: it cannot be read. */
uint64_t cgroup_read_count(const char *file);
/* Parses the text of a limit file: a number, or "max". UINT64_MAX when it is neither. */
uint64_t cgroup_parse_limit(const char *text);
/* The number after "key " at the start of a line, or 0. */
uint64_t cgroup_parse_counter(const char *text, const char *key);
/* Whether it is known to have risen. */
bool cgroup_has_risen(uint64_t before, uint64_t now);
