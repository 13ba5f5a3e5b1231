/* The end of an exec that the engine runs: by itself, by force, or with its container.
 *
 * The user's handle and the exec end independently. The user is answered once, or never after a cancel. The exec goes
 * on silently until the processes that it started are known to be gone, or until nothing more can be done about them.
 *
 *   running --exit--> draining --end of output--> over
 *   running --deadline, cancel, broken answer--> dying --exit--> ended --end of output--> over
 *   dying --grace--> the user is answered --linger--> over (the carrel is retired if the exec still runs)
 *   dying, ended --end, and processes live on--> outlived --none lives, or linger--> over
 *   any --container lost--> over
 *
 * The table ENGINE_EXEC_RULES below is all of it. Beside the state, these facts decide: what the engine has reported
 * (`seen`), whether the user still waits (base.is_silent) and whether his reader is slow (base.is_paused). */
#include "engine-exec-end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine-exec.h"
#include "exec-cause.h"

#define IN(state) (1u << (state))

static struct ev_loop *loop_of(const struct engine_exec *exec)
{
        return exec->base.execs->loop;
}

static const struct exec_timing *timing_of(const struct engine_exec *exec)
{
        return &exec->base.execs->timing;
}

/* ---- release ---- */

/* Nothing more is learned of the program; the timers that kill go on. */
static void stop_listening(struct engine_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->deadline);
        ev_timer_stop(loop_of(exec), &exec->drain);
        exec->call = engine_cancel(exec->call);
        exec->inquiry = engine_cancel(exec->inquiry);
}

static void detach(struct engine_exec *exec)
{
        exec_leave(&exec->base);
        stop_listening(exec);
        ev_timer_stop(loop_of(exec), &exec->retry);
        ev_timer_stop(loop_of(exec), &exec->grace);
}

void engine_exec_dispose(struct engine_exec *exec)
{
        exec_release(&exec->base);
        free(exec);
}

/* ---- the answer ---- */

static struct exec_end decide_end(const struct engine_exec *exec)
{
        struct exec_facts facts = {
                .is_timed_out = exec->is_timed_out && (exec->has_killed || !(exec->seen & SAW_EXIT)),
                .exit_code = exec->exit_code,
        };

        if (exec->exit_code != 0)
                exec_read_counters(&exec->base, &facts);
        return exec_decide_end(&facts);
}

/* The answer broke off, and then the program was killed or never heard of again: there is no result. */
static bool has_no_result(const struct engine_exec *exec)
{
        return exec->has_broken && !exec->is_timed_out && (exec->has_killed || !(exec->seen & SAW_EXIT));
}

/* The exec goes on silently. The callback may end it: do not use the exec after this. */
static void answer(struct engine_exec *exec)
{
        struct exec_end end;

        if (has_no_result(exec)) {
                exec_report_fault(&exec->base, &exec->broken);
                return;
        }
        if (!(exec->seen & SAW_END_OF_OUTPUT))
                exec->base.output.is_truncated = exec->base.errors.is_truncated = true;
        end = decide_end(exec);
        exec_report(&exec->base, &end);
}

/* ---- guards ---- */

static bool is_silent(struct engine_exec *exec)
{
        return exec->base.is_silent;
}

static bool has_no_more_output(struct engine_exec *exec)
{
        return (exec->seen & SAW_END_OF_OUTPUT) || exec->base.is_silent || exec->call == NULL;
}

static bool is_unstarted(struct engine_exec *exec)
{
        return !(exec->seen & SAW_START);
}

/* The engine says that it has not started the exec. After a timeout or a lost connection it may have (engine.h). */
static bool is_surely_unstarted(struct engine_exec *exec)
{
        return is_unstarted(exec) && exec->broken.kind != FAULT_DEADLINE &&
               exec->broken.kind != FAULT_ENGINE_UNAVAILABLE;
}

static bool is_container_gone(struct engine_exec *exec)
{
        return exec->broken.kind == FAULT_NOT_FOUND;
}

static bool has_no_call(struct engine_exec *exec)
{
        return exec->call == NULL;
}

static bool has_a_question(struct engine_exec *exec)
{
        return exec->pending_signals != 0 || (exec->seen & SAW_END_OF_OUTPUT);
}

/* Kills once more: the first process may be gone while others, which no pass has seen yet, go on forking. */
static bool has_survivors(struct engine_exec *exec)
{
        int killed;

        if (!exec->base.has_cgroup || (exec->tree.root == 0 && !exec->tree.is_alone))
                return false;
        killed = process_tree_kill(&exec->tree);
        return killed != 0 && killed != -ENOENT;
}

static bool has_no_survivors(struct engine_exec *exec)
{
        return !has_survivors(exec);
}

/* ---- actions: output ---- */

static void finish(struct engine_exec *exec)
{
        engine_exec_handle(exec, ON_FINISH);
}

/* A process in the background may hold the streams open for as long as it likes. The clock stands still while the
 * reader is paused, because then the silence is not the exec's. docker 20.10 waits for the streams itself, so that its
 * event comes up to 2 s late (measured). */
static void start_drain(struct engine_exec *exec)
{
        if (!exec->base.is_paused)
                ev_timer_again(loop_of(exec), &exec->drain);
}

static void stop_drain(struct engine_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->drain);
}

/* It was killed with all that it started, so no more output than what is on its way can come. */
static void await_last_output(struct engine_exec *exec)
{
        exec->drain.repeat = timing_of(exec)->arrive_s;
        start_drain(exec);
}

static void end_drain(struct engine_exec *exec)
{
        if (!exec->base.is_paused) { /* else there may be output that was not taken */
                exec->base.is_open = !(exec->seen & SAW_END_OF_OUTPUT);
                exec->seen |= SAW_END_OF_OUTPUT;
        }
        finish(exec);
}

/* ---- actions: killing ---- */

static void kill_tree(struct engine_exec *exec)
{
        int killed;

        if (!exec->base.has_cgroup || (exec->seen & SAW_EXIT) || (exec->tree.root == 0 && !exec->tree.is_alone))
                return;
        killed = process_tree_kill(&exec->tree);
        if (killed > 0 || killed == -EAGAIN)
                exec->has_killed = true;
}

static void start_retry(struct engine_exec *exec, double first_s)
{
        exec->retry.repeat = first_s;
        ev_timer_again(loop_of(exec), &exec->retry);
}

void engine_exec_start_retry(struct engine_exec *exec)
{
        start_retry(exec, timing_of(exec)->retry_first_s);
}

static void stop_retry(struct engine_exec *exec)
{
        ev_timer_stop(loop_of(exec), &exec->retry);
}

static void start_grace(struct engine_exec *exec, double grace_s)
{
        exec->grace.repeat = grace_s;
        ev_timer_again(loop_of(exec), &exec->grace);
}

static void linger(struct engine_exec *exec)
{
        start_grace(exec, timing_of(exec)->linger_s);
}

static void start_killing(struct engine_exec *exec, double grace_s)
{
        start_grace(exec, grace_s);
        kill_tree(exec);
        engine_exec_start_retry(exec);
        engine_exec_inquire(exec);
}

/* The output has ended, and the program runs on. Its exit comes as an event; as events may be missed, the engine is
 * asked, too. */
static void ask_later(struct engine_exec *exec)
{
        start_retry(exec, timing_of(exec)->retry_max_s);
}

/* A fork may have slipped through, the engine may start the program only now, and the event of its exit may be lost. */
static void kill_again(struct engine_exec *exec)
{
        kill_tree(exec);
        engine_exec_inquire(exec);
}

static void note_timeout(struct engine_exec *exec)
{
        exec->is_timed_out = true;
}

static void time_out(struct engine_exec *exec)
{
        note_timeout(exec);
        start_killing(exec, timing_of(exec)->grace_s);
}

static void kill_cancelled(struct engine_exec *exec)
{
        start_killing(exec, timing_of(exec)->linger_s);
}

static void note_broken(struct engine_exec *exec)
{
        exec->has_broken = true;
}

static void kill_broken(struct engine_exec *exec)
{
        note_broken(exec);
        start_killing(exec, timing_of(exec)->grace_s);
}

static void kill_forgotten(struct engine_exec *exec)
{
        fault_set(&exec->broken, FAULT_ENGINE_UNAVAILABLE, ENOENT,
                  "the engine has forgotten the program: how it ended is not known");
        kill_broken(exec);
}

static void answer_unstarted(struct engine_exec *exec)
{
        if (exec->is_timed_out)
                answer(exec);
        else
                exec_report_fault(&exec->base, &exec->broken);
}

static void kill_unstarted(struct engine_exec *exec)
{
        kill_cancelled(exec);
        answer_unstarted(exec);
}

static void linger_unstarted(struct engine_exec *exec)
{
        linger(exec);
        answer_unstarted(exec);
}

/* The end was not confirmed in time. The user is answered, and the exec is killed on. */
static void answer_unconfirmed(struct engine_exec *exec)
{
        linger(exec);
        answer(exec);
}

static void outlive(struct engine_exec *exec)
{
        stop_listening(exec);
        linger(exec);
        answer(exec);
}

/* ---- actions: the end ---- */

static void end(struct engine_exec *exec)
{
        detach(exec);
        answer(exec);
        engine_exec_dispose(exec);
}

/* The kernel knows whether a process lives. Where the host does not see the program as a process, the engine's last
 * report counts. */
static bool is_left_behind(struct engine_exec *exec)
{
        if (has_survivors(exec))
                return true;
        return !(exec->seen & SAW_EXIT) && (!exec->base.has_cgroup || exec->tree.root == 0) && exec->is_seen_running;
}

/* Only the end of its container ends the processes that live on. */
static void give_up(struct engine_exec *exec)
{
        const struct execs *execs = exec->base.execs;
        bool is_reported = execs->on_left_behind != NULL && is_left_behind(exec);
        char container_id[ENGINE_ID_BYTES];

        memcpy(container_id, exec->base.container_id, sizeof container_id);
        end(exec);
        if (is_reported)
                execs->on_left_behind(execs->left_behind_arg, container_id, LEFT_UNKILLABLE);
}

static void fail(struct engine_exec *exec)
{
        detach(exec);
        exec_report_fault(&exec->base, &exec->broken);
        engine_exec_dispose(exec);
}

static void lose(struct engine_exec *exec)
{
        struct exec_end lost =
                exec_decide_end(&(struct exec_facts){ .is_lost = true, .is_container_oom = exec->is_container_oom });

        detach(exec);
        exec_report(&exec->base, &lost);
        engine_exec_dispose(exec);
}

void engine_exec_end_now(struct engine_exec *exec)
{
        kill_tree(exec);
        exec->base.is_silent = true;
        end(exec);
}

/* ---- the table ---- */

enum {
        RUNNING = IN(STATE_RUNNING),
        DRAINING = IN(STATE_DRAINING),
        DYING = IN(STATE_DYING),
        ENDED = IN(STATE_ENDED),
        OUTLIVED = IN(STATE_OUTLIVED),
        ANY = RUNNING | DRAINING | DYING | ENDED | OUTLIVED
};
#define SAME STATE_SAME

/* The columns are for the reader. */
/* clang-format off */
const struct engine_exec_rule ENGINE_EXEC_RULES[] = {
        /* in               event          guard                action               next state */
        { RUNNING | DYING,  ON_EXITED,     has_no_more_output,  finish,              SAME },
        { RUNNING,          ON_EXITED,     NULL,                start_drain,         STATE_DRAINING },
        { RUNNING,          ON_EARLY_EXIT, NULL,                start_drain,         STATE_DRAINING },
        { RUNNING,          ON_FINISH,     NULL,                end,                 STATE_OVER },
        { RUNNING,          ON_OUTPUT_END, NULL,                ask_later,           SAME },
        { RUNNING,          ON_RETRY,      has_a_question,      engine_exec_inquire, SAME },
        { RUNNING,          ON_RETRY,      NULL,                stop_retry,          SAME },
        { RUNNING,          ON_DEADLINE,   NULL,                time_out,            STATE_DYING },
        { RUNNING,          ON_CANCELLED,  NULL,                kill_cancelled,      STATE_DYING },
        { RUNNING,          ON_FORGOTTEN,  has_no_call,         kill_forgotten,      STATE_DYING },
        { RUNNING | DYING,  ON_BROKEN,     is_surely_unstarted, fail,                STATE_OVER },
        { RUNNING,          ON_BROKEN,     is_unstarted,        kill_unstarted,      STATE_DYING },
        { DYING,            ON_BROKEN,     is_unstarted,        linger_unstarted,    SAME },
        { RUNNING | DYING,  ON_BROKEN,     is_container_gone,   lose,                STATE_OVER },
        { RUNNING,          ON_BROKEN,     NULL,                kill_broken,         STATE_DYING },
        { DYING,            ON_BROKEN,     NULL,                note_broken,         SAME },

        { DRAINING,         ON_FINISH,     NULL,                end,                 STATE_OVER },
        { DRAINING,         ON_RETRY,      NULL,                stop_retry,          SAME },
        { DRAINING | ENDED, ON_OUTPUT_END, NULL,                finish,              SAME },
        { DRAINING | ENDED, ON_BROKEN,     NULL,                finish,              SAME },
        { DRAINING | ENDED, ON_DRAIN,      NULL,                end_drain,           SAME },
        { DRAINING | ENDED, ON_DEADLINE,   NULL,                end_drain,           SAME },
        { DRAINING | ENDED, ON_PAUSED,     NULL,                stop_drain,          SAME },
        { DRAINING | ENDED, ON_RESUMED,    NULL,                start_drain,         SAME },

        { DYING,            ON_EXITED,     NULL,                await_last_output,   STATE_ENDED },
        { DYING,            ON_EARLY_EXIT, NULL,                start_drain,         STATE_ENDED },
        { DYING,            ON_DEADLINE,   NULL,                note_timeout,        SAME },
        { DYING,            ON_CANCELLED,  NULL,                linger,              SAME },
        { DYING,            ON_RETRY,      NULL,                kill_again,          SAME },
        { DYING,            ON_SEEN,       NULL,                kill_tree,           SAME },
        { DYING,            ON_GRACE,      is_silent,           give_up,             STATE_OVER },
        { DYING,            ON_GRACE,      NULL,                answer_unconfirmed,  SAME },
        { DYING | ENDED,    ON_FINISH,     has_survivors,       outlive,             STATE_OUTLIVED },
        { DYING | ENDED,    ON_FINISH,     NULL,                end,                 STATE_OVER },

        { OUTLIVED,         ON_RETRY,      has_no_survivors,    end,                 STATE_OVER },
        { ENDED | OUTLIVED, ON_GRACE,      NULL,                give_up,             STATE_OVER },

        { ANY,              ON_LOST,       NULL,                lose,                STATE_OVER },
};
/* clang-format on */
const size_t ENGINE_EXEC_N_RULES = sizeof ENGINE_EXEC_RULES / sizeof *ENGINE_EXEC_RULES;

void engine_exec_handle(struct engine_exec *exec, enum engine_exec_event event)
{
        for (size_t i = 0; i < ENGINE_EXEC_N_RULES; i++) {
                const struct engine_exec_rule *rule = &ENGINE_EXEC_RULES[i];

                if (!(rule->states & IN(exec->state)) || rule->event != event ||
                    (rule->guard != NULL && !rule->guard(exec)))
                        continue;
                if (rule->next != STATE_SAME)
                        exec->state = rule->next;
                rule->action(exec);
                return;
        }
}

/* ---- timers ---- */

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)events;
        ev_timer_stop(loop, timer);
        engine_exec_handle(timer->data, ON_DEADLINE);
}

static void on_drain(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        engine_exec_handle(timer->data, ON_DRAIN);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct engine_exec *exec = timer->data;
        double next_s = timer->repeat * 2;

        (void)loop, (void)events;
        start_retry(exec, next_s < timing_of(exec)->retry_max_s ? next_s : timing_of(exec)->retry_max_s);
        engine_exec_handle(exec, ON_RETRY);
}

static void on_grace(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        engine_exec_handle(timer->data, ON_GRACE);
}

void engine_exec_init_timers(struct engine_exec *exec, double timeout_s)
{
        ev_init(&exec->deadline, on_deadline);
        ev_init(&exec->drain, on_drain);
        ev_init(&exec->retry, on_retry);
        ev_init(&exec->grace, on_grace);
        exec->deadline.repeat = timeout_s;
        exec->drain.repeat = exec->base.drain_s;
        exec->deadline.data = exec->drain.data = exec;
        exec->retry.data = exec->grace.data = exec;
}
