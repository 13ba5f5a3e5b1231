#include "agent-exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct exec_backend BACKEND;

static struct agent_exec *of_exec(struct exec *exec)
{
        return (struct agent_exec *)exec;
}

enum { SIGNALS = 64 };

static struct ev_loop *loop_of(const struct agent_exec *exec)
{
        return exec->base.execs->loop;
}

static void check_end(struct agent_exec *exec);
static void let_next_in(struct agent_channel *channel);

/* ---- the end ---- */

static void stop_everything(struct agent_exec *exec)
{
        struct ev_loop *loop = loop_of(exec);

        ev_timer_stop(loop, &exec->deadline);
        ev_timer_stop(loop, &exec->drain_quiet);
        ev_timer_stop(loop, &exec->drain_max);
        ev_timer_stop(loop, &exec->retry);
        ev_timer_stop(loop, &exec->grace);
        agent_output_close(&exec->outputs[0]);
        agent_output_close(&exec->outputs[1]);
        agent_input_close(&exec->input);
}

static void free_exec(struct doomed *doomed)
{
        struct agent_exec *exec = LIST_ENTRY(doomed, struct agent_exec, doomed);

        exec_release(&exec->base);
        free(exec->spec);
        free(exec);
}

/* Out of every book; its memory goes at the loop's next turn, as a caller of ours may be inside it. */
static void leave(struct agent_exec *exec)
{
        exec->is_over = true;
        stop_everything(exec);
        list_remove(&exec->base.node);
        if (!list_is_empty(&exec->waiting)) {
                list_remove(&exec->waiting);
                exec->channel->n_waiting--;
        }
        if (exec->is_counted)
                exec->channel->n_running--;
        exec->is_counted = false;
        agent_talk_end(&exec->talk);
        agents_doom(exec->base.execs, &exec->doomed);
}

static struct exec_end decide_end(const struct agent_exec *exec)
{
        struct exec_facts facts = {
                .is_timed_out = exec->is_timed_out,
                .is_exact = true,
                .signal = exec->exited.is_signal ? (int)exec->exited.value : 0,
                .exit_code = (int)(exec->exited.is_signal ? 128 + exec->exited.value : exec->exited.value),
        };

        if (facts.exit_code != 0)
                exec_read_counters(&exec->base, &facts);
        return exec_decide_end(&facts);
}

static void report(struct agent_exec *exec)
{
        struct exec_end end = decide_end(exec);

        for (int i = 0; i < 2; i++)
                if (agent_output_is_open(&exec->outputs[i]) && !exec->is_drained)
                        *(i == 0 ? &exec->base.output.is_truncated : &exec->base.errors.is_truncated) = true;
        exec_report(&exec->base, &end);
}

static void finish(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;

        exec->is_over = true; /* whatever the user does in his callback */
        stop_everything(exec);
        report(exec);
        exec_cgroup_retire(&channel->cgroups, &exec->cgroup);
        leave(exec);
        let_next_in(channel);
}

/* The user is answered; what lives on takes the whole carrel along. */
static void give_up(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;

        exec->is_over = true;
        stop_everything(exec);
        report(exec);
        exec_cgroup_retire(&channel->cgroups, &exec->cgroup);
        leave(exec);
        agent_channel_break(channel, "exec_unkillable");
}

static void fail(struct agent_exec *exec, const struct fault *why)
{
        exec->is_over = true;
        stop_everything(exec);
        exec_report_fault(&exec->base, why);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        leave(exec);
}

/* Started or not, what is in the socket by now is all that it will ever say. */
static void lose(struct exec *base, bool is_oom)
{
        struct agent_exec *exec = of_exec(base);
        struct exec_end end = exec_decide_end(
                &(struct exec_facts){ .is_lost = true, .is_container_oom = is_oom, .is_timed_out = false });
        struct fault why;

        if (exec->is_over)
                return;
        if (!(exec->seen & SAW_STARTED)) {
                (void)fault_set(&why, FAULT_CARREL_LOST, ESRCH, "the carrel was lost before the program had started");
                fail(exec, &why);
                return;
        }
        exec->is_over = true;
        stop_everything(exec);
        exec_report(base, &end);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        leave(exec);
}

/* ---- output ---- */

static bool is_draining(const struct agent_exec *exec)
{
        return (exec->seen & SAW_EXITED) && !exec->is_drained;
}

/* A child in the background may hold the streams open for as long as it likes; what the program itself wrote is in the
 * pipes when it has ended. A paused reader stops the clocks, because then the quiet is ours. */
static void start_drain(struct agent_exec *exec)
{
        if (exec->base.is_paused)
                return;
        ev_timer_again(loop_of(exec), &exec->drain_quiet);
        ev_timer_again(loop_of(exec), &exec->drain_max);
}

static void on_drained(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        (void)loop, (void)events;
        exec->is_drained = true;
        check_end(exec);
}

/* Still writing: what is cut off here was not the program's last word, and the result says so. */
static void on_drain_max(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        (void)loop, (void)events;
        exec->base.output.is_truncated |= agent_output_is_open(&exec->outputs[0]);
        exec->base.errors.is_truncated |= agent_output_is_open(&exec->outputs[1]);
        exec->is_drained = true;
        check_end(exec);
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct agent_exec *exec = arg;

        if (ev_is_active(&exec->drain_quiet))
                ev_timer_again(loop_of(exec), &exec->drain_quiet);
        exec_take_output(&exec->base, stream, bytes, length);
}

static void on_output_end(void *arg)
{
        check_end(arg);
}

/* ---- dying ---- */

static void send_signal(const struct agent_exec *exec, int signal)
{
        struct agents *agents = exec->base.execs->agents;

        if (exec->talk.channel == NULL)
                return;
        agent_write_signal(&agents->out, exec->talk.number, (uint32_t)signal);
        (void)agent_channel_send(exec->channel, NULL, 0);
}

static int signal_all(const struct agent_exec *exec, int signal)
{
        if (exec->cgroup.directory >= 0 && (exec->seen & SAW_STARTED))
                return signal == SIGKILL ? (exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup), 1)
                                         : exec_cgroup_signal(&exec->cgroup, signal);
        send_signal(exec, signal);
        return 1;
}

static void start_retry(struct agent_exec *exec, double after_s)
{
        exec->retry.repeat = after_s;
        ev_timer_again(loop_of(exec), &exec->retry);
}

/* Whether the kernel says that nothing of it lives. Where there is no cgroup the agent's word is all there is. */
static bool is_gone(struct agent_exec *exec)
{
        if (exec->cgroup.name[0] != '\0')
                return exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup) == 0;
        return (exec->seen & SAW_EXITED) != 0;
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;
        const struct exec_timing *timing = &exec->base.execs->timing;
        double next_s = timer->repeat * 2;

        (void)loop, (void)events;
        start_retry(exec, next_s < timing->retry_max_s ? next_s : timing->retry_max_s);
        if (exec->is_killing) {
                if (exec->cgroup.directory >= 0)
                        exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup);
                /* Its child may not have come as far as the cgroup. */
                if (!(exec->seen & SAW_EXITED))
                        send_signal(exec, SIGKILL);
        }
        check_end(exec);
}

static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        if (exec->is_killing) {
                give_up(exec);
                return;
        }
        exec->is_killing = true;
        timer->repeat = exec->base.execs->timing.linger_s;
        ev_timer_again(loop, timer);
        exec->retry.repeat = exec->base.execs->timing.retry_first_s / 2;
        on_retry(loop, &exec->retry, events);
}

/* TERM; what lives after the grace is killed, again and again: a fork may slip through a pass, or join late. */
static void die(struct agent_exec *exec)
{
        const struct exec_timing *timing = &exec->base.execs->timing;

        if (exec->is_dying || exec->is_over)
                return;
        exec->is_dying = true;
        exec->grace.repeat = timing->grace_s;
        ev_timer_again(loop_of(exec), &exec->grace);
        start_retry(exec, timing->retry_first_s);
        (void)signal_all(exec, SIGTERM);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        ev_timer_stop(loop, timer);
        if (exec->seen & SAW_EXITED) { /* only its background still writes */
                on_drain_max(loop, &exec->drain_max, events);
                return;
        }
        exec->is_timed_out = true;
        die(exec);
}

static bool has_open_output(const struct agent_exec *exec)
{
        return agent_output_is_open(&exec->outputs[0]) || agent_output_is_open(&exec->outputs[1]);
}

/* Nothing lives any more that could write: what is in the pipes is all there will ever be. */
static void finish_dead(struct agent_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->retry);
        ev_timer_stop(loop_of(exec), &exec->grace);
        if (exec->base.is_paused && has_open_output(exec))
                return; /* its reader is slow; resumed, the end of the pipes leads here again */
        for (int i = 0; i < 2 && !exec->base.is_silent && !exec->is_over; i++)
                while (agent_output_is_open(&exec->outputs[i]) && !exec->base.is_paused && !exec->is_over &&
                       agent_output_read(&exec->outputs[i]))
                        ;
        if (!exec->is_over && (!exec->base.is_paused || !has_open_output(exec)))
                finish(exec);
}

/* Looks whether this is the end. */
static void check_end(struct agent_exec *exec)
{
        if (exec->is_over || !(exec->seen & SAW_EXITED))
                return;
        if (exec->is_dying) {
                if (is_gone(exec))
                        finish_dead(exec);
        } else if (exec->is_drained || exec->base.is_silent || !has_open_output(exec)) {
                finish(exec);
        }
}

/* ---- what the agent says ---- */

static int on_started(struct agent_exec *exec, int sender)
{
        if ((exec->seen & SAW_STARTED) || (exec->seen & SAW_EXITED))
                return -EBADMSG;
        if (exec->cgroup.directory >= 0 && (sender <= 1 || sender == exec->channel->init ||
                                            !exec_cgroup_holds(&exec->channel->cgroups, &exec->cgroup, sender)))
                return -EBADMSG;
        exec->seen |= SAW_STARTED;
        for (int i = 0; i < 2; i++)
                agent_output_go(&exec->outputs[i], exec->talk.number);
        if (!exec->base.is_silent && exec->base.is_streaming && exec->base.sink.on_start != NULL)
                exec->base.sink.on_start(exec->base.arg, exec->base.id);
        return 0;
}

static const char *const STAGES[AGENT_STAGES] = {
        [AGENT_STAGE_SPEC] = "cannot read the request",           [AGENT_STAGE_FORK] = "cannot make a process",
        [AGENT_STAGE_JOIN] = "cannot enter the cgroup",           [AGENT_STAGE_TTY] = "cannot set up the streams",
        [AGENT_STAGE_CWD] = "cannot enter the working directory", [AGENT_STAGE_EXEC] = "cannot execute",
};

/* As a shell would say it, on stderr. */
static int on_failed(struct agent_exec *exec, const void *packet)
{
        struct agent_failed failed;
        char text[512];
        int length;

        if (agent_read_failed(packet, &failed) < 0)
                return -EBADMSG;
        length = snprintf(text, sizeof(text), "carrel: %s: %.256s: %s\n", STAGES[failed.stage], exec->base.program,
                          strerrordesc_np((int)failed.error) != NULL ? strerrordesc_np((int)failed.error) : "error");
        exec_take_output(&exec->base, exec->flags & AGENT_START_TTY ? 1 : 2, text,
                         (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
        return 0;
}

static int on_exited(struct agent_exec *exec, const void *packet)
{
        if ((exec->seen & SAW_EXITED) || agent_read_exited(packet, &exec->exited) < 0)
                return -EBADMSG;
        exec->seen |= SAW_EXITED;
        agent_talk_end(&exec->talk);
        agent_input_close(&exec->input);
        /* Most have nothing left to say: then this was the end, with no further turn of the loop. */
        for (int i = 0; i < 2 && !exec->is_over && !exec->base.is_paused; i++)
                (void)agent_output_read(&exec->outputs[i]);
        if (!exec->is_over && !exec->is_dying)
                start_drain(exec);
        check_end(exec);
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

static int on_message(struct agent_talk *talk, const struct agent_header *header, const void *packet, int sender)
{
        struct agent_exec *exec = LIST_ENTRY(talk, struct agent_exec, talk);

        switch (header->kind) {
        case AGENT_STARTED:
                return on_started(exec, sender);
        case AGENT_FAILED:
                return on_failed(exec, packet);
        case AGENT_EXITED:
                return on_exited(exec, packet);
        case AGENT_DATA:
        case AGENT_END:
        case AGENT_CREDIT:
                return on_framed(exec, header, packet);
        default:
                return -EBADMSG;
        }
}

/* ---- the beginning ---- */

static void let_next_in(struct agent_channel *channel)
{
        while (channel->n_running < channel->execs->limits.per_carrel && channel->fd >= 0) {
                struct list *node = list_pop(&channel->waiting);
                struct agent_exec *exec;
                struct fault why;
                int error;

                if (node == NULL)
                        return;
                channel->n_waiting--;
                exec = LIST_ENTRY(node, struct agent_exec, waiting);
                error = agent_exec_launch(exec);
                if (error == 0)
                        continue;
                (void)fault_set(&why, error == -EPIPE ? FAULT_CARREL_LOST : FAULT_RESOURCE_EXHAUSTED, -error,
                                "cannot start an exec: %s", strerrordesc_np(-error));
                fail(exec, &why);
        }
}

static void init_timer(struct agent_exec *exec, ev_timer *timer, void (*on_time)(struct ev_loop *, ev_timer *, int),
                       double repeat_s)
{
        ev_init(timer, on_time);
        timer->repeat = repeat_s;
        timer->data = exec;
}

static void init_parts(struct agent_exec *exec, struct agent_channel *channel)
{
        const struct exec_timing *timing = &exec->base.execs->timing;
        const struct agent_stream_sink sink = { on_output, on_output_end, exec };

        init_timer(exec, &exec->deadline, on_deadline, exec->timeout_s);
        init_timer(exec, &exec->drain_quiet, on_drained, timing->drain_quiet_s);
        init_timer(exec, &exec->drain_max, on_drain_max, timing->drain_max_s);
        init_timer(exec, &exec->retry, on_retry, timing->grace_s);
        init_timer(exec, &exec->grace, on_grace, timing->grace_s);
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

        if (channel->n_running < limits->per_carrel)
                return agent_exec_launch(exec);
        if (channel->n_waiting >= limits->queued_per_carrel)
                return -EAGAIN;
        list_append(&channel->waiting, &exec->waiting);
        channel->n_waiting++;
        return 0;
}

int agent_exec_start(struct agent_channel *channel, const struct exec_place *place, const struct exec_request *request,
                     const struct exec_sink *sink, void *arg, struct exec **ret_exec)
{
        struct agent_exec *exec = calloc(1, sizeof(*exec));
        int error;

        if (exec == NULL)
                return -ENOMEM;
        exec->channel = channel;
        exec->doomed.free = free_exec;
        exec->talk.on_message = on_message;
        exec->cgroup.directory = -1;
        list_init(&exec->waiting);
        list_init(&exec->doomed.node);
        error = exec_init(&exec->base, &BACKEND, channel->execs, place, request, sink, arg);
        if (error == 0)
                error = agent_exec_take(exec, request);
        init_parts(exec, channel);
        if (error == 0)
                error = take_input(exec, request);
        if (error == 0)
                error = enter(exec);
        if (error < 0) {
                (void)exec_cgroup_remove(&channel->cgroups, &exec->cgroup);
                leave(exec);
                return error;
        }
        list_append(&channel->execs->running, &exec->base.node);
        *ret_exec = &exec->base;
        return 0;
}

/* ---- the user's handle ---- */

static void cancel(struct exec *base)
{
        struct agent_exec *exec = of_exec(base);

        base->is_silent = true;
        if (exec->is_over)
                return;
        if (exec->spec != NULL) { /* it waits still */
                leave(exec);
                return;
        }
        base->is_paused = false;
        for (int i = 0; i < 2; i++)
                agent_output_pause(&exec->outputs[i], false);
        ev_timer_stop(loop_of(exec), &exec->deadline);
        if (!(exec->seen & SAW_EXITED))
                die(exec);
        else
                start_drain(exec);
}

static void pause_output(struct exec *base, bool is_paused)
{
        struct agent_exec *exec = of_exec(base);

        if (base->is_paused == is_paused || exec->is_over)
                return;
        base->is_paused = is_paused;
        for (int i = 0; i < 2; i++)
                agent_output_pause(&exec->outputs[i], is_paused);
        if (exec->is_over || exec->is_dying || !is_draining(exec))
                return;
        ev_timer_stop(loop_of(exec), &exec->drain_quiet);
        ev_timer_stop(loop_of(exec), &exec->drain_max);
        start_drain(exec);
}

static int signal_exec(struct exec *base, int signal)
{
        struct agent_exec *exec = of_exec(base);
        int sent;

        if (signal < 1 || signal > SIGNALS)
                return -EINVAL;
        if (exec->is_over || exec->spec != NULL || (exec->seen & SAW_EXITED))
                return -ESRCH;
        sent = signal_all(exec, signal);
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
        struct agents *agents = base->execs->agents;

        if (!(exec->flags & AGENT_START_TTY))
                return -EINVAL;
        exec->rows = rows;
        exec->cols = cols;
        if (exec->talk.channel == NULL)
                return 0;
        agent_write_resize(&agents->out, exec->talk.number, &(struct agent_resize){ rows, cols });
        return agent_channel_send(exec->channel, NULL, 0);
}

static void free_now(struct exec *base)
{
        struct agent_exec *exec = of_exec(base);

        base->is_silent = true;
        if (exec->cgroup.directory >= 0)
                exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup);
        (void)exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup);
        if (exec->cgroup.directory >= 0)
                close(exec->cgroup.directory);
        leave(exec);
}

static const struct exec_backend BACKEND = {
        .cancel = cancel,
        .pause = pause_output,
        .signal = signal_exec,
        .write = write_input,
        .close_input = close_input,
        .resize = resize,
        .lost = lose,
        .free = free_now,
};
