/* Inside the engine room only: the monitor that each program run through Podman's API leaves behind. */
#pragma once

struct ev_loop;
struct podman_execs;

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int podman_execs_new(struct podman_execs **ret_execs, struct ev_loop *loop);
struct podman_execs *podman_execs_free(struct podman_execs *execs);

/* The program of this exec session has ended, and nobody asks about it any more after two seconds: then its conmon(8)
 * is told to end too. Without memory it is left to its own five minutes. */
void podman_execs_add(struct podman_execs *execs, const char *exec_id);
