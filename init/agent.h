/* The inside of carrel-init: process 1 (carrel-init.c), its connection to carreld (agent-connection.c), the runs
 * (agent-runs.c), their environment (agent-environment.c), the processes of a run in framed mode (agent-family.c), the
 * streams of a run (agent-streams.c), the pumps that carry bytes (agent-pump.c), and the streams that outlive their
 * exec (agent-kept.c). One thread and one static state; runs as the carrel's user. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent-wire.h"
#include "inside.h"

#define AGENT_SOCKET INSIDE_AGENT "/" INSIDE_SOCKET

enum { AGENT_RUNS_MAX = 1024, AGENT_KEPT_MAX = 512, AGENT_POLLS_MAX = 2 + 4 * AGENT_RUNS_MAX + AGENT_KEPT_MAX };

struct run;

struct agent {
        int connection; /* -1: not connected */
        bool is_welcome;
        unsigned version;                 /* of the protocol, after WELCOME */
        bool is_framed;                   /* framed mode; agent-family.c finds the processes of a run */
        bool has_children;                /* runs and orphans, as we are process 1, including zombies */
        uint8_t token[AGENT_TOKEN_BYTES]; /* a later carreld recognises us by it */
        int patience_ms;                  /* between two tries to connect; -1: never, as there is no directory */
        int64_t dial_at_ms;               /* CLOCK_MONOTONIC: the next try */
        struct run *runs;                 /* newest first */
        unsigned n_runs;
        uint32_t last_number;
        int kept[AGENT_KEPT_MAX]; /* agent-kept.c; the oldest first */
        size_t n_kept;
        uint64_t n_earlier; /* how many numbers earlier connections used */
        uint8_t *spec;      /* pieces from SPEC messages for spec_number, malloc'd; NULL: no piece has come */
        size_t spec_length;
        uint32_t spec_number;
};

/* ---- agent-connection.c ---- */

/* CLOCK_MONOTONIC. */
int64_t connection_now_ms(void);

/* Tries to connect and sends HELLO. Sets connection and patience_ms. */
void connection_dial(struct agent *agent);
/* Handles the messages that have arrived. Closes the connection when carreld breaks the protocol. */
void connection_receive(struct agent *agent);
/* Closes the connection, kills all runs, and starts to connect again. */
void connection_hang_up(struct agent *agent);
/* Sends a whole packet without waiting. False: no room now, or no connection; try again when the socket is writable. */
bool connection_send(struct agent *agent, const struct agent_packet *packet);
/* The same, but waits for room: for a child, which has nothing else to do. */
bool connection_send_patiently(const struct agent *agent, const struct agent_packet *packet);
/* The buffer in which packets are built, one at a time. */
struct agent_packet *connection_packet(void);

/* ---- agent-runs.c ---- */

/* Orders of carreld. They take over fds. 0, or -EBADMSG: carreld broke the protocol. */
int runs_spec(struct agent *agent, uint32_t number, const void *chunk, size_t length);
int runs_start(struct agent *agent, uint32_t number, const uint8_t *packet, int *fds, size_t n_fds);
/* Reading ends of a finished exec: they are read until no process has the other end any more. */
int runs_keep(struct agent *agent, uint32_t number, const int *fds, size_t n_fds);
int runs_signal(struct agent *agent, uint32_t number, int signal);
int runs_resize(struct agent *agent, uint32_t number, const struct agent_resize *resize);
int runs_data(struct agent *agent, uint32_t number, unsigned stream, const void *bytes, size_t length);
int runs_end(struct agent *agent, uint32_t number, unsigned stream);
int runs_credit(struct agent *agent, uint32_t number, unsigned stream, uint32_t bytes);

/* A child has ended: the first process of a run, or an orphan. usage is that of wait4(2). */
void runs_reaped(struct agent *agent, pid_t pid, int status, const struct rusage *usage);
/* Sends the messages that wait for room, and frees the runs that are over. */
void runs_settle(struct agent *agent);
/* Kills every run, and reports no end of them. */
void runs_kill(struct agent *agent);
/* Whether a message waits for room on the connection. */
bool runs_have_news(const struct agent *agent);
/* Adds the descriptors that the runs' pumps wait for; returns how many. */
size_t runs_poll(const struct agent *agent, struct pollfd *polls, size_t room);
/* Moves the bytes that can be moved now. */
void runs_pump(struct agent *agent);

/* ---- agent-kept.c ---- */

/* Takes over the descriptor. Its bytes are read and dropped until the last writer has gone. When there are too many,
 * the oldest is closed. */
void kept_add(struct agent *agent, int fd);
/* Adds the descriptors to wait for; returns how many. */
size_t kept_poll(const struct agent *agent, struct pollfd *polls, size_t room);
/* Reads some bytes of each. */
void kept_drain(struct agent *agent);

/* ---- agent-family.c ---- */

/* Marks the process (0: ourselves), and so all that it will start, as part of this run. False: the kernel refuses. */
bool family_mark(const struct agent *agent, pid_t pid, uint32_t number);
/* Sends signal to every process of this run; SIGKILL several times. 0 and SIGKILL also reach processes whose mark is of
 * no run. Returns how many processes the last pass found, zombies included. */
unsigned family_signal(const struct agent *agent, uint32_t number, int signal);
/* Kills all processes except this one. */
void family_end_all(void);

/* ---- agent-pump.c ---- */

enum { PUMP_BYTES = 16384 };

/* Carries bytes from one descriptor to another and never waits. The connection may be one of the ends; its fd is -1
 * then. */
struct pump {
        int from, to;
        bool is_open;    /* more bytes may come in */
        bool is_done;    /* no more bytes go out */
        uint32_t credit; /* framed: how many bytes may still be sent */
        size_t start, length;
        size_t capacity;
        uint8_t *bytes; /* malloc'd */
};

/* Takes over both descriptors and makes them non-blocking. False: out of memory; they are closed then. */
bool pump_open(struct pump *pump, int from, int to, size_t capacity);
void pump_close(struct pump *pump);
/* Moves bytes between two descriptors until one of them would block. */
void pump_move(struct pump *pump);
/* Reads as many bytes as there is room for. */
void pump_fill(struct pump *pump);
/* Adds bytes from carreld. False: more than there is room for. */
bool pump_put(struct pump *pump, const void *bytes, size_t length);
/* Writes until the descriptor would block. */
void pump_drain(struct pump *pump);
/* Adds the descriptors that it waits for to polls; returns how many (0 to 2). */
size_t pump_poll(const struct pump *pump, struct pollfd *polls);

/* ---- agent-environment.c ---- */

/* The value of a variable; NULL: it is not set. */
const char *environment_find(char *const *environment, const char *name);
/* The variables of the container, replaced by those of the exec. Unless the exec sets PATH, it is the container's, or a
 * default, with HOME's .local/bin before it. NULL-terminated, and valid until the next call. */
char *const *environment_merge(char *const *container, const struct agent_spec *spec);

/* ---- agent-child.c: between fork and the program ---- */

struct child {
        const struct agent *agent;
        uint32_t number;
        uint32_t flags;         /* AGENT_START_* */
        int join, in, out, err; /* -1: none */
        int terminal;           /* the pty's master, -1: none */
        const struct agent_spec *spec;
        char *const *environment; /* all variables, with those of the container */
};

/* Executes the program, or sends FAILED and exits. */
_Noreturn void child_run(const struct child *child);
