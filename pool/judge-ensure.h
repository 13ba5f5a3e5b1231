/* What an ensure gets, as a pure function of what is known. */
#pragma once

#include "admission.h"
#include "pool.h"

struct ensure_facts {
        bool is_closing;
        bool has_reconciled;
        bool is_policy_in_force;
        const char *unconnectable; /* why more than loopback, which is asked for, cannot be had; NULL: it can */
        bool is_engine_available;
        const char *obstacle; /* what keeps the engine from serving, with what to do about it; NULL: not known */
        bool has_carrel;
        enum carrel_state state; /* when has_carrel */
        bool is_frozen;          /* READY: from outside, so that nothing in it runs */
        bool is_match;     /* READY: the live carrel is what was asked for; QUEUED, STARTING: what is being made is */
        bool is_task_open; /* what is being made has not failed already */
        enum on_conflict on_conflict;
        const char *in_the_way; /* READY and no match: what uses the carrel, a sentence; NULL: it is idle */
        unsigned n_held, max_carrels;
        enum admission_answer admission;
        unsigned queue_retry_after_s;
};

enum ensure_verdict {
        ENSURE_REUSE,
        ENSURE_JOIN,  /* the result of the running start is this request's too */
        ENSURE_WAIT,  /* for the end of what runs; then judge again */
        ENSURE_START, /* make one, or make it anew; it may have to queue */
        ENSURE_REFUSE /* *why says what and when to try again */
};

enum ensure_verdict judge_ensure(const struct ensure_facts *facts, struct fault *why);
