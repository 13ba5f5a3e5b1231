/* The Docker Engine API over its unix socket (API v1.41 and later; the version is negotiated on /_ping's
 * Api-Version and /version, MinAPIVersion at most 1.41). */
#pragma once

#include "engine.h"

struct docker_options {
        const char *socket_path; /* e.g. /run/docker.sock; copied */
        double ping_interval_s;  /* of the breaker; 0: 1 s */
        double call_deadline_s;  /* 0: ENGINE_DEADLINE_S */
};

/* Does not wait for the engine: the breaker starts closed ("available") and the first failed ping or call that
 * cannot connect opens it; while it is open calls fail at once with FAULT_ENGINE_UNAVAILABLE, and a ping that
 * succeeds closes it. Returns 0, -ENOMEM, -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int docker_new(struct engine **ret_engine, struct ev_loop *loop,
                                                   const struct docker_options *options);
