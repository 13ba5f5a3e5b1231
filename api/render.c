#include "render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "errors.h"
#include "jobs.h"
#include "put.h"
#include "server.h"
#include "utf8.h"

static struct json *render_limits(const struct carrel_spec *spec)
{
        struct json *limits = json_object();

        put_number(&limits, "memory", (double)spec->memory_bytes);
        put_number(&limits, "cpus", (double)spec->cpu_millis / 1000);
        put_number(&limits, "pids", spec->pids);
        return limits;
}

static void put_time(struct json **object, const char *key, int64_t wall_ms)
{
        char text[CLOCK_TEXT_BYTES];

        clock_format_utc(wall_ms, text);
        put_text(object, key, wall_ms == 0 ? NULL : text);
}

/* names: separated by commas. */
static struct json *render_mounts(const char *names)
{
        struct json *array = json_array();
        char words[POOL_MOUNTS_BYTES];
        char *rest = words;

        memcpy(words, names, sizeof words);
        for (const char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ","))
                if (name[0] != '\0')
                        put_text(&array, NULL, name);
        return array;
}

struct json *render_carrel(const struct carrel_view *carrel, const char *engine, const char *outcome)
{
        struct json *object = json_object();

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
        put_text(&object, "profile", carrel->spec->profile);
        put_text(&object, "policy", carrel_policy_name(carrel->spec->policy));
        put_child(&object, "limits", render_limits(carrel->spec));
        put_child(&object, "mounts", render_mounts(carrel->spec->mounts));
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
static void put_background(struct json **object, const struct carrel_view *carrel)
{
        unsigned tasks = 0;

        if (carrel_background(carrel, &tasks) == 0)
                put_number(object, "background", tasks);
        else
                put_text(object, "background", NULL);
}

struct json *render_looked_at(const struct carrel_view *carrel, const char *engine)
{
        struct json *object = render_carrel(carrel, engine, NULL);

        put_background(&object, carrel);
        put_bool(&object, "frozen", carrel_is_frozen(carrel));
        return object;
}

/* The numbers of one group follow each other. */
static const struct usage_field {
        const char *group, *name;
        enum usage_number number;
} USAGE[] = {
        { "cpu", "usage_us", USAGE_CPU_US },
        { "cpu", "user_us", USAGE_CPU_USER_US },
        { "cpu", "system_us", USAGE_CPU_SYSTEM_US },
        { "cpu", "periods", USAGE_CPU_PERIODS },
        { "cpu", "throttled_periods", USAGE_CPU_THROTTLED_PERIODS },
        { "cpu", "throttled_us", USAGE_CPU_THROTTLED_US },
        { "memory", "current_bytes", USAGE_MEMORY_BYTES },
        { "memory", "peak_bytes", USAGE_MEMORY_PEAK_BYTES },
        { "memory", "socket_bytes", USAGE_MEMORY_SOCKET_BYTES },
        { "memory", "oom_kills", USAGE_MEMORY_OOM_KILLS },
        { "pids", "current", USAGE_PIDS },
        { "pids", "peak", USAGE_PIDS_PEAK },
        { "io", "read_bytes", USAGE_IO_READ_BYTES },
        { "io", "written_bytes", USAGE_IO_WRITTEN_BYTES },
        { "io", "reads", USAGE_IO_READS },
        { "io", "writes", USAGE_IO_WRITES },
        { "pressure", "cpu_some_us", USAGE_PRESSURE_CPU_SOME_US },
        { "pressure", "cpu_full_us", USAGE_PRESSURE_CPU_FULL_US },
        { "pressure", "memory_some_us", USAGE_PRESSURE_MEMORY_SOME_US },
        { "pressure", "memory_full_us", USAGE_PRESSURE_MEMORY_FULL_US },
        { "pressure", "io_some_us", USAGE_PRESSURE_IO_SOME_US },
        { "pressure", "io_full_us", USAGE_PRESSURE_IO_FULL_US },
        { "net", "received_bytes", USAGE_NET_RECEIVED_BYTES },
        { "net", "sent_bytes", USAGE_NET_SENT_BYTES },
        { "net", "received_packets", USAGE_NET_RECEIVED_PACKETS },
        { "net", "sent_packets", USAGE_NET_SENT_PACKETS },
        { "net", "received_dropped", USAGE_NET_RECEIVED_DROPPED },
        { "net", "sent_dropped", USAGE_NET_SENT_DROPPED },
        { 0 },
};

/* null: uncounted. */
static void put_count(struct json **object, const char *name, uint64_t count)
{
        if (count == USAGE_UNCOUNTED)
                put_text(object, name, NULL);
        else
                put_number(object, name, (double)count);
}

/* The group that begins at `field`, or null if nothing of it is counted. Returns where the next one begins. */
static const struct usage_field *put_group(struct json **object, const struct usage_field *field,
                                           const struct usage *usage, const struct carrel_spec *spec)
{
        const char *name = field->group;
        struct json *group = json_object();
        bool is_counted = false;

        for (; field->group != NULL && strcmp(field->group, name) == 0; field++) {
                is_counted |= usage->of[field->number] != USAGE_UNCOUNTED;
                put_count(&group, field->name, usage->of[field->number]);
        }
        if (strcmp(name, "memory") == 0)
                put_number(&group, "limit_bytes", (double)spec->memory_bytes);
        if (strcmp(name, "pids") == 0)
                put_number(&group, "limit", spec->pids);
        if (is_counted) {
                put_child(object, name, group);
        } else {
                json_free(group);
                put_text(object, name, NULL);
        }
        return field;
}

struct json *render_usage(const struct carrel_view *carrel)
{
        struct json *object = json_object();
        struct usage usage;

        carrel_usage(carrel, &usage);
        put_text(&object, "user", carrel->user);
        put_text(&object, "state", carrel_state_name(carrel->state));
        put_number(&object, "generation", (double)carrel->generation);
        put_bool(&object, "frozen", carrel_is_frozen(carrel));
        put_number(&object, "read_ms", (double)clock_boottime_ms());
        for (const struct usage_field *field = USAGE; field->group != NULL;)
                field = put_group(&object, field, &usage, carrel->spec);
        put_text(&object, "disk", NULL); /* of a quota, when there is one */
        return object;
}

struct json *render_ensured(const struct pool_ensured *ensured, const char *engine)
{
        struct json *object = render_carrel(&ensured->carrel, engine, ensure_outcome_name(ensured->outcome));
        struct json *killed = json_array();

        for (size_t i = 0; ensured->killed != NULL && i < ensured->killed->n; i++)
                put_text(&killed, NULL, ensured->killed->ids[i]);
        put_child(&object, "killed", killed);
        return object;
}

struct json *render_why(const struct carrel_view *carrel, const char *reaper)
{
        struct json *object = json_object();

        put_text(&object, "user", carrel->user);
        put_text(&object, "state", carrel_state_name(carrel->state));
        put_text(&object, "step", carrel->step);
        put_text(&object, "profile", carrel->spec->profile);
        put_text(&object, "reason", carrel->reason);
        put_text(&object, "reaper", reaper);
        put_text(&object, "last_fault", carrel->last_fault);
        put_seconds(&object, "idle_s", (double)carrel->idle_ms);
        put_seconds(&object, "lease_left_s", (double)carrel->lease_left_ms);
        put_number(&object, "execs", carrel->execs);
        put_background(&object, carrel);
        return object;
}

struct json *render_past(const struct pool_past *past)
{
        static const char *const SENTENCES[POOL_EVENT_KINDS] = {
                [POOL_ENSURE_FAILED] = "has no carrel: the last ensure failed",
                [POOL_RETIRED] = "has no carrel: the last one was removed",
                [POOL_LOST] = "has no carrel: the last one was lost",
        };
        struct json *object = json_object();
        char reason[sizeof past->detail + 64];

        (void)snprintf(reason, sizeof reason, "%s: %s", SENTENCES[past->kind], past->detail);
        put_text(&object, "user", past->user);
        put_text(&object, "state", "absent");
        put_text(&object, "reason", reason);
        put_text(&object, "last_fault", past->kind == POOL_ENSURE_FAILED ? past->detail : "");
        put_time(&object, "since", past->wall_ms);
        return object;
}

struct json *render_event(const struct pool_event *event, uint64_t seq, int64_t wall_ms)
{
        struct json *object = json_object();

        put_text(&object, "event", pool_event_name(event->kind));
        put_number(&object, "seq", (double)seq);
        put_time(&object, "time", wall_ms);
        put_text(&object, "user", event->user);
        put_text(&object, "container_id", event->container_id);
        put_text(&object, "detail", event->detail);
        put_seconds(&object, "duration_s", event->duration_s * 1000);
        if (event->kind == POOL_EXEC_ENDED)
                put_text(&object, "cause", exec_cause_name(event->cause));
        if (event->kind == POOL_RECLAIMED)
                put_number(&object, "bytes", (double)event->bytes);
        if (event->kind == POOL_EXEC_ENDED)
                put_bool(&object, "streams_open", event->has_open_streams);
        return object;
}

struct json *render_exec(const struct exec_view *exec, const char *user)
{
        struct json *object = json_object();

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

struct json *render_job(const struct job_view *view)
{
        struct json *object = json_object();

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
        if (view->why != NULL)
                put_child(&object, "error", error_object(view->why));
        return object;
}

void render_exec_end(struct json **object, const struct exec_result *result)
{
        put_text(object, "exec_id", result->exec_id);
        render_exec_outcome(object, result);
}

/* null: nobody counted it. */
static void put_exec_usage(struct json **object, const struct exec_usage *usage)
{
        struct json *counts;

        if (!usage->is_known) {
                put_text(object, "usage", NULL);
                return;
        }
        counts = json_object();
        put_number(&counts, "cpu_us", (double)(usage->user_us + usage->system_us));
        put_number(&counts, "user_us", (double)usage->user_us);
        put_number(&counts, "system_us", (double)usage->system_us);
        put_number(&counts, "memory_peak_bytes", (double)usage->peak_bytes);
        put_child(object, "usage", counts);
}

void render_exec_outcome(struct json **object, const struct exec_result *result)
{
        put_text(object, "cause", exec_cause_name(result->cause));
        put_number(object, "exit_code", result->exit_code);
        put_number(object, "signal", result->signal);
        put_seconds(object, "duration_ms", result->duration_s * 1e6);
        put_bool(object, "streams_open", result->is_open);
        put_exec_usage(object, &result->usage);
        if (result->message != NULL)
                put_text(object, "message", result->message);
}

void render_output(struct json **object, const char *key, const char *bytes, size_t length, bool is_text)
{
        if (is_text)
                put_bytes(object, key, bytes, length);
        else
                put_base64(object, key, bytes, length);
}

void render_exec_streams(struct json **object, const struct exec_result *result, bool is_text)
{
        put_text(object, "encoding", is_text ? "utf-8" : "base64");
        put_bool(object, "truncated", result->is_output_truncated || result->is_errors_truncated);
        put_bool(object, "stdout_truncated", result->is_output_truncated);
        put_bool(object, "stderr_truncated", result->is_errors_truncated);
}

struct json *render_exec_result(const struct exec_result *result)
{
        struct json *object = json_object();
        bool is_text = utf8_is_text(result->output, result->output_length) &&
                       utf8_is_text(result->errors, result->errors_length);

        render_exec_end(&object, result);
        render_output(&object, "stdout", result->output, result->output_length, is_text);
        render_output(&object, "stderr", result->errors, result->errors_length, is_text);
        render_exec_streams(&object, result, is_text);
        return object;
}

struct json *render_image(const struct pool_image *image)
{
        struct json *object = json_object();

        put_text(&object, "reference", image->reference);
        put_text(&object, "id", image->id);
        if (image->bytes == 0)
                put_text(&object, "size_bytes", NULL);
        else
                put_number(&object, "size_bytes", (double)image->bytes);
        put_time(&object, "created_at", image->created_wall_ms);
        return object;
}

struct json *render_sweep(const struct sweep_report *report)
{
        struct json *object = json_object();

        put_number(&object, "kept", report->kept);
        put_number(&object, "adopted", report->adopted);
        put_number(&object, "removed", report->removed);
        put_number(&object, "lost", report->lost);
        put_number(&object, "failed", report->failed);
        return object;
}

static struct json *render_engine(const char *kind, const struct api_state *state)
{
        struct json *engine = json_object();

        put_text(&engine, "kind", kind);
        put_text(&engine, "version", state->engine_version);
        put_text(&engine, "api_version", state->engine_api_version);
        put_bool(&engine, "is_available", state->is_engine_available != 0);
        put_text(&engine, "detail", state->engine_detail);
        return engine;
}

static struct json *render_engines(const struct api_state *state)
{
        struct json *engines = json_array();

        for (size_t i = 0; i < state->n_engines; i++) {
                struct json *engine = json_object();

                put_text(&engine, "kind", state->engines[i].kind);
                put_bool(&engine, "is_chosen", state->engines[i].is_chosen != 0);
                put_text(&engine, "reason", state->engines[i].reason);
                put_child(&engines, NULL, engine);
        }
        return engines;
}

static struct json *render_policy(const struct api_state *state)
{
        struct json *policy = json_object();
        struct json *flows = json_object();

        put_bool(&policy, "is_in_force", state->is_policy_in_force != 0);
        put_bool(&policy, "can_connect", state->can_connect != 0);
        put_text(&policy, "detail", state->policy_detail);
        put_number(&policy, "heals", (double)state->policy_heals);
        put_number(&policy, "alarms", (double)state->policy_alarms);
        put_number(&policy, "dropped_packets", (double)state->policy_dropped_packets);
        put_number(&flows, "of_a_carrel_max", state->flows_max);
        put_number(&flows, "of_the_host", state->flows);
        put_number(&flows, "table_size", state->flows_table_size);
        put_number(&flows, "refused_packets", (double)state->flows_refused_packets);
        put_child(&policy, "flows", flows);
        put_text(&policy, "resolvers", state->resolvers);
        return policy;
}

static struct json *render_disks(const struct api_state *state)
{
        struct json *disks = json_array();

        for (size_t i = 0; i < state->n_disks; i++) {
                const struct space *space = &state->disks[i].space;
                struct json *disk = json_object();

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

static struct json *render_runtime_dir(const struct file_system *system)
{
        struct json *object = json_object();

        put_text(&object, "file_system", system->name);
        put_bool(&object, "is_in_memory", system->is_in_memory);
        return object;
}

static struct json *render_warm(const struct pool_warm_stats *warm)
{
        struct json *object = json_object();

        put_number(&object, "wanted", warm->wanted);
        put_number(&object, "ready", warm->ready);
        put_number(&object, "failures", (double)warm->failures);
        put_number(&object, "claim_failures", (double)warm->claim_failures);
        put_text(&object, "detail", warm->detail);
        return object;
}

static struct json *render_stats(const struct pool_stats *stats)
{
        struct json *object = json_object();
        struct json *carrels = json_object();
        struct json *ensures = json_object();

        for (int state = 0; state < CARREL_STATES; state++)
                put_number(&carrels, carrel_state_name((enum carrel_state)state), stats->by_state[state]);
        for (int outcome = 0; outcome < OUTCOMES; outcome++)
                put_number(&ensures, ensure_outcome_name((enum ensure_outcome)outcome),
                           (double)stats->ensures[outcome]);
        put_child(&object, "carrels", carrels);
        put_child(&object, "warm", render_warm(&stats->warm));
        put_number(&object, "starts_in_flight", stats->starts_in_flight);
        put_number(&object, "starts_queued", stats->starts_queued);
        put_number(&object, "waiters", stats->waiters);
        put_number(&object, "execs", stats->execs);
        put_child(&object, "ensures", ensures);
        put_number(&object, "ensure_failures", (double)stats->ensure_failures);
        put_bool(&object, "has_reconciled", stats->has_reconciled);
        put_text(&object, "lxcfs", stats->lxcfs);
        return object;
}

struct json *render_info(const struct api_info *info, const struct pool_stats *stats)
{
        struct api_state state = { 0 };
        struct json *object = json_object();

        info->describe(info->arg, &state);
        put_text(&object, "version", info->version);
        put_text(&object, "pool", info->pool);
        put_child(&object, "engine", render_engine(info->engine, &state));
        put_child(&object, "engines", render_engines(&state));
        put_child(&object, "policy", render_policy(&state));
        put_child(&object, "disks", render_disks(&state));
        put_child(&object, "runtime_dir", render_runtime_dir(&state.runtime_fs));
        put_child(&object, "stats", render_stats(stats));
        put_json(&object, "settings", state.settings_json == NULL ? "null" : state.settings_json);
        put_json(&object, "sections", state.sections_json == NULL ? "null" : state.sections_json);
        return object;
}
