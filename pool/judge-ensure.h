/* Decides how an ensure is answered. Pure. */
#pragma once

#include "admission.h"
#include "pool.h"

struct ensure_facts {
        bool is_closing;
        bool has_reconciled;
        bool is_policy_in_force;
        const char *unconnectable; /* why the requested network is not possible; NULL: it is, or is not requested */
        bool is_engine_available;
        const char *obstacle; /* why the engine cannot serve, and what to do; NULL: not known */
        bool has_carrel;
        enum carrel_state state; /* when has_carrel */
        bool is_frozen;          /* READY: frozen from outside; nothing in it runs */
        bool is_match;           /* the spec matches that of the live carrel (READY, FROZEN) or of the running start */
        bool is_outdated;        /* live and a match, but its profile has other values by now */
        bool has_task;           /* FROZEN: it is being frozen or thawed */
        bool is_thawing;         /* the same: thawed */
        bool is_task_open;       /* the running start or thaw has not failed */
        enum on_conflict on_conflict;
        const char *in_the_way; /* live, and no match or outdated: a sentence that says what uses the carrel; NULL: it
                                   is idle */
        unsigned n_held, max_carrels;
        enum admission_answer admission;
        unsigned queue_retry_after_s;
};

enum ensure_verdict {
        ENSURE_REUSE,
        ENSURE_JOIN, /* answer with the result of the running start */
        ENSURE_WAIT, /* judge again when the running flow has ended */
        ENSURE_THAW,
        ENSURE_START, /* make or replace the carrel; the start may be queued */
        ENSURE_REFUSE /* *why has the reason, and when to try again */
};

enum ensure_verdict judge_ensure(const struct ensure_facts *facts, struct fault *why);
