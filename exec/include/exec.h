/* Programs running inside a carrel: streams, output caps, deadlines, and the exact cause of each end.
 * Knows a container by its engine id only; who it belongs to and whether it is ready is the pool's business. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "str.h"

struct engine_event;
struct ev_loop;
struct sharer;
struct execs; /* all running execs of one daemon */
struct exec;

enum { EXEC_ID_BYTES = 65, EXEC_OWN_ID_BYTES = 33 };

/* An exec id: ours are 32 hex digits; a client's [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
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

/* Why a container must not be used any more. */
enum exec_left_behind {
        LEFT_UNKILLABLE, /* an exec was ended for its user, killed for as long as was sensible, and still runs: stuck in
                          * the kernel, or in a runtime whose processes the host cannot see; it ends with its container
                          * only */
        LEFT_BROKE_PROTOCOL, /* its agent did */
        LEFT_AGENT_LOST,     /* it hung up, and its container lives */
        LEFT_BEHINDS
};
const char *exec_left_behind_name(enum exec_left_behind why); /* "exec_unkillable", "agent_broke_protocol", ... */

static const double EXEC_DRAIN_S = 2.0, EXEC_DRAIN_MAX_S = 86400.0;

struct exec_request {
        const char *const *argv;        /* NULL-terminated, at least one, no NUL inside by construction */
        const char *const *environment; /* "K=V"; may be NULL */
        const char *working_dir;        /* absolute; NULL: /workspace */
        const void *input;              /* stdin, copied */
        size_t input_length;
        double timeout_s; /* of its run, and before that of its wait for a turn; 0: none */
        /* How long output is awaited from what the program has left in the background, behind its own end; it is over
         * when nobody can write any more. Read only with has_drain, else it is EXEC_DRAIN_S. Within timeout_s. */
        double drain_s;
        bool has_drain;
        uint64_t max_output_bytes; /* per stream, buffered mode; beyond it output is dropped and flagged */
        bool is_streaming;         /* output goes to on_output and is not kept */
        bool is_pulled;            /* with is_streaming: output may wait in its pipes for exec_read */
        const char *exec_id;       /* the client's choice, valid and not in use (else -EEXIST); NULL: ours */
        bool is_input_open;        /* stdin stays open behind input, for exec_write, until exec_close_input */
        bool is_tty;               /* a terminal of rows x cols; one output stream, 1 */
        uint16_t rows, cols;       /* 0: 24 x 80 */
};

struct exec_result {
        char exec_id[EXEC_ID_BYTES];
        enum exec_cause cause;
        int exit_code;      /* causes EXIT and PIDS; 124 for TIMEOUT, else 128 + signal or 137 */
        int signal;         /* cause SIGNAL (from exit codes above 128), else 0 */
        const char *output; /* stdout; buffered mode; valid during the callback */
        size_t output_length;
        const char *errors; /* stderr */
        size_t errors_length;
        bool is_output_truncated; /* over the cap, or there was more that was not taken */
        bool is_errors_truncated;
        bool is_open; /* a process that lives on could still write: what it wrote later is not here */
        double duration_s;
        const char *message; /* what else a person should know of this end, static; or NULL */
        /* Of both outputs together, buffered mode: whether they are UTF-8 without a NUL, and how many bytes JSON adds
         * then (utf8.h). */
        bool is_text;
        uint64_t n_escapes;
        struct exec *taken_from; /* for exec_result_take; NULL: there is nothing to take */
};

/* The outputs of a result, which outlive it, with their place in what execs_bound_outputs bounds. */
struct exec_outputs {
        struct buffer output, errors;
        struct execs *execs;
        struct sharer *sharer;
        uint64_t bytes;
};
/* Moves the outputs of a result that is being told out of it; false: they stay where they are, and are the teller's.
 * Release before the execs are freed. */
bool exec_result_take(const struct exec_result *result, struct exec_outputs *ret_outputs);
void exec_outputs_release(struct exec_outputs *outputs);

struct exec_sink {
        void (*on_start)(void *arg, const char *exec_id); /* streaming; NULL is fine */
        void (*on_output)(void *arg, int stream /* 1 or 2 */, const void *bytes, size_t length);
        /* Exactly one of result and why: why when nothing was started, or when the engine's answer broke off and the
         * end cannot be known (the program is killed then). Last call, exactly once unless cancelled. */
        void (*on_done)(void *arg, const struct exec_result *result, const struct fault *why);
        /* stdin takes bytes again, after an exec_write that took less than it was given. NULL is fine. */
        void (*on_input_ready)(void *arg);
        /* Whoever runs it is asked to now: from here on the program may have run. Once at most, and perhaps from inside
         * exec_start; must not touch the exec. NULL is fine. */
        void (*on_launch)(void *arg);
        /* With is_pulled: exec_read has something to give, or the end of output to find. */
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
        const char *command; /* of exec_command */
        double running_s;
};

/* Execs without a backend: register one at least (agents_register, engine_execs_register). A container's execs run in
 * the first registered one that serves it. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int execs_new(struct execs **ret_execs, struct ev_loop *loop);
/* Cancels all silently, and frees the backends. */
struct execs *execs_free(struct execs *execs);

/* Tells of each container that must not be used any more. Called from the loop; may call back into the room. One
 * listener; NULL: none. */
void execs_on_left_behind(struct execs *execs,
                          void (*on_left_behind)(void *arg, const char *container_id, enum exec_left_behind why),
                          void *arg);

/* How many execs may run, how many more may wait, in one container, and how long (FAULT_QUEUE_FULL then; 0:
 * without end). */
struct exec_limits {
        unsigned per_carrel, queued_per_carrel;
        double wait_s;
};
void execs_limit(struct execs *execs, const struct exec_limits *limits);
/* What is kept of the outputs of buffered execs, and of their answers on their way, takes so many bytes together, for
 * the execs of one container a quarter (share.h); 0: no bound. The rest is dropped and flagged, as over
 * max_output_bytes. */
void execs_bound_outputs(struct execs *execs, uint64_t bytes);

/* Whether the container is frozen from outside, as far as the host's cgroups tell. Asks the kernel: some microseconds.
 */
bool execs_is_frozen(const struct execs *execs, const char *container_id);

/* Thaws a container that has no greeted agent, by its init, if it is frozen. Returns whether it was. */
bool execs_thaw(const struct execs *execs, const char *container_id, int container_pid);

/* Starts a program in container_id, by its agent if that has been greeted (agent-listener.h), else by the engine. sink
 * is copied, arg borrowed. Never calls back from inside. Returns 0, -ENOMEM, -EEXIST (exec_id is in use), -EINVAL (it
 * is none, or the engine refuses at once), -E2BIG (arguments and environment), -EAGAIN (too many run or wait in this
 * container), -EBUSY (the container is frozen), -EOPNOTSUPP (a terminal or open input in a container without an agent).
 * The handle is valid until on_done has run. */
__attribute__((warn_unused_result)) int exec_start(struct execs *execs, const char *container_id, int container_pid,
                                                   const struct exec_request *request, const struct exec_sink *sink,
                                                   void *arg, struct exec **ret_exec);
/* The caller has gone: on_done and on_output never run any more; what was started inside is killed. Returns NULL. */
struct exec *exec_cancel(struct exec *exec);
/* Backpressure: a paused exec's output is not read, so the program blocks, not the daemon. */
void exec_pause(struct exec *exec, bool is_paused);
const char *exec_id(const struct exec *exec);

enum { EXEC_COMMAND_BYTES = 512 };
/* All of argv as one line for a person, words quoted as a shell has them where that is needed, malloc'd. Longer than
 * EXEC_COMMAND_BYTES it is cut, with an ellipsis. NULL: out of memory. */
char *exec_command(const char *const *argv);

/* Output of an exec with is_pulled, straight from its pipe: at most size bytes of *ret_stream, 1 or 2, which take
 * turns. 0: nothing now; on_readable tells when to ask again. Who does not ask blocks the program, as if it were
 * paused. on_output is for the rest: what does not come in pipes (the engine's own exec, an agent that cannot pass
 * them), and what was left at the end; it comes in front of whatever exec_read gives later. May call on_done from
 * inside. */
ssize_t exec_read(struct exec *exec, int *ret_stream, void *bytes, size_t size);

/* Bytes for the stdin of an exec with is_input_open. Returns how many were taken, 0 to length; less than length:
 * on_input_ready tells when to go on. -EPIPE: closed, by the program or by exec_close_input, or it has ended;
 * -EOPNOTSUPP: the engine's own exec runs it, which takes input at the start only. Never calls back from inside. */
ssize_t exec_write(struct exec *exec, const void *bytes, size_t length);
/* End of stdin, once what exec_write took has been written. For a terminal: what Ctrl-D does. 0 or -EOPNOTSUPP. */
int exec_close_input(struct exec *exec);
/* -EINVAL: not a terminal, or 0; -EOPNOTSUPP: no agent. */
int exec_resize(struct exec *exec, uint16_t rows, uint16_t cols);

/* The exec with this id that has not been answered yet, or NULL. */
struct exec *execs_find(const struct execs *execs, const char *exec_id);

/* Signals the processes of exec_id, at once or as soon as the engine has told which they are. -ENOENT: no such exec;
 * -ESRCH: it has no known process; -EINVAL: signal. */
int execs_signal(struct execs *execs, const char *exec_id, int signal);
/* Engine events of exec ends, passed on by the pool. */
void execs_on_event(struct execs *execs, const struct engine_event *event);
/* The container is gone: each of its execs ends now with EXEC_CARREL_LOST (or OOM when is_oom). */
void execs_container_lost(struct execs *execs, const char *container_id, bool is_oom);
/* A walk over the execs that run, over as many turns of the loop as it takes. Those that end meanwhile are left out,
 * and so are those that began later than the walk. Its memory is the caller's, and stays where it is until
 * execs_walk_end, which comes before execs_free. */
struct execs_walk {
        struct execs_walk *next;
        struct execs *execs;
        struct list *at;
        int64_t began_ms;
};
void execs_walk_begin(struct execs *execs, struct execs_walk *walk);
/* False: there is no further one. The view's texts are valid until the next turn of the loop. */
bool execs_walk_next(struct execs_walk *walk, struct exec_view *ret_view);
void execs_walk_end(struct execs_walk *walk);

/* Calls visit for each running exec (container_id NULL: all), in one turn of the loop. */
void execs_each(const struct execs *execs, const char *container_id,
                void (*visit)(void *arg, const struct exec_view *view), void *arg);
