#include "render.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "clock.h"
#include "errors.h"
#include "jobs.h"
#include "put.h"
#include "server.h"
#include "utf8.h"

static cJSON *render_limits(const struct carrel_spec *spec)
{
        cJSON *limits = cJSON_CreateObject();

        put_number(&limits, "memory", (double)spec->memory_bytes);
        put_number(&limits, "cpus", (double)spec->cpu_millis / 1000);
        put_number(&limits, "pids", spec->pids);
        return limits;
}

static void put_time(cJSON **object, const char *key, int64_t wall_ms)
{
        char text[CLOCK_TEXT_BYTES];

        clock_format_utc(wall_ms, text);
        put_child(object, key, wall_ms == 0 ? cJSON_CreateNull() : cJSON_CreateString(text));
}

cJSON *render_carrel(const struct carrel_view *carrel, const char *engine, const char *outcome)
{
        cJSON *object = cJSON_CreateObject();

        put_text(&object, "user", carrel->user);
        put_text(&object, "container", carrel->container);
        put_text(&object, "container_id", carrel->container_id);
        if (outcome != NULL)
                put_text(&object, "outcome", outcome);
        put_text(&object, "state", carrel_state_name(carrel->state));
        put_text(&object, "step", carrel->step);
        put_number(&object, "generation", (double)carrel->generation);
        put_text(&object, "engine", engine);
        put_text(&object, "image", carrel->spec->image);
        put_text(&object, "policy", carrel_policy_name(carrel->spec->policy));
        put_child(&object, "limits", render_limits(carrel->spec));
        put_text(&object, "address", carrel->address);
        put_time(&object, "started_at", carrel->started_wall_ms);
        put_seconds(&object, "age_s", (double)carrel->age_ms);
        put_seconds(&object, "idle_s", (double)carrel->idle_ms);
        put_seconds(&object, "lease_left_s", (double)carrel->lease_left_ms);
        put_text(&object, "exec", carrel->has_agent ? "agent" : "engine");
        put_number(&object, "execs", carrel->execs);
        return object;
}

/* null: unknown. */
static void put_background(cJSON **object, const struct carrel_view *carrel)
{
        unsigned tasks = 0;

        if (carrel_background(carrel, &tasks) == 0)
                put_number(object, "background", tasks);
        else
                put_text(object, "background", NULL);
}

cJSON *render_looked_at(const struct carrel_view *carrel, const char *engine)
{
        cJSON *object = render_carrel(carrel, engine, NULL);

        put_background(&object, carrel);
        put_bool(&object, "frozen", carrel_is_frozen(carrel));
        return object;
}

cJSON *render_ensured(const struct pool_ensured *ensured, const char *engine)
{
        cJSON *object = render_carrel(&ensured->carrel, engine, ensure_outcome_name(ensured->outcome));
        cJSON *killed = cJSON_CreateArray();

        for (size_t i = 0; ensured->killed != NULL && i < ensured->killed->n; i++)
                put_child(&killed, NULL, cJSON_CreateString(ensured->killed->ids[i]));
        put_child(&object, "killed", killed);
        return object;
}

cJSON *render_why(const struct carrel_view *carrel, const char *reaper)
{
        cJSON *object = cJSON_CreateObject();

        put_text(&object, "user", carrel->user);
        put_text(&object, "state", carrel_state_name(carrel->state));
        put_text(&object, "step", carrel->step);
        put_text(&object, "reason", carrel->reason);
        put_text(&object, "reaper", reaper);
        put_text(&object, "last_fault", carrel->last_fault);
        put_seconds(&object, "idle_s", (double)carrel->idle_ms);
        put_seconds(&object, "lease_left_s", (double)carrel->lease_left_ms);
        put_number(&object, "execs", carrel->execs);
        put_background(&object, carrel);
        return object;
}

cJSON *render_past(const struct pool_past *past)
{
        static const char *const SENTENCES[POOL_EVENT_KINDS] = {
                [POOL_ENSURE_FAILED] = "has no carrel: the last ensure failed",
                [POOL_RETIRED] = "has no carrel: the last one was removed",
                [POOL_LOST] = "has no carrel: the last one was lost",
        };
        cJSON *object = cJSON_CreateObject();
        char reason[sizeof past->detail + 64];

        (void)snprintf(reason, sizeof reason, "%s: %s", SENTENCES[past->kind], past->detail);
        put_text(&object, "user", past->user);
        put_text(&object, "state", "absent");
        put_child(&object, "reason", cJSON_CreateString(reason));
        put_text(&object, "last_fault", past->kind == POOL_ENSURE_FAILED ? past->detail : "");
        put_time(&object, "since", past->wall_ms);
        return object;
}

cJSON *render_event(const struct pool_event *event, uint64_t seq, int64_t wall_ms)
{
        cJSON *object = cJSON_CreateObject();

        put_text(&object, "event", pool_event_name(event->kind));
        put_number(&object, "seq", (double)seq);
        put_time(&object, "time", wall_ms);
        put_text(&object, "user", event->user);
        put_text(&object, "container_id", event->container_id);
        put_text(&object, "detail", event->detail);
        put_seconds(&object, "duration_s", event->duration_s * 1000);
        if (event->kind == POOL_EXEC_ENDED)
                put_text(&object, "cause", exec_cause_name(event->cause));
        if (event->kind == POOL_EXEC_ENDED)
                put_bool(&object, "streams_open", event->has_open_streams);
        return object;
}

cJSON *render_exec(const struct exec_view *exec, const char *user)
{
        cJSON *object = cJSON_CreateObject();

        put_text(&object, "exec_id", exec->exec_id);
        put_text(&object, "user", user);
        put_text(&object, "container_id", exec->container_id);
        put_text(&object, "program", exec->program);
        put_text(&object, "command", exec->command);
        put_text(&object, "state", job_state_name(JOB_RUNNING));
        put_seconds(&object, "age_s", exec->running_s * 1000);
        put_seconds(&object, "running_s", exec->running_s * 1000);
        return object;
}

cJSON *render_job(const struct job_view *view)
{
        cJSON *object = cJSON_CreateObject();
        cJSON *error;

        put_text(&object, "exec_id", view->exec_id);
        put_text(&object, "user", view->user);
        put_text(&object, "program", view->program);
        put_text(&object, "command", view->command);
        put_text(&object, "state", job_state_name(view->state));
        put_bool(&object, "detached", view->is_detached);
        put_seconds(&object, "age_s", view->age_s * 1000);
        put_number(&object, "first_seq", (double)view->first_seq);
        put_number(&object, "next_seq", (double)view->next_seq);
        if (view->result != NULL)
                render_exec_outcome(&object, view->result);
        if (view->why == NULL)
                return object;
        error = error_render(view->why);
        put_child(&object, "error", cJSON_DetachItemFromObject(error, "error"));
        cJSON_Delete(error);
        return object;
}

void render_exec_end(cJSON **object, const struct exec_result *result)
{
        put_text(object, "exec_id", result->exec_id);
        render_exec_outcome(object, result);
}

void render_exec_outcome(cJSON **object, const struct exec_result *result)
{
        put_text(object, "cause", exec_cause_name(result->cause));
        put_number(object, "exit_code", result->exit_code);
        put_number(object, "signal", result->signal);
        put_seconds(object, "duration_ms", result->duration_s * 1e6);
        put_bool(object, "streams_open", result->is_open);
        if (result->message != NULL)
                put_text(object, "message", result->message);
}

/* The bytes of one stream as a C string for JSON. bytes may be NULL when length is 0. */
static char *encode_output(const char *bytes, size_t length, bool is_text)
{
        if (!is_text)
                return base64_encode(bytes, length);
        return length == 0 ? strdup("") : strndup(bytes, length);
}

void render_exec_streams(cJSON **object, const struct exec_result *result, bool is_text)
{
        put_text(object, "encoding", is_text ? "utf-8" : "base64");
        put_bool(object, "truncated", result->is_output_truncated || result->is_errors_truncated);
        put_bool(object, "stdout_truncated", result->is_output_truncated);
        put_bool(object, "stderr_truncated", result->is_errors_truncated);
}

cJSON *render_exec_result(const struct exec_result *result, char *ret_texts[2])
{
        cJSON *object = cJSON_CreateObject();
        bool is_text = utf8_is_text(result->output, result->output_length) &&
                       utf8_is_text(result->errors, result->errors_length);

        ret_texts[0] = encode_output(result->output, result->output_length, is_text);
        ret_texts[1] = encode_output(result->errors, result->errors_length, is_text);
        render_exec_end(&object, result);
        if (ret_texts[0] == NULL || ret_texts[1] == NULL)
                put_child(&object, "stdout", NULL);
        put_text(&object, "stdout", ret_texts[0]);
        put_text(&object, "stderr", ret_texts[1]);
        render_exec_streams(&object, result, is_text);
        return object;
}

cJSON *render_image(const struct pool_image *image)
{
        cJSON *object = cJSON_CreateObject();

        put_text(&object, "reference", image->reference);
        put_text(&object, "id", image->id);
        put_child(&object, "size_bytes",
                  image->bytes == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)image->bytes));
        put_time(&object, "created_at", image->created_wall_ms);
        return object;
}

cJSON *render_sweep(const struct sweep_report *report)
{
        cJSON *object = cJSON_CreateObject();

        put_number(&object, "kept", report->kept);
        put_number(&object, "adopted", report->adopted);
        put_number(&object, "removed", report->removed);
        put_number(&object, "lost", report->lost);
        put_number(&object, "failed", report->failed);
        return object;
}

static cJSON *render_engine(const char *kind, const struct api_state *state)
{
        cJSON *engine = cJSON_CreateObject();

        put_child(&engine, "kind", cJSON_CreateString(kind));
        put_child(&engine, "version", cJSON_CreateString(state->engine_version));
        put_child(&engine, "api_version", cJSON_CreateString(state->engine_api_version));
        put_bool(&engine, "is_available", state->is_engine_available != 0);
        put_child(&engine, "detail", cJSON_CreateString(state->engine_detail));
        return engine;
}

static cJSON *render_engines(const struct api_state *state)
{
        cJSON *engines = cJSON_CreateArray();

        for (size_t i = 0; i < state->n_engines; i++) {
                cJSON *engine = cJSON_CreateObject();

                put_child(&engine, "kind", cJSON_CreateString(state->engines[i].kind));
                put_bool(&engine, "is_chosen", state->engines[i].is_chosen != 0);
                put_child(&engine, "reason", cJSON_CreateString(state->engines[i].reason));
                if (!cJSON_AddItemToArray(engines, engine)) {
                        cJSON_Delete(engine);
                        cJSON_Delete(engines);
                        return NULL;
                }
        }
        return engines;
}

static cJSON *render_policy(const struct api_state *state)
{
        cJSON *policy = cJSON_CreateObject();
        cJSON *flows = cJSON_CreateObject();

        put_bool(&policy, "is_in_force", state->is_policy_in_force != 0);
        put_bool(&policy, "can_connect", state->can_connect != 0);
        put_child(&policy, "detail", cJSON_CreateString(state->policy_detail));
        put_number(&policy, "heals", (double)state->policy_heals);
        put_number(&policy, "alarms", (double)state->policy_alarms);
        put_number(&policy, "dropped_packets", (double)state->policy_dropped_packets);
        put_number(&flows, "of_a_carrel_max", state->flows_max);
        put_number(&flows, "of_the_host", state->flows);
        put_number(&flows, "table_size", state->flows_table_size);
        put_number(&flows, "refused_packets", (double)state->flows_refused_packets);
        put_child(&policy, "flows", flows);
        put_child(&policy, "resolvers", cJSON_CreateString(state->resolvers));
        return policy;
}

static cJSON *render_disks(const struct api_state *state)
{
        cJSON *disks = cJSON_CreateArray();

        for (size_t i = 0; i < state->n_disks; i++) {
                const struct space *space = &state->disks[i].space;
                cJSON *disk = cJSON_CreateObject();

                put_text(&disk, "setting", state->disks[i].setting);
                put_number(&disk, "size_bytes", (double)space->size_bytes);
                put_number(&disk, "free_bytes", (double)space->free_bytes);
                put_number(&disk, "inodes", (double)space->inodes);
                put_number(&disk, "free_inodes", (double)space->free_inodes);
                put_number(&disk, "age_s", space->age_s);
                put_child(&disks, NULL, disk);
        }
        return disks;
}

static cJSON *render_runtime_dir(const struct file_system *system)
{
        cJSON *object = cJSON_CreateObject();

        put_child(&object, "file_system", cJSON_CreateString(system->name));
        put_bool(&object, "is_in_memory", system->is_in_memory);
        return object;
}

static cJSON *render_stats(const struct pool_stats *stats)
{
        cJSON *object = cJSON_CreateObject();
        cJSON *carrels = cJSON_CreateObject();
        cJSON *ensures = cJSON_CreateObject();

        for (int state = 0; state < CARREL_STATES; state++)
                put_number(&carrels, carrel_state_name((enum carrel_state)state), stats->by_state[state]);
        for (int outcome = 0; outcome < OUTCOMES; outcome++)
                put_number(&ensures, ensure_outcome_name((enum ensure_outcome)outcome),
                           (double)stats->ensures[outcome]);
        put_child(&object, "carrels", carrels);
        put_number(&object, "starts_in_flight", stats->starts_in_flight);
        put_number(&object, "starts_queued", stats->starts_queued);
        put_number(&object, "waiters", stats->waiters);
        put_number(&object, "execs", stats->execs);
        put_child(&object, "ensures", ensures);
        put_number(&object, "ensure_failures", (double)stats->ensure_failures);
        put_bool(&object, "has_reconciled", stats->has_reconciled);
        return object;
}

cJSON *render_info(const struct api_info *info, const struct pool_stats *stats)
{
        struct api_state state = { 0 };
        cJSON *object = cJSON_CreateObject();
        cJSON *settings;

        info->describe(info->arg, &state);
        settings = state.settings_json == NULL ? NULL : cJSON_Parse(state.settings_json);
        put_text(&object, "version", info->version);
        put_text(&object, "pool", info->pool);
        put_child(&object, "engine", render_engine(info->engine, &state));
        put_child(&object, "engines", render_engines(&state));
        put_child(&object, "policy", render_policy(&state));
        put_child(&object, "disks", render_disks(&state));
        put_child(&object, "runtime_dir", render_runtime_dir(&state.runtime_fs));
        put_child(&object, "stats", render_stats(stats));
        put_child(&object, "settings", settings == NULL ? cJSON_CreateNull() : settings);
        return object;
}
