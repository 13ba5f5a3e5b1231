/* One call: its easy handle and the response so far. */
#pragma once

#include <curl/curl.h>
#include <ev.h>
#include <sys/types.h>

#include "client.h"
#include "list.h"
#include "str.h"
#include "tail.h"

struct http_call {
        struct list node;          /* of exactly one of the client's lists */
        struct list resuming_node; /* of the client's resuming calls */
        struct http_client *client;
        struct ev_loop *loop;
        CURL *easy;
        struct curl_slist *headers;
        http_done done;
        void (*on_header)(void *arg);
        void (*on_data)(void *arg, const void *bytes, size_t length);
        void *arg;
        ev_timer deadline;
        ev_timer idle;
        struct tail tail;
        struct buffer body;
        size_t max_body_bytes;
        size_t header_bytes;
        off_t upload_offset;
        int upload_fd;
        int status;
        bool is_added; /* to the multi handle */
        bool is_over;  /* done is running or will never run */
        bool is_paused;
        bool has_failed; /* why is set */
        struct fault why;
        char curl_says[CURL_ERROR_SIZE];
};

/* The server of a call. */
struct http_target {
        const char *socket_path;
        const char *authority;
};

/* Makes a call whose easy handle is ready for a multi handle. Its timers do not run; client, done and arg are not set.
 * Returns 0, -ENOMEM or -EINVAL. */
__attribute__((warn_unused_result)) int call_new(struct http_call **ret_call, struct ev_loop *loop,
                                                 const struct http_target *target, const struct http_request *request);
/* Frees a call that is in no list and no multi handle. NULL is fine. */
void call_free(struct http_call *call);

/* Fails the call; a second reason is ignored. */
void call_fail(struct http_call *call, enum fault_kind kind, int err, const char *sentence);
/* Restarts the idle deadline: the connection is alive. */
void call_restart_idle(struct http_call *call);
