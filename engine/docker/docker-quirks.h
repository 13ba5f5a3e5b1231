/* How engines that speak Docker's API differ. There is one table per engine, so that
 * docker.c and its parts need not ask for the engine's name. */
#pragma once

#include "engine.h"
#include "profile.h"

struct docker;
struct docker_call;
struct docker_options;
struct http_response;

/* An answer whose status is not the one that Docker's API documents for such a message. */
struct docker_rule {
        int status;
        const char *words; /* part of the message */
        int understood_as; /* 404 or 409 */
};

struct docker_quirks {
        const char *kind; /* as in engine_about */
        /* The API version that it is known to have, if asking takes seconds. Its version is then asked for in the
         * background, for people only. NULL: the version is asked for first. */
        const char *known_api_version;
        const char *pull_command; /* shown to a person who needs an image */
        const char *service;      /* its systemd unit */
        /* The parts before and after the id in the DELETE that kills and removes a container. */
        const char *remove_path, *remove_query;
        const char *const *event_actions; /* the filter of /events; NULL-terminated */
        const struct docker_rule *rules;  /* end with status 0 */
        /* The security option "seccomp=" with the profile or the path of it; allocated. NULL: errno says why, and the
         * create fails, because a container without the filter is never made. */
        char *(*seccomp_option)(const struct docker *docker);
        /* The beginning of its report that a program could not be run, if that comes in the program's stdout; else
         * NULL. */
        const char *report_words;
        const char *const *stray_words; /* text that it adds to a program's stderr begins so; NULL: it adds none */
        bool imports_by_repository;     /* it ignores the tag of an imported image beside the repository */
        bool has_nameless_exec_ends;    /* its events do not say which exec has ended */
        enum profile_engine engine;     /* as in struct wire_machine */
        uint64_t (*nproc)(void);        /* RLIMIT_NPROC of a container; NULL: none is requested */
        /* Handles the answer that the name of a create is taken (409, after the rules) and ends the call, or returns
         * false. NULL: never handles it. */
        bool (*on_name_taken)(struct docker_call *call, const struct http_response *response);
        /* Called after the last inspect of a program that has ended; NULL: nothing to do. */
        void (*after_exec)(struct docker *docker, const char *exec_id);
        void (*free_extra)(void *extra); /* NULL: not needed */
};

/* docker_new for any of these engines. Takes over extra even on failure. */
__attribute__((warn_unused_result)) int docker_new_quirky(struct engine **ret_engine, struct ev_loop *loop,
                                                          const struct docker_options *options,
                                                          const struct docker_quirks *quirks, void *extra);
