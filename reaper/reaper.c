#include "reaper.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pressure.h"
#include "scan.h"
#include "sweep.h"

#define RECONCILE_RETRY_FIRST_S 0.2
#define RECONCILE_RETRY_MAX_S 2.0
/* A container that the engine cannot remove must not block the service: after this many sweeps that the engine
 * answered, the periodic sweeps deal with the rest. */
enum { RECONCILE_SWEEPS_MAX = 5 };

/* The number of concurrent retirements, and the delay before the next scan when there are that many. */
enum { RETIRING_MAX = 32 };
#define THROTTLED_S 0.25

/* Under memory pressure: the time between two passes, and the idleness from which on a carrel may be frozen. */
#define PRESSED_INTERVAL_S 1.0
enum { PRESSED_IDLE_MS = 10000 };

struct reaper {
        struct ev_loop *loop;
        struct pool *pool;
        struct reaper_options options;
        ev_timer scan_timer, sweep_timer, retry_timer;
        struct scan scan;
        struct sweep *sweep; /* the running sweep, or NULL */
        bool is_reconciled;
        bool is_sweep_due; /* the engine came back during a sweep, whose list may be older */

        reaper_on_swept on_swept; /* of the caller of reaper_sweep, or NULL */
        void *swept_arg;

        reaper_on_swept on_ready;
        void (*on_wait)(void *arg, const struct fault *why);
        void *ready_arg;
        double retry_s;
        unsigned n_sweeps;
};

static int64_t to_ms(double s)
{
        const double longest_s = 1e12;

        return (int64_t)((s < longest_s ? s : longest_s) * 1000.0);
}

static int64_t lesser(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static struct judge_rules rules_of(const struct reaper *reaper)
{
        return (struct judge_rules){
                .idle_ttl_ms = to_ms(reaper->options.idle_ttl_s),
                .max_lifetime_ms = to_ms(reaper->options.max_lifetime_s),
                .counts_background = reaper->options.counts_background,
                .freeze_after_ms = to_ms(reaper->options.freeze_after_s),
                .reclaim_after_ms = to_ms(reaper->options.reclaim_after_s),
        };
}

static bool is_under_pressure(const struct reaper *reaper)
{
        const char *file = reaper->options.pressure_file != NULL ? reaper->options.pressure_file : PRESSURE_MEMORY;
        double percent;

        return reaper->options.freeze_pressure > 0 && pressure_read(file, &percent) == 0 &&
               percent >= reaper->options.freeze_pressure;
}

/* A pass freezes some of those that have been idle for PRESSED_IDLE_MS, and the next ones reclaim their memory. */
static struct scan_rules scan_rules_of(const struct reaper *reaper)
{
        struct scan_rules rules = { .judge = rules_of(reaper) };

        if (!is_under_pressure(reaper))
                return rules;
        rules.pressed = rules.judge;
        rules.pressed.freeze_after_ms = lesser(PRESSED_IDLE_MS, rules.judge.idle_ttl_ms);
        rules.pressed.reclaim_after_ms = rules.pressed.freeze_after_ms;
        return rules;
}

static void set_timer(struct reaper *reaper, ev_timer *timer, double after_s)
{
        ev_timer_stop(reaper->loop, timer);
        ev_timer_set(timer, after_s, 0.0);
        ev_timer_start(reaper->loop, timer);
}

/* ---- idle carrels ---- */

static unsigned free_retirements(const struct reaper *reaper)
{
        struct pool_stats stats;

        pool_stats(reaper->pool, &stats);
        return stats.by_state[CARREL_RETIRING] < RETIRING_MAX ? RETIRING_MAX - stats.by_state[CARREL_RETIRING] : 0;
}

static void on_scan_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct reaper *reaper = timer->data;
        struct scan_rules rules = scan_rules_of(reaper);
        struct scan_piece piece = scan_next(&reaper->scan, reaper->pool, &rules, free_retirements(reaper));
        double interval_s = reaper->options.interval_s;

        (void)loop, (void)events;
        if (rules.pressed.freeze_after_ms > 0 && interval_s > PRESSED_INTERVAL_S)
                interval_s = PRESSED_INTERVAL_S;
        if (piece.is_throttled)
                set_timer(reaper, timer, THROTTLED_S);
        else
                set_timer(reaper, timer, piece.is_last ? interval_s : 0.0);
}

unsigned reaper_reap(struct reaper *reaper, double idle_s)
{
        const struct scan_rules rules = { .judge = { .idle_ttl_ms = to_ms(idle_s),
                                                     .counts_background = reaper->options.counts_background } };
        struct scan scan = { 0 };
        struct scan_piece piece;
        unsigned retired = 0;

        do {
                piece = scan_next(&scan, reaper->pool, &rules, UINT32_MAX);
                retired += piece.retired;
        } while (!piece.is_last);
        return retired;
}

void reaper_explain(const struct reaper *reaper, const struct carrel_view *view, char *ret_text, size_t size)
{
        struct judge_rules rules = rules_of(reaper);
        struct judge_facts facts;
        unsigned background = 0;
        size_t length;

        scan_facts(view, &facts);
        (void)carrel_background(view, &background);
        if (rules.counts_background)
                facts.background = background;
        judge_explain(&facts, &rules, ret_text, size);
        length = strlen(ret_text);
        if (background > 0 && !rules.counts_background)
                (void)snprintf(ret_text + length, size - length, " Background programs do not count.");
}

static void count_background(void *arg, const struct carrel_view *view)
{
        (void)carrel_background(view, arg);
}

int reaper_may_freeze(const struct reaper *reaper, const char *user, struct fault *why)
{
        unsigned background = 0;

        if (reaper->options.counts_background)
                (void)pool_inspect(reaper->pool, user, count_background, &background);
        if (background == 0)
                return 0;
        return fault_set(why, FAULT_CARREL_BUSY, EBUSY,
                         "%u task%s in the background, and busy = processes counts them as use", background,
                         background == 1 ? " runs" : "s run");
}

/* ---- sweeps ---- */

static void plan_sweep(struct reaper *reaper)
{
        set_timer(reaper, &reaper->sweep_timer, reaper->is_sweep_due ? 0.0 : reaper->options.sweep_interval_s);
        reaper->is_sweep_due = false;
}

static void on_swept(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct reaper *reaper = arg;
        reaper_on_swept tell = reaper->on_swept;

        reaper->sweep = NULL;
        reaper->on_swept = NULL;
        plan_sweep(reaper);
        if (tell != NULL)
                tell(reaper->swept_arg, report, why);
}

static int begin_sweep(struct reaper *reaper)
{
        return sweep_start(&reaper->sweep, reaper->pool, ORPHANS_SERVING, reaper->options.is_adopting, on_swept,
                           reaper);
}

static void on_sweep_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct reaper *reaper = timer->data;

        (void)loop, (void)events;
        if (reaper->sweep == NULL && begin_sweep(reaper) != 0)
                set_timer(reaper, timer, reaper->options.sweep_interval_s);
}

int reaper_sweep(struct reaper *reaper, reaper_on_swept on_caller_swept, void *arg)
{
        int r = reaper->sweep != NULL || !reaper->is_reconciled ? -EBUSY : begin_sweep(reaper);

        if (r != 0)
                return r;
        reaper->on_swept = on_caller_swept;
        reaper->swept_arg = arg;
        return 0;
}

void reaper_sweep_forget(struct reaper *reaper, void *arg)
{
        if (reaper->swept_arg == arg)
                reaper->on_swept = NULL;
}

/* ---- the start ---- */

static void retry_later(struct reaper *reaper, const struct fault *why)
{
        set_timer(reaper, &reaper->retry_timer, reaper->retry_s);
        reaper->retry_s = reaper->retry_s * 2 < RECONCILE_RETRY_MAX_S ? reaper->retry_s * 2 : RECONCILE_RETRY_MAX_S;
        if (reaper->on_wait != NULL)
                reaper->on_wait(reaper->ready_arg, why);
}

static void become_ready(struct reaper *reaper, const struct sweep_report *report)
{
        reaper->is_reconciled = true;
        pool_set_reconciled(reaper->pool);
        set_timer(reaper, &reaper->scan_timer, reaper->options.interval_s);
        plan_sweep(reaper);
        if (reaper->on_ready != NULL)
                reaper->on_ready(reaper->ready_arg, report, NULL);
}

static void on_reconciled(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct reaper *reaper = arg;
        struct fault left;

        reaper->sweep = NULL;
        if (report == NULL) {
                retry_later(reaper, why);
                return;
        }
        if (report->failed == 0 || ++reaper->n_sweeps == RECONCILE_SWEEPS_MAX) {
                become_ready(reaper, report);
                return;
        }
        fault_set(&left, FAULT_ENGINE_REFUSED, EBUSY, "The engine could not remove %u of the leftover containers.",
                  report->failed);
        retry_later(reaper, &left);
}

static void on_retry_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct reaper *reaper = timer->data;
        struct fault why;
        int r;

        (void)loop, (void)events;
        if (reaper->sweep != NULL || reaper->is_reconciled)
                return;
        r = sweep_start(&reaper->sweep, reaper->pool, ORPHANS_AT_START, reaper->options.is_adopting, on_reconciled,
                        reaper);
        if (r == 0)
                return;
        fault_set(&why, FAULT_INTERNAL, -r, "The engine's containers could not be asked for.");
        retry_later(reaper, &why);
}

int reaper_reconcile(struct reaper *reaper, reaper_on_swept on_ready,
                     void (*on_wait)(void *arg, const struct fault *why), void *arg)
{
        if (reaper->is_reconciled || reaper->sweep != NULL || ev_is_active(&reaper->retry_timer))
                return -EBUSY;
        reaper->on_ready = on_ready;
        reaper->on_wait = on_wait;
        reaper->ready_arg = arg;
        reaper->retry_s = RECONCILE_RETRY_FIRST_S;
        set_timer(reaper, &reaper->retry_timer, 0.0);
        return 0;
}

/* ---- the reaper itself ---- */

/* Sweeps when the engine comes back: its containers may have changed. */
static void on_pool_event(void *arg, const struct pool_event *event)
{
        struct reaper *reaper = arg;

        if (event->kind != POOL_ENGINE_BACK)
                return;
        if (reaper->sweep != NULL)
                reaper->is_sweep_due = true;
        else if (reaper->is_reconciled)
                set_timer(reaper, &reaper->sweep_timer, 0.0);
        else if (ev_is_active(&reaper->retry_timer))
                set_timer(reaper, &reaper->retry_timer, 0.0);
}

int reaper_new(struct reaper **ret_reaper, struct ev_loop *loop, struct pool *pool,
               const struct reaper_options *options)
{
        struct reaper *reaper = calloc(1, sizeof *reaper);
        int r;

        if (reaper == NULL)
                return -ENOMEM;
        reaper->loop = loop;
        reaper->pool = pool;
        reaper->options = *options;
        ev_init(&reaper->scan_timer, on_scan_timer);
        ev_init(&reaper->sweep_timer, on_sweep_timer);
        ev_init(&reaper->retry_timer, on_retry_timer);
        reaper->scan_timer.data = reaper->sweep_timer.data = reaper->retry_timer.data = reaper;
        r = pool_listen(pool, on_pool_event, reaper);
        if (r != 0) {
                free(reaper);
                return r;
        }
        *ret_reaper = reaper;
        return 0;
}

struct reaper *reaper_free(struct reaper *reaper)
{
        if (reaper == NULL)
                return NULL;
        pool_unlisten(reaper->pool, on_pool_event, reaper);
        ev_timer_stop(reaper->loop, &reaper->scan_timer);
        ev_timer_stop(reaper->loop, &reaper->sweep_timer);
        ev_timer_stop(reaper->loop, &reaper->retry_timer);
        reaper->sweep = sweep_free(reaper->sweep);
        free(reaper);
        return NULL;
}

void reaper_reconfigure(struct reaper *reaper, const struct reaper_options *options)
{
        reaper->options = *options;
        if (!reaper->is_reconciled)
                return;
        set_timer(reaper, &reaper->scan_timer, options->interval_s);
        if (reaper->sweep == NULL)
                set_timer(reaper, &reaper->sweep_timer, options->sweep_interval_s);
}
