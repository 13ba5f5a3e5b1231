/* The API, for the files of this folder. */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "list.h"
#include "pool.h"
#include "request.h"
#include "routes.h"
#include "server.h"
#include "spool.h"

enum { API_SCRATCH_BYTES = 256 << 10 };

/* The header of an answer that names its exec. */
#define EXEC_ID_HEADER "Carrel-Exec-Id"

struct api {
        struct ev_loop *loop;
        struct pool *pool;
        struct reaper *reaper;
        struct metrics *metrics;
        struct api_info info;
        struct api_options options;
        struct httpd *httpd;
        struct spool_limit spool_limits[SPOOL_LIMITS];
        char *scratch;           /* API_SCRATCH_BYTES, free again when the function that uses it returns */
        struct list subscribers; /* events.c */
        unsigned n_subscribers;
};

/* Memory that comes with every request (request_context); ensure-then.c fills it. */
struct api_context {
        struct pool_wait *wait;           /* left when the request ends; or NULL */
        struct userfiles_wait *erasure;   /* the same */
        struct userfiles_operation *copy; /* the same */
        void (*on_ready)(struct request *request, const struct pool_ensured *ensured);
        /* NULL: a fault is the answer. */
        void (*on_failed)(struct request *request, const struct fault *why);
};

static inline struct api *api_of(const struct request *request)
{
        return request_app(request);
}

static inline struct api_context *api_context_of(struct request *request)
{
        return request_context(request);
}
