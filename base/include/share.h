/* Resources that all users share and that no user may use up: places, bytes, records. A pure rule, and a table of
 * holders. O(1).
 *
 * The rule: one user holds at most a quarter of it, and the last quarter is for users who hold little: one, or a 64th
 * of the whole. So a user who takes all that he can leaves the others three quarters, and three who do so together
 * still leave a place to each of the others. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "list.h"

struct share {
        uint64_t bound; /* 0: unlimited */
        uint64_t least; /* what one user may hold in any case, if it is more than a quarter: the largest single thing */
        uint64_t used;
};

/* The most that one user may hold. */
uint64_t share_part(const struct share *share);

/* Whether somebody who holds so much holds more than what the last quarter is kept for. */
bool share_is_more_than_little(const struct share *share, uint64_t held);

/* Whether one who holds so much may have so much more: 0, -EDQUOT (it is more than his part) or -EAGAIN (too much is
 * used). held NULL: it is for the operator's own work, which only the bound holds back. */
__attribute__((warn_unused_result)) int share_check(const struct share *share, const uint64_t *held, uint64_t wanted);
/* The same, and takes it. */
__attribute__((warn_unused_result)) int share_take(struct share *share, uint64_t *held, uint64_t wanted);
/* Takes it whatever the rule says: it is there already. */
void share_charge(struct share *share, uint64_t *held, uint64_t count);
void share_give(struct share *share, uint64_t *held, uint64_t count);

enum { SHARER_NAME_BYTES = 65, SHARER_THINGS = 4 };

/* One user of several shares, as long as he holds something. */
struct sharer {
        UT_hash_handle hh;
        char name[SHARER_NAME_BYTES];
        unsigned n_references;
        uint64_t held[SHARER_THINGS]; /* of each share, which the table's owner numbers */
        struct list things;           /* the owner's, empty at first */
};

/* Zero-initialise; empty when everybody has left. */
struct sharers {
        struct sharer *by_name;
};

/* Finds or makes him, with one reference more. NULL: out of memory. name is cut at SHARER_NAME_BYTES. */
struct sharer *sharer_join(struct sharers *sharers, const char *name);
/* One reference less; without any he is freed. NULL is fine; returns NULL. */
struct sharer *sharer_leave(struct sharers *sharers, struct sharer *sharer);
