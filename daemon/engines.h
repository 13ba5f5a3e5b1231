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
 * one), at most a few seconds each, before the loop runs, and takes the first that can keep every promise; the choice
 * then stands. One that is named is not asked: carreld waits for it. When none will do it is the embedded one, which is
 * unavailable then and says why: ask on with engines_search. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int engines_choose(struct engine **ret_engine, struct engine_verdicts *ret_verdicts,
                                                       struct ev_loop *loop, const struct config *config,
                                                       struct fault *why);

/* The kind of an engine with an API that has come up since, or NULL. Waits a second for each at most. */
const char *engines_search(struct ev_loop *loop, const struct config *config);

/* The embedded engine, which there was for want of another, can serve by now: that is the choice. */
void engines_settle(struct engine_verdicts *verdicts, const struct config *config);
