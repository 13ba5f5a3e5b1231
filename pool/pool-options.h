/* The pool's own copy of its options, checked. */
#pragma once

#include "pool.h"

/* Deep copy; NULL texts become "". Returns 0 or -ENOMEM, *ret_options zeroed then. */
int options_copy(struct pool_options *ret_options, const struct pool_options *options);
void options_release(struct pool_options *options);

/* Refuses an incomplete default spec, uid 0, relative paths and malformed resolvers. */
int options_check(const struct pool_options *options, struct fault *why);
