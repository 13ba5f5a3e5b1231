/* carrel-init from within: process 1 (carrel-init.c), its connection to carreld (agent-connection.c), what it runs
 * (agent-runs.c), what that has started (agent-family.c), its streams (agent-streams.c), the bytes it carries itself
 * (agent-pump.c) and the streams that outlive their exec (agent-kept.c). One thread, one static state; runs as the
 * carrel's own user. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent-wire.h"

#define AGENT_DIRECTORY "/.carrel/home"
#define AGENT_SOCKET AGENT_DIRECTORY "/agent.sock"

enum { AGENT_RUNS_MAX = 1024, AGENT_KEPT_MAX = 512, AGENT_POLLS_MAX = 2 + 4 * AGENT_RUNS_MAX + AGENT_KEPT_MAX };

struct run;

struct agent {
        int connection; /* -1: not connected */
        bool is_welcome;
        bool is_framed;                   /* and nothing else shows the owner of a process: see agent-family.c */
        bool has_children;                /* reaped or not yet, ours or orphans: we are process 1 */
        uint8_t token[AGENT_TOKEN_BYTES]; /* by which a later carreld knows us again */
        int patience_ms;                  /* between two tries to connect; -1: it has no directory: never */
        int64_t dial_at_ms;               /* CLOCK_MONOTONIC: the next try */
        struct run *runs;                 /* newest first */
        unsigned n_runs;
        uint32_t last_number;
        int kept[AGENT_KEPT_MAX]; /* the oldest first: agent-kept.c */
        size_t n_kept;
        uint64_t n_earlier; /* numbers of earlier connections */
        uint8_t *spec;      /* what SPEC messages brought for spec_number, malloc'd; NULL: nothing */
        size_t spec_length;
        uint32_t spec_number;
};

/* ---- agent-connection.c ---- */

/* CLOCK_MONOTONIC. */
int64_t connection_now_ms(void);

/* Tries to connect and says HELLO. Whatever comes of it is in connection and patience_ms. */
void connection_dial(struct agent *agent);
/* Takes what has come. A carreld that breaks the protocol is hung up on. */
void connection_receive(struct agent *agent);
/* Kills what runs, and begins to dial again. */
void connection_hang_up(struct agent *agent);
/* Sends a whole packet without waiting. False: no room now (or no connection); ask again when it can be written to. */
bool connection_send(struct agent *agent, const struct agent_packet *packet);
/* The same, waiting for room: for a child, which has nothing else to do. */
bool connection_send_patiently(const struct agent *agent, const struct agent_packet *packet);
/* The one packet that is built at a time. */
struct agent_packet *connection_packet(void);

/* ---- agent-runs.c ---- */

/* Orders. fds are taken over. -EBADMSG: carreld broke the protocol. */
int runs_spec(struct agent *agent, uint32_t number, const void *chunk, size_t length);
int runs_start(struct agent *agent, uint32_t number, const uint8_t *packet, int *fds, size_t n_fds);
/* Reading ends of what has ended: read until nobody has the other end any more. */
int runs_keep(struct agent *agent, uint32_t number, const int *fds, size_t n_fds);
int runs_signal(struct agent *agent, uint32_t number, int signal);
int runs_resize(struct agent *agent, uint32_t number, const struct agent_resize *resize);
int runs_data(struct agent *agent, uint32_t number, unsigned stream, const void *bytes, size_t length);
int runs_end(struct agent *agent, uint32_t number, unsigned stream);
int runs_credit(struct agent *agent, uint32_t number, unsigned stream, uint32_t bytes);

/* A child has ended: one of ours, or an orphan that nobody knows. */
void runs_reaped(struct agent *agent, pid_t pid, int status);
/* Sends messages that could not be sent before, and forgets finished runs. */
void runs_settle(struct agent *agent);
/* Kills every run; no more reports are sent about them. */
void runs_kill(struct agent *agent);
/* Whether something waits for room on the connection. */
bool runs_have_news(const struct agent *agent);
/* Adds the descriptors that the runs' pumps wait for; returns how many. */
size_t runs_poll(const struct agent *agent, struct pollfd *polls, size_t room);
/* Moves what can be moved. */
void runs_pump(struct agent *agent);

/* ---- agent-kept.c ---- */

/* Takes the descriptor over, whose bytes nobody wants: they are read and dropped until its last writer has gone. With
 * too many the oldest is closed. */
void kept_add(struct agent *agent, int fd);
/* Adds what there is to wait for; returns how many. */
size_t kept_poll(const struct agent *agent, struct pollfd *polls, size_t room);
/* Reads some of each. */
void kept_drain(struct agent *agent);

/* ---- agent-family.c ---- */

/* Marks the process (0: us) and all it will start as this run's. False: it cannot be done. */
bool family_mark(const struct agent *agent, pid_t pid, uint32_t number);
/* Sends signal to every process of this run; SIGKILL again and again for a while. 0 and SIGKILL mean those, too, that
 * have made themselves nobody's. Returns how many there were at the last look, zombies included. */
unsigned family_signal(const struct agent *agent, uint32_t number, int signal);
/* Kills all processes but us. */
void family_end_all(void);

/* ---- agent-pump.c ---- */

enum { PUMP_BYTES = 16384 };

/* Carries bytes from one end to another and never waits. Either end may be the connection: then its fd is -1. */
struct pump {
        int from, to;
        bool is_open;    /* more may come in */
        bool is_done;    /* nothing comes out any more */
        uint32_t credit; /* framed: how much may still be sent */
        size_t start, length;
        size_t capacity;
        uint8_t *bytes; /* malloc'd */
};

/* Takes both descriptors over and makes them non-blocking. False: no memory; they are closed then. */
bool pump_open(struct pump *pump, int from, int to, size_t capacity);
void pump_close(struct pump *pump);
/* Moves bytes between two descriptors as far as both go now. */
void pump_move(struct pump *pump);
/* Reads as far as there is room for it. */
void pump_fill(struct pump *pump);
/* Adds bytes that came from carreld. False: more than there is room for. */
bool pump_put(struct pump *pump, const void *bytes, size_t length);
/* Writes as far as it goes. */
void pump_drain(struct pump *pump);
/* Adds what it waits for to polls; returns how many (0 to 2). */
size_t pump_poll(const struct pump *pump, struct pollfd *polls);

/* ---- agent-child.c: between fork and the program ---- */

struct child {
        const struct agent *agent;
        uint32_t number;
        uint32_t flags;         /* AGENT_START_* */
        int join, in, out, err; /* -1: none */
        int terminal;           /* the pty's master, -1: none */
        const struct agent_spec *spec;
        char *const *environment; /* complete */
};

/* Becomes the program, or says FAILED and ends. */
_Noreturn void child_run(const struct child *child);
