/* The Docker Engine API over its unix socket. GET /version negotiates the version before the first call and after the
 * engine was away: 1.41, or the engine's MinAPIVersion if that is newer. An engine older than 1.41 is
 * FAULT_ENGINE_UNAVAILABLE. */
#pragma once

#include "engine.h"

struct docker_options {
        const char *socket_path; /* e.g. /run/docker.sock; copied */
        double ping_interval_s;  /* interval of the pings; 0: 1 s */
        double call_deadline_s;  /* 0: ENGINE_DEADLINE_S */
};

/* Does not wait for the engine. The breaker starts closed ("available"). A failed ping, or a call that cannot connect,
 * opens it. While it is open, calls fail at once with FAULT_ENGINE_UNAVAILABLE; a ping that succeeds closes it. Returns
 * 0, -ENOMEM or -ENAMETOOLONG. */
__attribute__((warn_unused_result)) int docker_new(struct engine **ret_engine, struct ev_loop *loop,
                                                   const struct docker_options *options);
