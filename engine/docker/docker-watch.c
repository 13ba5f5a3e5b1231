#include "docker-watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "docker-call.h"
#include "docker-exec.h"
#include "docker-query.h"
#include "str.h"
#include "wire.h"

#define FIRST_BACKOFF_S 0.1
#define LAST_BACKOFF_S 2.0

enum { MAX_LINE_BYTES = 262144 };

struct docker_watch {
        struct docker *docker;
        struct docker_call *call; /* the stream; NULL: waiting to reconnect */
        char *filters;
        engine_on_event on_event;
        void *arg;
        ev_timer retry;
        double backoff_s;
        struct buffer line;
        bool is_connected;
        bool is_busy;  /* in on_event */
        bool is_freed; /* freed while busy */
};

static void watch_release(struct docker_watch *watch)
{
        buffer_free(&watch->line);
        free(watch->filters);
        free(watch);
}

/* Calls on_event. False: it has freed the engine, and the watch is gone. */
static bool tell(struct docker_watch *watch, const struct engine_event *event)
{
        watch->is_busy = true;
        watch->on_event(watch->arg, event);
        watch->is_busy = false;
        if (watch->is_freed)
                watch_release(watch);
        else
                return true;
        return false;
}

static bool tell_kind(struct docker_watch *watch, enum engine_event_kind kind)
{
        const struct engine_event event = { .kind = kind, .id = "", .exec_id = "" };

        return tell(watch, &event);
}

void docker_watch_tell_exec(struct docker_watch *watch, const char *container_id, const char *exec_id, int exit_code)
{
        const struct engine_event event = {
                .kind = ENGINE_EXEC_DIED, .id = container_id, .exec_id = exec_id, .exit_code = exit_code
        };

        if (watch != NULL)
                tell(watch, &event);
}

static void schedule_retry(struct docker_watch *watch)
{
        ev_timer_stop(watch->docker->loop, &watch->retry);
        ev_timer_set(&watch->retry, watch->backoff_s, 0.0);
        ev_timer_start(watch->docker->loop, &watch->retry);
        watch->backoff_s = watch->backoff_s * 2 < LAST_BACKOFF_S ? watch->backoff_s * 2 : LAST_BACKOFF_S;
}

/* The stream has ended, or could not be opened. */
static void on_over(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct docker_watch *watch = arg;
        bool was_connected = watch->is_connected;

        watch->call = NULL;
        watch->is_connected = false;
        buffer_consume(&watch->line, watch->line.length);
        schedule_retry(watch);
        if (was_connected)
                tell_kind(watch, ENGINE_LOST);
}

static void on_connected(struct docker_call *call)
{
        struct docker_watch *watch = call->arg;

        watch->is_connected = true;
        watch->backoff_s = FIRST_BACKOFF_S;
        tell_kind(watch, ENGINE_RESYNC);
}

/* Reports every whole line. False: the watch is gone. */
static bool pass_lines(struct docker_watch *watch)
{
        char *newline;

        while (watch->line.length > 0 && (newline = memchr(watch->line.data, '\n', watch->line.length)) != NULL) {
                size_t length = (size_t)(newline - watch->line.data);
                struct wire_event event;
                int r = wire_decode_event(watch->line.data, length, &event);

                buffer_consume(&watch->line, length + 1);
                if (r == 0 && event.event.kind == ENGINE_EXEC_DIED && event.exec_id[0] == '\0')
                        docker_exec_look_at_all(watch->docker);
                else if (r == 0 && !tell(watch, &event.event))
                        return false;
        }
        return true;
}

/* A line is too long, or there is no memory: reconnect, so that the user lists again. */
static void on_events(struct docker_call *call, const void *bytes, size_t length)
{
        struct docker_watch *watch = call->arg;

        buffer_append(&watch->line, bytes, length);
        if (!pass_lines(watch))
                return;
        if (!watch->line.has_failed && watch->line.length <= MAX_LINE_BYTES)
                return;
        buffer_free(&watch->line);
        docker_call_garbled(call, -EBADMSG);
}

static void on_end(struct docker_call *call, const struct http_response *response)
{
        const struct engine_reply reply = { 0 };

        docker_call_succeed(call, &reply);
}

static const struct docker_step EVENTS = {
        .method = "GET",
        .what = "report events",
        .on_missing = FAULT_ENGINE_REFUSED,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .is_stream = true,
        .on_success = on_end,
        .on_started = on_connected,
        .on_data = on_events,
};

/* Docker sends the header before it subscribes, so `since` asks again for the moments around the connect: an event may
 * come twice, but none is missed. */
static int connect_stream(struct docker_watch *watch)
{
        int64_t since_ms = clock_wall_ms() - 1000;
        struct docker_call *call;
        int r = docker_call_new(&call, watch->docker, "events", on_over, watch);

        if (r < 0)
                return r;
        r = docker_call_request(call, &EVENTS,
                                docker_text("/events?filters=%s&since=%" PRId64 ".%03d000000", watch->filters,
                                            since_ms / 1000, (int)(since_ms % 1000)),
                                NULL);
        if (r < 0)
                docker_call_free(call);
        else
                watch->call = call;
        return r;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct docker_watch *watch = timer->data;

        if (connect_stream(watch) < 0)
                schedule_retry(watch);
}

int docker_watch(struct engine *engine, const char *label, const char *value, engine_on_event on_event, void *arg)
{
        static const char *const TYPES[] = { "container", NULL };
        struct docker *docker = (struct docker *)engine;
        const struct docker_filter filters[] = { { "type", TYPES },
                                                 { "event", docker->quirks->event_actions },
                                                 { NULL, NULL } };

        if (docker->watch != NULL)
                return -EBUSY;
        struct docker_watch *watch = calloc(1, sizeof *watch);
        if (watch == NULL)
                return -ENOMEM;
        watch->docker = docker;
        watch->on_event = on_event;
        watch->arg = arg;
        watch->backoff_s = FIRST_BACKOFF_S;
        watch->filters = docker_filters(label, value, filters);
        if (watch->filters == NULL) {
                watch_release(watch);
                return -ENOMEM;
        }
        ev_timer_init(&watch->retry, on_retry, 0.0, 0.0);
        watch->retry.data = watch;
        ev_timer_start(docker->loop, &watch->retry);
        docker->watch = watch;
        return 0;
}

struct docker_watch *docker_watch_free(struct docker_watch *watch)
{
        if (watch == NULL)
                return NULL;
        ev_timer_stop(watch->docker->loop, &watch->retry);
        docker_call_free(watch->call);
        watch->call = NULL;
        if (watch->is_busy)
                watch->is_freed = true;
        else
                watch_release(watch);
        return NULL;
}
