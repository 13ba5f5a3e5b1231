/* A double of the pool: users are rows of facts, containers are rows of claims, and every answer comes at the loop's
 * next turn. It stands in pool.h's place at the link. */
#pragma once

#include <ev.h>

#include "pool.h"

enum { DOUBLE_USERS = 600, DOUBLE_CONTAINERS = 24, DOUBLE_CALLS = 64 };

struct double_user {
        char name[USER_ID_MAX + 1];
        enum carrel_state state;
        unsigned execs;
        int64_t idle_ms, lease_left_ms, age_ms;
        char background[8];   /* tasks in the background, as a number; "": not known */
        char sockets[16];     /* bytes of its sockets, as a number; "": not counted */
        char retired_for[16]; /* the reason; "": not retired */
        char frozen_for[16];  /* the reason; "": not frozen */
        bool is_reclaimed, has_refused_freeze;
};

enum double_answer { ANSWER_OK, ANSWER_FAULT, ANSWER_BUSY_NOW, ANSWER_NO_MEMORY_NOW, ANSWER_AT_ONCE, ANSWER_NEVER };

struct double_container {
        struct survey_container seen;
        enum double_answer on_discard, on_adopt;
        unsigned discards, adoptions;
};

struct double_call {
        pool_on_done on_done;
        void *arg;
        bool is_fault;
};

struct pool {
        struct ev_loop *loop;
        ev_timer turn;
        struct double_user users[DOUBLE_USERS]; /* in the order of names */
        unsigned n_users;
        unsigned n_visits; /* of pool_each */
        /* A listener of the first retirement starts an exec in this user's carrel; "": nobody. */
        char used_meanwhile[USER_ID_MAX + 1];

        struct double_container containers[DOUBLE_CONTAINERS];
        size_t n_containers;
        const char *missing[4];
        unsigned survey_faults; /* so many surveys fail first */
        unsigned n_surveys;
        pool_on_survey on_survey;
        void *survey_arg;
        struct double_call calls[DOUBLE_CALLS];
        unsigned n_calls, in_flight_most;
        unsigned n_lost;
        bool is_reconciled;

        void (*on_event)(void *arg, const struct pool_event *event);
        void *listener;
};

void pool_double_init(struct pool *pool, struct ev_loop *loop);
struct double_user *pool_double_add(struct pool *pool, const char *name, int64_t idle_ms);
struct double_container *pool_double_plant(struct pool *pool, const char *id, enum survey_claim claim);
void pool_double_close(struct pool *pool);
