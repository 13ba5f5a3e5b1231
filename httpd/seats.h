/* Limits on the server's connections, by holder, and the choice of the one that makes room for another. A connection
 * that waits for its next request is idle, and the longest idle one goes when there is no seat for a new one: a client
 * finds it closed and connects again, as after the idle deadline. Pure; O(peers). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "list.h"

/* A uid that holds connections. */
struct seat_peer {
        struct list node; /* in seats->peers */
        struct list idle; /* struct seat, the longest idle first */
        uid_t uid;
        unsigned n;
};

struct seats {
        struct list peers;
        unsigned max;          /* of all */
        unsigned max_per_peer; /* of one uid */
        unsigned n, n_clients; /* of all, and of those who are no admins: a sixteenth is kept for admins */
};

/* A connection's; zero-initialise. */
struct seat {
        struct list node; /* in peer->idle, or in none */
        struct seat_peer *peer;
        bool is_admin;
};

void seats_init(struct seats *seats, unsigned max, unsigned max_per_peer);

/* Gives *seat to a new connection of uid. *ret_victim is the idle one that has lost its seat for it (and is to be
 * closed), or NULL. -EDQUOT: the peer has max_per_peer, and none is idle; -EAGAIN: so have all together; -ENOMEM. */
__attribute__((warn_unused_result)) int seats_take(struct seats *seats, struct seat *seat, uid_t uid, bool is_admin,
                                                   struct seat **ret_victim);
/* Gives it back. Without a seat there is nothing to do. */
void seats_leave(struct seats *seats, struct seat *seat);
/* Idle from now on, or not any more. */
void seat_mark_idle(struct seat *seat, bool is_idle);
