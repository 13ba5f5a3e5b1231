/* Images of registries, by skopeo(1): it knows the registries' protocol, logins and trust (containers-policy.json(5)).
 */
#pragma once

#include "image-archive.h"
#include "str.h"

struct image_pull {
        const char *source; /* NAME[:TAG] or NAME@DIGEST, a registry's host and port before it as a rule */
        bool is_insecure;   /* the registry speaks plain HTTP, or nobody vouches for its certificate */
        double timeout_s;   /* of each of its two steps */
};

/* Asks which digest the name has now, and fetches what has that digest into a docker-archive without a name. Every
 * manifest and layer is held against its digest on the way, and the layers again by who unpacks it. An exit status;
 * what went wrong has been said then. */
int image_pull(const struct cli *cli, const struct image_pull *pull, struct image_archive *ret_archive);

/* The source without its digest; false when it has no other name. ret_name is the caller's. */
bool image_pull_name(const char *source, struct buffer *ret_name);
