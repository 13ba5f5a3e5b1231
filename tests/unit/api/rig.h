/* A server on a real unix socket with a doubled pool, and raw clients in the same loop. Waiting is for an event, never
 * for a time; the guard of a minute only ends a test that hangs. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "double.h"
#include "job-registry.h"
#include "jobs.h"
#include "metrics.h"
#include "server.h"
#include "str.h"

struct client {
        struct rig *rig;
        int fd; /* -1: closed by us */
        ev_io readable, writable;
        struct buffer unsent;
        struct buffer received;
        bool is_closed; /* the server has closed */
};

enum { RIG_CLIENTS = 12 };

struct rig {
        struct ev_loop *loop;
        struct api *server;
        struct metrics *metrics;
        struct pool pool;
        struct reaper reaper;
        struct execs execs;
        struct userfiles userfiles;
        struct job_registry *registry;
        struct jobs *jobs;
        struct api_options options;
        struct api_info info;
        struct api_state state;
        char directory[64], path[96];
        struct client clients[RIG_CLIENTS];
};

/* options may be NULL. Clients are not connected yet. */
struct rig *rig_new(const struct api_options *options);
void rig_free(struct rig *rig);
/* Another carreld in its place, which was killed: what ran is gone, and the pool is not reconciled yet. No client may
 * be connected. */
void rig_restart(struct rig *rig);

struct client *rig_connect(struct rig *rig);
void client_close(struct client *client);
/* Queues bytes; they go out while the loop runs. */
void client_send(struct client *client, const void *bytes, size_t length);
void client_say(struct client *client, const char *text);
void client_pause(struct client *client, bool is_paused);

/* Turns the loop until the condition holds; fails the test at the guard. */
void rig_until(struct rig *rig, bool (*condition)(void *arg), void *arg);
void rig_turn(struct rig *rig);

struct response {
        int status;
        char *head; /* with its status line, ends with an empty line */
        char *body; /* chunks joined */
        size_t body_length;
};
/* The next whole response; the connection may go on. is_head: there is no body whatever the headers say. */
struct response client_response(struct client *client, bool is_head);
void response_free(struct response *response);
void client_await_close(struct client *client);

/* One request with a body (or NULL), Host and Content-Length added, and its answer. */
struct response rig_ask(struct rig *rig, const char *line, const char *body);
