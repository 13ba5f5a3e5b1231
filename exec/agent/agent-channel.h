/* Private to exec/agent: the connection to one agent, and the sessions over it. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent-wire.h"
#include "exec-cgroup.h"
#include "exec-inside.h"

struct agent_channel;

/* The messages about one number, which is one exec. */
struct agent_session {
        UT_hash_handle hh;             /* in the channel, by number */
        struct agent_channel *channel; /* NULL: ended */
        uint32_t number;
        /* A message that agent_wire_check has accepted. sender is the host pid of its sender, from the kernel; 0: not
         * known. Returns 0, or -EBADMSG when it breaks the protocol. May end the session. */
        int (*on_message)(struct agent_session *session, const struct agent_header *header, const void *packet,
                          int sender);
};

/* All channels, and the buffers that they share. */
struct agents {
        struct execs *execs;
        struct agent_channel *channels; /* by container id */
        int directory;                  /* of agents_open; -1: none */
        struct list deferred_free;      /* struct deferred_free: freed at the next turn of the loop */
        ev_timer sweep;
        struct agent_packet in, out;
        char *bytes; /* AGENT_READ_BYTES */
};
enum { AGENT_READ_BYTES = 262144 };

/* The backend: agent-exec.c. Its state is a struct agents. */
extern const struct exec_backend AGENT_BACKEND;
void agents_free(void *self);
/* NULL: agents_register was not called. */
struct agents *agents_of(const struct execs *execs);
struct agent_channel *agents_find(const struct agents *agents, const char *container_id);

/* Something to free at the next turn of the loop, when no caller uses it any more. */
struct deferred_free {
        struct list node;
        void (*free)(struct deferred_free *deferred_free);
};
void agents_defer_free(struct agents *agents, struct deferred_free *deferred_free);

enum { ENDED_GROUPS_MAX = 8 };

struct agent_channel {
        struct deferred_free deferred_free;
        UT_hash_handle hh;
        struct execs *execs;
        struct agents *agents;
        char container_id[ENGINE_ID_BYTES];
        int init;
        int fd; /* -1: ended */
        ev_io readable, writable;
        struct list unsent; /* struct unsent */
        size_t unsent_bytes;
        unsigned version; /* of the protocol, AGENT_VERSION_MIN to AGENT_VERSION */
        gid_t gid;        /* of the programs inside; -1: not known */
        bool is_framed;
        bool is_broken; /* on_left_behind was called, or will not be called any more */
        ev_timer gone; /* the agent has closed the connection: its container is probably dead, and has until then to end
                        */
        uint32_t last_number;
        struct agent_session *sessions;
        struct cgroup_reader *reader; /* of the container's cgroup; NULL: it could not be found */
        struct exec_cgroups cgroups;
        struct exec_cgroup ended[ENDED_GROUPS_MAX]; /* of finished execs: retired when the loop is idle */
        unsigned n_ended;
        ev_idle settle;
        bool was_busy; /* an exec has ended since `tidy` last fired */
        ev_timer tidy; /* runs while there are retired or spare groups */
        unsigned n_running;
        struct list waiting; /* struct agent_exec: over limits.per_carrel */
        unsigned n_waiting;
};

/* Makes a channel of a greeted connection. Takes fd over on success. 0 or -ENOMEM. */
int agent_channel_new(struct agent_channel **ret_channel, struct agents *agents, const char *container_id, int init,
                      int fd, unsigned version, bool is_framed);
/* Closes the connection without a report to the sessions: end the execs first. Freed at the next turn of the loop. NULL
 * is fine; returns NULL. */
struct agent_channel *agent_channel_close(struct agent_channel *channel);
/* Handles the messages that have arrived. */
void agent_channel_receive(struct agent_channel *channel);
/* The container is gone or will be removed: handles the messages that have arrived, and closes the connection. Does not
 * call on_left_behind. */
void agent_channel_last_words(struct agent_channel *channel);
/* The agent cannot be trusted any more: handles the messages that have arrived, as other execs may have ended well,
 * closes the connection, and has the carrel retired. A second break during this closes the connection at once. */
void agent_channel_break(struct agent_channel *channel, enum exec_left_behind why);

/* Takes the group of a finished exec. Processes in the background stay, and the group with them; an empty group serves
 * the next exec. The work is done after the answer, when the loop is idle. */
void agent_channel_retire(struct agent_channel *channel, struct exec_cgroup *cgroup);
/* Does that work now. */
void agent_channel_settle(struct agent_channel *channel);

/* Sends the packet in agents->out; fds are borrowed. 0, -EPIPE (the agent is gone), -ENOMEM, -ENOBUFS (the agent does
 * not read, and the queue for it is full). */
int agent_channel_send(struct agent_channel *channel, const int *fds, size_t n_fds);
/* The same for DATA, END and CREDIT. If one of those could not be sent, bytes would be missing without a sign, so
 * -ENOMEM and -ENOBUFS end the connection: the execs end as lost, but not inside this call. */
int agent_channel_send_stream(struct agent_channel *channel);
/* Passes reading ends of pipes to the agent, which reads until the last writer has gone. fds are borrowed. Nothing is
 * queued, so that an agent cannot make us hold descriptors: -EAGAIN when it does not read; -EOPNOTSUPP when it does not
 * know KEEP. */
int agent_channel_give(struct agent_channel *channel, uint32_t number, const int *fds, size_t n_fds);
/* Gives the session a new number. 0, -ENOSPC (all numbers were used), or -ENOMEM. */
int agent_session_begin(struct agent_session *session, struct agent_channel *channel);
void agent_session_end(struct agent_session *session);
