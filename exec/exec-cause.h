/* Why an exec ended: a pure decision from the facts. */
#pragma once

#include <stdbool.h>

#include "exec.h"

enum { EXEC_CODE_TIMEOUT = 124, EXEC_CODE_KILLED = 137 };

struct exec_facts {
        bool is_timed_out;     /* its deadline passed, and it was killed or its end was never confirmed */
        bool is_lost;          /* its container is gone */
        bool is_container_oom; /* with is_lost: the engine or the kernel says that memory ran out */
        int exit_code;         /* without is_timed_out and is_lost; 128 + signal for a death by signal */
        bool is_exact;         /* `signal` is from the wait status; else only exit_code is known */
        int signal;            /* that ended it; 0: it exited */
        bool has_oom_risen;    /* the container's oom_kill counter rose while it ran */
        bool has_pids_risen;   /* the container's pids.max counter rose while it ran */
};

struct exec_end {
        enum exec_cause cause;
        int exit_code;
        int signal;
};

struct exec_end exec_decide_end(const struct exec_facts *facts);
