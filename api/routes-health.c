#include <errno.h>

#include "answer.h"
#include "api.h"
#include "errors.h"
#include "handlers.h"
#include "httpd.h"
#include "jobs.h"
#include "metrics-table.h"
#include "put.h"

static struct json *render_status(const char *status)
{
        struct json *answer = json_object();

        put_text(&answer, "status", status);
        return answer;
}

/* An answer of any kind shows that the event loop runs. */
void handle_healthz(struct request *request)
{
        answer_json(request, HTTP_OK, render_status("ok"));
}

/* ---- readiness ---- */

struct lack {
        const char *name; /* in "missing" */
        enum fault_kind kind;
        const char *sentence;
};

/* In the order in which each delays the next. */
static const struct lack ENGINE_LACK = { "engine", FAULT_ENGINE_UNAVAILABLE, "the engine does not answer" };
static const struct lack POLICY_LACK = { "policy", FAULT_POLICY_NOT_IN_FORCE, "the egress policy is not in force" };
static const struct lack RECONCILED_LACK = { "reconciled", FAULT_ENGINE_UNAVAILABLE,
                                             "the containers of the last run have not been reconciled yet" };

static void answer_not_ready(struct request *request, const struct lack *const *lacks)
{
        struct json *missing = json_array();
        struct json *answer;
        struct fault why;

        (void)fault_set(&why, lacks[0]->kind, EAGAIN, "not ready: %s", lacks[0]->sentence);
        for (size_t i = 0; lacks[i] != NULL; i++)
                put_text(&missing, NULL, lacks[i]->name);
        answer = error_render(&why);
        put_child(&answer, "missing", missing);
        answer_error(request, HTTP_SERVICE_UNAVAILABLE, &why, NULL, answer);
}

void handle_readyz(struct request *request)
{
        const struct api_info *info = &api_of(request)->info;
        const struct lack *lacks[4] = { NULL };
        struct lack engine = ENGINE_LACK;
        struct api_state state = { 0 };
        struct pool_stats stats = { 0 };
        size_t n = 0;

        info->describe(info->arg, &state);
        pool_stats(api_of(request)->pool, &stats);
        if (state.engine_detail[0] != '\0')
                engine.sentence = state.engine_detail;
        if (!state.is_engine_available)
                lacks[n++] = &engine;
        if (!state.is_policy_in_force)
                lacks[n++] = &POLICY_LACK;
        if (!stats.has_reconciled)
                lacks[n++] = &RECONCILED_LACK;
        if (n == 0)
                answer_json(request, HTTP_OK, render_status("ready"));
        else
                answer_not_ready(request, lacks);
}

/* ---- metrics ---- */

static void set_stats(struct metrics *metrics, const struct pool_stats *stats)
{
        for (int state = 0; state < CARREL_STATES; state++)
                metrics_set(metrics, METRIC_CARRELS, stats->by_state[state],
                            carrel_state_name((enum carrel_state)state), NULL, NULL);
        for (int outcome = 0; outcome < OUTCOMES; outcome++)
                metrics_set(metrics, METRIC_ENSURES, (double)stats->ensures[outcome],
                            ensure_outcome_name((enum ensure_outcome)outcome), NULL, NULL);
        metrics_set(metrics, METRIC_WARM_WANTED, stats->warm.wanted, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_WARM_FAILURES, (double)stats->warm.failures, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_CLAIM_FAILURES, (double)stats->warm.claim_failures, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_STARTS_IN_FLIGHT, stats->starts_in_flight, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_STARTS_QUEUED, stats->starts_queued, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_EXECS_RUNNING, stats->execs, NULL, NULL, NULL);
}

static void set_state(struct metrics *metrics, const struct api_state *state)
{
        metrics_set(metrics, METRIC_ENGINE_UP, state->is_engine_available != 0, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_POLICY_IN_FORCE, state->is_policy_in_force != 0, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_POLICY_HEALS, (double)state->policy_heals, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_POLICY_ALARMS, (double)state->policy_alarms, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_DROPPED_PACKETS, (double)state->policy_dropped_packets, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_FLOWS, state->flows, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_FLOWS_TABLE_SIZE, state->flows_table_size, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_FLOWS_REFUSED, (double)state->flows_refused_packets, NULL, NULL, NULL);
}

static void set_disks(struct metrics *metrics, const struct api_state *state)
{
        for (size_t i = 0; i < state->n_disks; i++) {
                const struct api_disk *disk = &state->disks[i];

                metrics_set(metrics, METRIC_DISK_FREE_BYTES, (double)disk->space.free_bytes, disk->setting, NULL, NULL);
                if (disk->space.inodes > 0)
                        metrics_set(metrics, METRIC_DISK_FREE_INODES, (double)disk->space.free_inodes, disk->setting,
                                    NULL, NULL);
                metrics_set(metrics, METRIC_DISK_AGE, disk->space.age_s, disk->setting, NULL, NULL);
        }
}

static void set_own(struct metrics *metrics, const struct api *api)
{
        uint64_t records = 0, records_max = 0;
        struct httpd_stats stats;

        if (api->options.jobs != NULL)
                jobs_count(api->options.jobs, &records, &records_max);
        metrics_set(metrics, METRIC_EXEC_RECORDS, (double)records, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_EXEC_RECORDS_MAX, (double)records_max, NULL, NULL, NULL);
        httpd_stats(api->httpd, &stats);
        metrics_set(metrics, METRIC_SPOOL_BYTES, (double)stats.spool_bytes, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_SPOOL_BYTES_MAX, (double)stats.spool_bytes_max, NULL, NULL, NULL);
        metrics_set(metrics, METRIC_CONNECTIONS, stats.connections, NULL, NULL, NULL);
}

void handle_metrics(struct request *request)
{
        const struct api *api = api_of(request);
        struct pool_stats stats = { 0 };
        struct api_state state = { 0 };
        struct buffer text = { 0 };

        pool_stats(api->pool, &stats);
        api->info.describe(api->info.arg, &state);
        set_stats(api->metrics, &stats);
        set_state(api->metrics, &state);
        set_disks(api->metrics, &state);
        set_own(api->metrics, api);
        if (api->metrics != NULL)
                metrics_render(api->metrics, &text);
        answer_text(request, "text/plain; version=0.0.4; charset=utf-8", &text);
        buffer_free(&text);
}
