/* Inside the engine room only: where engines that speak Docker's API differ from each other. One table per engine, so
 * that docker.c and its parts ask no engine for its name. */
#pragma once

#include "engine.h"
#include "profile.h"

struct docker;
struct docker_call;
struct docker_options;
struct http_response;

/* An answer whose status is not the one that Docker's API documents for what its message says. */
struct docker_rule {
        int status;
        const char *words; /* in the message */
        int understood_as; /* 404 or 409 */
};

struct docker_quirks {
        const char *kind; /* as engine_about tells it */
        /* The API version it surely has, where asking it would take seconds (then it is asked on the side, for its name
         * only); NULL: it is asked first. */
        const char *known_api_version;
        const char *pull_command; /* what a person types to get an image */
        const char *service;      /* of systemd, that serves it */
        /* How a container is killed and removed: what its id stands between in a DELETE. */
        const char *remove_path, *remove_query;
        const char *const *event_actions; /* what /events is filtered by; NULL-terminated */
        const struct docker_rule *rules;  /* end with status 0 */
        /* The value of the security option "seccomp=", allocated: the profile, or where it is. NULL: errno says why;
         * the create then fails, because a container without the filter is never made. */
        char *(*seccomp_option)(const struct docker *docker);
        /* What its report that it could not run a program begins with, where that comes in the program's stdout; NULL:
         * it does not. */
        const char *report_words;
        const char *const *stray_words; /* what its own words behind a program's stderr begin with, NULL-terminated;
                                         * NULL: there are none */
        bool imports_by_repository;     /* it does not heed the tag of an imported image beside the repository */
        bool has_nameless_exec_ends;    /* its events of an exec's end do not say which exec it was */
        enum profile_engine engine;     /* as in struct wire_machine */
        uint64_t (*nproc)(void);        /* RLIMIT_NPROC of a container; NULL: the engine sets none */
        /* An answer to a create that the name is taken (409, as understood): handles it and ends the call, or answers
         * false. NULL: never handles. */
        bool (*on_name_taken)(struct docker_call *call, const struct http_response *response);
        /* What is left to do when a program has ended and was asked about for the last time; NULL: nothing. */
        void (*after_exec)(struct docker *docker, const char *exec_id);
        void (*free_extra)(void *extra); /* NULL: there is none */
};

/* docker_new for any of them. Takes extra, whatever it returns. */
__attribute__((warn_unused_result)) int docker_new_quirky(struct engine **ret_engine, struct ev_loop *loop,
                                                          const struct docker_options *options,
                                                          const struct docker_quirks *quirks, void *extra);
