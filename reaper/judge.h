/* Whether a carrel is kept or stopped, and why: a pure decision. Every duration is of CLOCK_BOOTTIME; there is no
 * wall clock here, so no jump of it can reap anybody. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct judge_facts {
        bool is_ready;         /* state READY: in any other one a flow or a loss has the carrel already */
        unsigned execs;        /* open now */
        int64_t lease_left_ms; /* <= 0: none */
        int64_t idle_ms;       /* since its last use */
        int64_t age_ms;        /* since READY */
        unsigned background;   /* tasks that run with no exec open, where they count as use; else 0 */
        bool is_flooding;      /* its sockets take as much beside its memory as that may be, and more */
};

struct judge_rules {
        int64_t idle_ttl_ms;     /* idle for at least this long: stop */
        int64_t max_lifetime_ms; /* of at least this age: stop; 0: no such rule */
        bool counts_background;  /* what runs with no exec open counts as use */
};

enum judge_verdict { JUDGE_KEEP, JUDGE_STOP };

enum judge_why {
        JUDGE_NOT_READY,  /* keep */
        JUDGE_SOCKETS,    /* stop: it takes too much of the host, whatever runs in it */
        JUDGE_BUSY,       /* keep: an exec is open */
        JUDGE_LEASED,     /* keep */
        JUDGE_BACKGROUND, /* keep: a program is left in the background, and counts */
        JUDGE_TOO_OLD,    /* stop */
        JUDGE_IDLE,       /* stop */
        JUDGE_IN_USE,     /* keep: used within the TTL */
        JUDGE_WHYS
};

struct judgement {
        enum judge_verdict verdict;
        enum judge_why why;
        int64_t due_ms; /* JUDGE_IN_USE: from now to the stop, if nobody uses it until then; else 0 */
};

/* But for JUDGE_SOCKETS never STOP with an exec or a lease open, or something in the background that counts, whatever
 * the age. */
struct judgement judge(const struct judge_facts *facts, const struct judge_rules *rules);

/* One word for logs: "not_ready", "sockets", "busy", "leased", "background", "too_old", "idle", "in_use". */
const char *judge_why_name(enum judge_why why);

/* A sentence for a person. */
void judge_explain(const struct judge_facts *facts, const struct judge_rules *rules, char *ret_text, size_t size);
