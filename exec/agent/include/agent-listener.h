/* Where each carrel's carrel-init connects to, and which connection is accepted (docs/exec-protocol.md). Once greeted,
 * the agent runs the execs of that container (exec.h chooses by itself). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

struct agent_listener; /* of one container */
struct execs;

/* Where a container has the directory of its agent's socket. */
#define AGENT_LISTENER_TARGET "/.carrel/home"

/* Registers the agents as a backend of execs, which frees it: the agent of a container runs that container's execs as
 * soon as it has been greeted. Register it before the engine's. Without it the functions below fail. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int agents_register(struct execs *execs);

/* Makes <runtime_dir>/agents/<pool>/ the directory of all listeners; runtime_dir must be root's alone to write to.
 * Without it nobody can be greeted. 0 or a negative errno with *why. */
__attribute__((warn_unused_result)) int agents_open(struct execs *execs, const char *runtime_dir, const char *pool,
                                                    struct fault *why);
/* Removes the directories of names that no carrel holds, left by an earlier carreld. */
void agents_prune(struct execs *execs, bool (*is_held)(void *arg, const char *name), void *arg);

/* Makes <runtime_dir>/agents/<pool>/<name>/ and listens in it. The container must have that directory at
 * AGENT_LISTENER_TARGET, read-only, and start after this. name is one path component. One listener per name: a second
 * takes the socket from the first. */
__attribute__((warn_unused_result)) int agent_listener_new(struct agent_listener **ret_listener, struct execs *execs,
                                                           const char *name, struct fault *why);
/* Writes a file of the directory, 0644, for the container to find; name is one path component. It goes with the
 * directory. 0 or a negative errno. */
__attribute__((warn_unused_result)) int agent_listener_put(struct agent_listener *listener, const char *name,
                                                           const void *bytes, size_t length);
/* Ends the connection: its execs end as lost. The directory stays for a carreld to come. NULL is fine; returns NULL. */
struct agent_listener *agent_listener_free(struct agent_listener *listener);
/* Removes the directory of a container that is gone for good. */
void agent_listener_forget(struct execs *execs, const char *name);

/* Waits until the container's init has said HELLO, and takes nobody else: pid is what its pidfd says it is, in the
 * container of that id. Then the socket is closed and unlinked, execs that an earlier carreld left are killed, and
 * on_greeted runs once, never from inside. Whoever waits keeps the deadline, and ends the wait with
 * agent_listener_leave: on_greeted never runs then.
 *
 * has_own_kernel: to the host all programs inside are processes of the runtime's. Whoever connects must be in the
 * container's cgroup; the first one is the init, as nothing else runs inside by then, and later, when another carreld
 * greets it again, it must know what it was given the first time. The channel is framed, and its execs have no cgroups.
 * 0 or -EINVAL. */
__attribute__((warn_unused_result)) int agent_listener_greet(struct agent_listener *listener, const char *container_id,
                                                             int pid, bool has_own_kernel,
                                                             void (*on_greeted)(void *arg, const struct fault *why),
                                                             void *arg);
void agent_listener_leave(struct agent_listener *listener);
/* Nobody called in time, and the carrel with a kernel of its own is to serve without: 0, and no agent of this container
 * will be greeted any more, as it could not be told from a program inside. -EPERM: it has had an agent, which may be
 * stopped or shut out, and what it started runs on unwatched, so that it cannot serve; or another negative errno. */
__attribute__((warn_unused_result)) int agent_listener_give_up(const struct agent_listener *listener);
bool agent_listener_is_greeted(const struct agent_listener *listener);
