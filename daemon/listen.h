/* The daemon's claims in the file system: its runtime directory, the pool's lock, the API's socket. */
#pragma once

#include "fault.h"

/* Creates every missing directory of an absolute path with mode 0755 (the last one with `mode`). An existing one is
 * left as it is; the last one must be carreld's and unwritable by others, those above it root's or carreld's and as
 * unwritable or sticky (-EPERM; why names the one that is not). 0 or a negative errno. */
int claim_directory(const char *path, unsigned mode, struct fault *why);

/* Checks whether claim_directory would succeed, as far as that is possible without making anything. */
int check_claimable(const char *path, struct fault *why);

/* Takes the lock file <directory>/carreld-<pool>.lock for the life of the returned descriptor; -EBUSY when another
 * carreld has it still after patience_ms. A child that a killed carreld had just forked holds its lock, and its
 * sockets, for the moment it goes on living. */
int claim_lock(const char *directory, const char *pool, int patience_ms, int *ret_fd, struct fault *why);

/* Listens on a unix socket at path, 0660, owned by root and `group` ("" leaves it root's). It appears under its name
 * only when its owner and mode are right, and replaces a stale one. Only call with the pool's lock held.
 * -ENOENT: no such group; -EADDRINUSE: something else answers there. */
int listen_unix(const char *path, const char *group, int *ret_fd, struct fault *why);
