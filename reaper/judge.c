#include "judge.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const WHY_NAMES[JUDGE_WHYS] = {
        [JUDGE_NOT_READY] = "not_ready",   [JUDGE_BUSY] = "busy",       [JUDGE_LEASED] = "leased",
        [JUDGE_BACKGROUND] = "background", [JUDGE_TOO_OLD] = "too_old", [JUDGE_IDLE] = "idle",
        [JUDGE_IN_USE] = "in_use",         [JUDGE_SOCKETS] = "sockets", [JUDGE_FROZEN] = "frozen",
};

const char *judge_why_name(enum judge_why why)
{
        return (unsigned)why < JUDGE_WHYS ? WHY_NAMES[why] : "unknown";
}

static int64_t lesser(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* The rungs below the stop: kept, frozen or reclaimed. */
static struct judgement judge_rung(const struct judge_facts *facts, const struct judge_rules *rules, int64_t due_ms)
{
        int64_t freeze_due_ms = rules->freeze_after_ms - facts->idle_ms;
        bool can_freeze = rules->freeze_after_ms > 0 && !facts->refuses_freeze;

        if (!facts->is_frozen && can_freeze && freeze_due_ms <= 0)
                return (struct judgement){ JUDGE_FREEZE, JUDGE_IDLE, 0, 0 };
        if (!facts->is_frozen)
                return (struct judgement){ JUDGE_KEEP, JUDGE_IN_USE, due_ms, can_freeze ? freeze_due_ms : 0 };
        if (rules->reclaim_after_ms > 0 && !facts->is_reclaimed && facts->idle_ms >= rules->reclaim_after_ms)
                return (struct judgement){ JUDGE_RECLAIM, JUDGE_IDLE, 0, 0 };
        return (struct judgement){ JUDGE_KEEP, JUDGE_FROZEN, due_ms, 0 };
}

struct judgement judge(const struct judge_facts *facts, const struct judge_rules *rules)
{
        bool has_max = rules->max_lifetime_ms > 0;
        int64_t due_ms = rules->idle_ttl_ms - facts->idle_ms;

        if (!facts->is_ready)
                return (struct judgement){ JUDGE_KEEP, JUDGE_NOT_READY, 0 };
        if (facts->is_flooding)
                return (struct judgement){ JUDGE_STOP, JUDGE_SOCKETS, 0 };
        if (facts->execs > 0)
                return (struct judgement){ JUDGE_KEEP, JUDGE_BUSY, 0 };
        if (facts->lease_left_ms > 0)
                return (struct judgement){ JUDGE_KEEP, JUDGE_LEASED, 0 };
        if (facts->background > 0 && !facts->is_frozen)
                return (struct judgement){ JUDGE_KEEP, JUDGE_BACKGROUND, 0 };
        if (has_max && facts->age_ms >= rules->max_lifetime_ms)
                return (struct judgement){ JUDGE_STOP, JUDGE_TOO_OLD, 0 };
        if (due_ms <= 0)
                return (struct judgement){ JUDGE_STOP, JUDGE_IDLE, 0 };
        if (has_max)
                due_ms = lesser(due_ms, rules->max_lifetime_ms - facts->age_ms);
        return judge_rung(facts, rules, due_ms);
}

/* Rounds up, so that half a second is not shown as 0. */
static int64_t to_s(int64_t ms)
{
        return ms > 0 ? (ms + 999) / 1000 : 0;
}

void judge_explain(const struct judge_facts *facts, const struct judge_rules *rules, char *ret_text, size_t size)
{
        struct judgement judgement = judge(facts, rules);
        bool is_by_idleness = judgement.due_ms == rules->idle_ttl_ms - facts->idle_ms;
        const char *unless = is_by_idleness ? " unless it is used before" : "";

        switch (judgement.why) {
        case JUDGE_NOT_READY:
                snprintf(ret_text, size, "It is not ready, so the reaper leaves it alone.");
                break;
        case JUDGE_SOCKETS:
                snprintf(ret_text, size, "The buffers of its sockets take more than its memory again: it is stopped.");
                break;
        case JUDGE_BUSY:
                snprintf(ret_text, size, "It is busy: %u program%s running in it.", facts->execs,
                         facts->execs == 1 ? " is" : "s are");
                break;
        case JUDGE_LEASED:
                snprintf(ret_text, size, "It is leased for another %" PRId64 " s.", to_s(facts->lease_left_ms));
                break;
        case JUDGE_BACKGROUND:
                snprintf(ret_text, size, "It is in use: %u task%s in the background.", facts->background,
                         facts->background == 1 ? " runs" : "s run");
                break;
        case JUDGE_TOO_OLD:
                snprintf(ret_text, size, "It is %" PRId64 " s old, over the lifetime of %" PRId64 " s: it is stopped.",
                         to_s(facts->age_ms), to_s(rules->max_lifetime_ms));
                break;
        case JUDGE_IDLE:
                if (judgement.verdict == JUDGE_FREEZE)
                        snprintf(ret_text, size, "It has been idle for %" PRId64 " s: it is frozen.",
                                 to_s(facts->idle_ms));
                else if (judgement.verdict == JUDGE_RECLAIM)
                        snprintf(ret_text, size, "It has been idle for %" PRId64 " s: its memory is reclaimed.",
                                 to_s(facts->idle_ms));
                else
                        snprintf(ret_text, size,
                                 "It has been idle for %" PRId64 " s, its TTL is %" PRId64 " s: it is stopped.",
                                 to_s(facts->idle_ms), to_s(rules->idle_ttl_ms));
                break;
        case JUDGE_IN_USE:
                if (judgement.freeze_due_ms > 0 && judgement.freeze_due_ms < judgement.due_ms) {
                        snprintf(ret_text, size, "It is frozen in %" PRId64 " s and stopped in %" PRId64 " s%s.",
                                 to_s(judgement.freeze_due_ms), to_s(judgement.due_ms), unless);
                        break;
                }
                __attribute__((fallthrough));
        case JUDGE_FROZEN:
        case JUDGE_WHYS:
                snprintf(ret_text, size, "It is stopped in %" PRId64 " s%s.", to_s(judgement.due_ms), unless);
                break;
        }
}
