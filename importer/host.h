/* The image of this machine: its own /usr, mounted read-only, and a minimal /etc. It has nothing of /home, /root or
 * /var. */
#pragma once

#include <stdbool.h>

#include "store.h"

/* FAULT_IMAGE_REFUSED when this machine has no merged /usr (file-hierarchy(7)). */
__attribute__((warn_unused_result)) int host_image(struct store *store, const char *reference,
                                                   struct stored_image *ret_image, bool *ret_is_new, struct fault *why);
