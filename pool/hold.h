/* Users whose files are being copied. No program of such a user runs: the user has no carrel or a frozen one, ensures
 * wait, and nobody thaws or removes the carrel. */
#pragma once

#include "pool.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "list.h"

struct hold {
        UT_hash_handle hh;
        char user[USER_ID_MAX + 1];
        struct list waits; /* struct pool_wait: ensures */
};

/* NULL: the user is not held. */
struct hold *hold_find(const struct pool *pool, const char *user);
/* FAULT_CARREL_BUSY if the user is held; else 0. */
int hold_check(const struct pool *pool, const char *user, struct fault *why);
/* Frees all holds and answers their ensures, for the pool's end. */
void holds_free(struct pool *pool, const struct fault *why);
