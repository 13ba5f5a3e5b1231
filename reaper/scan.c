#include "scan.h"

#include <string.h>

enum { PIECE = 128, SOCKETS_LEAST = 64 << 20 };

struct harvest {
        const struct scan_rules *rules;
        struct scan *scan;
        unsigned due_max;
        unsigned n_seen, n_due;
        bool is_full;
        char last[USER_ID_MAX + 1];
        char due[PIECE][USER_ID_MAX + 1]; /* users whose carrels are not just kept */
};

/* The kernel bounds the sockets' memory at an eighth of the carrel's, but each TCP connection may exceed the bound by a
 * little. Hundreds of connections do no harm; thousands exhaust the host's memory (docs/threats.md). */
static bool is_flooding(const struct carrel_view *view)
{
        uint64_t most = view->spec != NULL && view->spec->memory_bytes > SOCKETS_LEAST ? view->spec->memory_bytes
                                                                                       : SOCKETS_LEAST;
        uint64_t bytes;

        return carrel_socket_bytes(view, &bytes) == 0 && bytes > most;
}

void scan_facts(const struct carrel_view *view, struct judge_facts *ret_facts)
{
        *ret_facts = (struct judge_facts){
                .is_ready = (view->state == CARREL_READY || view->state == CARREL_FROZEN) && view->step[0] == '\0',
                .execs = view->execs,
                .lease_left_ms = view->lease_left_ms,
                .idle_ms = view->idle_ms,
                .age_ms = view->age_ms,
                .is_flooding = is_flooding(view),
                .is_frozen = view->state == CARREL_FROZEN,
                .is_reclaimed = view->is_reclaimed,
                .refuses_freeze = view->has_refused_freeze,
        };
}

/* A user id always fits (pool.h). */
static void copy_user(char target[static USER_ID_MAX + 1], const char *user)
{
        size_t length = strnlen(user, USER_ID_MAX);

        memcpy(target, user, length);
        target[length] = '\0';
}

/* Keeps the list of the eldest sorted. */
static void note_elder(struct scan *scan, const struct carrel_view *view)
{
        unsigned at = scan->n_eldest;

        while (at > 0 && scan->eldest[at - 1].idle_ms < view->idle_ms)
                at--;
        if (at == SCAN_ELDEST)
                return;
        if (scan->n_eldest < SCAN_ELDEST)
                scan->n_eldest++;
        memmove(&scan->eldest[at + 1], &scan->eldest[at], (scan->n_eldest - 1 - at) * sizeof *scan->eldest);
        copy_user(scan->eldest[at].user, view->user);
        scan->eldest[at].idle_ms = view->idle_ms;
}

static bool is_kept(struct judgement judgement)
{
        return judgement.verdict == JUDGE_KEEP;
}

static bool on_carrel(void *arg, const struct carrel_view *view)
{
        struct harvest *harvest = arg;
        struct judge_facts facts;

        scan_facts(view, &facts);
        if (!is_kept(judge(&facts, &harvest->rules->judge))) {
                if (harvest->n_due == harvest->due_max) {
                        harvest->is_full = true;
                        return false;
                }
                copy_user(harvest->due[harvest->n_due++], view->user);
        } else if (harvest->rules->pressed.freeze_after_ms > 0 && !is_kept(judge(&facts, &harvest->rules->pressed))) {
                note_elder(harvest->scan, view);
        }
        harvest->n_seen++;
        copy_user(harvest->last, view->user);
        return true;
}

struct second_look {
        const struct judge_rules *rules;
        struct judgement judgement;
};

/* Reads the kernel's counters only for a carrel that would not be kept. A carrel that they show as busy is touched, so
 * it is read once per TTL. */
static struct judgement judge_deeply(const struct carrel_view *view, const struct judge_rules *rules)
{
        struct judge_facts facts;
        struct judgement judgement;

        scan_facts(view, &facts);
        judgement = judge(&facts, rules);
        if (!is_kept(judgement) && rules->counts_background && carrel_background(view, &facts.background) == 0)
                judgement = judge(&facts, rules);
        return judgement;
}

static void on_second_look(void *arg, const struct carrel_view *view)
{
        struct second_look *look = arg;

        look->judgement = judge_deeply(view, look->rules);
}

/* Judges the carrel again, because a listener of an earlier retirement may have used it. No other code runs between
 * this judgement and what follows from it, so a carrel with a running exec is never reaped or frozen. Returns whether a
 * retirement began. */
static bool act(struct pool *pool, const char *user, const struct judge_rules *rules, const char *freeze_reason)
{
        struct second_look look = { .rules = rules };

        if (!pool_inspect(pool, user, on_second_look, &look))
                return false;
        if (look.judgement.why == JUDGE_BACKGROUND)
                (void)pool_touch(pool, user, 0, NULL);
        if (look.judgement.verdict == JUDGE_FREEZE)
                pool_freeze(pool, user, freeze_reason, NULL, NULL, NULL);
        if (look.judgement.verdict == JUDGE_RECLAIM)
                (void)pool_reclaim(pool, user);
        if (look.judgement.verdict == JUDGE_STOP)
                pool_retire(pool, user, judge_why_name(look.judgement.why), NULL, NULL, NULL);
        return look.judgement.verdict == JUDGE_STOP;
}

/* The pressure may have ended since the eldest were chosen, and the rules for it with it. */
static void end_pass(struct scan *scan, struct pool *pool, const struct scan_rules *rules)
{
        for (unsigned i = 0; i < scan->n_eldest && rules->pressed.freeze_after_ms > 0; i++)
                (void)act(pool, scan->eldest[i].user, &rules->pressed, "pressure");
        scan->n_eldest = 0;
}

struct scan_piece scan_next(struct scan *scan, struct pool *pool, const struct scan_rules *rules, unsigned retire_max)
{
        struct harvest harvest = { .rules = rules, .scan = scan, .due_max = retire_max < PIECE ? retire_max : PIECE };
        struct scan_piece piece = { 0 };

        copy_user(harvest.last, scan->after);
        pool_each(pool, scan->after, PIECE, on_carrel, &harvest);
        for (unsigned i = 0; i < harvest.n_due; i++)
                piece.retired += act(pool, harvest.due[i], &rules->judge, "idle");
        piece.is_throttled = harvest.is_full;
        piece.is_last = !harvest.is_full && harvest.n_seen < PIECE;
        copy_user(scan->after, piece.is_last ? "" : harvest.last);
        if (piece.is_last)
                end_pass(scan, pool, rules);
        return piece;
}
