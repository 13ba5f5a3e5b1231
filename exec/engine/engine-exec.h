/* Inside the exec room only: the life of one exec over the engine's own exec, the
 * backend for containers that have no agent.
 *
 * The user's handle and the exec are two lives. The user is answered once, or never after a cancel; the exec goes on
 * silently until what it started is known to be gone, or until nothing more can be done about it.
 *
 *   running --exit and end of output--> done
 *   running --deadline--> dying (kill, ask the engine) --its end, or the grace--> TIMEOUT is reported --> silent
 *   running --cancel--> silent and dying --its end, or the linger--> freed, left behind if it still runs
 *   any --container lost--> done at once */
#pragma once

#include "exec-inside.h"
#include "process-tree.h"

enum { DEATHS_KEPT = 32 };

/* An end the engine told before it told which exec it was of. */
struct unclaimed_death {
        char engine_id[ENGINE_ID_BYTES];
        int exit_code;
};

/* The state of the backend. */
struct engine_execs {
        struct execs *execs;
        struct engine *engine;
        struct unclaimed_death deaths[DEATHS_KEPT]; /* a ring */
        unsigned n_deaths;
};

enum engine_exec_seen { SAW_START = 1, SAW_EXIT = 2, SAW_END_OF_OUTPUT = 4 };

struct engine_exec {
        struct exec base;
        struct engine_execs *all;
        char engine_id[ENGINE_ID_BYTES]; /* "" before SAW_START */

        struct engine_call *call;    /* the exec itself: its output and end */
        struct engine_call *inquiry; /* exec_inspect */
        unsigned seen;               /* enum engine_exec_seen */
        int exit_code;               /* with SAW_EXIT */
        bool is_dying;
        bool is_timed_out;
        bool has_killed;
        bool has_broken; /* the engine's answer broke off; `broken` says why */
        struct fault broken;

        struct process_tree tree;
        uint64_t pending_signals; /* bit n: signal n, until the root is known */
        bool is_rootless;         /* the engine told a pid that is not in the container */
        bool is_outlived;         /* it has ended, and something it started has not */
        bool is_seen_running;     /* by the engine, when it was asked last */

        ev_timer deadline, drain, retry, grace;
};

/* The engine says it has ended. Frees the exec if that was all it waited for. */
void exec_run_exited(struct engine_exec *exec, int exit_code);
/* Asks the engine whether it still runs; for when events may have been missed. */
void exec_run_inquire(struct engine_exec *exec);
