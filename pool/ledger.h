/* Keeps each carrel's last use, lease and generation, which the engine cannot hold, in a mapped file in the runtime
 * directory. A use costs one store to memory; the file survives kill -9 and is void after a reboot. Adoption uses it as
 * a hint and never as the truth about a container. A slot that is torn or of another boot is ignored. */
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

/* Opens or creates <runtime_dir>/<pool>.ledger, and locks it for the life of the process: a second carreld of this pool
 * gets -EWOULDBLOCK. Entries of an earlier process of the same boot can be recalled. boot_id NULL: the kernel's
 * (/proc/sys/kernel/random/boot_id, random(4)). */
int ledger_open(struct ledger **ret_ledger, const char *runtime_dir, const char *pool, const char *boot_id,
                struct fault *why);
struct ledger *ledger_close(struct ledger *ledger);

/* Claims a slot: the user's own of an earlier process, with its times, or a free one. Returns its number, or a negative
 * errno (-ENOSPC, -ENOMEM); the caller then goes on without a slot. */
int ledger_claim(struct ledger *ledger, const char *user, uint64_t generation);
/* The slot functions ignore a negative slot. */
void ledger_release(struct ledger *ledger, int slot);
void ledger_set_generation(struct ledger *ledger, int slot, uint64_t generation);
void ledger_set_times(struct ledger *ledger, int slot, int64_t last_use_ms, int64_t lease_until_ms);

/* Reads the user's entry of an earlier process. The last use is bounded by now_ms, the lease by a day. False: there is
 * no valid entry. */
bool ledger_recall(const struct ledger *ledger, const char *user, int64_t now_ms, struct ledger_entry *ret_entry);
/* Frees the slots of an earlier process that were not claimed. */
void ledger_forget_recalled(struct ledger *ledger);

/* The highest generation of this boot, claimed slots aside. */
uint64_t ledger_generation_floor(const struct ledger *ledger);
