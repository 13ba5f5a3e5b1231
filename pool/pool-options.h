/* The pool's own copy of its options, checked. */
#pragma once

#include "pool.h"

/* Deep copy; NULL texts become "". Returns 0 or -ENOMEM, *ret_options zeroed then. */
int options_copy(struct pool_options *ret_options, const struct pool_options *options);
void options_release(struct pool_options *options);

/* What would make a carrel that is no carrel: an incomplete default, uid 0, a relative path, a bad resolver. */
int options_check(const struct pool_options *options, struct fault *why);
