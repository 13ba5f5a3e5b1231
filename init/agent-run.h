/* A run: one exec in the agent. agent-runs.c has its start and end, agent-streams.c its streams. */
#pragma once

#include "agent.h"

struct run {
        struct run *next;
        uint32_t number;
        pid_t pid;         /* 0: reaped, or never started */
        bool is_forgotten; /* carreld has gone, or knows its end */
        bool has_failed;   /* `failed` was not sent yet */
        bool has_ended;    /* `exited` was not sent yet */
        struct agent_failed failed;
        struct agent_exited exited;
        int terminal;        /* the pty's master; -1: none */
        bool is_input_ended; /* END or the end of the pipe has come */
        struct pump pumps[AGENT_STREAMS];
        uint32_t uncredited[AGENT_STREAMS]; /* framed: bytes taken that no CREDIT has confirmed yet */
        size_t owed[AGENT_STREAMS];         /* framed: bytes that must be sent before EXITED */
};

/* The run with this number, unless carreld knows its end; or NULL. */
struct run *run_find(const struct agent *agent, uint32_t number);

/* ---- agent-streams.c ---- */

/* Opens the streams that are not pipes of carreld, and gives the child its ends. */
bool run_attach(const struct agent *agent, struct run *run, struct child *child, const struct agent_start *start);
/* In framed mode the output and EXITED use the same connection. EXITED waits for everything that was written before the
 * exit, and for nothing that processes in the background add. run_count_owed notes how much that is; the other function
 * returns whether some of it was not sent yet. */
void run_count_owed(struct run *run, unsigned stream);
bool run_owes(const struct run *run);
/* Framed: whether carreld would take bytes of a stream, or its end. */
bool run_has_bytes_to_send(const struct run *run);
