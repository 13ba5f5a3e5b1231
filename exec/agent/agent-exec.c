#include "agent-exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct agent_exec *of_exec(struct exec *exec)
{
        return (struct agent_exec *)exec;
}

enum { SIGNALS = 64 };

static void pause_output(struct exec *base, bool is_paused);

/* ---- messages of the agent ---- */

static int on_started(struct agent_exec *exec, int sender)
{
        if ((exec->seen & SAW_STARTED) || (exec->seen & SAW_EXITED))
                return -EBADMSG;
        if (exec->cgroup.directory >= 0 && (sender <= 1 || sender == exec->channel->init ||
                                            !exec_cgroup_holds(&exec->channel->cgroups, &exec->cgroup, sender)))
                return -EBADMSG;
        exec->seen |= SAW_STARTED;
        for (int i = 0; i < 2; i++)
                agent_output_go(&exec->outputs[i], exec->session.number);
        if (!exec->base.is_silent && exec->base.is_streaming && exec->base.sink.on_start != NULL)
                exec->base.sink.on_start(exec->base.arg, exec->base.id);
        return 0;
}

static const char *const STAGES[AGENT_STAGES] = {
        [AGENT_STAGE_SPEC] = "cannot read the request",           [AGENT_STAGE_FORK] = "cannot make a process",
        [AGENT_STAGE_JOIN] = "cannot enter the cgroup",           [AGENT_STAGE_TTY] = "cannot set up the streams",
        [AGENT_STAGE_CWD] = "cannot enter the working directory", [AGENT_STAGE_EXEC] = "cannot execute",
};

/* Written to stderr, as a shell does. */
static int on_failed(struct agent_exec *exec, const void *packet)
{
        struct agent_failed failed;
        char text[512];
        int length;

        if (agent_read_failed(packet, &failed) < 0)
                return -EBADMSG;
        length = snprintf(text, sizeof text, "carrel: %s: %.256s: %s\n", STAGES[failed.stage],
                          failed.stage == AGENT_STAGE_CWD ? exec->working_dir : exec->base.program,
                          strerrordesc_np((int)failed.error) != NULL ? strerrordesc_np((int)failed.error) : "error");
        exec_take_output(&exec->base, exec->flags & AGENT_START_TTY ? 1 : 2, text,
                         (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
        return 0;
}

static int on_exited(struct agent_exec *exec, const void *packet)
{
        if ((exec->seen & SAW_EXITED) || agent_read_exited(packet, &exec->exited) < 0)
                return -EBADMSG;
        exec->seen |= SAW_EXITED;
        exec->base.usage = (struct exec_usage){
                .is_known = exec->exited.has_usage,
                .user_us = exec->exited.usage.user_us,
                .system_us = exec->exited.usage.system_us,
                .peak_bytes = exec->exited.usage.peak_bytes,
        };
        if (!exec->channel->is_framed) /* else processes in the background may still write, and GONE comes */
                agent_session_end(&exec->session);
        agent_input_close(&exec->input);
        agent_exec_handle(exec, ON_EXITED);
        return 0;
}

static int on_gone(struct agent_exec *exec)
{
        if (!exec->channel->is_framed)
                return -EBADMSG;
        exec->seen |= SAW_GONE;
        agent_exec_handle(exec, ON_CHECK);
        return 0;
}

static int on_framed(struct agent_exec *exec, const struct agent_header *header, const void *packet)
{
        const void *bytes;
        size_t length;
        unsigned stream;
        uint32_t credit;

        if (!exec->channel->is_framed)
                return -EBADMSG;
        if (header->kind == AGENT_CREDIT)
                return agent_read_credit(packet, &stream, &credit) < 0 || stream != AGENT_STREAM_IN
                               ? -EBADMSG
                               : agent_input_credit(&exec->input, credit);
        if (header->kind == AGENT_END) {
                if (agent_read_end(packet, &stream) < 0 || stream == AGENT_STREAM_IN)
                        return -EBADMSG;
                return agent_output_end(&exec->outputs[stream - 1]);
        }
        if (agent_read_data(packet, &stream, &bytes, &length) < 0 || stream == AGENT_STREAM_IN)
                return -EBADMSG;
        return agent_output_take(&exec->outputs[stream - 1], bytes, length);
}

static int on_message(struct agent_session *session, const struct agent_header *header, const void *packet, int sender)
{
        struct agent_exec *exec = LIST_ENTRY(session, struct agent_exec, session);

        switch (header->kind) {
        case AGENT_STARTED:
                return on_started(exec, sender);
        case AGENT_FAILED:
                return on_failed(exec, packet);
        case AGENT_EXITED:
                return on_exited(exec, packet);
        case AGENT_GONE:
                return on_gone(exec);
        case AGENT_DATA:
        case AGENT_END:
        case AGENT_CREDIT:
                return on_framed(exec, header, packet);
        default:
                return -EBADMSG;
        }
}

/* ---- the beginning ---- */

/* None while the last words of an agent are read: its carrel is lost, and what is started there may run although its
 * end is never heard, and is started once more elsewhere. */
void agent_exec_let_next_in(struct agent_channel *channel)
{
        while (channel->n_running < channel->execs->limits.per_carrel && channel->fd >= 0 && !channel->is_broken) {
                struct list *node = list_pop(&channel->waiting);
                struct agent_exec *exec;
                struct fault why;
                int r;

                if (node == NULL)
                        return;
                channel->n_waiting--;
                exec = LIST_ENTRY(node, struct agent_exec, waiting);
                r = agent_exec_launch(exec);
                if (r == 0)
                        continue;
                (void)fault_set(&why, r == -EPIPE ? FAULT_CARREL_LOST : FAULT_RESOURCE_EXHAUSTED, -r,
                                "cannot start an exec: %s", strerrordesc_np(-r));
                agent_exec_fail(exec, &why);
        }
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct agent_exec *exec = arg;

        exec_take_output(&exec->base, stream, bytes, length);
}

static void on_output_end(void *arg)
{
        agent_exec_handle(arg, ON_CHECK);
}

static bool on_output_readable(void *arg)
{
        struct agent_exec *exec = arg;

        if (!exec->base.is_pulled || exec->base.is_silent)
                return false;
        pause_output(&exec->base, true);
        exec->base.sink.on_readable(exec->base.arg);
        return true;
}

static void init_parts(struct agent_exec *exec, struct agent_channel *channel)
{
        const struct agent_stream_sink sink = { on_output, on_output_end, on_output_readable, exec };

        agent_exec_init_timers(exec);
        for (int i = 0; i < 2; i++)
                agent_output_init(&exec->outputs[i], channel, i + 1, &sink);
        if (exec->flags & AGENT_START_TTY)
                agent_output_close(&exec->outputs[1]);
}

static void on_input_ready(void *arg)
{
        struct agent_exec *exec = arg;

        if (!exec->base.is_silent && exec->base.sink.on_input_ready != NULL)
                exec->base.sink.on_input_ready(exec->base.arg);
}

static int take_input(struct agent_exec *exec, const struct exec_request *request)
{
        agent_input_init(&exec->input, exec->channel, on_input_ready, exec);
        if (!(exec->flags & AGENT_START_INPUT)) {
                agent_input_close(&exec->input);
                return 0;
        }
        return agent_input_begin(&exec->input, request->input, request->input_length, !request->is_input_open);
}

static int enter(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;
        const struct exec_limits *limits = &exec->base.execs->limits;

        if (channel->is_broken)
                return -EPIPE;
        if (channel->n_running < limits->per_carrel)
                return agent_exec_launch(exec);
        if (channel->n_waiting >= limits->queued_per_carrel)
                return -EAGAIN;
        agent_exec_await_turn(exec, limits->wait_s);
        list_append(&channel->waiting, &exec->waiting);
        channel->n_waiting++;
        return 0;
}

static int start(void *self, const char *container_id, int container_pid, const struct exec_request *request,
                 const struct exec_sink *sink, void *arg, struct exec **ret_exec)
{
        struct agent_channel *channel = agents_find(self, container_id);
        const struct exec_place place = { container_id, container_pid, channel->reader };
        struct agent_exec *exec = calloc(1, sizeof *exec);
        int r;

        if (exec == NULL)
                return -ENOMEM;
        exec->channel = channel;
        exec->deferred_free.free = agent_exec_free;
        exec->session.on_message = on_message;
        exec->cgroup = EXEC_CGROUP_NONE_YET;
        list_init(&exec->waiting);
        list_init(&exec->deferred_free.node);
        r = exec_init(&exec->base, &AGENT_BACKEND, channel->execs, &place, request, sink, arg);
        if (r == 0)
                r = agent_exec_take(exec, request);
        exec->base.is_pulled &= !channel->is_framed; /* framed: output comes in messages, not in pipes */
        init_parts(exec, channel);
        if (r == 0)
                r = take_input(exec, request);
        if (r == 0)
                r = enter(exec);
        if (r < 0) {
                (void)exec_cgroup_remove(&channel->cgroups, &exec->cgroup);
                agent_exec_leave(exec);
                return r;
        }
        list_append(&channel->execs->running, &exec->base.node);
        *ret_exec = &exec->base;
        return 0;
}

/* ---- the user's handle ---- */

static void pause_output(struct exec *base, bool is_paused)
{
        struct agent_exec *exec = of_exec(base);

        if (base->is_paused == is_paused || exec->state == STATE_OVER)
                return;
        base->is_paused = is_paused;
        for (int i = 0; i < 2; i++)
                agent_output_pause(&exec->outputs[i], is_paused);
        agent_exec_handle(exec, is_paused ? ON_PAUSED : ON_RESUMED);
}

static ssize_t read_output(struct exec *base, int *ret_stream, void *bytes, size_t size)
{
        struct agent_exec *exec = of_exec(base);

        for (int i = 0; i < 2 && exec->state != STATE_OVER; i++) {
                struct agent_output *output = &exec->outputs[exec->turn];
                size_t length = agent_output_pull(output, bytes, size);

                exec->turn ^= 1;
                if (length == 0)
                        continue;
                *ret_stream = output->stream;
                agent_exec_handle(exec, ON_PULLED);
                return (ssize_t)length;
        }
        pause_output(base, false);
        return 0;
}

static int signal_exec(struct exec *base, int signal)
{
        struct agent_exec *exec = of_exec(base);
        int sent;

        if (signal < 1 || signal > SIGNALS)
                return -EINVAL;
        if (exec->state == STATE_OVER || exec->state == STATE_WAITING ||
            ((exec->seen & SAW_EXITED) && exec->cgroup.directory < 0))
                return -ESRCH; /* with a cgroup, processes in the background can still be signalled */
        sent = agent_exec_signal_all(exec, signal);
        if (sent < 0)
                return sent;
        return sent == 0 ? -ESRCH : 0;
}

static ssize_t write_input(struct exec *base, const void *bytes, size_t length)
{
        return agent_input_write(&of_exec(base)->input, bytes, length);
}

static int close_input(struct exec *base)
{
        agent_input_finish(&of_exec(base)->input);
        return 0;
}

static int resize(struct exec *base, uint16_t rows, uint16_t cols)
{
        struct agent_exec *exec = of_exec(base);
        struct agents *agents = exec->channel->agents;

        if (!(exec->flags & AGENT_START_TTY))
                return -EINVAL;
        exec->rows = rows;
        exec->cols = cols;
        if (exec->session.channel == NULL)
                return 0;
        agent_write_resize(&agents->out, exec->session.number, &(struct agent_resize){ rows, cols });
        return agent_channel_send(exec->channel, NULL, 0);
}

static void free_now(struct exec *base)
{
        struct agent_exec *exec = of_exec(base);

        base->is_silent = true;
        if (exec->cgroup.directory >= 0)
                exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        agent_exec_leave(exec);
}

/* ---- the backend ---- */

static bool serves(const void *self, const char *container_id)
{
        return agents_find(self, container_id) != NULL;
}

static const struct freezer *freezer_of(const void *self, const char *container_id)
{
        return &agents_find(self, container_id)->cgroups.freezer;
}

static void on_container_lost(void *self, const char *container_id)
{
        struct agent_channel *channel = agents_find(self, container_id);

        if (channel != NULL)
                agent_channel_last_words(channel);
}

const struct exec_backend AGENT_BACKEND = {
        .serves = serves,
        .start = start,
        .freezer = freezer_of,
        .on_container_lost = on_container_lost,
        .free_self = agents_free,
        .cancel = agent_exec_cancel,
        .pause = pause_output,
        .signal = signal_exec,
        .read = read_output,
        .write = write_input,
        .close_input = close_input,
        .resize = resize,
        .lost = agent_exec_lose,
        .free = free_now,
};
