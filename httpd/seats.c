#include "seats.h"

#include <errno.h>
#include <stdlib.h>

enum { ADMIN_PART = 16 };

void seats_init(struct seats *seats, unsigned max, unsigned max_per_peer)
{
        *seats = (struct seats){ .max = max, .max_per_peer = max_per_peer };
        list_init(&seats->peers);
}

static struct seat_peer *find(const struct seats *seats, uid_t uid)
{
        LIST_EACH ((struct list *)&seats->peers, node) {
                struct seat_peer *peer = LIST_ENTRY(node, struct seat_peer, node);

                if (peer->uid == uid)
                        return peer;
        }
        return NULL;
}

static struct seat_peer *find_or_make(struct seats *seats, uid_t uid)
{
        struct seat_peer *peer = find(seats, uid);

        if (peer != NULL)
                return peer;
        peer = calloc(1, sizeof *peer);
        if (peer == NULL)
                return NULL;
        peer->uid = uid;
        list_init(&peer->idle);
        list_append(&seats->peers, &peer->node);
        return peer;
}

static void forget_if_gone(struct seat_peer *peer)
{
        if (peer->n > 0)
                return;
        list_remove(&peer->node);
        free(peer);
}

static struct seat *longest_idle(const struct seat_peer *peer)
{
        return list_is_empty(&peer->idle) ? NULL : LIST_ENTRY(peer->idle.next, struct seat, node);
}

/* The longest idle connection of the peer that holds the most, among peers with an idle one. */
static struct seat *choose_victim(const struct seats *seats)
{
        const struct seat_peer *most = NULL;

        LIST_EACH ((struct list *)&seats->peers, node) {
                const struct seat_peer *peer = LIST_ENTRY(node, struct seat_peer, node);

                if (!list_is_empty(&peer->idle) && (most == NULL || peer->n > most->n))
                        most = peer;
        }
        return most == NULL ? NULL : longest_idle(most);
}

static bool is_full(const struct seats *seats, bool is_admin)
{
        return seats->n >= seats->max || (!is_admin && seats->n_clients >= seats->max - seats->max / ADMIN_PART);
}

int seats_take(struct seats *seats, struct seat *seat, uid_t uid, bool is_admin, struct seat **ret_victim)
{
        struct seat_peer *peer = find_or_make(seats, uid);
        struct seat *victim = NULL;
        int r = 0;

        if (peer == NULL)
                return -ENOMEM;
        if (peer->n >= seats->max_per_peer) {
                victim = longest_idle(peer);
                r = victim == NULL ? -EDQUOT : 0;
        } else if (is_full(seats, is_admin)) {
                victim = choose_victim(seats);
                r = victim == NULL ? -EAGAIN : 0;
        }
        if (r == 0) {
                *seat = (struct seat){ .peer = peer, .is_admin = is_admin };
                list_init(&seat->node);
                peer->n++;
                seats->n++;
                seats->n_clients += !is_admin;
        }
        if (victim != NULL)
                seats_leave(seats, victim);
        if (r == 0)
                *ret_victim = victim;
        else
                forget_if_gone(peer);
        return r;
}

void seats_leave(struct seats *seats, struct seat *seat)
{
        struct seat_peer *peer = seat->peer;

        if (peer == NULL)
                return;
        list_remove(&seat->node);
        seat->peer = NULL;
        seats->n--;
        seats->n_clients -= !seat->is_admin;
        peer->n--;
        forget_if_gone(peer);
}

void seat_mark_idle(struct seat *seat, bool is_idle)
{
        if (seat->peer == NULL)
                return;
        list_remove(&seat->node);
        if (is_idle)
                list_append(&seat->peer->idle, &seat->node);
}
