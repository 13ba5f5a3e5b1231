/* The end of an exec that an agent runs: by itself, by force, or with its container.
 *
 * The user's handle and the exec end independently. The user is answered once, or never after a cancel. The exec goes
 * on silently until nothing of it lives, or until nothing more can be done about it.
 *
 *   waiting --turn--> running --EXITED--> draining --all output read--> over
 *   running --deadline, cancel--> terminating --grace--> killing --linger--> over (the carrel is retired)
 *   terminating, killing --nothing lives--> dead --output taken--> over
 *   draining --it was refused processes, and some live on--> killing
 *   any --container lost--> over
 *
 * The table AGENT_EXEC_RULES below is all of it. Beside the state, three facts decide: what the agent has reported
 * (`seen`), whether the user still waits (base.is_silent) and whether his reader is slow (base.is_paused). */
#include "agent-end.h"

#include <errno.h>
#include <signal.h>

#include "agent-exec.h"

#define IN(state) (1u << (state))

/* Of a deadline: so many slices at first, each within these bounds in seconds. */
#define SLICES 8
#define SLICE_MIN_S 0.05
#define SLICE_MAX_S 5.0

static struct ev_loop *loop_of(const struct agent_exec *exec)
{
        return exec->base.execs->loop;
}

static const struct exec_timing *timing_of(const struct agent_exec *exec)
{
        return &exec->base.execs->timing;
}

static bool has_open_output(const struct agent_exec *exec)
{
        return agent_output_is_open(&exec->outputs[0]) || agent_output_is_open(&exec->outputs[1]);
}

/* May deliver output that was held back, and so may end the exec. */
static void let_output_flow(struct agent_exec *exec)
{
        exec->base.is_paused = false;
        for (int i = 0; i < 2; i++)
                agent_output_pause(&exec->outputs[i], false);
}

/* A container that was frozen from outside kills nothing before it is thawed, and runs nothing either. So the user is
 * answered, and the carrel is not retired for it. */
static void answer_while_frozen(struct agent_exec *exec)
{
        static const char FROZEN[] =
                "the carrel is frozen from outside: what is left of the program dies as it is thawed";
        struct exec_end end = agent_exec_decide_end(exec);

        agent_exec_note_unread(exec);
        exec->base.message = FROZEN;
        exec_report(&exec->base, &end);
        let_output_flow(exec);
}

/* ---- signals ---- */

static void send_signal(const struct agent_exec *exec, int signal)
{
        struct agents *agents = exec->channel->agents;

        if (exec->session.channel == NULL)
                return;
        agent_write_signal(&agents->out, exec->session.number, (uint32_t)signal);
        (void)agent_channel_send(exec->channel, NULL, 0);
}

int agent_exec_signal_all(struct agent_exec *exec, int signal)
{
        if (exec->cgroup.directory >= 0 && (exec->seen & SAW_STARTED))
                return signal == SIGKILL ? (exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup), 1)
                                         : exec_cgroup_signal(&exec->channel->cgroups, &exec->cgroup, signal);
        send_signal(exec, signal);
        return 1;
}

/* ---- guards ---- */

static bool is_unstarted(struct agent_exec *exec)
{
        return !(exec->seen & SAW_STARTED);
}

static bool has_exited(struct agent_exec *exec)
{
        return (exec->seen & SAW_EXITED) != 0;
}

/* Nothing of it lives. The kernel knows, as a cgroup with a process cannot be removed; where there is no cgroup the
 * agent's report must do. Ask only after the exit: before it the first process may not have joined its cgroup yet. */
static bool is_gone(struct agent_exec *exec)
{
        if (exec->cgroup.name[0] != '\0')
                return exec_cgroup_remove(&exec->channel->cgroups, &exec->cgroup) == 0;
        return (exec->seen & (exec->channel->is_framed ? SAW_GONE : SAW_EXITED)) != 0;
}

static bool is_dead(struct agent_exec *exec)
{
        return has_exited(exec) && is_gone(exec);
}

static bool is_read_out(struct agent_exec *exec)
{
        return exec->is_drained || exec->base.is_silent || !has_open_output(exec);
}

/* Its first process ended because it was refused processes (a fork bomb), and others live on. They are not left in the
 * background, where they would be refused nothing. */
static bool is_bomb_left(struct agent_exec *exec)
{
        return is_read_out(exec) && exec->cgroup.name[0] != '\0' && agent_exec_decide_end(exec).cause == EXEC_PIDS &&
               !is_gone(exec);
}

static bool is_reader_slow(struct agent_exec *exec)
{
        return exec->base.is_paused && has_open_output(exec);
}

static bool is_frozen(struct agent_exec *exec)
{
        return freezer_is_frozen(&exec->channel->cgroups.freezer);
}

/* In framed mode EXITED comes after the output, which waits for a slow reader. */
static bool is_exit_held_back(struct agent_exec *exec)
{
        return (exec->seen & SAW_GONE) && exec->base.is_paused && !exec->is_drained;
}

/* Whether output that the first process wrote before its exit still waits to be pulled. */
static bool is_owing(const struct agent_exec *exec)
{
        return exec->outputs[0].owed + exec->outputs[1].owed > 0;
}

static bool has_no_drain(struct agent_exec *exec)
{
        return !is_owing(exec) && !ev_is_active(&exec->drain);
}

/* ---- actions: output ---- */

static void check(struct agent_exec *exec)
{
        agent_exec_handle(exec, ON_CHECK);
}

/* The output of the first process is in the pipes when it has exited. Processes in the background may hold the pipes
 * open for as long as they like. The clock stands still while the reader is paused, because then the silence is not
 * theirs. */
static void start_drain(struct agent_exec *exec)
{
        if (!exec->base.is_paused && !ev_is_active(&exec->drain))
                ev_timer_again(loop_of(exec), &exec->drain);
}

/* A pull pauses and resumes: it does not renew the time of output that the first process did not write. */
static void renew_drain(struct agent_exec *exec)
{
        if (!exec->base.is_pulled || is_owing(exec))
                ev_timer_stop(loop_of(exec), &exec->drain);
        start_drain(exec);
}

static void run_drain(struct agent_exec *exec)
{
        ev_timer_again(loop_of(exec), &exec->drain);
}

/* Most execs leave no output open: they end here, without another turn of the loop. */
static void take_exit(struct agent_exec *exec)
{
        for (int i = 0; i < 2 && exec->state != STATE_OVER; i++)
                if (exec->base.is_paused)
                        agent_output_owe(&exec->outputs[i], false);
                else
                        (void)agent_output_read(&exec->outputs[i]);
        if (exec->state == STATE_DRAINING)
                start_drain(exec);
        check(exec);
}

static void end_drain(struct agent_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->drain);
        exec->is_drained = true;
        check(exec);
}

/* In framed mode EXITED comes after the output, which waited for a slow reader until now: it gets the whole time. */
static void give_exit_time(struct agent_exec *exec)
{
        if ((exec->seen & SAW_GONE) && ev_is_active(&exec->grace))
                ev_timer_again(loop_of(exec), &exec->grace);
}

/* The reader does not come: what it has not taken is dropped. */
static void drop_output(struct agent_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->drain);
        agent_exec_note_unread(exec);
        for (int i = 0; i < 2; i++)
                agent_output_close(&exec->outputs[i]);
        exec->is_drained = true;
        give_exit_time(exec);
        check(exec);
}

static void await_reader(struct agent_exec *exec)
{
        if (ev_is_active(&exec->drain))
                return;
        exec->drain.repeat = timing_of(exec)->stall_s;
        ev_timer_again(loop_of(exec), &exec->drain);
}

static void await_reader_of_the_dead(struct agent_exec *exec)
{
        for (int i = 0; i < 2 && exec->base.is_pulled; i++)
                agent_output_owe(&exec->outputs[i], true);
        await_reader(exec);
}

/* ---- actions: killing ---- */

static void start_retry(struct agent_exec *exec, double after_s)
{
        exec->retry.repeat = after_s;
        ev_timer_again(loop_of(exec), &exec->retry);
}

static void start_grace(struct agent_exec *exec, double grace_s)
{
        exec->grace.repeat = grace_s;
        ev_timer_again(loop_of(exec), &exec->grace);
}

static void terminate(struct agent_exec *exec)
{
        start_grace(exec, timing_of(exec)->grace_s);
        start_retry(exec, timing_of(exec)->retry_first_s);
        (void)agent_exec_signal_all(exec, SIGTERM);
}

static void time_out(struct agent_exec *exec)
{
        exec->is_timed_out = true;
        terminate(exec);
}

/* A framed agent answers signal 0 with GONE when nothing lives. */
static void check_again(struct agent_exec *exec)
{
        if (exec->channel->is_framed)
                send_signal(exec, 0);
        check(exec);
}

/* Again and again: a fork may slip through one pass, and the first process may not have joined its cgroup yet. */
static void kill_again(struct agent_exec *exec)
{
        if (exec->cgroup.directory >= 0)
                exec_cgroup_kill(&exec->channel->cgroups, &exec->cgroup);
        if (exec->channel->is_framed || !has_exited(exec))
                send_signal(exec, SIGKILL);
        check(exec);
}

static void start_killing(struct agent_exec *exec)
{
        start_grace(exec, timing_of(exec)->linger_s);
        start_retry(exec, timing_of(exec)->retry_first_s);
        kill_again(exec);
}

static void check_soon(struct agent_exec *exec)
{
        give_exit_time(exec);
        if (!ev_is_active(&exec->retry))
                start_retry(exec, timing_of(exec)->retry_first_s);
}

/* ---- actions: the end ---- */

/* The pipes hold all that is left of its output. Each is read once, not until it is empty: another process, which was
 * given the other end, may go on writing. */
static void read_last_output(struct agent_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->retry);
        ev_timer_stop(loop_of(exec), &exec->grace);
        for (int i = 0; i < 2 && !exec->base.is_silent && exec->state != STATE_OVER && !exec->base.is_paused; i++)
                (void)agent_output_read(&exec->outputs[i]);
        agent_exec_handle(exec, ON_READ);
}

static void finish(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;

        agent_exec_answer(exec);
        agent_exec_let_next_in(channel);
}

static void finish_dead(struct agent_exec *exec)
{
        exec->is_drained = true;
        finish(exec);
}

/* Only the end of its container ends the processes that live on. */
static void give_up(struct agent_exec *exec)
{
        struct agent_channel *channel = exec->channel;

        agent_exec_answer(exec);
        agent_channel_break(channel, LEFT_UNKILLABLE);
}

/* If its own time is over, the user would not want it any more; if exec_wait_s is, he may try again. */
static void end_wait(struct agent_exec *exec)
{
        double waited_s = exec->deadline_s;
        struct fault why;

        if (waited_s == exec->timeout_s)
                (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT,
                                "the program was not started in %g s: too many run in this carrel", waited_s);
        else
                (void)fault_set(&why, FAULT_QUEUE_FULL, ETIMEDOUT,
                                "the program waited for %g s (exec_wait_s) and was not started: too many run in this "
                                "carrel",
                                waited_s);
        agent_exec_fail(exec, &why);
}

static void lose_unstarted(struct agent_exec *exec)
{
        struct fault why;

        (void)fault_set(&why, FAULT_CARREL_LOST, ESRCH, "the carrel was lost before the program had started");
        agent_exec_fail(exec, &why);
}

/* Its own end is known: only a slow reader kept it. */
static void lose_exited(struct agent_exec *exec)
{
        struct exec_end end = agent_exec_decide_end(exec);

        agent_exec_answer_lost(exec, &end);
}

static void lose_running(struct agent_exec *exec)
{
        struct exec_end end =
                exec_decide_end(&(struct exec_facts){ .is_lost = true, .is_container_oom = exec->is_container_oom });

        agent_exec_answer_lost(exec, &end);
}

/* ---- the table ---- */

enum {
        WAITING = IN(STATE_WAITING),
        RUNNING = IN(STATE_RUNNING),
        DRAINING = IN(STATE_DRAINING),
        TERMINATING = IN(STATE_TERMINATING),
        KILLING = IN(STATE_KILLING),
        DEAD = IN(STATE_DEAD),
        DYING = TERMINATING | KILLING,
        ANY = WAITING | RUNNING | DRAINING | DYING | DEAD
};
#define SAME STATE_SAME

/* agent_exec_launch leads from STATE_WAITING to STATE_RUNNING. The columns are for the reader. */
/* clang-format off */
const struct agent_exec_rule AGENT_EXEC_RULES[] = {
        /* in            event         guard              action                    next state */
        { WAITING,       ON_DEADLINE,  NULL,              end_wait,                 STATE_OVER },
        { WAITING,       ON_CANCELLED, NULL,              agent_exec_leave,         STATE_OVER },

        { RUNNING,       ON_EXITED,    NULL,              take_exit,                STATE_DRAINING },
        { RUNNING,       ON_DEADLINE,  NULL,              time_out,                 STATE_TERMINATING },
        { RUNNING,       ON_CANCELLED, NULL,              terminate,                STATE_TERMINATING },

        { DRAINING,      ON_CHECK,     is_bomb_left,      start_killing,            STATE_KILLING },
        { DRAINING,      ON_CHECK,     is_read_out,       finish,                   STATE_OVER },
        { DRAINING,      ON_PAUSED,    NULL,              renew_drain,              SAME },
        { DRAINING,      ON_RESUMED,   NULL,              renew_drain,              SAME },
        { DRAINING,      ON_PULLED,    has_no_drain,      run_drain,                SAME },
        { DRAINING,      ON_DRAIN,     NULL,              end_drain,                SAME },
        { DRAINING,      ON_DEADLINE,  NULL,              end_drain,                SAME },
        { DRAINING,      ON_CANCELLED, NULL,              check,                    SAME },

        { DYING,         ON_EXITED,    NULL,              take_exit,                SAME },
        { DYING,         ON_CHECK,     is_dead,           read_last_output,         STATE_DEAD },
        { DYING,         ON_RESUMED,   NULL,              check_soon,               SAME },
        { DYING,         ON_CANCELLED, NULL,              check,                    SAME },
        { TERMINATING,   ON_RETRY,     NULL,              check_again,              SAME },
        { TERMINATING,   ON_GRACE,     NULL,              start_killing,            STATE_KILLING },
        { KILLING,       ON_RETRY,     NULL,              kill_again,               SAME },
        { KILLING,       ON_GRACE,     is_frozen,         answer_while_frozen,      SAME },
        { KILLING,       ON_GRACE,     is_exit_held_back, await_reader,             SAME },
        { KILLING,       ON_GRACE,     NULL,              give_up,                  STATE_OVER },
        { KILLING,       ON_DRAIN,     NULL,              drop_output,              SAME },
        { KILLING,       ON_DEADLINE,  NULL,              drop_output,              SAME },

        { DEAD,          ON_CHECK,     NULL,              read_last_output,         SAME },
        { DEAD,          ON_READ,      is_reader_slow,    await_reader_of_the_dead, SAME },
        { DEAD,          ON_READ,      NULL,              finish_dead,              STATE_OVER },
        { DEAD,          ON_RESUMED,   NULL,              check_soon,               SAME },
        { DEAD,          ON_RETRY,     NULL,              check,                    SAME },
        { DEAD,          ON_CANCELLED, NULL,              check,                    SAME },
        { DEAD,          ON_DRAIN,     NULL,              drop_output,              SAME },
        { DEAD,          ON_DEADLINE,  NULL,              drop_output,              SAME },

        { ANY,           ON_LOST,      is_unstarted,      lose_unstarted,           STATE_OVER },
        { ANY,           ON_LOST,      has_exited,        lose_exited,              STATE_OVER },
        { ANY,           ON_LOST,      NULL,              lose_running,             STATE_OVER },
};
/* clang-format on */
const size_t AGENT_EXEC_N_RULES = sizeof AGENT_EXEC_RULES / sizeof *AGENT_EXEC_RULES;

void agent_exec_handle(struct agent_exec *exec, enum agent_exec_event event)
{
        for (size_t i = 0; i < AGENT_EXEC_N_RULES; i++) {
                const struct agent_exec_rule *rule = &AGENT_EXEC_RULES[i];

                if (!(rule->states & IN(exec->state)) || rule->event != event ||
                    (rule->guard != NULL && !rule->guard(exec)))
                        continue;
                if (rule->next != SAME)
                        exec->state = rule->next;
                rule->action(exec);
                return;
        }
}

void agent_exec_lose(struct exec *base, bool is_oom)
{
        struct agent_exec *exec = (struct agent_exec *)base;

        exec->is_container_oom = is_oom;
        agent_exec_handle(exec, ON_LOST);
}

void agent_exec_cancel(struct exec *base)
{
        struct agent_exec *exec = (struct agent_exec *)base;

        base->is_silent = true;
        let_output_flow(exec);
        ev_timer_stop(loop_of(exec), &exec->deadline);
        agent_exec_handle(exec, ON_CANCELLED);
}

/* ---- timers ---- */

/* A deadline runs in slices, as the kernel does not say for how long a group was frozen. A slice at whose end the
 * container is frozen does not count. */
static void run_slice(struct agent_exec *exec)
{
        double slice_s = exec->deadline_left_s / SLICES;

        if (slice_s > SLICE_MAX_S)
                slice_s = SLICE_MAX_S;
        if (slice_s < SLICE_MIN_S)
                slice_s = exec->deadline_left_s < SLICE_MIN_S ? exec->deadline_left_s : SLICE_MIN_S;
        exec->deadline.repeat = slice_s;
        ev_timer_again(loop_of(exec), &exec->deadline);
}

void agent_exec_set_deadline(struct agent_exec *exec, double deadline_s)
{
        exec->deadline_s = exec->deadline_left_s = deadline_s;
        if (deadline_s > 0)
                run_slice(exec);
        else
                ev_timer_stop(loop_of(exec), &exec->deadline);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;

        (void)events;
        if (!is_frozen(exec))
                exec->deadline_left_s -= timer->repeat;
        if (exec->deadline_left_s > 0) {
                run_slice(exec);
                return;
        }
        ev_timer_stop(loop, timer);
        agent_exec_handle(exec, ON_DEADLINE);
}

static void on_drain(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)events;
        ev_timer_stop(loop, timer);
        agent_exec_handle(timer->data, ON_DRAIN);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_exec *exec = timer->data;
        double next_s = timer->repeat * 2;

        (void)loop, (void)events;
        start_retry(exec, next_s < timing_of(exec)->retry_max_s ? next_s : timing_of(exec)->retry_max_s);
        agent_exec_handle(exec, ON_RETRY);
}

static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        agent_exec_handle(timer->data, ON_GRACE);
}

void agent_exec_await_turn(struct agent_exec *exec, double wait_s)
{
        bool is_shorter = exec->timeout_s > 0 && (wait_s <= 0 || exec->timeout_s < wait_s);

        agent_exec_set_deadline(exec, is_shorter ? exec->timeout_s : wait_s);
}

static void init_timer(struct agent_exec *exec, ev_timer *timer, void (*on_time)(struct ev_loop *, ev_timer *, int),
                       double repeat_s)
{
        ev_init(timer, on_time);
        timer->repeat = repeat_s;
        timer->data = exec;
}

void agent_exec_init_timers(struct agent_exec *exec)
{
        const struct exec_timing *timing = timing_of(exec);
        double drain_s = exec->base.drain_s;

        /* The agent carries what is left in a terminal when its program ends, and needs a moment for it. */
        if ((exec->flags & AGENT_START_TTY) && drain_s < timing->arrive_s)
                drain_s = timing->arrive_s;
        init_timer(exec, &exec->deadline, on_deadline, 0);
        init_timer(exec, &exec->drain, on_drain, drain_s);
        init_timer(exec, &exec->retry, on_retry, timing->retry_first_s);
        init_timer(exec, &exec->grace, on_grace, timing->grace_s);
}
