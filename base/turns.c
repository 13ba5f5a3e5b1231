#include "turns.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>

struct turns {
        struct ev_loop *loop;
        clockid_t clock;
        ev_check begin;
        ev_prepare end;
        bool has_begun;
        struct timespec since;
        void (*on_turn)(void *arg, double seconds);
        void *arg;
};

/* Runs before the handlers of the turn's events (ev(3), ev_check). */
static void on_begin(struct ev_loop *loop, ev_check *check, int events)
{
        struct turns *turns = check->data;

        (void)loop, (void)events;
        turns->has_begun = clock_gettime(turns->clock, &turns->since) == 0;
}

static void on_end(struct ev_loop *loop, ev_prepare *prepare, int events)
{
        struct turns *turns = prepare->data;
        struct timespec now;

        (void)loop, (void)events;
        if (!turns->has_begun || clock_gettime(turns->clock, &now) != 0)
                return;
        turns->has_begun = false;
        turns->on_turn(turns->arg,
                       (double)(now.tv_sec - turns->since.tv_sec) + (double)(now.tv_nsec - turns->since.tv_nsec) / 1e9);
}

int turns_new(struct turns **ret_turns, struct ev_loop *loop, clockid_t clock,
              void (*on_turn)(void *arg, double seconds), void *arg)
{
        struct turns *turns = calloc(1, sizeof *turns);

        if (turns == NULL)
                return -ENOMEM;
        *turns = (struct turns){ .loop = loop, .clock = clock, .on_turn = on_turn, .arg = arg };
        ev_check_init(&turns->begin, on_begin);
        ev_prepare_init(&turns->end, on_end);
        ev_set_priority(&turns->begin, EV_MAXPRI);
        ev_set_priority(&turns->end, EV_MINPRI);
        turns->begin.data = turns->end.data = turns;
        ev_check_start(loop, &turns->begin);
        ev_prepare_start(loop, &turns->end);
        /* These watchers do not keep the loop alive. */
        ev_unref(loop);
        ev_unref(loop);
        *ret_turns = turns;
        return 0;
}

struct turns *turns_free(struct turns *turns)
{
        if (turns == NULL)
                return NULL;
        ev_ref(turns->loop);
        ev_ref(turns->loop);
        ev_check_stop(turns->loop, &turns->begin);
        ev_prepare_stop(turns->loop, &turns->end);
        free(turns);
        return NULL;
}
