/* Inside the exec room only: a cgroup for each exec, below its container's, so that everything an exec started can be
 * found and killed, whatever it forked into.
 *
 * cgroup v1: a child of the container's group in the freezer hierarchy, which only freezes; a program joins it through
 * the file `tasks`, moving itself, which needs no grace period of the kernel (0.15 ms against 9). It is killed by
 * freezing, killing each member, and thawing (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
 * cgroup v2: a child of the container's own group, a threaded one where the container's has no controllers handed on
 * (cgroup-v2.rst, "Threads"): only through `cgroup.threads` does a program move itself as cheaply
 * (cgroup_procs_write_start in kernel/cgroup/cgroup.c; 0.1 ms against 11). The kernel kills no threaded group as a
 * whole: it is killed as on v1. Elsewhere an ordinary one; `cgroup.procs` and `cgroup.kill`. Counting and limits stay
 * with the container's group. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup.h"

enum exec_cgroup_kind { EXEC_CGROUP_NONE, EXEC_CGROUP_FREEZER, EXEC_CGROUP_UNIFIED };

/* So many groups of execs that are over may be there, besides those in which something lives. */
enum { EXEC_CGROUPS_RETIRED_MAX = 32 };

enum { EXEC_CGROUP_NAME_BYTES = 32 };

struct exec_cgroup {
        char name[EXEC_CGROUP_NAME_BYTES]; /* "": there is none */
        int directory;                     /* -1: none */
        int join;                          /* the file a process joins it through; -1: none */
};
#define EXEC_CGROUP_NONE_YET ((struct exec_cgroup){ .directory = -1, .join = -1 })

/* Empty groups that are kept for the next execs: to make one and to remove it costs 0.2 ms of an exec's one. */
enum { EXEC_CGROUPS_SPARE_MAX = 4 };

/* Of one container: where its execs' groups are made. */
struct exec_cgroups {
        enum exec_cgroup_kind kind;
        int directory;      /* the container's group; -1 with NONE */
        unsigned n_retired; /* since retired groups were last looked through */
        struct exec_cgroup spares[EXEC_CGROUPS_SPARE_MAX];
        unsigned n_spares;
};

/* cgroup v1: keeps one empty group of the host's frozen. The kernel makes and unmakes a slow path for all processes
 * with the first group that is frozen and the last that is thawed (freezer_active in kernel/cgroup/legacy_freezer.c),
 * and the one who freezes waits for it: 0.7 to 4.5 ms; beside a frozen one it takes 0.01. One for all carrelds of the
 * host, which whoever ends first removes: then the others wait again. */
void exec_cgroups_pin(const struct cgroup_mounts *mounts);
void exec_cgroups_unpin(const struct cgroup_mounts *mounts);

/* Finds the place by the container's init. NONE when it cannot be found: execs are then killed by their sessions. */
void exec_cgroups_open(struct exec_cgroups *ret_cgroups, const struct cgroup_mounts *mounts, pid_t init,
                       const char *container_id);
void exec_cgroups_close(struct exec_cgroups *cgroups);

/* Whether somebody else has frozen the container's group, or one above it: nothing inside runs then, the agent neither.
 */
bool exec_cgroups_is_frozen(const struct exec_cgroups *cgroups);

/* Lets the container's group go on. What is frozen above it stays so. 0 or a negative errno. */
int exec_cgroups_thaw(const struct exec_cgroups *cgroups);

/* Takes a spare one or makes one. 0 with *ret_join_fd, for the caller to close: the file through which a process joins
 * it; or a negative errno. */
int exec_cgroup_make(struct exec_cgroups *cgroups, struct exec_cgroup *ret_cgroup, int *ret_join_fd);
/* Whether pid is in it. True, too, when pid has ended. */
bool exec_cgroup_holds(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, pid_t pid);
/* Sends signal to each member; SIGCONT after it, as a stopped process would keep it. Returns how many, or a negative
 * errno. */
int exec_cgroup_signal(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup, int signal);
/* Kills every member. Call again until exec_cgroup_remove says that nothing lives. */
void exec_cgroup_kill(const struct exec_cgroups *cgroups, const struct exec_cgroup *cgroup);
/* Its exec is over: an empty one becomes a spare. Returns whether it was kept. (An agent that kept the join file could
 * put something into it: that would be his own carrel's, and go with the next exec there.) */
bool exec_cgroup_spare(struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);
/* Closes its files and forgets it; the group stays. */
void exec_cgroup_close(struct exec_cgroup *cgroup);
/* Removes the spares. */
void exec_cgroups_drop_spares(struct exec_cgroups *cgroups);
/* 0: gone, and nothing that was in it lives; -EBUSY: something does. */
int exec_cgroup_remove(const struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);
/* The exec is over, and what it left in the background may stay: marked so, as a later carreld would kill it. Now and
 * then it looks which of those are empty by now. Returns whether any stays: call exec_cgroups_tidy later. */
bool exec_cgroup_retire(struct exec_cgroups *cgroups, struct exec_cgroup *cgroup);

/* Kills what execs of an earlier carreld left, and removes what is empty; what was retired stays while it lives.
 * Returns how many groups of unfinished execs there still are: call again. */
unsigned exec_cgroups_clear(const struct exec_cgroups *cgroups);
/* Removes retired groups that are empty by now; returns how many there still are. */
unsigned exec_cgroups_tidy(const struct exec_cgroups *cgroups);
