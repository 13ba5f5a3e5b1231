#include "scan.h"

#include <string.h>

enum { PIECE = 128, SOCKETS_LEAST = 64 << 20 };

struct harvest {
        const struct judge_rules *rules;
        unsigned stop_max;
        unsigned n_seen, n_stops;
        bool is_full;
        char last[USER_ID_MAX + 1];
        char stops[PIECE][USER_ID_MAX + 1];
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
                .is_ready = view->state == CARREL_READY,
                .execs = view->execs,
                .lease_left_ms = view->lease_left_ms,
                .idle_ms = view->idle_ms,
                .age_ms = view->age_ms,
                .is_flooding = is_flooding(view),
        };
}

/* A user id always fits (pool.h). */
static void copy_user(char target[static USER_ID_MAX + 1], const char *user)
{
        size_t length = strnlen(user, USER_ID_MAX);

        memcpy(target, user, length);
        target[length] = '\0';
}

static bool on_carrel(void *arg, const struct carrel_view *view)
{
        struct harvest *harvest = arg;
        struct judge_facts facts;

        scan_facts(view, &facts);
        if (judge(&facts, harvest->rules).verdict == JUDGE_STOP) {
                if (harvest->n_stops == harvest->stop_max) {
                        harvest->is_full = true;
                        return false;
                }
                copy_user(harvest->stops[harvest->n_stops++], view->user);
        }
        harvest->n_seen++;
        copy_user(harvest->last, view->user);
        return true;
}

struct second_look {
        const struct judge_rules *rules;
        struct judgement judgement;
};

/* Reads the kernel's counters only for a carrel that would be stopped. A carrel that they show as busy is touched, so
 * it is read once per TTL. */
static struct judgement judge_deeply(const struct carrel_view *view, const struct judge_rules *rules)
{
        struct judge_facts facts;
        struct judgement judgement;

        scan_facts(view, &facts);
        judgement = judge(&facts, rules);
        if (judgement.verdict == JUDGE_STOP && rules->counts_background &&
            carrel_background(view, &facts.background) == 0)
                judgement = judge(&facts, rules);
        return judgement;
}

static void on_second_look(void *arg, const struct carrel_view *view)
{
        struct second_look *look = arg;

        look->judgement = judge_deeply(view, look->rules);
}

/* Judges the carrel again, because a listener of an earlier retirement may have used it. No other code runs between
 * this judgement and pool_retire, so a carrel with a running exec is never reaped. */
static bool retire_judged(struct pool *pool, const char *user, const struct judge_rules *rules)
{
        struct second_look look = { .rules = rules };

        if (!pool_inspect(pool, user, on_second_look, &look))
                return false;
        if (look.judgement.why == JUDGE_BACKGROUND)
                (void)pool_touch(pool, user, 0, NULL);
        if (look.judgement.verdict != JUDGE_STOP)
                return false;
        pool_retire(pool, user, judge_why_name(look.judgement.why), NULL, NULL, NULL);
        return true;
}

struct scan_piece scan_next(struct scan *scan, struct pool *pool, const struct judge_rules *rules, unsigned retire_max)
{
        struct harvest harvest = { .rules = rules, .stop_max = retire_max < PIECE ? retire_max : PIECE };
        struct scan_piece piece = { 0 };

        copy_user(harvest.last, scan->after);
        pool_each(pool, scan->after, PIECE, on_carrel, &harvest);
        for (unsigned i = 0; i < harvest.n_stops; i++)
                piece.retired += retire_judged(pool, harvest.stops[i], rules);
        piece.is_throttled = harvest.is_full;
        piece.is_last = !harvest.is_full && harvest.n_seen < PIECE;
        copy_user(scan->after, piece.is_last ? "" : harvest.last);
        return piece;
}
