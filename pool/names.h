/* The names of a carrel's accounts: /etc/passwd and /etc/group of its own, as the user's id is the host's choice and no
 * image can know it. Inside the pool room only. */
#pragma once

#include "pool.h"

struct buffer;
struct carrel;

/* Appends the whole file: `user` with these ids, and the accounts that every Debian has; one whose id the user has is
 * left out. 0 or -ENOMEM. Pure. */
int names_passwd(struct buffer *buffer, const struct pool_owner *user);
int names_group(struct buffer *buffer, const struct pool_owner *user);

/* Writes both, and the resolv.conf, into the home of the carrel's agent, from where the template binds them; without an
 * agent nothing is written or bound. 0 or a negative errno. */
int names_write(const struct carrel *carrel, struct fault *why);
