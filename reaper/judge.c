#include "judge.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const WHY_NAMES[JUDGE_WHYS] = {
        [JUDGE_NOT_READY] = "not_ready",   [JUDGE_BUSY] = "busy",       [JUDGE_LEASED] = "leased",
        [JUDGE_BACKGROUND] = "background", [JUDGE_TOO_OLD] = "too_old", [JUDGE_IDLE] = "idle",
        [JUDGE_IN_USE] = "in_use",         [JUDGE_SOCKETS] = "sockets",
};

const char *judge_why_name(enum judge_why why)
{
        return (unsigned)why < JUDGE_WHYS ? WHY_NAMES[why] : "unknown";
}

static int64_t lesser(int64_t a, int64_t b)
{
        return a < b ? a : b;
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
        if (facts->background > 0)
                return (struct judgement){ JUDGE_KEEP, JUDGE_BACKGROUND, 0 };
        if (has_max && facts->age_ms >= rules->max_lifetime_ms)
                return (struct judgement){ JUDGE_STOP, JUDGE_TOO_OLD, 0 };
        if (due_ms <= 0)
                return (struct judgement){ JUDGE_STOP, JUDGE_IDLE, 0 };
        if (has_max)
                due_ms = lesser(due_ms, rules->max_lifetime_ms - facts->age_ms);
        return (struct judgement){ JUDGE_KEEP, JUDGE_IN_USE, due_ms };
}

/* Rounds up, so that half a second is not shown as 0. */
static int64_t to_s(int64_t ms)
{
        return ms > 0 ? (ms + 999) / 1000 : 0;
}

void judge_explain(const struct judge_facts *facts, const struct judge_rules *rules, char *ret_text, size_t size)
{
        struct judgement judgement = judge(facts, rules);

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
                snprintf(ret_text, size, "It has been idle for %" PRId64 " s, its TTL is %" PRId64 " s: it is stopped.",
                         to_s(facts->idle_ms), to_s(rules->idle_ttl_ms));
                break;
        case JUDGE_IN_USE:
        case JUDGE_WHYS:
                snprintf(ret_text, size, "It is stopped in %" PRId64 " s%s.", to_s(judgement.due_ms),
                         judgement.due_ms == rules->idle_ttl_ms - facts->idle_ms ? " unless it is used before" : "");
                break;
        }
}
