#include "ensure-then.h"

#include <stdio.h>

#include "answer.h"
#include "api.h"
#include "metrics-table.h"

static void fail(struct request *request, const struct fault *why)
{
        const struct api_context *context = api_context_of(request);

        if (context->on_failed != NULL)
                context->on_failed(request, why);
        else
                answer_fault(request, why);
}

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        struct request *request = arg;
        struct api_context *context = api_context_of(request);

        context->wait = NULL;
        if (why == NULL) {
                context->on_ready(request, ensured);
                return;
        }
        metrics_add(api_of(request)->metrics, METRIC_ENSURE_FAILURES, 1, fault_code(why->kind), NULL, NULL);
        fail(request, why);
}

void ensure_then(struct request *request, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 carrel_on_ready on_ready)
{
        struct api_context *context = api_context_of(request);

        context->on_ready = on_ready;
        pool_ensure(api_of(request)->pool, request->parameter, spec, on_conflict, on_ensured, request, &context->wait);
}

void ensure_then_profile(struct request *request, const char *profile, carrel_on_ready on_ready)
{
        struct carrel_spec spec = { 0 };

        if (profile != NULL)
                (void)snprintf(spec.profile, sizeof spec.profile, "%s", profile);
        ensure_then(request, &spec, CONFLICT_REPLACE_IDLE, on_ready);
}

void ensure_then_any(struct request *request, carrel_on_ready on_ready)
{
        ensure_then_profile(request, NULL, on_ready);
}

bool carrel_run(struct request *request, const struct exec_request *program, const struct exec_sink *sink, void *arg,
                struct exec **ret_exec)
{
        struct fault why;

        if (pool_exec(api_of(request)->pool, request->parameter, program, sink, arg, ret_exec, &why) == 0)
                return true;
        fail(request, &why);
        return false;
}
