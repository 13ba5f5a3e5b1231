/* The socket to which each carrel's carrel-init connects, and which connection is accepted (docs/exec-protocol.md). A
 * greeted agent runs the execs of its container. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "fault.h"

struct agent_listener; /* of one container */
struct execs;

/* Registers the agents as a backend of execs, which frees it: the agent of a container runs that container's execs as
 * soon as it has been greeted. Register it before the engine's. Without it the functions below fail. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int agents_register(struct execs *execs);

/* Makes <runtime_dir>/agents/<pool>/, the directory of all listeners. Only root may be able to write to runtime_dir. No
 * agent can be greeted before this. 0 or a negative errno with *why. */
__attribute__((warn_unused_result)) int agents_open(struct execs *execs, const char *runtime_dir, const char *pool,
                                                    struct fault *why);
/* Removes directories that an earlier carreld left and whose name no carrel has. */
void agents_prune(struct execs *execs, bool (*is_held)(void *arg, const char *name), void *arg);

/* Makes <runtime_dir>/agents/<pool>/<name>/ and listens in it. The container must have that directory at
 * INSIDE_AGENT (inside.h), read-only, and must start after this call. name is one path component. A second listener of
 * the same name takes the socket from the first. */
__attribute__((warn_unused_result)) int agent_listener_new(struct agent_listener **ret_listener, struct execs *execs,
                                                           const char *name, struct fault *why);
/* Writes a file, 0644, into the directory, where the container can read it; name is one path component. The file is
 * removed with the directory. 0 or a negative errno. */
__attribute__((warn_unused_result)) int agent_listener_put(struct agent_listener *listener, const char *name,
                                                           const void *bytes, size_t length);
/* Ends the connection, and its execs as lost. The directory stays for the next carreld. NULL is fine; returns NULL. */
struct agent_listener *agent_listener_free(struct agent_listener *listener);
/* Removes the directory of a container that was removed. */
void agent_listener_forget(struct execs *execs, const char *name);

/* Waits for HELLO from the container's init, and accepts it from no other process: pid is the init's, by its pidfd, in
 * the container of that id. Then the socket is closed and unlinked, execs that an earlier carreld left are killed, and
 * on_greeted runs once, never from inside this call. The caller keeps the deadline: agent_listener_leave ends the wait,
 * and on_greeted does not run then.
 *
 * has_own_kernel: the host sees all programs inside as processes of the runtime. A process that connects must be in the
 * container's cgroup. The first one is the init, as nothing else runs inside by then. When a later carreld greets it
 * again, it must know the token that it got the first time. The channel is framed, and its execs have no cgroups.
 * 0 or -EINVAL. */
__attribute__((warn_unused_result)) int agent_listener_greet(struct agent_listener *listener, const char *container_id,
                                                             int pid, bool has_own_kernel,
                                                             void (*on_greeted)(void *arg, const struct fault *why),
                                                             void *arg);
void agent_listener_leave(struct agent_listener *listener);
/* No agent has connected in time, and the carrel with a kernel of its own shall serve without one. 0: no agent of this
 * container will be greeted any more, because it could not be distinguished from a program inside. -EPERM: the
 * container has had an agent, which may be stopped or blocked, and nothing watches what that started, so the carrel
 * cannot serve. Or another negative errno. */
__attribute__((warn_unused_result)) int agent_listener_give_up(const struct agent_listener *listener);
bool agent_listener_is_greeted(const struct agent_listener *listener);
