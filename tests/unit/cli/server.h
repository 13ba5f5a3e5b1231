/* A tiny HTTP server on a unix socket with canned answers, in a thread, and the capture of a carrel run against it. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

struct server {
        char directory[64], path[96];
        const char *const *answers; /* whole HTTP answers, one a connection, NULL at the end */
        bool is_held;               /* after the last answer the connection stays until the client leaves */
        int listen_fd;
        pthread_t thread;
        FILE *requests; /* everything that was asked */
        char *asked;
        size_t asked_size;
};

void server_start(struct server *server, const char *const *answers, bool is_held);
/* Waits for the thread; server->asked is complete then, and freed by server_end. */
void server_stop(struct server *server);
void server_end(struct server *server);

/* The exit status of `carrel <words>`, and what it wrote (static size; cut when longer). */
struct outcome {
        int status;
        char out[8192], err[4096];
};
void run_carrel(struct outcome *ret_outcome, const char *socket_path, const char *const *words);
