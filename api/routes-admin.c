#include <errno.h>

#include "answer.h"
#include "api.h"
#include "handlers.h"
#include "parse.h"
#include "put.h"
#include "reaper.h"
#include "render.h"

void handle_reap(struct request *request)
{
        double idle_s;
        struct fault why;
        struct json *answer;

        if (parse_reap(request->body.data, request->body.length, &idle_s, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        answer = json_object();
        put_number(&answer, "retiring", reaper_reap(api_of(request)->reaper, idle_s));
        answer_json(request, HTTP_OK, answer);
}

static void forget_sweep(void *work)
{
        struct request *request = work;

        reaper_sweep_forget(api_of(request)->reaper, request);
}

static void on_swept(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct request *request = arg;

        request->release = NULL;
        if (why != NULL)
                answer_fault(request, why);
        else
                answer_json(request, HTTP_OK, render_sweep(report));
}

void handle_sweep(struct request *request)
{
        int r = reaper_sweep(api_of(request)->reaper, on_swept, request);
        struct fault why;

        if (r == 0) {
                request->work = request;
                request->release = forget_sweep;
                return;
        }
        if (r == -EBUSY)
                (void)fault_set(&why, FAULT_QUEUE_FULL, EBUSY,
                                "another sweep is running: try again when it has finished");
        else
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, -r, "the sweep could not be started");
        answer_fault(request, &why);
}

void handle_info(struct request *request)
{
        struct pool_stats stats = { 0 };

        pool_stats(api_of(request)->pool, &stats);
        answer_json(request, HTTP_OK, render_info(&api_of(request)->info, &stats));
}
