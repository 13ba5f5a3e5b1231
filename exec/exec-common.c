#include "exec-inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exec-id.h"

/* libev takes a repeat of 0 for no timer. */
static const double DRAIN_LEAST_S = 0.001;

static void count(const struct exec *exec, struct cgroup_counters *ret_counters)
{
        if (exec->reader != NULL)
                cgroup_reader_count(exec->reader, ret_counters);
        else
                cgroup_count(&exec->cgroup, ret_counters);
}

static void look_at_cgroup(struct exec *exec, const struct exec_place *place)
{
        exec->reader = place->reader;
        exec->has_cgroup = exec->reader != NULL ||
                           (place->container_pid > 0 && cgroup_find(&exec->execs->mounts, place->container_pid,
                                                                    exec->container_id, &exec->cgroup) == 0);
        if (exec->has_cgroup)
                count(exec, &exec->before);
}

int exec_init(struct exec *exec, const struct exec_backend *backend, struct execs *execs,
              const struct exec_place *place, const struct exec_request *request, const struct exec_sink *sink,
              void *arg)
{
        int r = exec_id_choose(request->exec_id, exec->id);

        exec->backend = backend;
        exec->execs = execs;
        exec->sink = *sink;
        exec->arg = arg;
        exec->is_streaming = request->is_streaming;
        exec->is_pulled = request->is_streaming && request->is_pulled;
        exec->output.cap_bytes = exec->errors.cap_bytes = request->max_output_bytes;
        exec->since_ms = clock_boottime_ms();
        exec->drain_s = request->has_drain ? request->drain_s : execs->timing.drain_s;
        if (exec->drain_s < DRAIN_LEAST_S)
                exec->drain_s = DRAIN_LEAST_S;
        list_init(&exec->node);
        if (r == 0)
                r = str_copy(exec->container_id, sizeof exec->container_id, place->container_id);
        if (r != 0)
                return r;
        exec->program = strdup(request->argv[0]);
        exec->command = exec_command(request->argv);
        if (exec->program == NULL || exec->command == NULL)
                return -ENOMEM;
        look_at_cgroup(exec, place);
        return 0;
}

void exec_note_launch(const struct exec *exec)
{
        if (!exec->is_silent && exec->sink.on_launch != NULL)
                exec->sink.on_launch(exec->arg);
}

static void give_back(struct execs *execs, struct sharer *sharer, uint64_t bytes)
{
        if (sharer == NULL)
                return;
        share_give(&execs->outputs, sharer->held, bytes);
        (void)sharer_leave(&execs->sharers, sharer);
}

void exec_leave(struct exec *exec)
{
        for (struct execs_walk *walk = exec->execs->walks; walk != NULL; walk = walk->next)
                if (walk->at == &exec->node)
                        walk->at = exec->node.next;
        list_remove(&exec->node);
}

void exec_release(struct exec *exec)
{
        exec_leave(exec);
        give_back(exec->execs, exec->sharer, exec->kept_bytes);
        exec->sharer = NULL;
        exec->kept_bytes = 0;
        buffer_free(&exec->output.kept);
        buffer_free(&exec->errors.kept);
        free(exec->program);
        free(exec->command);
        exec->program = exec->command = NULL;
}

/* Output over the container's share is dropped, as output over the cap is. Nothing may follow dropped output: a gap
 * would read as if it were whole. */
static void keep(struct exec *exec, struct exec_output *output, const void *bytes, size_t length)
{
        struct execs *execs = exec->execs;
        uint64_t room = output->cap_bytes - output->kept.length; /* kept.length is never larger */
        uint64_t wanted = length < room ? length : room;

        if (wanted > 0 && exec->sharer == NULL)
                exec->sharer = sharer_join(&execs->sharers, exec->container_id);
        if (wanted > 0 && (exec->sharer == NULL || share_take(&execs->outputs, exec->sharer->held, wanted) < 0))
                output->cap_bytes = output->kept.length;
        else
                exec->kept_bytes += wanted;
        exec_output_append(output, bytes, length);
}

void exec_take_output(struct exec *exec, int stream, const void *bytes, size_t length)
{
        if (exec->is_silent)
                return;
        if (exec->is_streaming)
                exec->sink.on_output(exec->arg, stream, bytes, length);
        else
                keep(exec, stream == 1 ? &exec->output : &exec->errors, bytes, length);
}

void exec_read_counters(const struct exec *exec, struct exec_facts *facts)
{
        struct cgroup_counters now;

        if (!exec->has_cgroup)
                return;
        count(exec, &now);
        facts->has_oom_risen |= cgroup_has_risen(exec->before.oom_kills, now.oom_kills);
        facts->has_pids_risen |= cgroup_has_risen(exec->before.pids_refused, now.pids_refused);
}

static const char *text_of(const struct exec_output *output)
{
        return output->kept.data != NULL ? output->kept.data : "";
}

static void tell_end(const struct exec *exec, const struct exec_result *result, const struct fault *why)
{
        const struct exec_sink sink = exec->sink;
        void *arg = exec->arg;

        if (sink.on_end != NULL)
                sink.on_end(sink.end_arg, result);
        sink.on_done(arg, result, why);
}

/* The exec is silent before the callback runs, so that a cancel from inside it changes nothing. */
void exec_report(struct exec *exec, const struct exec_end *end)
{
        if (exec->is_silent)
                return; /* and its outputs may have been taken */
        exec_output_end(&exec->output);
        exec_output_end(&exec->errors);
        struct exec_result result = {
                .cause = end->cause,
                .exit_code = end->exit_code,
                .signal = end->signal,
                .output = text_of(&exec->output),
                .output_length = exec->output.kept.length,
                .errors = text_of(&exec->errors),
                .errors_length = exec->errors.kept.length,
                .is_output_truncated = exec->output.is_truncated,
                .is_errors_truncated = exec->errors.is_truncated,
                .is_open = exec->is_open,
                .message = exec->message,
                .usage = exec->usage,
                .is_text = utf8_scan_is_text(&exec->output.scan) && utf8_scan_is_text(&exec->errors.scan),
                .n_escapes = exec->output.scan.n_escapes + exec->errors.scan.n_escapes,
                .taken_from = exec,
                .duration_s = (double)(clock_boottime_ms() - exec->since_ms) / 1000.0,
        };

        exec->is_silent = true;
        memcpy(result.exec_id, exec->id, sizeof result.exec_id);
        tell_end(exec, &result, NULL);
}

void exec_report_fault(struct exec *exec, const struct fault *why)
{
        struct fault copy = *why;

        if (exec->is_silent)
                return;
        exec->is_silent = true;
        tell_end(exec, NULL, &copy);
}

bool exec_result_take(const struct exec_result *result, struct exec_outputs *ret_outputs)
{
        struct exec *exec = result->taken_from;

        if (exec == NULL)
                return false;
        *ret_outputs = (struct exec_outputs){
                .output = exec->output.kept,
                .errors = exec->errors.kept,
                .execs = exec->execs,
                .sharer = exec->sharer,
                .bytes = exec->kept_bytes,
        };
        exec->output.kept = exec->errors.kept = (struct buffer){ 0 };
        exec->output.scan = exec->errors.scan = (struct utf8_scan){ 0 };
        exec->sharer = NULL;
        exec->kept_bytes = 0;
        return true;
}

void exec_outputs_release(struct exec_outputs *outputs)
{
        give_back(outputs->execs, outputs->sharer, outputs->bytes);
        buffer_free(&outputs->output);
        buffer_free(&outputs->errors);
        *outputs = (struct exec_outputs){ 0 };
}
