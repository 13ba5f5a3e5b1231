/* Private to exec/agent: the states of an exec, the events that move it, and the rules between them. agent-end.c has
 * the rules as one table, and the actions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct agent_exec;

enum agent_exec_state {
        STATE_WAITING,     /* START was not sent: too many execs run in this container */
        STATE_RUNNING,     /* START was sent, and no EXITED has come */
        STATE_DRAINING,    /* the first process has exited; the output of what it left in the background is read */
        STATE_TERMINATING, /* TERM was sent; KILL follows after the grace */
        STATE_KILLING,     /* KILL is sent until nothing lives, for as long as the linger */
        STATE_DEAD,        /* nothing of it lives; what it wrote waits for a slow reader */
        STATE_OVER,        /* the user was answered, or will never be; only the memory is left */
        STATES,
        STATE_SAME = STATES /* of a rule: the state does not change */
};

enum agent_exec_event {
        ON_EXITED,    /* the agent has reported the exit of the first process */
        ON_CHECK,     /* the exec may be over: an output has ended, GONE has come, or an action asks for the check */
        ON_PAUSED,    /* the reader does not take output */
        ON_RESUMED,   /* the reader takes output again */
        ON_PULLED,    /* the reader has taken a piece of output that waited in its pipe */
        ON_READ,      /* the last output of a dead exec was read, as far as its reader takes it */
        ON_CANCELLED, /* the user has left */
        ON_DEADLINE,  /* timer: the exec's own time is over, or its time to wait for a turn */
        ON_DRAIN,     /* timer: output is read no longer */
        ON_RETRY,     /* timer: kill again, check again */
        ON_GRACE,     /* timer: after TERM, then after KILL */
        ON_LOST,      /* the container is gone */
        EVENTS
};

/* In one of `states`, `event` sets the state to `next` and then runs `action`. Of the rules for a state and an event
 * the first holds whose guard is true; NULL is always true. Without a rule the event changes nothing. */
struct agent_exec_rule {
        unsigned states; /* bit n: enum agent_exec_state n */
        enum agent_exec_event event;
        bool (*guard)(struct agent_exec *exec);
        void (*action)(struct agent_exec *exec);
        enum agent_exec_state next;
};
extern const struct agent_exec_rule AGENT_EXEC_RULES[];
extern const size_t AGENT_EXEC_N_RULES;

/* Applies the rule for the event. The action may call the user back, and may end the exec: its memory stays valid until
 * the next turn of the loop. */
void agent_exec_handle(struct agent_exec *exec, enum agent_exec_event event);
