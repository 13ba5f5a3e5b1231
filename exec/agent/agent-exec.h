/* Private to exec/agent: one exec that an agent runs. agent-end.h has its states. */
#pragma once

#include "agent-channel.h"
#include "agent-end.h"
#include "agent-stream.h"

/* The reports of the agent. STARTED may come late, or not at all. */
enum agent_seen { SAW_STARTED = 1, SAW_EXITED = 2, SAW_GONE = 4 };

struct agent_exec {
        struct exec base;
        struct agent_session session;
        struct agent_channel *channel; /* borrowed; it outlives its execs */
        struct list waiting;           /* in channel->waiting */
        struct deferred_free deferred_free;
        bool is_counted; /* in channel->n_running */
        char *working_dir;
        uint8_t *spec; /* NULL: START was sent */
        size_t spec_length;
        uint32_t flags; /* AGENT_START_* */
        uint16_t rows, cols;
        double timeout_s;

        struct exec_cgroup cgroup;
        struct agent_output outputs[2];
        unsigned turn; /* which of them is pulled first */
        struct agent_input input;
        enum agent_exec_state state;
        unsigned seen;              /* enum agent_seen */
        struct agent_exited exited; /* with SAW_EXITED */
        bool is_drained;            /* nothing more is read */
        bool is_timed_out;          /* its deadline has ended it */
        bool is_container_oom;      /* its container was lost, and ran out of memory */
        double deadline_s;          /* as it was set; 0: none */
        double deadline_left_s;     /* with the slice of it that runs */
        ev_timer deadline, drain, retry, grace;
};

/* ---- agent-launch.c ---- */

/* Copies the request's program. 0, -E2BIG, -ENOMEM. */
int agent_exec_take(struct agent_exec *exec, const struct exec_request *request);
/* Makes the cgroup and the pipes, and sends START. 0, or a negative errno: nothing runs. */
int agent_exec_launch(struct agent_exec *exec);

/* ---- agent-answer.c ---- */

struct exec_end agent_exec_decide_end(const struct agent_exec *exec);
/* Notes which outputs were not read to their end. Call it before they are closed. */
void agent_exec_note_unread(struct agent_exec *exec);
/* Answers the user, if he waits, and leaves. Processes in the background live on. */
void agent_exec_answer(struct agent_exec *exec);
/* The same when the container is lost, with the end that the caller has decided. */
void agent_exec_answer_lost(struct agent_exec *exec, const struct exec_end *end);
/* Answers the user with why, and leaves; nothing was started. */
void agent_exec_fail(struct agent_exec *exec, const struct fault *why);
/* Ends the exec without an answer: closes all it has, removes it from every list, and has it freed at the next turn of
 * the loop, as a caller may still use it. */
void agent_exec_leave(struct agent_exec *exec);
void agent_exec_free(struct deferred_free *deferred_free);

/* ---- agent-end.c ---- */

void agent_exec_init_timers(struct agent_exec *exec);
/* Ends the exec after this time, or its wait for a turn (0: never). The clock stands still while the container is
 * frozen. */
void agent_exec_set_deadline(struct agent_exec *exec, double deadline_s);
/* Limits the wait for a turn to wait_s (0: without end), and to the exec's timeout. */
void agent_exec_await_turn(struct agent_exec *exec, double wait_s);
/* Sends signal to every process of it. Returns how many got it, or a negative errno. */
int agent_exec_signal_all(struct agent_exec *exec, int signal);
/* Contracts of struct exec_backend. */
void agent_exec_cancel(struct exec *base);
void agent_exec_lose(struct exec *base, bool is_oom);

/* ---- agent-exec.c ---- */

/* Launches execs that wait, as far as the limit allows. */
void agent_exec_let_next_in(struct agent_channel *channel);
