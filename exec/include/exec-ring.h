/* What an exec has told so far, as numbered events, bounded in bytes: when it is full the oldest go. Pure; every
 * operation is O(1), amortised over the events for those that drop. */
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
        const char *bytes; /* the ring's, until the next push or drop */
};

/* The largest event's bytes: longer output is pushed as several. */
enum { EXEC_EVENT_MAX_BYTES = 16 << 10 };

struct exec_ring_slot;

/* Zero-initialise and set limit_bytes; release with exec_ring_free. */
struct exec_ring {
        struct exec_ring_slot *slots; /* a circle of a power of two, indexed by seq */
        size_t n_slots;
        uint64_t first_seq; /* of the oldest that is kept */
        uint64_t next_seq;
        size_t bytes;       /* memory held for the events; what limit_bytes bounds */
        size_t limit_bytes; /* at least twice EXEC_EVENT_MAX_BYTES */
};

/* 0 or -ENOMEM (nothing of the event is in then, and no number was used). length is at most EXEC_EVENT_MAX_BYTES. */
__attribute__((warn_unused_result)) int exec_ring_push(struct exec_ring *ring, enum exec_event_kind kind,
                                                       const void *bytes, size_t length);
/* An event could not be kept: drops all and uses up its number, so that its readers learn of it (-ESTALE). */
void exec_ring_lose(struct exec_ring *ring);
/* Drops the oldest event. false: there is none. */
bool exec_ring_drop(struct exec_ring *ring);
/* The event of this number: 0, -ENODATA (not told yet) or -ESTALE (gone). */
__attribute__((warn_unused_result)) int exec_ring_get(const struct exec_ring *ring, uint64_t seq,
                                                      struct exec_event *ret_event);
void exec_ring_free(struct exec_ring *ring);
