/* Inside the daemon room only: which engine carreld uses, and why none of the others. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct config;
struct engine;
struct ev_loop;
struct fault;

enum { ENGINES_MAX = 4 };

struct engine_verdict {
        const char *kind; /* "podman" */
        bool is_chosen;
        char reason[256]; /* a sentence: why it was, or why it was not */
};

struct engine_verdicts {
        struct engine_verdict list[ENGINES_MAX];
        size_t count;
        bool has_choice;   /* false: none will do for now */
        char reasons[256]; /* a sentence with those of all of them, while there is no choice */
};

/* The engine of the setting `engine`. `auto` takes the one that the last run's carrels are on (a file in runtime_dir,
 * so until a reboot): on another engine a user could have two. Else it asks each in turn (podman, docker, the embedded
 * one) before the loop runs: it gives each some seconds to answer at all, one that answers half a minute, and takes the
 * first that can keep every promise; the choice then stands. One that is named is not asked: carreld waits for it. When
 * none will do it is the embedded one, which is unavailable then and says why: ask on with engines_search. found: what
 * a search has found, which is taken; NULL: nothing was searched. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int engines_choose(struct engine **ret_engine, struct engine_verdicts *ret_verdicts,
                                                       struct ev_loop *loop, const struct config *config,
                                                       const char *found, struct fault *why);

/* Asks the engines with an API, one after the other, again and again until one will do. The loop goes on. */
struct engine_search;
struct engine_search_events {
        void (*on_found)(void *arg, const char *kind); /* a constant of engines.c; the last call */
        void (*on_round)(void *arg);                   /* none would do: the verdicts say why not, now */
        void *arg;
};

/* Borrows config and verdicts, whose reasons it keeps true. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int engine_search_new(struct engine_search **ret_search, struct ev_loop *loop,
                                                          const struct config *config, struct engine_verdicts *verdicts,
                                                          const struct engine_search_events *events);
/* NULL is fine; returns NULL. Not from inside on_round. */
struct engine_search *engine_search_free(struct engine_search *search);

/* The embedded engine, used because there was no other, can serve now: it is the choice. */
void engines_settle(struct engine_verdicts *verdicts, const struct config *config);
