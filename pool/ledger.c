#include "ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "slot-file.h"
#include "str.h"
#include "user-id.h"

enum { LEASE_MAX_MS = 86400000, FLOOR_WORD = 0 };

/* The checksum covers the fields that are written once, at the claim. The times change with every use; each is one
 * aligned word, so a killed process leaves the old value or the new one. */
struct slot {
        char user[USER_ID_MAX + 8]; /* "": free */
        uint64_t generation;
        uint64_t checksum;
        int64_t last_use_ms;
        int64_t lease_until_ms;
        uint64_t reserved[3];
};

_Static_assert(sizeof(struct slot) == 128, "the file's layout has no padding");

static const struct slot_file_format FORMAT = {
        .magic = "carrel-ledger-1",
        .what = "ledger",
        .slot_bytes = sizeof(struct slot),
        .slots_first = 64,
        .slots_max = 1 << 22,
};

struct recalled {
        int slot;
        UT_hash_handle hh;
        char user[USER_ID_MAX + 1];
};

struct ledger {
        struct slot_file *file;
        struct recalled *recalled;
};

static struct slot *slot_at(const struct ledger *ledger, int number)
{
        return slot_file_at(ledger->file, number);
}

static int64_t bound(int64_t value, int64_t least, int64_t most)
{
        if (value < least)
                return least;
        return value > most ? most : value;
}

static uint64_t checksum_of(const struct slot *slot)
{
        return slot_checksum(slot, offsetof(struct slot, checksum));
}

static bool is_sound(const struct slot *slot)
{
        return memchr(slot->user, '\0', sizeof slot->user) != NULL && user_id_is_valid(slot->user) &&
               slot->checksum == checksum_of(slot);
}

static void raise_floor(struct ledger *ledger, uint64_t generation)
{
        uint64_t *floor = &slot_file_words(ledger->file)[FLOOR_WORD];

        if (generation > *floor)
                *floor = generation;
}

/* True: the slot is kept for its user. */
static bool remember(void *arg, int number)
{
        struct ledger *ledger = arg;
        const struct slot *slot = slot_at(ledger, number);
        struct recalled *recalled;

        if (!is_sound(slot))
                return false;
        raise_floor(ledger, slot->generation);
        HASH_FIND_STR(ledger->recalled, slot->user, recalled);
        if (recalled != NULL)
                return false;
        recalled = calloc(1, sizeof *recalled);
        if (recalled == NULL)
                return false;
        recalled->slot = number;
        memcpy(recalled->user, slot->user, sizeof recalled->user);
        HASH_ADD_STR(ledger->recalled, user, recalled);
        if (recalled->hh.tbl != NULL)
                return true;
        free(recalled);
        return false;
}

int ledger_open(struct ledger **ret_ledger, const char *runtime_dir, const char *pool, const char *boot_id,
                struct fault *why)
{
        struct ledger *ledger = calloc(1, sizeof *ledger);
        int r;

        if (ledger == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = slot_file_open(&ledger->file, &FORMAT, runtime_dir, pool, boot_id, why);
        if (r < 0) {
                ledger_close(ledger);
                return r;
        }
        slot_file_sift(ledger->file, remember, ledger);
        *ret_ledger = ledger;
        return 0;
}

static void drop_recalled(struct ledger *ledger, struct recalled *recalled)
{
        HASH_DEL(ledger->recalled, recalled);
        free(recalled);
}

struct ledger *ledger_close(struct ledger *ledger)
{
        struct recalled *recalled;
        struct recalled *next;

        if (ledger == NULL)
                return NULL;
        HASH_ITER(hh, ledger->recalled, recalled, next)
        drop_recalled(ledger, recalled);
        slot_file_close(ledger->file);
        free(ledger);
        return NULL;
}

void ledger_set_generation(struct ledger *ledger, int slot, uint64_t generation)
{
        struct slot *at;

        if (slot < 0)
                return;
        at = slot_at(ledger, slot);
        raise_floor(ledger, at->generation);
        at->generation = generation;
        at->checksum = checksum_of(at);
}

int ledger_claim(struct ledger *ledger, const char *user, uint64_t generation)
{
        struct recalled *recalled;
        int slot;

        HASH_FIND_STR(ledger->recalled, user, recalled);
        if (recalled != NULL) {
                slot = recalled->slot;
                drop_recalled(ledger, recalled);
        } else {
                slot = slot_file_take(ledger->file);
                if (slot < 0)
                        return slot;
                (void)snprintf(slot_at(ledger, slot)->user, sizeof slot_at(ledger, slot)->user, "%s", user);
        }
        ledger_set_generation(ledger, slot, generation);
        return slot;
}

void ledger_release(struct ledger *ledger, int slot)
{
        if (slot < 0)
                return;
        raise_floor(ledger, slot_at(ledger, slot)->generation);
        slot_file_give(ledger->file, slot);
}

void ledger_set_times(struct ledger *ledger, int slot, int64_t last_use_ms, int64_t lease_until_ms)
{
        if (slot < 0)
                return;
        slot_at(ledger, slot)->last_use_ms = last_use_ms;
        slot_at(ledger, slot)->lease_until_ms = lease_until_ms;
}

bool ledger_recall(const struct ledger *ledger, const char *user, int64_t now_ms, struct ledger_entry *ret_entry)
{
        const struct slot *slot;
        const struct recalled *recalled;

        HASH_FIND_STR(ledger->recalled, user, recalled);
        if (recalled == NULL)
                return false;
        slot = slot_at(ledger, recalled->slot);
        ret_entry->generation = slot->generation;
        ret_entry->last_use_ms = bound(slot->last_use_ms, 0, now_ms);
        ret_entry->lease_until_ms = bound(slot->lease_until_ms, 0, now_ms + LEASE_MAX_MS);
        return true;
}

void ledger_forget_recalled(struct ledger *ledger)
{
        struct recalled *recalled;
        struct recalled *next;

        HASH_ITER(hh, ledger->recalled, recalled, next)
        {
                ledger_release(ledger, recalled->slot);
                drop_recalled(ledger, recalled);
        }
}

uint64_t ledger_generation_floor(const struct ledger *ledger)
{
        return slot_file_words(ledger->file)[FLOOR_WORD];
}
