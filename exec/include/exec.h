/* Execs: programs that run inside a carrel, with their streams, output caps, deadlines, and the exact cause of each
 * end. A container is known by its engine id only. The pool knows which user it belongs to, and whether it is ready. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "str.h"

struct engine_event;
struct ev_loop;
struct freezer;
struct sharer;
struct execs; /* all running execs of one daemon */
struct exec;

enum { EXEC_ID_BYTES = 65, EXEC_OWN_ID_BYTES = 33 };

/* Whether this may be an exec id. Our own are 32 hex digits; a client's matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool exec_id_is_valid(const char *id);

enum exec_cause {
        EXEC_EXIT,
        EXEC_SIGNAL,
        EXEC_TIMEOUT,
        EXEC_OOM,
        EXEC_PIDS,
        EXEC_CANCELLED,
        EXEC_CARREL_LOST,
        EXEC_CAUSES
};
const char *exec_cause_name(enum exec_cause cause); /* "exit", "signal", ... */

/* Why a container must be retired. */
enum exec_left_behind {
        LEFT_UNKILLABLE, /* an exec was answered, and a process of it still runs after repeated kills. It hangs in the
                          * kernel, or in a runtime whose processes the host cannot see, and ends only with its
                          * container. */
        LEFT_BROKE_PROTOCOL, /* the agent broke the protocol */
        LEFT_AGENT_LOST,     /* the agent closed the connection, and its container lives */
        LEFT_BEHINDS
};
const char *exec_left_behind_name(enum exec_left_behind why); /* "exec_unkillable", "agent_broke_protocol", ... */

static const double EXEC_DRAIN_S = 2.0, EXEC_DRAIN_MAX_S = 86400.0;

struct exec_request {
        const char *const *argv;        /* NULL-terminated, at least one, no NUL inside by construction */
        const char *const *environment; /* "K=V"; may be NULL */
        /* "K=V", for variables that environment does not set; of one name, the last counts. May be NULL. CARREL_EXEC_ID
         * is always one of them. */
        const char *const *defaults;
        const char *working_dir; /* absolute; NULL: /workspace */
        const void *input;       /* stdin, copied */
        size_t input_length;
        double timeout_s; /* for its run, and separately for its wait for a turn; 0: no limit */
        /* How long output is read after the program's end from processes that it left in the background. It ends early
         * when no process can write any more, and with timeout_s. Used only with has_drain; else it is EXEC_DRAIN_S. */
        double drain_s;
        bool has_drain;
        uint64_t max_output_bytes; /* per stream, when not streaming; more output is dropped and flagged */
        bool is_streaming;         /* output goes to on_output and is not kept */
        bool is_pulled;            /* with is_streaming: output may wait in its pipes for exec_read */
        const char *exec_id;       /* chosen by the client, valid and not in use (else -EEXIST); NULL: we choose */
        bool is_input_open;        /* stdin stays open after input, for exec_write, until exec_close_input */
        bool is_tty;               /* a terminal of rows x cols; its only output stream is 1 */
        uint16_t rows, cols;       /* 0: 24 x 80 */
};

/* Counted by the kernel for the first process of an exec and all descendants that were waited for (wait4(2)), as the
 * agent reports it. Descendants that nobody waited for are not in it: those in the background, and those that a
 * deadline killed together with their parent. */
struct exec_usage {
        bool is_known;               /* else the numbers are 0 */
        uint64_t user_us, system_us; /* CPU time */
        uint64_t peak_bytes;         /* the largest resident set that one of these processes had */
};

struct exec_result {
        char exec_id[EXEC_ID_BYTES];
        enum exec_cause cause;
        int exit_code;      /* causes EXIT and PIDS; 124 for TIMEOUT, else 128 + signal or 137 */
        int signal;         /* cause SIGNAL (from exit codes above 128), else 0 */
        const char *output; /* stdout, when not streaming; valid during the callback */
        size_t output_length;
        const char *errors; /* stderr */
        size_t errors_length;
        bool is_output_truncated; /* output was dropped over the cap, or was not read to its end */
        bool is_errors_truncated;
        bool is_open; /* a process in the background can still write; later output is not in here */
        double duration_s;
        struct exec_usage usage;
        const char *message; /* a sentence about this end for a person, static; or NULL */
        /* When not streaming, of both outputs together: whether they are UTF-8 without a NUL, and how many bytes JSON
         * escapes add (utf8.h). */
        bool is_text;
        uint64_t n_escapes;
        struct exec *taken_from; /* for exec_result_take; NULL: nothing can be taken */
};

/* The outputs of a result, kept after it. They count against the limit of execs_bound_outputs until their release. */
struct exec_outputs {
        struct buffer output, errors;
        struct execs *execs;
        struct sharer *sharer;
        uint64_t bytes;
};
/* Takes the outputs out of a result, during the callback that reports it. Returns false when they cannot be taken; they
 * stay in the result then. Release them before the execs are freed. */
bool exec_result_take(const struct exec_result *result, struct exec_outputs *ret_outputs);
void exec_outputs_release(struct exec_outputs *outputs);

struct exec_sink {
        void (*on_start)(void *arg, const char *exec_id); /* streaming; NULL is fine */
        void (*on_output)(void *arg, int stream /* 1 or 2 */, const void *bytes, size_t length);
        /* The last call, exactly once unless cancelled. Either result or why is set. why: nothing was started, or the
         * engine's answer broke off and the end cannot be known; then the program is killed. */
        void (*on_done)(void *arg, const struct exec_result *result, const struct fault *why);
        /* stdin takes bytes again, after an exec_write that took fewer bytes than it was given. NULL is fine. */
        void (*on_input_ready)(void *arg);
        /* The backend is about to ask for the program: from now on it may have run. Called at most once, perhaps from
         * inside exec_start; must not use the exec. NULL is fine. */
        void (*on_launch)(void *arg);
        /* With is_pulled: exec_read will return output, or find its end. */
        void (*on_readable)(void *arg);
        /* Called with end_arg just before on_done, for the caller that passes another's sink and arg on. result is NULL
         * when on_done gets a fault. NULL is fine. */
        void (*on_end)(void *end_arg, const struct exec_result *result);
        void *end_arg;
};

struct exec_view {
        char exec_id[EXEC_ID_BYTES];
        const char *container_id;
        const char *program; /* argv[0] */
        const char *command; /* as exec_command returns it */
        double running_s;
};

/* Execs without a backend: register one at least (agents_register, engine_execs_register). A container's execs run in
 * the first registered one that serves it. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int execs_new(struct execs **ret_execs, struct ev_loop *loop);
/* Cancels all execs silently, and frees the backends. NULL is fine; returns NULL. */
struct execs *execs_free(struct execs *execs);

/* Sets the listener for containers that must be retired. It is called from the loop, and may call functions of this
 * header. NULL: no listener. */
void execs_on_left_behind(struct execs *execs,
                          void (*on_left_behind)(void *arg, const char *container_id, enum exec_left_behind why),
                          void *arg);

/* How many execs of one container may run, how many more may wait for a turn, and how long one waits before it fails
 * with FAULT_QUEUE_FULL (0: without end). */
struct exec_limits {
        unsigned per_carrel, queued_per_carrel;
        double wait_s;
};
void execs_limit(struct execs *execs, const struct exec_limits *limits);
/* Limits the bytes that all execs together keep of their outputs, including answers that are being sent. The execs of
 * one container may keep a quarter of them (share.h). More output is dropped and flagged, as over max_output_bytes. 0:
 * no limit. */
void execs_bound_outputs(struct execs *execs, uint64_t bytes);

/* How many execs run or wait in this container. Those whose user has left count until nothing of them lives. Looks at
 * every running exec. */
unsigned execs_count(const struct execs *execs, const char *container_id);

/* The freezer of the container's cgroup (freezer.h), borrowed until the container is lost. NULL: it cannot be frozen,
 * because its runtime has a kernel of its own, its agent has gone, or the host has no freezer. */
const struct freezer *execs_freezer(const struct execs *execs, const char *container_id);
/* Whether the container is frozen, by anybody. Reads a file of the kernel: some microseconds. */
bool execs_is_frozen(const struct execs *execs, const char *container_id);

/* Thaws a container without a greeted agent if it is frozen; the pid of its init finds its cgroup. Returns whether it
 * was frozen. */
bool execs_thaw(const struct execs *execs, const char *container_id, int container_pid);

/* Starts a program in container_id, by its agent if that has been greeted (agent-listener.h), else by the engine. sink
 * is copied, arg borrowed. Does not call the sink, except for on_launch. Returns 0, -ENOMEM, -EEXIST (exec_id is in
 * use), -EINVAL (exec_id is not valid, or the engine refuses at once), -E2BIG (arguments and environment), -EAGAIN (too
 * many run or wait in this container), -EBUSY (the container is frozen), -EOPNOTSUPP (a terminal or open input in a
 * container without an agent).
 * The handle is valid until on_done has run. */
__attribute__((warn_unused_result)) int exec_start(struct execs *execs, const char *container_id, int container_pid,
                                                   const struct exec_request *request, const struct exec_sink *sink,
                                                   void *arg, struct exec **ret_exec);
/* The user has left: no callback runs any more, and what the exec started is killed. NULL is fine; returns NULL. */
struct exec *exec_cancel(struct exec *exec);
/* Backpressure: the output of a paused exec is not read, so that the program blocks. */
void exec_pause(struct exec *exec, bool is_paused);
const char *exec_id(const struct exec *exec);

enum { EXEC_COMMAND_BYTES = 512 };
/* argv as one line for a person, quoted as for a shell where needed, malloc'd. A line longer than EXEC_COMMAND_BYTES is
 * cut and ends with an ellipsis. NULL: out of memory. */
char *exec_command(const char *const *argv);

/* Reads output of an exec with is_pulled straight from its pipe: at most size bytes of *ret_stream, 1 or 2, in turns.
 * Returns 0 when there is nothing now; on_readable says when to read again. As long as the caller does not read, the
 * program blocks as if it were paused. on_output brings the rest: output that does not come in pipes (the engine's own
 * exec, an agent that cannot pass them), and what was left at the end; it comes before what exec_read returns later.
 * May call on_done. */
ssize_t exec_read(struct exec *exec, int *ret_stream, void *bytes, size_t size);

/* Writes to the stdin of an exec with is_input_open. Returns how many bytes were taken, 0 to length; after less than
 * length, on_input_ready says when to go on. -EPIPE: stdin was closed, by the program or by exec_close_input, or the
 * exec has ended. -EOPNOTSUPP: the engine's own exec runs it, which takes input only at its start. Calls no callback.
 */
ssize_t exec_write(struct exec *exec, const void *bytes, size_t length);
/* Ends stdin after the bytes that exec_write took. In a terminal this does what Ctrl-D does. 0 or -EOPNOTSUPP. */
int exec_close_input(struct exec *exec);
/* Sets the size of the terminal. 0, -EINVAL (not a terminal, or a size of 0), or -EOPNOTSUPP (no agent). */
int exec_resize(struct exec *exec, uint16_t rows, uint16_t cols);

/* The exec with this id whose user was not answered yet, or NULL. */
struct exec *execs_find(const struct execs *execs, const char *exec_id);

/* Signals the processes of exec_id, at once or as soon as the engine has reported them. 0, -ENOENT (no such exec),
 * -ESRCH (it has no known process), or -EINVAL (not a signal). */
int execs_signal(struct execs *execs, const char *exec_id, int signal);
/* The pool passes on the engine's events; ends of execs are among them. */
void execs_on_event(struct execs *execs, const struct engine_event *event);
/* The container is gone: each of its execs that still ran ends now, with EXEC_CARREL_LOST or, with is_oom, EXEC_OOM. */
void execs_container_lost(struct execs *execs, const char *container_id, bool is_oom);
/* A walk over the running execs, which may take several turns of the loop. It leaves out execs that end meanwhile and
 * those that began after the walk. The caller keeps the struct in place until execs_walk_end, which must come before
 * execs_free. */
struct execs_walk {
        struct execs_walk *next;
        struct execs *execs;
        struct list *at;
        int64_t began_ms;
};
void execs_walk_begin(struct execs *execs, struct execs_walk *walk);
/* False: the walk is at its end. The texts of the view are valid until the next turn of the loop. */
bool execs_walk_next(struct execs_walk *walk, struct exec_view *ret_view);
void execs_walk_end(struct execs_walk *walk);

/* Calls visit for each running exec of the container (NULL: of all containers) in one turn of the loop. */
void execs_each(const struct execs *execs, const char *container_id,
                void (*visit)(void *arg, const struct exec_view *view), void *arg);
