/* A run of the agent, as agent-runs.c (its life) and agent-streams.c (its streams) see it. */
#pragma once

#include "agent.h"

struct run {
        struct run *next;
        uint32_t number;
        pid_t pid;         /* 0: reaped, or never there */
        bool is_forgotten; /* carreld has gone, or knows */
        bool has_failed;   /* `failed` must still be sent */
        bool has_ended;    /* `exited` must still be sent */
        struct agent_failed failed;
        struct agent_exited exited;
        int terminal;        /* the pty's master; -1: none */
        bool is_input_ended; /* END has come, or the end of the pipe */
        struct pump pumps[AGENT_STREAMS];
        uint32_t untold[AGENT_STREAMS]; /* framed: bytes taken and not yet reported by a CREDIT */
        size_t owed[AGENT_STREAMS];     /* framed: what EXITED must not overtake */
};

/* The one of this number, if carreld may still speak of it; or NULL. */
struct run *run_find(const struct agent *agent, uint32_t number);

/* ---- agent-streams.c ---- */

/* Opens the streams that are not pipes of carreld's, and gives the child its ends. */
bool run_attach(const struct agent *agent, struct run *run, struct child *child, const struct agent_start *start);
/* In framed mode the bytes come through the same door as EXITED, so that this waits for all that was written by the
 * exit, and for nothing that the background adds: notes how much that is, and returns whether any of it is left. */
void run_count_owed(struct run *run, unsigned stream);
bool run_owes(const struct run *run);
/* Framed: a stream, or its end, that carreld would take. */
bool run_has_bytes_for_home(const struct run *run);
