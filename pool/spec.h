/* Resolves, compares, encodes and hashes specs. All pure. */
#pragma once

#include "pool.h"

/* The version of the template that made a container. It rises, at most once per release, when template.c or the
 * constants of an engine's encoder make a different container. A carrel of the previous version is adopted and serves
 * until it is idle; one of an older version is removed. A promise that came with a version is verified for carrels of
 * that version and later only. */
enum template_version {
        TEMPLATE_NONE,  /* unknown template */
        TEMPLATE_3 = 3, /* the previous version's */
        TEMPLATE_4,     /* bounded inodes of /tmp and /dev/shm, and the operator's mounts */
        TEMPLATE_CURRENT = TEMPLATE_4
};

/* Fills the unset fields of `asked`: from the profile (NULL: none) if `asked` names it, then from `live` (the spec of a
 * READY carrel with this profile; NULL: none), then from the profile and the pool's defaults. Never above the profile's
 * limits, which are the pool's where it has none, nor outside its policy and image: a request that is, a limit below
 * the engines' minimum, and a malformed image reference, are FAULT_REQUEST_INVALID. Returns 0 or a negative errno;
 * *ret_spec is untouched then. */
int spec_resolve(const struct carrel_spec *asked, const struct carrel_spec *live, const struct pool_profile *profile,
                 const struct carrel_spec *defaults, struct carrel_spec *ret_spec, struct fault *why);

/* Whether each field that `asked` sets is equal in `live`. */
bool spec_matches(const struct carrel_spec *asked, const struct carrel_spec *live);
/* The same, with the fields that the profile sets and `asked` leaves open. */
bool spec_matches_profile(const struct carrel_spec *asked, const struct pool_profile *profile,
                          const struct carrel_spec *live);

/* The label io.carrel.spec: canonical JSON (fixed order, no space). malloc'd; NULL when out of memory. */
char *spec_encode(const struct carrel_spec *spec);
/* Parses that label, which is untrusted text. 0, -EBADMSG or -ENOMEM; *ret_spec is untouched on failure. */
int spec_decode(const char *json, struct carrel_spec *ret_spec);

/* SHA-256, cut to 128 bits, in hexadecimal, over the template's version and everything that goes into a container
 * except its user and generation, as the carreld of that version computed it. version: TEMPLATE_3 to TEMPLATE_CURRENT.
 * Returns 0, -ENOMEM, or -ENOENT: the spec names a mount set that the options do not have. */
int spec_hash(const struct carrel_spec *spec, const struct pool_options *options, const struct pool_owner *owner,
              enum template_version version, char ret_hash[static SPEC_HASH_BYTES]);
/* The version whose hash equals `claimed`; TEMPLATE_NONE: no version's does, or out of memory. */
enum template_version spec_version_of(const struct carrel_spec *spec, const struct pool_options *options,
                                      const struct pool_owner *owner, const char *claimed);
