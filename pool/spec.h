/* What a caller asked for, held against what there is: all pure. */
#pragma once

#include "pool.h"

/* Fills what `asked` leaves open from `base` (a live carrel's spec, or the defaults) and bounds it by `ceiling`.
 * A limit asked for above the ceiling, or below what an engine accepts, and an image reference outside its characters
 * are FAULT_REQUEST_INVALID. Returns 0 or a negative errno; *ret_spec is untouched then. */
int spec_resolve(const struct carrel_spec *asked, const struct carrel_spec *base, const struct carrel_spec *ceiling,
                 struct carrel_spec *ret_spec, struct fault *why);

/* Whether a carrel made to `live` is what `asked` says, as far as it says anything. */
bool spec_matches(const struct carrel_spec *asked, const struct carrel_spec *live);

/* The label io.carrel.spec: canonical JSON (fixed order, no space). malloc'd; NULL when out of memory. */
char *spec_encode(const struct carrel_spec *spec);
/* Reads that label back; a label is text from outside. 0, -EBADMSG or -ENOMEM; *ret_spec untouched on failure. */
int spec_decode(const char *json, struct carrel_spec *ret_spec);

/* SHA-256, cut to 128 bits, in hexadecimal, over the template's version and everything that went into a container
 * besides its user and generation. Returns 0 or -ENOMEM. */
int spec_hash(const struct carrel_spec *spec, const struct pool_options *options,
              char ret_hash[static SPEC_HASH_BYTES]);
