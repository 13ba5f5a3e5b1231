#include "ensure-then.h"

#include "answer.h"
#include "metrics-table.h"

static void fail(struct request *request, const struct fault *why)
{
        if (request->on_failed != NULL)
                request->on_failed(request, why);
        else
                answer_fault(request, why);
}

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        struct request *request = arg;

        request->wait = NULL;
        if (why == NULL) {
                request->on_ready(request, ensured);
                return;
        }
        metrics_add(request->server->metrics, METRIC_ENSURE_FAILURES, 1, fault_code(why->kind), NULL, NULL);
        fail(request, why);
}

void ensure_then(struct request *request, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 carrel_on_ready on_ready)
{
        request->on_ready = on_ready;
        pool_ensure(request->server->pool, request->parameter, spec, on_conflict, on_ensured, request, &request->wait);
}

void ensure_then_any(struct request *request, carrel_on_ready on_ready)
{
        static const struct carrel_spec ANY = { 0 };

        ensure_then(request, &ANY, CONFLICT_REPLACE_IDLE, on_ready);
}

bool carrel_run(struct request *request, const struct exec_request *program, const struct exec_sink *sink, void *arg,
                struct exec **ret_exec)
{
        struct fault why;

        if (pool_exec(request->server->pool, request->parameter, program, sink, arg, ret_exec, &why) == 0)
                return true;
        fail(request, &why);
        return false;
}
