/* Private to exec and its backends: a cgroup for each exec, below its container's group. It finds and kills everything
 * that an exec started, however it forked.
 *
 * cgroup v1: a child of the container's group in the freezer hierarchy, which only freezes. A program moves itself into
 * it through the file `tasks`, because that needs no grace period of the kernel (0.15 ms against 9). The group is
 * killed by freezing it, killing each member, and thawing it
 * (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
 *
 * cgroup v2: a child of the container's group. It is a threaded group where the container's group passes no controllers
 * down (cgroup-v2.rst, "Threads"), because only through `cgroup.threads` can a program move itself as cheaply
 * (cgroup_procs_write_start in kernel/cgroup/cgroup.c; 0.1 ms against 11). The kernel kills no threaded group as a
 * whole, so it is killed as on v1. Otherwise it is an ordinary group, with `cgroup.procs` and `cgroup.kill`.
 *
 * Counters and limits stay with the container's group. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "freezer.h"

/* After this many retired groups, empty ones are looked for and removed. */
enum { EXEC_CGROUPS_RETIRED_MAX = 32 };

enum { EXEC_CGROUP_NAME_BYTES = 32 };

struct exec_cgroup {
        char name[EXEC_CGROUP_NAME_BYTES]; /* "": no group */
        int directory;                     /* -1: not open */
        int join;                          /* the file through which a process joins; -1: not open */
        bool is_left_frozen;               /* a kill froze it and could not thaw it: the next program would not run */
};
#define EXEC_CGROUP_NONE_YET ((struct exec_cgroup){ .directory = -1, .join = -1 })

/* Empty groups are kept for the next execs: making and removing one takes 0.2 ms of the 1 ms of an exec. */
enum { EXEC_CGROUPS_SPARE_MAX = 4 };

/* The groups of one container's execs. */
struct exec_cgroups {
        struct freezer freezer; /* the container's group */
        unsigned n_retired;     /* since empty retired groups were last looked for */
        struct exec_cgroup spares[EXEC_CGROUPS_SPARE_MAX];
        unsigned n_spares;
};
#define EXEC_CGROUPS_NONE ((struct exec_cgroups){ .freezer = FREEZER_CLOSED })

/* Finds the container's group by its init. When it is not found, the freezer is FREEZER_CLOSED, and execs have no
 * cgroups. */
void exec_cgroups_open(struct exec_cgroups *ret_cgroups, const struct cgroup_mounts *mounts, pid_t init,
                       const char *container_id);
/* The same with the path of the container's group. */
void exec_cgroups_open_at(struct exec_cgroups *ret_cgroups, enum freezer_kind kind, const char *path);
void exec_cgroups_close(struct exec_cgroups *cgroups);

/* Takes a spare group or makes one. 0 with *ret_join_fd, the file through which a process joins, for the caller to
 * close; or a negative errno. */
int exec_cgroup_make(struct exec_cgroups *cgroups, struct exec_cgroup *ret_cgroup, int *ret_join_fd);
/* Whether pid is in the group. Also true when pid has ended. */
bool exec_cgroup_holds(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, pid_t pid);
/* Sends signal to each member, and then SIGCONT, because a stopped process would not act on it. Returns how many got
 * it, or a negative errno. */
int exec_cgroup_signal(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, int signal);
/* Kills every member. Call it again until exec_cgroup_remove returns 0. */
void exec_cgroup_kill(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);
/* Keeps the group of a finished exec as a spare if it is empty and not left frozen. Returns whether it was kept. (An
 * agent that kept the join file could put a process into it. That process belongs to the same carrel, and ends with the
 * next exec.) */
bool exec_cgroup_spare(struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);
/* Closes the files; the group itself stays. */
void exec_cgroup_close(struct exec_cgroup *cgroup);
/* Removes the spares. */
void exec_cgroups_drop_spares(struct exec_cgroups *cgroups);
/* Removes the group. 0: nothing that was in it lives; -EBUSY: a process does. */
int exec_cgroup_remove(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);
/* Removes the group of a finished exec, or marks it as retired while processes in the background live in it; a later
 * carreld kills what is in groups without the mark. Returns whether retired groups may be left; call exec_cgroups_tidy
 * later then. */
bool exec_cgroup_retire(struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);

/* Kills what unfinished execs of an earlier carreld left, and removes empty groups; retired groups stay while a process
 * lives in them. Returns how many groups of unfinished execs are left; call it again until there are 0. */
unsigned exec_cgroups_clear(const struct exec_cgroups *cgroups);
/* Removes empty retired groups; returns how many retired groups are left. */
unsigned exec_cgroups_tidy(const struct exec_cgroups *cgroups);
