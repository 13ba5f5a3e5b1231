/* The users' directories on the host. The engine resolves the path of a bind mount again at the start, so only root may
 * be able to change a component of it. The ancestors are checked once. Each user's directory is checked at each ensure,
 * relative to a descriptor and without following links (openat2(2)). */
#pragma once

#include "pool.h"

/* Opens users_dir, an absolute path. Makes its last component (0711) if that is absent. Every component must be a
 * directory, not a link, that belongs to root and that neither group nor others can write. Returns 0 and a descriptor,
 * or a negative errno. */
int userdir_open(const char *users_dir, int *ret_fd, struct fault *why);

/* The owner of all users' files before the setting `uid` existed. */
enum { OWNER_BEFORE = 1000 };

/* The owner of the files of <users_dir>/<user>: the directory's owner, if its uid is that of `now` or OWNER_BEFORE;
 * `now`, if the directory is absent or still root's. -EPERM: it has another owner. The group is not judged: a running
 * carrel that the previous version started with a foreign group serves until it is idle. Of a user with an image that
 * of the image's file. Changes nothing. */
int userdir_owner(int users_fd, const char *user, const struct pool_owner *now, struct pool_owner *ret_owner,
                  struct fault *why);

/* Whether the user's files are in an image (disk.h), or are to be: has_images, and he has none. A directory with files
 * stays one. */
bool userdir_has_image(int users_fd, const char *user, bool has_images);

/* Opens <users_dir>/<user> without following a link. A descriptor, or a negative errno. */
int userdir_open_user(int users_fd, const char *user);

/* Makes <users_dir>/<user> if it is absent, and makes sure that it is a directory of such an owner with mode 0700.
 * Its group must be that of `now` or OWNER_BEFORE too.
 * Never changes anything below it, and changes the owner only if the directory is empty and root's. A file, a link or
 * another owner is an error and is left as it is. */
int userdir_prepare(int users_fd, const char *user, const struct pool_owner *now, struct pool_owner *ret_owner,
                    struct fault *why);
