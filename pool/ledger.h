/* What the engine cannot hold of a carrel (last use, lease, generation), in a mapped file of fixed slots in the
 * runtime directory: a store to memory per use, kept through kill -9, void after a reboot. It is a hint for adoption
 * and never the truth about a container: a slot that is torn, or of another boot, is as if it were not there. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

struct ledger;

struct ledger_entry {
        uint64_t generation;
        int64_t last_use_ms; /* CLOCK_BOOTTIME */
        int64_t lease_until_ms;
};

/* Opens <runtime_dir>/<pool>.ledger, makes it if absent, and locks it for the life of the process: a second carreld of
 * this pool gets -EWOULDBLOCK. What an earlier process of the same boot left can be recalled. boot_id NULL: the
 * kernel's
 * (/proc/sys/kernel/random/boot_id, random(4)). */
int ledger_open(struct ledger **ret_ledger, const char *runtime_dir, const char *pool, const char *boot_id,
                struct fault *why);
struct ledger *ledger_close(struct ledger *ledger);

/* A slot for the user: the one an earlier process left for him, with its times, or a free one. Returns its number, or a
 * negative errno (-ENOSPC, -ENOMEM): then go on without. */
int ledger_claim(struct ledger *ledger, const char *user, uint64_t generation);
/* The slot functions ignore a negative slot. */
void ledger_release(struct ledger *ledger, int slot);
void ledger_set_generation(struct ledger *ledger, int slot, uint64_t generation);
void ledger_set_times(struct ledger *ledger, int slot, int64_t last_use_ms, int64_t lease_until_ms);

/* What an earlier process left of the user; false when nothing sound. Times are bounded to now_ms and a day of lease.
 */
bool ledger_recall(const struct ledger *ledger, const char *user, int64_t now_ms, struct ledger_entry *ret_entry);
/* Frees the slots that were left and not claimed. */
void ledger_forget_recalled(struct ledger *ledger);

/* No container of this pool has had a higher generation in this boot, besides those in claimed slots. */
uint64_t ledger_generation_floor(const struct ledger *ledger);
