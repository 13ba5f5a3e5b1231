/* Decides whether a carrel is kept, frozen, has its memory reclaimed, or is stopped, and why. Pure. Every duration is
 * of CLOCK_BOOTTIME, so a jump of the wall clock reaps no carrel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct judge_facts {
        bool is_ready;         /* state READY or FROZEN, and no flow runs */
        unsigned execs;        /* open now */
        int64_t lease_left_ms; /* <= 0: no lease */
        int64_t idle_ms;       /* since its last use */
        int64_t age_ms;        /* since READY */
        unsigned background;   /* threads that run with no exec open, if they count as use; else 0 */
        bool is_flooding;      /* its sockets take more memory, apart from its own, than its limit */
        bool is_frozen;
        bool is_reclaimed;   /* since it was frozen */
        bool refuses_freeze; /* a freeze has failed since its last use */
};

struct judge_rules {
        int64_t idle_ttl_ms;      /* stops a carrel that is idle for at least this long */
        int64_t max_lifetime_ms;  /* stops a carrel of at least this age; 0: no such rule */
        bool counts_background;   /* background programs count as use */
        int64_t freeze_after_ms;  /* freezes a carrel that is idle for at least this long; 0: no such rule */
        int64_t reclaim_after_ms; /* has the memory of a frozen one reclaimed; 0: no such rule */
};

enum judge_verdict { JUDGE_KEEP, JUDGE_STOP, JUDGE_FREEZE, JUDGE_RECLAIM };

enum judge_why {
        JUDGE_NOT_READY,  /* keep */
        JUDGE_SOCKETS,    /* stop, whatever runs in it: it takes too much memory of the host */
        JUDGE_BUSY,       /* keep: an exec is open */
        JUDGE_LEASED,     /* keep */
        JUDGE_BACKGROUND, /* keep: a background program runs and counts as use */
        JUDGE_TOO_OLD,    /* stop */
        JUDGE_IDLE,       /* stop, freeze or reclaim */
        JUDGE_IN_USE,     /* keep: used within the TTL */
        JUDGE_FROZEN,     /* keep: idle and frozen */
        JUDGE_WHYS
};

struct judgement {
        enum judge_verdict verdict;
        enum judge_why why;
        int64_t due_ms;        /* JUDGE_IN_USE, JUDGE_FROZEN: until the stop, if it is not used before; else 0 */
        int64_t freeze_due_ms; /* JUDGE_IN_USE: until it is frozen; 0: it is not */
};

/* Never stops or freezes a carrel with an open exec, a lease, or a background program that counts, whatever its age.
 * JUDGE_SOCKETS is the only exception. */
struct judgement judge(const struct judge_facts *facts, const struct judge_rules *rules);

/* One word for logs: "not_ready", "sockets", "busy", "leased", "background", "too_old", "idle", "in_use", "frozen". */
const char *judge_why_name(enum judge_why why);

/* Writes the decision as a sentence for a person. */
void judge_explain(const struct judge_facts *facts, const struct judge_rules *rules, char *ret_text, size_t size);
