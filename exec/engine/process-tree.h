/* Everything one exec started inside a container, found from the host and signalled from the host.
 *
 * A process belongs to the exec when it is its root or a descendant of a process that belongs, when it is in a
 * session led by one, or - only if no other exec ran in the container at the same time - when it began after the
 * exec was asked for and was either reparented to the container's init (a double fork) or entered from outside.
 *
 * What cannot be caught before an agent inside starts each exec in a cgroup of its own:
 * - a child that double-forked *and* left the session while another exec ran beside it: nothing in the kernel says
 *   any more whose it was, and killing another exec's child would be worse than leaving it;
 * - the reverse: a daemon left by an earlier exec that double-forks during this one is taken for this one's,
 *   and so is what an administrator's own `docker exec` started meanwhile;
 * - processes the host cannot see as such (a runtime with a kernel of its own: gVisor, Kata).
 * Nothing outside the container's cgroup, and never its init, is ever signalled. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "proc-file.h"

struct process_tree {
        const struct cgroup *cgroup; /* borrowed */
        const char *container_id;    /* borrowed */
        pid_t init;                  /* the container's; never a member */
        pid_t root;                  /* the exec's first process; 0: not known */
        uint64_t root_start_ticks;   /* with root it names a process even when the pid is reused */
        int64_t since_ms;            /* CLOCK_BOOTTIME when the exec was asked for */
        bool is_alone;               /* no other exec ran in the container since then */
};

/* One process as a pass sees it. */
struct suspect {
        struct process process;
        bool is_member;
        bool is_gone;    /* a member of an earlier pass that has ended; its session may live on */
        bool is_stopped; /* we have sent SIGSTOP */
};

/* Takes the pid an engine told as the root, if it can be: in the container, not its init, begun since since_ms.
 * 0 or -ESRCH (an engine may lie, and a pid may have been reused). */
int process_tree_adopt(struct process_tree *tree, pid_t pid);

/* Stops what belongs to the exec until a pass finds nothing new (a stopped process neither forks nor is orphaned),
 * then kills it all. Does not wait for the deaths. Bounded: after 16 passes it kills what it has.
 * Returns how many were killed (0: nothing lives), -EAGAIN (killed, but new ones kept coming: call again), or why
 * the container cannot be looked at. */
int process_tree_kill(const struct process_tree *tree);

/* Sends signal to each. Returns how many got it, or a negative errno. */
int process_tree_signal(const struct process_tree *tree, int signal);

/* The pure rule: sets is_member on all that belong. suspects are sorted by pid. */
void process_tree_select(const struct process_tree *tree, struct suspect *suspects, size_t count, uint64_t ticks_per_s);
