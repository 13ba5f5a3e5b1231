/* Chooses carreld's engine, and says why it is not one of the others. */
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
        char reason[256]; /* a sentence: why it was chosen or not */
};

struct engine_verdicts {
        struct engine_verdict list[ENGINES_MAX];
        size_t count;
        bool has_choice;   /* false: no engine is usable for now */
        char reasons[256]; /* without a choice: one sentence with the reasons of all engines */
};

/* Chooses the engine of the setting `engine`.
 * `auto` takes the engine of the last run's carrels (a file in runtime_dir, so until a reboot), because on another
 * engine a user could get a second carrel. Otherwise it probes podman, docker and the embedded engine in turn before
 * the loop runs, and takes the first that can keep every promise. An engine has some seconds to answer at all, and half
 * a minute if it answers. If no engine is usable, it takes the embedded one, which is then unavailable and says why; go
 * on with engine_search_new. A named engine is not probed: carreld waits for it. found: the engine that a search has
 * found, which is taken; NULL: there was no search. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int engines_choose(struct engine **ret_engine, struct engine_verdicts *ret_verdicts,
                                                       struct ev_loop *loop, const struct config *config,
                                                       const char *found, struct fault *why);

/* Probes the engines that have an API, one after the other, until one is usable. Does not block the loop. */
struct engine_search;
struct engine_search_events {
        void (*on_found)(void *arg, const char *kind); /* a constant of engines.c; the last call */
        void (*on_round)(void *arg);                   /* no engine was usable; the verdicts have the reasons */
        void *arg;
};

/* Borrows config and verdicts, and updates the reasons in verdicts. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int engine_search_new(struct engine_search **ret_search, struct ev_loop *loop,
                                                          const struct config *config, struct engine_verdicts *verdicts,
                                                          const struct engine_search_events *events);
/* Must not be called from inside on_round. NULL is fine; returns NULL. */
struct engine_search *engine_search_free(struct engine_search *search);

/* The embedded engine, used because there was no other, can serve now: it is the choice. */
void engines_settle(struct engine_verdicts *verdicts, const struct config *config);
