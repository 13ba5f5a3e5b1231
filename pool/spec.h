/* What a caller asked for, held against what there is: all pure. */
#pragma once

#include "pool.h"

/* Which template made a container. It rises, once for a release, when template.c or the constants of an engine's
 * encoder make a different container. A carrel of an older one is adopted and serves until it is idle: a promise that
 * came with a version is asked of carrels of that version and later only. */
enum template_version {
        TEMPLATE_NONE, /* no template that we know */
        TEMPLATE_1,    /* 0.1.0's first carrels */
        TEMPLATE_2,
        TEMPLATE_CURRENT = TEMPLATE_2
};

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
 * besides its user and generation, as the carreld of that version computed it. version: TEMPLATE_1 to
 * TEMPLATE_CURRENT. Returns 0 or -ENOMEM. */
int spec_hash(const struct carrel_spec *spec, const struct pool_options *options, const struct pool_owner *owner,
              enum template_version version, char ret_hash[static SPEC_HASH_BYTES]);
/* The version whose hash `claimed` is; TEMPLATE_NONE: of none, or out of memory. */
enum template_version spec_version_of(const struct carrel_spec *spec, const struct pool_options *options,
                                      const struct pool_owner *owner, const char *claimed);
