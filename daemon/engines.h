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
};

/* The engine of the setting `engine`. `auto` asks each in turn (podman, docker, the embedded one), at most a few
 * seconds each, before the loop runs, and takes the first that can keep every promise; the choice then stands. One that
 * is named is not asked: carreld waits for it. verdicts tells of all of them, also when none will do (FAULT_ENGINE_
 * UNAVAILABLE). Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int engines_choose(struct engine **ret_engine, struct engine_verdicts *ret_verdicts,
                                                       struct ev_loop *loop, const struct config *config,
                                                       struct fault *why);
