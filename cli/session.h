/* A program in a carrel with our stdin, stdout and stderr, while it runs: over a WebSocket, on a terminal or not. */
#pragma once

#include "options.h"
#include "verb.h"

struct session_request {
        const char *user;
        const char *const *argv;               /* NULL-terminated */
        const struct option_list *environment; /* "NAME=VALUE"; a terminal's TERM is added unless it is there */
        const char *working_dir;               /* NULL: the default */
        const char *profile;                   /* of the carrel; NULL: any */
        double timeout_s;                      /* 0: none */
        const struct option_number *drain;     /* NULL or not given: carreld's default */
        bool is_tty;                           /* ours is given to it */
};

/* Runs it to its end. Returns the exit status of `carrel exec`. The terminal is as it was when this returns. */
int session_run(struct cli *cli, const struct session_request *request);
