/* Capabilities of a helper process (capabilities(7)). */
#pragma once

#include <stdint.h>

/* A set of CAP_* numbers: CAPABILITY(CAP_NET_ADMIN) | ... */
#define CAPABILITY(number) (UINT64_C(1) << (number))

/* The permitted set of this process. 0 or a negative errno. */
__attribute__((warn_unused_result)) int capabilities_permitted(uint64_t *ret_set);

/* Keeps this set, gives up all other capabilities for good, and sets no-new-privileges. 0 or a negative errno; -EPERM:
 * one of the set is not permitted. */
__attribute__((warn_unused_result)) int capabilities_keep(uint64_t set);
