/* A ring of one exec's numbered events, limited in bytes: a full ring drops the oldest. Pure. Every operation is O(1),
 * those that drop amortised over the dropped events. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exec_event_kind {
        EXEC_EVENT_START,
        EXEC_EVENT_OUTPUT, /* stdout */
        EXEC_EVENT_ERRORS, /* stderr */
        EXEC_EVENT_END     /* the last */
};

struct exec_event {
        uint64_t seq; /* from 0, without a gap */
        enum exec_event_kind kind;
        size_t length;
        const char *bytes; /* borrowed from the ring until the next push or drop */
};

/* The most bytes of one event; longer output is pushed as several events. */
enum { EXEC_EVENT_MAX_BYTES = 16 << 10 };

struct exec_ring_slot;

/* Initialise with zeros and set limit_bytes; free with exec_ring_free. */
struct exec_ring {
        struct exec_ring_slot *slots; /* a circle of a power of two, indexed by seq */
        size_t n_slots;
        uint64_t first_seq; /* of the oldest event in the ring */
        uint64_t next_seq;
        size_t bytes;       /* memory that the events take; at most limit_bytes */
        size_t limit_bytes; /* at least twice EXEC_EVENT_MAX_BYTES */
};

/* Adds an event of at most EXEC_EVENT_MAX_BYTES. 0, or -ENOMEM: the event was not added, and used no number. */
__attribute__((warn_unused_result)) int exec_ring_push(struct exec_ring *ring, enum exec_event_kind kind,
                                                       const void *bytes, size_t length);
/* An event could not be added: drops all events and skips one number, so that readers get -ESTALE and know of the loss.
 */
void exec_ring_lose(struct exec_ring *ring);
/* Drops the oldest event. Returns false when the ring is empty. */
bool exec_ring_drop(struct exec_ring *ring);
/* The event with this number: 0, -ENODATA (it was not pushed yet), or -ESTALE (it was dropped). */
__attribute__((warn_unused_result)) int exec_ring_get(const struct exec_ring *ring, uint64_t seq,
                                                      struct exec_event *ret_event);
void exec_ring_free(struct exec_ring *ring);
