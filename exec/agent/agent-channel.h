/* Inside the exec room only: the connection to one agent, and the conversations over it. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "agent-wire.h"
#include "exec-cgroup.h"
#include "exec-inside.h"

struct agent_channel;

/* What the agent said about one number, already judged by agent_wire_check. sender is the kernel's word for who sent
 * it: a host pid, 0 when it is not known. -EBADMSG: it breaks the protocol. The conversation may be ended in here. */
struct agent_session {
        UT_hash_handle hh;             /* in the channel, by number */
        struct agent_channel *channel; /* NULL: ended */
        uint32_t number;
        int (*on_message)(struct agent_session *session, const struct agent_header *header, const void *packet,
                          int sender);
};

/* All channels, and what they share. */
struct agents {
        struct execs *execs;
        struct agent_channel *channels; /* by container id */
        int directory;                  /* -1: none */
        struct list deferred_free;      /* struct agent_channel, struct agent_listener: freed at the loop's next turn */
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

/* Something to free when nobody can be inside it any more. */
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
        bool is_broken; /* told to the listen_fd, or nobody is to be told any more */
        ev_timer gone;  /* it hung up: its container has this long to turn out to be dead */
        uint32_t last_number;
        struct agent_session *sessions;
        struct cgroup_reader *reader; /* of the container's cgroup; NULL: it could not be found */
        struct exec_cgroups cgroups;
        struct exec_cgroup ended[ENDED_GROUPS_MAX]; /* of execs that are over: looked at when the loop has time */
        unsigned n_ended;
        ev_idle settle;
        bool was_busy; /* an exec has ended since `tidy` last came */
        ev_timer tidy; /* runs while there are groups of execs that are over, or spare ones */
        unsigned n_running;
        struct list waiting; /* struct agent_exec: over limits.per_carrel */
        unsigned n_waiting;
};

/* A greeted connection of this version becomes a channel; fd is taken over on success. */
int agent_channel_new(struct agent_channel **ret_channel, struct agents *agents, const char *container_id, int init,
                      int fd, unsigned version, bool is_framed);
/* Hangs up. Who sessions is not told: end the execs first. Freed at the loop's next turn. NULL is fine; returns NULL.
 */
struct agent_channel *agent_channel_close(struct agent_channel *channel);
/* Takes what has come, until there is nothing more. */
void agent_channel_receive(struct agent_channel *channel);
/* The container is gone, or is to be: takes what the agent had said by now, and hangs up. Nobody is told. */
void agent_channel_last_words(struct agent_channel *channel);
/* The agent cannot be trusted with anything any more: takes what it had said by now, as its other execs may have ended
 * well, hangs up, and has the carrel retired. A second break while that is taken hangs up at once. */
void agent_channel_break(struct agent_channel *channel, enum exec_left_behind why);

/* The exec is over; what it has left in the background stays, and its group as long as that. Takes the group; the work
 * is done behind the answer, and an empty group serves the next exec. */
void agent_channel_retire(struct agent_channel *channel, struct exec_cgroup *cgroup);

/* Sends the packet in agents->out; fds are borrowed. 0, -EPIPE (the agent is gone), -ENOMEM, -ENOBUFS (it does not
 * listen, and no more is kept for it). */
int agent_channel_send(struct agent_channel *channel, const int *fds, size_t n_fds);
/* The same for DATA, END and CREDIT. What of those cannot be sent would be missing with no word of it, so that -ENOMEM
 * and -ENOBUFS are the end of the connection: the execs end as lost, and never inside this call. */
int agent_channel_send_stream(struct agent_channel *channel);
/* Hands reading ends to the agent, which empties them until their last writer has gone. fds are borrowed. Nothing is
 * queued for it: -EAGAIN when the agent does not listen, so that it can make us hold no descriptor; -EOPNOTSUPP when it
 * does not know how. */
int agent_channel_give(struct agent_channel *channel, uint32_t number, const int *fds, size_t n_fds);
/* A number of its own for a session. */
int agent_session_begin(struct agent_session *session, struct agent_channel *channel);
void agent_session_end(struct agent_session *session);
