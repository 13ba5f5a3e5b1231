/* Writes /etc/passwd and /etc/group of each carrel: the host chooses the user's id, so no image can have them. */
#pragma once

#include "pool.h"

struct buffer;
struct carrel;

/* Appends the whole file: `user` with these ids, and Debian's static accounts except one with the same id. 0 or
 * -ENOMEM. Pure. */
int names_passwd(struct buffer *buffer, const struct pool_owner *user);
int names_group(struct buffer *buffer, const struct pool_owner *user);

/* Writes both files and resolv.conf into the directory of the carrel's agent, from which the template binds them.
 * Without an agent it writes nothing. 0 or a negative errno. */
int names_write(const struct carrel *carrel, struct fault *why);
