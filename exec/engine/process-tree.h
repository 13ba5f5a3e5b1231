/* The processes that one exec started inside a container, found and signalled from the host.
 *
 * A process belongs to the exec in these cases:
 * - it is the exec's root, or a descendant of a process that belongs;
 * - its session is led by a process that belongs;
 * - no other exec ran in the container at the same time, it began after the exec was asked for, and it was reparented
 * to the container's init (a double fork) or entered from outside.
 *
 * Only an agent, which starts each exec in a cgroup of its own, handles these cases correctly:
 * - A child double-forks and leaves its session while another exec runs. The kernel does not know any more whose child
 * it was. It is left alone, because killing another exec's child would be worse.
 * - A daemon of an earlier exec double-forks during this one. It is taken for a process of this one, and so is a
 * process of an administrator's own `docker exec`.
 * - The host cannot see the processes (a runtime with a kernel of its own: gVisor, Kata).
 *
 * Only processes in the container's cgroup are signalled, and never its init. */
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
        bool is_alone;               /* no other exec has run in the container since then */
};

/* One process as a pass sees it. */
struct suspect {
        struct process process;
        bool is_member;
        bool is_gone;    /* a member of an earlier pass that has ended; its session may still exist */
        bool is_stopped; /* we have sent SIGSTOP */
};

/* Takes the pid that an engine has reported as the root. 0, or -ESRCH: the process is not in the container, is its
 * init, or began before since_ms (an engine may lie, and a pid may have been reused). */
int process_tree_adopt(struct process_tree *tree, pid_t pid);

/* Stops the processes of the exec until a pass finds no new one (a stopped process cannot fork, and is not orphaned),
 * and then kills them all. Does not wait for their end. After 16 passes it kills what it has found. Returns how many
 * were killed (0: none lives), -EAGAIN (killed, but each pass found new ones: call it again), or another negative errno
 * when the container's processes cannot be read. */
int process_tree_kill(const struct process_tree *tree);

/* Sends signal to each process of the exec. Returns how many got it, or a negative errno. */
int process_tree_signal(const struct process_tree *tree, int signal);

/* The pure rule: sets is_member of all processes that belong. suspects are sorted by pid. */
void process_tree_select(const struct process_tree *tree, struct suspect *suspects, size_t count, uint64_t ticks_per_s);
