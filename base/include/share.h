/* Shares a bounded resource (places, bytes, records) among users so that no user can use it up: a pure rule, and a
 * table of the users' holdings. O(1).
 *
 * The rule: one user holds at most a quarter of the resource. The last quarter is for users who hold little: one unit,
 * or a 64th of the whole. So a user who takes everything he can leaves three quarters to the others, and three such
 * users together still leave room for each of the others. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "list.h"

struct share {
        uint64_t bound; /* 0: unlimited */
        uint64_t least; /* that one user may always hold, even if it is more than a quarter: the largest single item */
        uint64_t used;
};

/* The most that one user may hold. */
uint64_t share_part(const struct share *share);

/* Whether a user who holds `held` may not use the last quarter. */
bool share_is_more_than_little(const struct share *share, uint64_t held);

/* Whether a user who holds *held may take `wanted` more: 0, -EDQUOT (it is more than his part) or -EAGAIN (too much is
 * in use). held NULL: for the operator's own work, which only the bound limits. */
__attribute__((warn_unused_result)) int share_check(const struct share *share, const uint64_t *held, uint64_t wanted);
/* Checks, and takes it if it may. */
__attribute__((warn_unused_result)) int share_take(struct share *share, uint64_t *held, uint64_t wanted);
/* Takes it without a check, because it exists already. */
void share_charge(struct share *share, uint64_t *held, uint64_t count);
void share_give(struct share *share, uint64_t *held, uint64_t count);

enum { SHARER_NAME_BYTES = 65, SHARER_THINGS = 4 };

/* A user of several shares; exists while it has references. */
struct sharer {
        UT_hash_handle hh;
        char name[SHARER_NAME_BYTES];
        unsigned n_references;
        uint64_t held[SHARER_THINGS]; /* of each share, as the owner of the table numbers them */
        struct list things;           /* for the owner's use; empty at first */
};

/* Zero-initialise. Empty when every sharer has been left. */
struct sharers {
        struct sharer *by_name;
};

/* Finds or makes the user's entry and adds a reference. NULL: out of memory. name is cut at SHARER_NAME_BYTES. */
struct sharer *sharer_join(struct sharers *sharers, const char *name);
/* Drops a reference; the last one frees the entry. NULL is fine; returns NULL. */
struct sharer *sharer_leave(struct sharers *sharers, struct sharer *sharer);
