/* Freezes and retires idle carrels after their times, and removes orphaned containers at start-up and periodically.
 * judge.h and orphans.h decide; the pool has the state. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct pool;
struct reaper;

struct reaper_options {
        double idle_ttl_s;                      /* > 0 */
        double freeze_after_s, reclaim_after_s; /* of idleness; 0: never */
        unsigned freeze_pressure;  /* percent of memory pressure at which the longest idle are frozen; 0: never */
        const char *pressure_file; /* NULL: the kernel's (pressure.h); borrowed */
        double interval_s;
        double max_lifetime_s;   /* 0: unbounded */
        double sweep_interval_s; /* of the engine's list */
        bool is_adopting;        /* startup = adopt; false: clear */
        bool counts_background;  /* busy = processes */
};

__attribute__((warn_unused_result)) int reaper_new(struct reaper **ret_reaper, struct ev_loop *loop, struct pool *pool,
                                                   const struct reaper_options *options);
/* Call it before pool_free, with no turn of the loop between them: a sweep's open requests to the pool cannot be
 * cancelled, and pool_free drops them. NULL is fine; returns NULL. */
struct reaper *reaper_free(struct reaper *reaper);
void reaper_reconfigure(struct reaper *reaper, const struct reaper_options *options);

struct sweep_report {
        unsigned kept, adopted, removed, lost, failed;
};
typedef void (*reaper_on_swept)(void *arg, const struct sweep_report *report, const struct fault *why);

/* Start-up reconciliation. Tries (0.2 s, doubling to 2 s) until the engine answers. Then it clears or adopts every
 * container of this pool, calls pool_set_reconciled, starts the timers and calls on_ready once with the report. on_wait
 * (may be NULL) gets the reason of each failed try. */
int reaper_reconcile(struct reaper *reaper, reaper_on_swept on_ready,
                     void (*on_wait)(void *arg, const struct fault *why), void *arg);

/* POST /v1/sweep. -EBUSY: a sweep runs. Never calls back before it returns. */
int reaper_sweep(struct reaper *reaper, reaper_on_swept on_swept, void *arg);
/* The caller has gone. */
void reaper_sweep_forget(struct reaper *reaper, void *arg);

/* POST /v1/reap: retires every carrel idle for at least idle_s (busy and leased ones never); returns how many
 * retirements were started. */
unsigned reaper_reap(struct reaper *reaper, double idle_s);

/* POST .../freeze: whether the reaper's rules allow it. 0, or FAULT_CARREL_BUSY: programs run in the background, and
 * count as use. Call pool_freeze then, which checks the rest. */
int reaper_may_freeze(const struct reaper *reaper, const char *user, struct fault *why);

/* Writes a sentence for `carrel why`: what the reaper would do with the carrel, and when. */
struct carrel_view;
void reaper_explain(const struct reaper *reaper, const struct carrel_view *view, char *ret_text, size_t size);
