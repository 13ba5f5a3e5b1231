/* The users' directories on the host. A bind mount's source is a path that the engine resolves again at start, so
 * nobody but root may be able to change any component of it: checked once for the ancestors, and for each user's own
 * directory at each ensure, below a descriptor and without following anything (openat2(2)). */
#pragma once

#include "pool.h"

/* Opens users_dir (absolute; its last component is made, 0711, if it is absent). Every component must be a real
 * directory of root's that neither its group nor others may write. Returns 0 and a descriptor, or a negative errno. */
int userdir_open(const char *users_dir, int *ret_fd, struct fault *why);

/* Who owned every user's files until the owner became a setting's account. */
enum { OWNER_BEFORE = 1000 };

/* Whose the files of <users_dir>/<user> are: who owns it, if uid and gid are each that of `now` or OWNER_BEFORE; `now`,
 * if it is absent or still root's. -EPERM: another's. A look, and nothing else. */
int userdir_owner(int users_fd, const char *user, const struct pool_owner *now, struct pool_owner *ret_owner,
                  struct fault *why);

/* Makes <users_dir>/<user> if it is absent, and makes sure that it is a directory of such an owner, mode 0700. Nothing
 * below it is ever touched, and only what is empty and root's is given away. A file, a symlink or another owner in its
 * place is an error that leaves it alone. */
int userdir_prepare(int users_fd, const char *user, const struct pool_owner *now, struct pool_owner *ret_owner,
                    struct fault *why);
