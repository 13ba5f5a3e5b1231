/* Ends the monitor that Podman leaves after each exec. */
#pragma once

struct ev_loop;
struct podman_execs;

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int podman_execs_new(struct podman_execs **ret_execs, struct ev_loop *loop);
struct podman_execs *podman_execs_free(struct podman_execs *execs);

/* The program of this exec session has ended. After two seconds, when no more requests come for it, its conmon(8) is
 * ended with a signal. Without memory, conmon ends by itself after five minutes. */
void podman_execs_add(struct podman_execs *execs, const char *exec_id);
