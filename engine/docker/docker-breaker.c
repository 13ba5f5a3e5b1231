#include "docker-breaker.h"

#include <stdio.h>

#include "wire.h"

#define PING_DEADLINE_S 5.0 /* a busy engine is slow, not gone; every call has its own deadline */
#define NAMING_DEADLINE_S 30.0

static void schedule_ping(struct docker *docker)
{
        ev_timer_stop(docker->loop, &docker->ping_timer);
        ev_timer_set(&docker->ping_timer, docker->ping_interval_s, 0.0);
        ev_timer_start(docker->loop, &docker->ping_timer);
}

void breaker_open(struct docker *docker)
{
        docker->is_open = true;
        docker->prefix[0] = '\0'; /* the engine may come back with another version */
        docker->version[0] = '\0';
}

static void on_named(void *arg, const struct http_response *response, const struct fault *why)
{
        struct docker *docker = arg;
        struct engine_about about;
        char min[16];

        docker->naming = NULL;
        if (response != NULL && response->status == 200 &&
            wire_decode_version(response->body, response->body_length, &about, min) == 0)
                snprintf(docker->version, sizeof docker->version, "%s", about.version);
}

/* Asks for the version's name, for people only: no call needs it. */
static void ask_for_name(struct docker *docker)
{
        const struct http_request request = { .method = "GET", .path = "/version", .deadline_s = NAMING_DEADLINE_S };

        if (docker->quirks->known_api_version == NULL || docker->version[0] != '\0' || docker->naming != NULL)
                return;
        if (http_send(docker->streams, &request, on_named, docker, &docker->naming) < 0)
                docker->naming = NULL;
}

static void on_pong(void *arg, const struct http_response *response, const struct fault *why)
{
        struct docker *docker = arg;

        docker->ping = NULL;
        if (response != NULL && response->status == 200)
                docker->is_open = false;
        else
                breaker_open(docker);
        if (!docker->is_open)
                ask_for_name(docker);
        schedule_ping(docker);
}

static void on_ping_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct docker *docker = timer->data;
        const struct http_request request = {
                .method = "GET",
                .path = "/_ping",
                .deadline_s = PING_DEADLINE_S,
                .max_response_bytes = 4096,
        };

        if (http_send(docker->streams, &request, on_pong, docker, &docker->ping) < 0)
                schedule_ping(docker);
}

void breaker_start(struct docker *docker)
{
        ev_timer_init(&docker->ping_timer, on_ping_due, 0.0, 0.0);
        docker->ping_timer.data = docker;
        ev_timer_start(docker->loop, &docker->ping_timer);
}

void breaker_stop(struct docker *docker)
{
        ev_timer_stop(docker->loop, &docker->ping_timer);
        docker->ping = http_cancel(docker->ping);
        docker->naming = http_cancel(docker->naming);
}
