/* Inside the exec room only: the life of one exec over the engine's own exec.
 *
 * The user's handle and the exec are two lives. The user is answered once, or never after a cancel; the exec goes on
 * silently until what it started is known to be gone, or until nothing more can be done about it.
 *
 *   running --exit and end of output--> done
 *   running --deadline--> dying (kill, ask the engine) --its end, or the grace--> TIMEOUT is reported --> silent
 *   running --cancel--> silent and dying --its end, or the linger--> freed, left behind if it still runs
 *   any --container lost--> done at once */
#pragma once

#include <ev.h>

#include "cgroup.h"
#include "engine.h"
#include "exec-output.h"
#include "exec.h"
#include "list.h"
#include "process-tree.h"

struct exec_timing {
        double drain_quiet_s; /* after the exit: no output for this long is the end of output */
        double drain_max_s;   /* after the exit: output is read no longer than this */
        double grace_s;       /* after the deadline: the engine's time to confirm the death */
        double linger_s;      /* after a cancel or an unconfirmed death: how long the killing goes on */
        double retry_first_s; /* between two kill passes, doubling */
        double retry_max_s;
};

enum { DEATHS_KEPT = 32 };

/* An end the engine told before it told which exec it was of. */
struct unclaimed_death {
        char engine_id[ENGINE_ID_BYTES];
        int exit_code;
};

struct execs {
        struct ev_loop *loop;
        struct engine *engine;
        struct list running; /* of struct exec */
        struct cgroup_mounts mounts;
        struct exec_timing timing;
        void (*on_left_behind)(void *arg, const char *container_id);
        void *left_behind_arg;
        struct unclaimed_death deaths[DEATHS_KEPT]; /* a ring */
        unsigned n_deaths;
};

enum exec_seen { SAW_START = 1, SAW_EXIT = 2, SAW_END_OF_OUTPUT = 4 };

struct exec {
        struct list node;
        struct execs *execs;
        char id[EXEC_ID_BYTES];
        char engine_id[ENGINE_ID_BYTES]; /* "" before SAW_START */
        char container_id[ENGINE_ID_BYTES];
        char *program;
        struct exec_sink sink;
        void *arg;
        bool is_silent; /* answered or cancelled: the sink is never called again */
        bool is_streaming;
        bool is_paused;
        struct exec_output output, errors;

        struct engine_call *call;    /* the exec itself: its output and end */
        struct engine_call *inquiry; /* exec_inspect */
        unsigned seen;               /* enum exec_seen */
        int exit_code;               /* with SAW_EXIT */
        bool is_dying;
        bool is_timed_out;
        bool has_killed;
        bool has_broken; /* the engine's answer broke off; `broken` says why */
        struct fault broken;

        bool has_cgroup;
        struct cgroup cgroup;
        struct cgroup_counters before;
        struct process_tree tree;
        uint64_t pending_signals; /* bit n: signal n, until the root is known */
        bool is_rootless;         /* the engine told a pid that is not in the container */
        bool is_outlived;         /* it has ended, and something it started has not */
        bool is_seen_running;     /* by the engine, when it was asked last */

        ev_timer deadline, drain_quiet, drain_max, retry, grace;
};

/* Contracts of exec_start, exec_cancel, exec_pause and execs_signal (exec.h). */
int exec_run_start(struct execs *execs, const char *container_id, int container_pid, const struct exec_request *request,
                   const struct exec_sink *sink, void *arg, struct exec **ret_exec);
void exec_run_cancel(struct exec *exec);
void exec_run_pause(struct exec *exec, bool is_paused);
int exec_run_signal(struct exec *exec, int signal);

/* The engine says it has ended. Frees the exec if that was all it waited for. */
void exec_run_exited(struct exec *exec, int exit_code);
/* Asks the engine whether it still runs; for when events may have been missed. */
void exec_run_inquire(struct exec *exec);
/* Kills what can be killed at once and frees it; the sink is not called. */
struct exec *exec_run_free(struct exec *exec);
