/* Private to exec/engine: one exec that the engine's own exec runs, for containers without an agent. engine-exec-end.h
 * has its states. */
#pragma once

#include "engine-exec-end.h"
#include "exec-inside.h"
#include "process-tree.h"

enum { DEATHS_KEPT = 32 };

/* An exit that the engine reported before it reported which exec it was of. */
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
        enum engine_exec_state state;
        bool is_timed_out;     /* its deadline has passed */
        bool has_killed;       /* a kill has reached a process of it */
        bool has_broken;       /* the engine's answer broke off after the start, or the engine has forgotten the exec */
        struct fault broken;   /* why the engine's answer broke off */
        bool is_container_oom; /* its container was lost, and ran out of memory */

        struct process_tree tree;
        uint64_t pending_signals; /* bit n: signal n, until the root is known */
        bool is_rootless;         /* the engine reported a pid that is not in the container */
        bool is_seen_running;     /* it ran when the engine was asked last */

        ev_timer deadline, drain, retry, grace;
};

/* Asks the engine whether the exec runs, and for its pid, unless that is known or is being asked. */
void engine_exec_inquire(struct engine_exec *exec);
