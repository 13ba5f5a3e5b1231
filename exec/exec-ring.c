#include "exec-ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 16, OVERHEAD_BYTES = 48 /* of a slot and of malloc, for each event */ };

struct exec_ring_slot {
        char *bytes; /* NULL when length is 0 */
        uint32_t length;
        enum exec_event_kind kind;
};

static struct exec_ring_slot *slot_of(const struct exec_ring *ring, uint64_t seq)
{
        return &ring->slots[seq & (ring->n_slots - 1)];
}

static size_t count(const struct exec_ring *ring)
{
        return (size_t)(ring->next_seq - ring->first_seq);
}

/* Doubles the slots, and moves each event to the new slot of its number. */
static int grow(struct exec_ring *ring)
{
        struct exec_ring larger = *ring;

        if (count(ring) < ring->n_slots)
                return 0;
        larger.n_slots = ring->n_slots == 0 ? SLOTS_FIRST : 2 * ring->n_slots;
        larger.slots = calloc(larger.n_slots, sizeof *larger.slots);
        if (larger.slots == NULL)
                return -ENOMEM;
        for (uint64_t seq = ring->first_seq; seq < ring->next_seq; seq++)
                *slot_of(&larger, seq) = *slot_of(ring, seq);
        free(ring->slots);
        *ring = larger;
        return 0;
}

bool exec_ring_drop(struct exec_ring *ring)
{
        struct exec_ring_slot *slot;

        if (count(ring) == 0)
                return false;
        slot = slot_of(ring, ring->first_seq++);
        ring->bytes -= slot->length + OVERHEAD_BYTES;
        free(slot->bytes);
        *slot = (struct exec_ring_slot){ 0 };
        return true;
}

void exec_ring_lose(struct exec_ring *ring)
{
        while (exec_ring_drop(ring))
                ;
        ring->first_seq = ++ring->next_seq;
}

int exec_ring_push(struct exec_ring *ring, enum exec_event_kind kind, const void *bytes, size_t length)
{
        char *copy = NULL;

        while (ring->bytes + length + OVERHEAD_BYTES > ring->limit_bytes && exec_ring_drop(ring))
                ;
        if (grow(ring) < 0)
                return -ENOMEM;
        if (length > 0) {
                copy = malloc(length);
                if (copy == NULL)
                        return -ENOMEM;
                memcpy(copy, bytes, length);
        }
        *slot_of(ring, ring->next_seq++) =
                (struct exec_ring_slot){ .bytes = copy, .length = (uint32_t)length, .kind = kind };
        ring->bytes += length + OVERHEAD_BYTES;
        return 0;
}

int exec_ring_get(const struct exec_ring *ring, uint64_t seq, struct exec_event *ret_event)
{
        const struct exec_ring_slot *slot;

        if (seq < ring->first_seq)
                return -ESTALE;
        if (seq >= ring->next_seq)
                return -ENODATA;
        slot = slot_of(ring, seq);
        *ret_event = (struct exec_event){
                .seq = seq,
                .kind = slot->kind,
                .length = slot->length,
                .bytes = slot->bytes != NULL ? slot->bytes : "",
        };
        return 0;
}

void exec_ring_free(struct exec_ring *ring)
{
        while (exec_ring_drop(ring))
                ;
        free(ring->slots);
        ring->slots = NULL;
        ring->n_slots = 0;
}
