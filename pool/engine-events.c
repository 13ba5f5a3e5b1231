#include "engine-events.h"

#include "clock.h"
#include "pool-inside.h"
#include "task.h"

/* Docker reports "oom" for any process of the container's cgroup, and before "die" when its init was killed. So "oom"
 * alone does not mean that the container has ended. */
enum { OOM_IS_FRESH_MS = 2000 };

static void on_container_gone(struct carrel *carrel, const char *reason)
{
        bool is_oom = carrel->oom_ms > 0 && clock_boottime_ms() - carrel->oom_ms <= OOM_IS_FRESH_MS;

        if (carrel->task != NULL)
                carrel->task->has_died = true;
        pool_carrel_lost(carrel, is_oom ? "its process 1 was killed: out of memory" : reason, is_oom);
}

static void tell_engine(struct pool *pool, enum pool_event_kind kind)
{
        const struct pool_event event = { .kind = kind };

        listeners_tell(&pool->listeners, &event);
}

void watch_on_event(void *arg, const struct engine_event *event)
{
        struct pool *pool = arg;
        struct carrel *carrel = event->id != NULL ? table_find_id(&pool->table, event->id) : NULL;

        execs_on_event(pool->execs, event);
        switch (event->kind) {
        case ENGINE_RESYNC:
                tell_engine(pool, POOL_ENGINE_BACK);
                break;
        case ENGINE_LOST:
                tell_engine(pool, POOL_ENGINE_LOST);
                break;
        case ENGINE_CONTAINER_DIED:
        case ENGINE_CONTAINER_REMOVED:
                if (carrel != NULL)
                        on_container_gone(carrel, event->kind == ENGINE_CONTAINER_DIED ? "its container died"
                                                                                       : "its container was removed");
                break;
        case ENGINE_CONTAINER_OOM:
                if (carrel != NULL)
                        carrel->oom_ms = clock_boottime_ms();
                break;
        case ENGINE_EXEC_DIED:
        case ENGINE_CONTAINER_STARTED:
        default:
                break;
        }
}
