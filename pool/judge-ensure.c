#include "judge-ensure.h"

#include <errno.h>

enum { RETRY_SOON_S = 1, RETRY_FULL_S = 5 };

static enum ensure_verdict refuse(struct fault *why, enum fault_kind kind, int err, unsigned retry_after_s,
                                  const char *sentence)
{
        (void)fault_set(why, kind, err, "%s", sentence);
        why->retry_after_s = retry_after_s;
        return ENSURE_REFUSE;
}

/* Prefers the specific reason to the general sentence. */
static enum ensure_verdict refuse_engine(const struct ensure_facts *facts, struct fault *why, int err,
                                         const char *sentence)
{
        return refuse(why, FAULT_ENGINE_UNAVAILABLE, err, RETRY_SOON_S,
                      facts->obstacle != NULL ? facts->obstacle : sentence);
}

static enum ensure_verdict judge_start(const struct ensure_facts *facts, struct fault *why)
{
        bool is_counted = facts->has_carrel && facts->state != CARREL_LOST;

        if (!facts->is_engine_available)
                return refuse_engine(facts, why, ECONNREFUSED, "the container engine does not answer");
        if (!is_counted && facts->n_held >= facts->max_carrels)
                return refuse(why, FAULT_POOL_FULL, EAGAIN, RETRY_FULL_S,
                              "max_carrels is reached: wait until one is reaped, or raise the setting");
        if (facts->admission == ADMISSION_REFUSED)
                return refuse(why, FAULT_QUEUE_FULL, EAGAIN, facts->queue_retry_after_s, "too many starts are queued");
        return ENSURE_START;
}

/* A carrel that the request does not find fault with is replaced only if nothing notices. */
static bool is_replaced_for_profile(const struct ensure_facts *facts)
{
        struct fault unused;

        return facts->is_outdated && facts->in_the_way == NULL && facts->on_conflict != CONFLICT_FAIL &&
               judge_start(facts, &unused) == ENSURE_START;
}

enum ensure_verdict judge_ensure(const struct ensure_facts *facts, struct fault *why)
{
        if (facts->is_closing)
                return refuse(why, FAULT_CANCELLED, ECANCELED, RETRY_SOON_S, "carreld is being stopped");
        if (!facts->has_reconciled)
                return refuse_engine(facts, why, EAGAIN,
                                     "carreld is starting: it has not yet reconciled with the container engine");
        if (facts->has_carrel && (facts->state == CARREL_QUEUED || facts->state == CARREL_STARTING))
                return facts->is_match && facts->is_task_open ? ENSURE_JOIN : ENSURE_WAIT;
        if (facts->has_carrel && facts->state == CARREL_RETIRING)
                return ENSURE_WAIT;
        if (!facts->is_policy_in_force)
                return refuse(why, FAULT_POLICY_NOT_IN_FORCE, EAGAIN, RETRY_SOON_S,
                              "the egress policy is not in force: no carrel is given out until it is");
        if (facts->unconnectable != NULL)
                return refuse(why, FAULT_POLICY_NOT_IN_FORCE, EPERM, RETRY_FULL_S, facts->unconnectable);
        if (facts->has_carrel && facts->state == CARREL_READY && facts->is_frozen)
                return refuse(why, FAULT_CARREL_FROZEN, EBUSY, RETRY_FULL_S, CARREL_FROZEN_OUTSIDE);
        if (facts->has_carrel && facts->state == CARREL_FROZEN && facts->has_task)
                return facts->is_match && facts->is_thawing && facts->is_task_open ? ENSURE_JOIN : ENSURE_WAIT;
        if (facts->has_carrel && (facts->state == CARREL_READY || facts->state == CARREL_FROZEN)) {
                if (facts->is_match)
                        return is_replaced_for_profile(facts) ? ENSURE_START
                               : facts->state == CARREL_READY ? ENSURE_REUSE
                                                              : ENSURE_THAW;
                if (facts->on_conflict == CONFLICT_FAIL)
                        return refuse(why, FAULT_SPEC_CONFLICT, EEXIST, 0, "the user's carrel runs with another spec");
                if (facts->on_conflict == CONFLICT_REPLACE_IDLE && facts->in_the_way != NULL)
                        return refuse(why, FAULT_SPEC_CONFLICT, EEXIST, 0, facts->in_the_way);
        }
        return judge_start(facts, why);
}
