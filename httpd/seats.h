/* How many of the server's connections each peer may hold, and which one is closed for a new one. A connection that
 * waits for its next request is idle. When there is no seat for a new connection, the longest idle one is closed; its
 * client connects again, as after the idle deadline. Pure; O(peers). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "list.h"

/* A uid that holds connections. */
struct seat_peer {
        struct list node; /* in seats->peers */
        struct list idle; /* of struct seat, the longest idle first */
        uid_t uid;
        unsigned n;
};

struct seats {
        struct list peers;
        unsigned max;          /* of all */
        unsigned max_per_peer; /* of one uid */
        unsigned n, n_clients; /* of all; of those that are not admins (a sixteenth is kept for admins) */
};

/* Of one connection; zero-initialise. */
struct seat {
        struct list node; /* in peer->idle, or in none */
        struct seat_peer *peer;
        bool is_admin;
};

void seats_init(struct seats *seats, unsigned max, unsigned max_per_peer);

/* Gives *seat to a new connection of uid. *ret_victim is the idle connection that lost its seat for it, which the
 * caller must close; or NULL. -EDQUOT: the peer has max_per_peer connections and none is idle; -EAGAIN: all seats are
 * taken and no connection is idle; -ENOMEM. */
__attribute__((warn_unused_result)) int seats_take(struct seats *seats, struct seat *seat, uid_t uid, bool is_admin,
                                                   struct seat **ret_victim);
/* Gives the seat back, if the connection has one. */
void seats_leave(struct seats *seats, struct seat *seat);
/* The connection is idle from now on, or no longer. */
void seat_mark_idle(struct seat *seat, bool is_idle);
