/* A call of the Docker engine, made of one or more requests with one deadline for all. */
#pragma once

#include <ev.h>

#include "client.h"
#include "docker-quirks.h"
#include "docker.h"
#include "engine.h"
#include "list.h"

struct docker_call;
struct docker_watch;

struct docker {
        struct engine engine; /* first */
        struct engine_ops ops;
        const struct docker_quirks *quirks;
        void *extra; /* for the quirks */
        struct ev_loop *loop;
        struct http_client *http;    /* short calls; at most MAX_CONNECTIONS at once */
        struct http_client *streams; /* calls that hold a connection for long (execs, events), and pings */
        struct list calls;
        struct docker_watch *watch;
        double call_deadline_s;
        double ping_interval_s;
        ev_timer ping_timer;
        struct http_call *ping;
        struct http_call *naming; /* asks for the version in the background */
        bool is_open;             /* the breaker: calls fail at once */
        bool has_ipv6;            /* of the kernel */
        char prefix[24];          /* "/v1.41"; "": not negotiated yet */
        char api_version[16];     /* as in prefix */
        char version[64];
        char *socket_path;
};

/* One request of a call. */
struct docker_step {
        const char *method;
        const char *what;            /* for messages: "create a container" */
        enum fault_kind on_missing;  /* the fault for a 404 */
        enum fault_kind on_conflict; /* the fault for a 409 */
        const char *content_type;    /* of body_fd */
        bool is_stream;              /* only its header has a deadline */
        double deadline_s;           /* 0: the engine's */
        /* 2xx or 304. Must end in docker_call_request, _succeed or _fail. */
        void (*on_success)(struct docker_call *call, const struct http_response *response);
        /* Any other answer. false: not handled; it becomes a fault. NULL: never handles one. */
        bool (*on_refusal)(struct docker_call *call, const struct http_response *response);
        /* No answer, or a stream that broke. false: not handled; it becomes a fault. NULL: never handles one. */
        bool (*on_cut)(struct docker_call *call, const struct fault *http_why);
        void (*on_started)(struct docker_call *call); /* the header has come */
        void (*on_data)(struct docker_call *call, const void *bytes, size_t length);
};

struct docker_call {
        struct engine_call base; /* first */
        struct list node;        /* of docker->calls */
        struct docker *docker;
        struct ev_loop *loop;
        struct http_call *http;
        const struct docker_step *step;
        char *path; /* without the version's prefix */
        char *body;
        int body_fd;       /* instead of body; -1: none; borrowed */
        const void *input; /* sent after the header, then the sending direction is shut down */
        size_t input_length;
        char *subject; /* named in messages: an image, a container */
        engine_done done;
        void *arg;
        ev_timer timer;       /* fails a call at once, repeats a request, bounds the wait for a stream's header */
        double deadline_at;   /* of ev_now; 0: none */
        double retry_delay_s; /* before the next repetition */
        struct fault why;     /* for a call that fails from the timer */
        struct fault refusal; /* the fault of a repeated request at the deadline; FAULT_NONE: FAULT_DEADLINE */
        void *extra;          /* of an exec */
        void (*free_extra)(void *extra);
        bool is_busy;      /* in a callback: memory is kept */
        bool is_cancelled; /* cancelled while busy */
        bool is_paused;    /* the output of its stream */
};

/* subject is copied, may be NULL. Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int docker_call_new(struct docker_call **ret_call, struct docker *docker,
                                                        const char *subject, engine_done done, void *arg);
/* Ends and frees the call without its callback. NULL is fine. */
void docker_call_free(struct docker_call *call);

/* Sends step's request. Takes path and body (malloc'd; body may be NULL); a NULL path is -ENOMEM. The call's first
 * request starts its deadline. Returns 0 or a negative errno; the call is then still the caller's. */
__attribute__((warn_unused_result)) int docker_call_request(struct docker_call *call, const struct docker_step *step,
                                                            char *path, char *body);
/* The same from inside on_success: failing fails the call. */
void docker_call_continue(struct docker_call *call, const struct docker_step *step, char *path, char *body);
/* Sends the same request again, after a delay that doubles up to 0.4 s, within the deadline. */
void docker_call_repeat(struct docker_call *call);
/* The same after a refusal that may be temporary. At the deadline the call fails with that refusal. */
void docker_call_repeat_refused(struct docker_call *call, const struct http_response *response);

/* Uses this API version for every request from now on. */
void docker_use_version(struct docker *docker, const char *api_version);

/* Both run done and free the call. */
void docker_call_succeed(struct docker_call *call, const struct engine_reply *reply);
void docker_call_fail(struct docker_call *call, const struct fault *why);
/* Fails the call: the answer is not one that the API documents (err is -EBADMSG), or there is no memory (-ENOMEM). */
void docker_call_garbled(struct docker_call *call, int err);

/* Call these around a callback that may cancel the call. leave returns false if it did; the call is then gone. */
void docker_call_enter(struct docker_call *call);
bool docker_call_leave(struct docker_call *call);
