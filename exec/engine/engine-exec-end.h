/* Private to exec/engine: the states of an exec that the engine runs, the events that move it, and the rules between
 * them. engine-exec-end.c has the rules as one table, and the actions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct engine_exec;

enum engine_exec_state {
        STATE_RUNNING,  /* the engine runs it, or was asked to start it */
        STATE_DRAINING, /* it has exited by itself; the output of what it left in the background is read */
        STATE_DYING,    /* it is killed again and again, and the engine has not confirmed its end */
        STATE_ENDED,    /* it was killed and its end is confirmed; its last output is read */
        STATE_OUTLIVED, /* the user was answered, and processes that it started are killed again and again */
        STATE_OVER,     /* freed */
        STATES,
        STATE_SAME = STATES /* of a rule: the state does not change */
};

enum engine_exec_event {
        ON_EXITED,     /* the engine has reported the exit */
        ON_EARLY_EXIT, /* the same, but the report of its exit overtook that of its start */
        ON_OUTPUT_END, /* all output has come */
        ON_BROKEN,     /* the engine's answer broke off; `broken` has the reason */
        ON_SEEN,       /* the engine has reported that it runs, and perhaps its pid */
        ON_FORGOTTEN,  /* the engine does not know the exec any more */
        ON_PAUSED,     /* the reader does not take output */
        ON_RESUMED,    /* the reader takes output again */
        ON_CANCELLED,  /* the user has left */
        ON_DEADLINE,   /* timer: the exec's own time is over */
        ON_DRAIN,      /* timer: output is read no longer */
        ON_RETRY,      /* timer: kill again, ask the engine again */
        ON_GRACE,      /* timer: the end was not confirmed in time */
        ON_FINISH,     /* of an action: the exit and the output are known as far as they will be */
        ON_LOST,       /* the container is gone */
        EVENTS
};

/* In one of `states`, `event` sets the state to `next` and then runs `action`. Of the rules for a state and an event
 * the first holds whose guard is true; NULL is always true. Without a rule the event changes nothing. */
struct engine_exec_rule {
        unsigned states; /* bit n: enum engine_exec_state n */
        enum engine_exec_event event;
        bool (*guard)(struct engine_exec *exec);
        void (*action)(struct engine_exec *exec);
        enum engine_exec_state next;
};
extern const struct engine_exec_rule ENGINE_EXEC_RULES[];
extern const size_t ENGINE_EXEC_N_RULES;

/* Applies the rule for the event. It may call the user back and may free the exec: do not use the exec after this. */
void engine_exec_handle(struct engine_exec *exec, enum engine_exec_event event);

void engine_exec_init_timers(struct engine_exec *exec, double timeout_s);
/* Asks the engine soon, and delivers the signals that wait. */
void engine_exec_start_retry(struct engine_exec *exec);
/* carreld ends: kills what can be killed at once, and frees the exec. */
void engine_exec_end_now(struct engine_exec *exec);
/* Frees the memory of an exec that was not started. */
void engine_exec_dispose(struct engine_exec *exec);
