/* Inside the exec room only: the life of one exec that the agent runs.
 *
 * The user's handle and the exec are two lives, as with the engine's (engine-exec.h): the user is answered once, or
 * never after a cancel; the exec goes on silently until its cgroup is empty, or nothing more can be done about it.
 *
 *   waiting --room--> running --EXITED and end of output--> done
 *   running --deadline, cancel--> dying: TERM, after the grace KILL again and again --cgroup gone--> done
 *   dying --linger--> given up: the user is answered, the carrel is retired
 *   any --container lost--> done at once */
#pragma once

#include "agent-channel.h"
#include "agent-stream.h"

enum agent_seen { SAW_STARTED = 1, SAW_EXITED = 2, SAW_GONE = 4 };

struct agent_exec {
        struct exec base;
        struct agent_session session;
        struct agent_channel *channel; /* borrowed; it outlives its execs */
        struct list waiting;           /* in channel->waiting */
        struct deferred_free deferred_free;
        bool is_counted; /* in channel->n_running */
        char *working_dir;
        uint8_t *spec; /* NULL: sent */
        size_t spec_length;
        uint32_t flags; /* AGENT_START_* */
        uint16_t rows, cols;
        double timeout_s;

        struct exec_cgroup cgroup;
        struct agent_output outputs[2];
        unsigned turn; /* which of them is pulled first */
        struct agent_input input;
        unsigned seen; /* enum agent_seen */
        struct agent_exited exited;
        bool is_drained; /* nothing more is read */
        bool is_dying;
        bool is_killing; /* the grace after TERM is over */
        bool is_timed_out;
        bool is_over; /* finished or given up; only its memory is left */
        ev_timer deadline, drain, retry, grace;
};

/* ---- agent-launch.c ---- */

/* Takes what the request says about the program. 0, -E2BIG, -ENOMEM. */
int agent_exec_take(struct agent_exec *exec, const struct exec_request *request);
/* Sends it to the agent. 0, or a negative errno: nothing runs. */
int agent_exec_launch(struct agent_exec *exec);

/* ---- agent-end.c ---- */

void agent_exec_init_timers(struct agent_exec *exec);
/* It waits to be launched, for wait_s at most (0: without end), and not longer than its timeout. */
void agent_exec_await_turn(struct agent_exec *exec, double wait_s);
/* Looks whether this is the end, and if so answers the user and lets go of all. */
void agent_exec_check_end(struct agent_exec *exec);
/* The reader of one that dies is no longer slow: looks soon whether this is the end. */
void agent_exec_look_again(struct agent_exec *exec);
/* Whether something of the program's own, that has ended, still waits to be pulled. */
bool agent_exec_is_owing(const struct agent_exec *exec);
/* After the exit: until nobody can write any more, and no longer than the drain. */
void agent_exec_start_drain(struct agent_exec *exec);
/* Sends signal to every process of it; how many, or a negative errno. */
int agent_exec_signal_all(const struct agent_exec *exec, int signal);
/* TERM, then KILL, then what has to be. */
void agent_exec_die(struct agent_exec *exec);
/* Nothing was started, and this is why. */
void agent_exec_fail(struct agent_exec *exec, const struct fault *why);
/* Its container is gone. */
void agent_exec_lose(struct exec *base, bool is_oom);
/* Out of every book, without a word. */
void agent_exec_leave(struct agent_exec *exec);
void agent_exec_free(struct deferred_free *deferred_free);
/* One has ended: who waits may start (agent-exec.c). */
void agent_exec_let_next_in(struct agent_channel *channel);
