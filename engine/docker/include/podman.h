/* Podman's Docker-compatible API (podman 4.3 and later, `podman system service`). */
#pragma once

#include "docker.h"

struct podman_options {
        struct docker_options docker; /* socket_path: e.g. /run/podman/podman.sock */
        /* A directory that only root can write to, with the same path for Podman. The system call filter is a file in
         * it (seccomp.json), because Podman takes no filter in the request. Copied. */
        const char *state_dir;
};

/* As docker_new. */
__attribute__((warn_unused_result)) int podman_new(struct engine **ret_engine, struct ev_loop *loop,
                                                   const struct podman_options *options);
