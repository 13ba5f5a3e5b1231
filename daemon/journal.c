#include "journal.h"

#include <stdio.h>

static const enum log_level LEVELS[POOL_EVENT_KINDS] = {
        [POOL_CREATED] = LOG_LEVEL_INFO,
        [POOL_REPLACED] = LOG_LEVEL_INFO,
        [POOL_REUSED] = LOG_LEVEL_DEBUG,
        [POOL_ENSURE_FAILED] = LOG_LEVEL_WARNING,
        [POOL_RETIRED] = LOG_LEVEL_INFO,
        [POOL_RETIRE_FAILED] = LOG_LEVEL_WARNING,
        [POOL_LOST] = LOG_LEVEL_WARNING,
        [POOL_FROZEN] = LOG_LEVEL_DEBUG,
        [POOL_FREEZE_FAILED] = LOG_LEVEL_WARNING,
        [POOL_THAWED] = LOG_LEVEL_DEBUG,
        [POOL_RECLAIMED] = LOG_LEVEL_DEBUG,
        [POOL_ADOPTED] = LOG_LEVEL_INFO,
        [POOL_ORPHAN_REMOVED] = LOG_LEVEL_WARNING,
        [POOL_EXEC_ENDED] = LOG_LEVEL_DEBUG,
        [POOL_POLICY_CHANGED] = LOG_LEVEL_DEBUG,
        [POOL_ENGINE_LOST] = LOG_LEVEL_ERROR,
        [POOL_ENGINE_BACK] = LOG_LEVEL_INFO,
        [POOL_CLAIMED] = LOG_LEVEL_INFO,
        [POOL_CLAIM_FAILED] = LOG_LEVEL_WARNING,
        [POOL_WARM_FAILED] = LOG_LEVEL_WARNING,
        [POOL_WARM_IMAGE_MISSING] = LOG_LEVEL_ERROR,
        [POOL_WARM_FILLED] = LOG_LEVEL_INFO,
};

static const char *or_null(const char *text)
{
        return text != NULL && text[0] != '\0' ? text : NULL;
}

void journal_on_event(void *arg, const struct pool_event *event)
{
        char duration[32] = "";

        if (event->duration_s > 0)
                (void)snprintf(duration, sizeof duration, "%.1f", event->duration_s * 1000);
        log_event(arg, LEVELS[event->kind], pool_event_name(event->kind), "user", or_null(event->user), "container_id",
                  or_null(event->container_id), "detail", or_null(event->detail), "cause",
                  event->kind == POOL_EXEC_ENDED ? exec_cause_name(event->cause) : NULL, "duration_ms",
                  or_null(duration), NULL);
}
