#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The number of concurrent removals: enough to hide the engine's latency, few enough not to delay a user's ensure. */
enum { IN_FLIGHT_MAX = 8 };

struct sweep_item {
        struct sweep *sweep;
        char container_id[CONTAINER_ID_BYTES];
        enum orphan_verdict verdict;
};

struct sweep {
        struct pool *pool;
        enum orphan_phase phase;
        bool is_adopting;
        sweep_done done;
        void *arg;
        bool is_pumping;
        struct sweep_item *items;
        size_t n_items, n_begun;
        unsigned in_flight;
        struct sweep_report report;
};

struct sweep *sweep_free(struct sweep *sweep)
{
        if (sweep == NULL)
                return NULL;
        free(sweep->items);
        free(sweep);
        return NULL;
}

static void end(struct sweep *sweep, const struct fault *why)
{
        sweep->done(sweep->arg, why == NULL ? &sweep->report : NULL, why);
        sweep_free(sweep);
}

static void on_removed(void *arg, const struct fault *why);
static void on_adopted(void *arg, const struct fault *why);

/* -EBUSY: the container belongs to a carrel by now, so it is not an orphan any more. */
static void remove_item(struct sweep *sweep, struct sweep_item *item)
{
        int r;

        sweep->in_flight++;
        r = pool_discard(sweep->pool, item->container_id, on_removed, item);
        if (r == 0)
                return;
        sweep->in_flight--;
        if (r == -EBUSY)
                sweep->report.kept++;
        else
                sweep->report.failed++;
}

static void adopt_item(struct sweep *sweep, struct sweep_item *item)
{
        sweep->in_flight++;
        if (pool_adopt(sweep->pool, item->container_id, on_adopted, item) == 0)
                return;
        sweep->in_flight--;
        remove_item(sweep, item);
}

/* Begins further removals, and ends the sweep after the last. Not re-entered when the pool calls back at once. */
static void pump(struct sweep *sweep)
{
        if (sweep->is_pumping)
                return;
        sweep->is_pumping = true;
        while (sweep->in_flight < IN_FLIGHT_MAX && sweep->n_begun < sweep->n_items) {
                struct sweep_item *item = &sweep->items[sweep->n_begun++];

                if (item->verdict == ORPHAN_ADOPT)
                        adopt_item(sweep, item);
                else
                        remove_item(sweep, item);
        }
        sweep->is_pumping = false;
        if (sweep->in_flight == 0)
                end(sweep, NULL);
}

static void on_removed(void *arg, const struct fault *why)
{
        struct sweep *sweep = ((struct sweep_item *)arg)->sweep;

        sweep->in_flight--;
        if (why == NULL || why->kind == FAULT_NOT_FOUND)
                sweep->report.removed++;
        else
                sweep->report.failed++;
        pump(sweep);
}

static void on_adopted(void *arg, const struct fault *why)
{
        struct sweep_item *item = arg;
        struct sweep *sweep = item->sweep;

        sweep->in_flight--;
        if (why == NULL)
                sweep->report.adopted++;
        else
                remove_item(sweep, item);
        pump(sweep);
}

/* Copies the containers to act on: the survey is valid only during its callback. */
static int note_items(struct sweep *sweep, const struct survey *survey)
{
        sweep->items = calloc(survey->n_containers + 1, sizeof *sweep->items);
        if (sweep->items == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < survey->n_containers; i++) {
                const struct survey_container *container = &survey->containers[i];
                enum orphan_verdict verdict = orphans_judge(container, sweep->phase, sweep->is_adopting);
                struct sweep_item *item = &sweep->items[sweep->n_items];

                if (verdict == ORPHAN_KEEP) {
                        sweep->report.kept++;
                        continue;
                }
                item->sweep = sweep;
                item->verdict = verdict;
                memcpy(item->container_id, container->id, sizeof item->container_id);
                sweep->n_items++;
        }
        return 0;
}

static void on_survey(void *arg, const struct survey *survey, const struct fault *why)
{
        struct sweep *sweep = arg;
        struct fault no_memory;

        if (why != NULL) {
                end(sweep, why);
                return;
        }
        if (note_items(sweep, survey) != 0) {
                fault_set(&no_memory, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "No memory to sweep %zu containers.",
                          survey->n_containers);
                end(sweep, &no_memory);
                return;
        }
        for (const char *const *user = survey->missing; user != NULL && *user != NULL; user++) {
                sweep->report.lost++;
                pool_mark_lost(sweep->pool, *user, "the engine does not list its container");
        }
        pump(sweep);
}

int sweep_start(struct sweep **ret_sweep, struct pool *pool, enum orphan_phase phase, bool is_adopting, sweep_done done,
                void *arg)
{
        struct sweep *sweep = calloc(1, sizeof *sweep);
        int r;

        if (sweep == NULL)
                return -ENOMEM;
        sweep->pool = pool;
        sweep->phase = phase;
        sweep->is_adopting = is_adopting;
        sweep->done = done;
        sweep->arg = arg;
        r = pool_survey(pool, on_survey, sweep);
        if (r != 0) {
                sweep_free(sweep);
                return r;
        }
        *ret_sweep = sweep;
        return 0;
}
