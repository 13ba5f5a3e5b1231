#include "events.h"

#include <errno.h>
#include <stdlib.h>

#include "answer.h"
#include "api.h"
#include "clock.h"
#include "handlers.h"
#include "metrics-table.h"
#include "put.h"
#include "render.h"
#include "stream.h"

/* Bounded, because each event is rendered for every subscriber in one turn of the loop. */
enum { SUBSCRIBERS_MAX = 64 };

struct subscriber {
        struct list node; /* in api->subscribers until it is cut */
        struct request *request;
        uint64_t seq;
};

static void count(struct metrics *metrics, const struct pool_event *event)
{
        if (event->kind == POOL_EXEC_ENDED)
                metrics_add(metrics, METRIC_EXECS, 1, exec_cause_name(event->cause), NULL, NULL);
        else if (event->kind == POOL_RETIRED)
                metrics_add(metrics, METRIC_RETIRED, 1, event->detail, NULL, NULL);
        else if (event->kind == POOL_FROZEN)
                metrics_add(metrics, METRIC_FREEZES, 1, event->detail, NULL, NULL);
        else if (event->kind == POOL_THAWED)
                metrics_add(metrics, METRIC_THAWS, 1, event->detail, NULL, NULL);
        else if (event->kind == POOL_RECLAIMED) {
                metrics_add(metrics, METRIC_RECLAIMS, 1, NULL, NULL, NULL);
                metrics_add(metrics, METRIC_RECLAIMED_BYTES, (double)event->bytes, NULL, NULL, NULL);
        }
}

/* A line about the stream itself. */
static struct json *render_notice(const char *name, uint64_t seq, const char *reason)
{
        char time[CLOCK_TEXT_BYTES];
        struct json *object = json_object();

        clock_format_utc(clock_wall_ms(), time);
        put_text(&object, "event", name);
        put_number(&object, "seq", (double)seq);
        put_text(&object, "time", time);
        if (reason != NULL)
                put_text(&object, "reason", reason);
        return object;
}

/* Cuts a slow reader, so that the pool and the other readers do not wait for it. */
static void cut(struct subscriber *subscriber, const char *reason)
{
        list_remove(&subscriber->node);
        (void)stream_push_last(subscriber->request->stream, render_notice("cut", subscriber->seq++, reason));
        stream_end(subscriber->request->stream);
}

void events_on_event(void *arg, const struct pool_event *event)
{
        struct api *api = arg;
        int64_t wall_ms = clock_wall_ms();

        count(api->metrics, event);
        LIST_EACH (&api->subscribers, node) {
                struct subscriber *subscriber = LIST_ENTRY(node, struct subscriber, node);
                int r = stream_push(subscriber->request->stream, render_event(event, subscriber->seq, wall_ms));

                if (r == 0)
                        subscriber->seq++;
                else
                        cut(subscriber, r == -ENOBUFS ? "the reader is too slow" : "carreld is out of memory");
        }
}

void events_cut_all(struct api *api, const char *reason)
{
        LIST_EACH (&api->subscribers, node) {
                cut(LIST_ENTRY(node, struct subscriber, node), reason);
        }
}

static void release_subscriber(void *work)
{
        struct subscriber *subscriber = work;

        list_remove(&subscriber->node);
        api_of(subscriber->request)->n_subscribers--;
        free(subscriber);
}

void handle_events(struct request *request)
{
        struct subscriber *subscriber;
        struct fault why;

        if (api_of(request)->n_subscribers == SUBSCRIBERS_MAX) {
                (void)fault_set(&why, FAULT_QUEUE_FULL, EBUSY, "there are already %d readers of events",
                                SUBSCRIBERS_MAX);
                answer_fault(request, &why);
                return;
        }
        subscriber = calloc(1, sizeof *subscriber);
        if (subscriber == NULL || stream_new(&request->stream, request, STREAM_HIGH_BYTES, NULL, NULL) < 0) {
                free(subscriber);
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "carreld is out of memory");
                answer_fault(request, &why);
                return;
        }
        subscriber->request = request;
        list_append(&api_of(request)->subscribers, &subscriber->node);
        api_of(request)->n_subscribers++;
        request->work = subscriber;
        request->release = release_subscriber;
        (void)stream_push(request->stream, render_notice("listening", subscriber->seq++, NULL));
        answer_stream(request, HTTP_OK, ANSWER_SIZE_UNKNOWN,
                      (const struct answer_header[]){ { "Content-Type", ANSWER_NDJSON }, { 0 } });
}
