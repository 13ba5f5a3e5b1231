/* The way home of the agents: where each carrel's carrel-init dials, and who is let in (docs/exec-protocol.md). Once
 * greeted, execs of that container are the agent's (exec.h chooses by itself). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

struct agent_home; /* of one container */
struct execs;

/* Where a container has its home. */
#define AGENT_HOME_TARGET "/.carrel/home"

/* Makes <runtime_dir>/agents/<pool>/ the directory of all homes; runtime_dir must be root's alone to write to. Without
 * it nobody can be greeted. 0 or a negative errno with *why. */
__attribute__((warn_unused_result)) int agents_open(struct execs *execs, const char *runtime_dir, const char *pool,
                                                    struct fault *why);
/* Removes the homes of names that nobody holds, left by an earlier carreld. */
void agents_prune(struct execs *execs, bool (*is_held)(void *arg, const char *name), void *arg);

/* Makes <runtime_dir>/agents/<pool>/<name>/ and listens in it. The container must have that directory at
 * AGENT_HOME_TARGET, read-only, and start after this. name is one path component. One home per name: a second takes the
 * socket from the first. */
__attribute__((warn_unused_result)) int agent_home_new(struct agent_home **ret_home, struct execs *execs,
                                                       const char *name, struct fault *why);
/* Writes a file of the directory, 0644, for the container to find; name is one path component. It goes with the
 * directory. 0 or a negative errno. */
__attribute__((warn_unused_result)) int agent_home_put(struct agent_home *home, const char *name, const void *bytes,
                                                       size_t length);
/* Ends the connection: its execs end as lost. The directory stays for a carreld to come. NULL is fine; returns NULL. */
struct agent_home *agent_home_free(struct agent_home *home);
/* Removes the directory of a container that is gone for good. */
void agent_home_forget(struct execs *execs, const char *name);

/* Waits until the container's init has said HELLO, and takes nobody else: pid is what its pidfd says it is, in the
 * container of that id. Then the socket is closed and unlinked, execs that an earlier carreld left are killed, and
 * on_greeted runs once, never from inside. Whoever waits keeps the deadline, and ends the wait with agent_home_leave:
 * on_greeted never runs then.
 *
 * has_own_kernel: to the host all programs inside are processes of the runtime's. Whoever connects must be in the
 * container's cgroup; the first one is the init, as nothing else runs inside by then, and later, when another carreld
 * greets it again, it must know what it was given the first time. The channel is framed, and its execs have no cgroups.
 * 0 or -EINVAL. */
__attribute__((warn_unused_result)) int agent_home_greet(struct agent_home *home, const char *container_id, int pid,
                                                         bool has_own_kernel,
                                                         void (*on_greeted)(void *arg, const struct fault *why),
                                                         void *arg);
void agent_home_leave(struct agent_home *home);
/* Nobody called in time, and the carrel with a kernel of its own is to serve without: 0, and no agent of this container
 * will be greeted any more, as it could not be told from a program inside. -EPERM: it has had an agent, which may be
 * stopped or shut out, and what it started runs on unwatched, so that it cannot serve; or another negative errno. */
__attribute__((warn_unused_result)) int agent_home_give_up(const struct agent_home *home);
bool agent_home_is_greeted(const struct agent_home *home);
