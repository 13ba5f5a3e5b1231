/* The reaper's timers: idle carrels are retired after their TTL, containers nobody holds are removed, at start-up
 * and periodically. Decisions are judge.h's and orphans.h's; state is the pool's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct pool;
struct reaper;

struct reaper_options {
        double idle_ttl_s; /* > 0 */
        double interval_s;
        double max_lifetime_s;   /* 0: none */
        double sweep_interval_s; /* of the engine's list */
        bool is_adopting;        /* startup = adopt; false: clear */
        bool counts_background;  /* busy = processes */
};

__attribute__((warn_unused_result)) int reaper_new(struct reaper **ret_reaper, struct ev_loop *loop, struct pool *pool,
                                                   const struct reaper_options *options);
/* Before pool_free, and with no turn of the loop in between: a sweep's open questions to the pool cannot be recalled,
 * and pool_free drops them. NULL is fine; returns NULL. */
struct reaper *reaper_free(struct reaper *reaper);
void reaper_reconfigure(struct reaper *reaper, const struct reaper_options *options);

struct sweep_report {
        unsigned kept, adopted, removed, lost, failed;
};
typedef void (*reaper_on_swept)(void *arg, const struct sweep_report *report, const struct fault *why);

/* Start-up reconciliation: retried (0.2 s, doubling to 2 s) until the engine answers; then everything of this pool is
 * cleared or adopted, pool_set_reconciled is called, the timers start, and on_ready runs once with the report. Failed
 * attempts are reported to on_wait (may be NULL), so that a person sees the reason for waiting. */
int reaper_reconcile(struct reaper *reaper, reaper_on_swept on_ready,
                     void (*on_wait)(void *arg, const struct fault *why), void *arg);

/* POST /v1/sweep. -EBUSY while one runs. Never calls back from inside. */
int reaper_sweep(struct reaper *reaper, reaper_on_swept on_swept, void *arg);
/* The caller has gone. */
void reaper_sweep_forget(struct reaper *reaper, void *arg);

/* POST /v1/reap: retires every carrel idle for at least idle_s (busy and leased ones never); returns how many
 * retirements were started. */
unsigned reaper_reap(struct reaper *reaper, double idle_s);

/* The pure judgement's words for one carrel: what the reaper would do and when, for `carrel why`. Writes a sentence. */
struct carrel_view;
void reaper_explain(const struct reaper *reaper, const struct carrel_view *view, char *ret_text, size_t size);
