/* Makes the mount of the user's directory inside a started container nosuid and nodev, and the operator's mounts too,
 * with those below them. The Docker Engine API has no such option for a bind mount (v1.41, Mount.BindOptions). So a
 * short-lived child enters the container's mount namespace (setns(2)) and sets the attributes (mount_setattr(2),
 * Linux 5.12), while only carrel-init runs inside.
 *
 * The child also limits the container's terminals and the inodes of its tmpfs, for which the API has no option, and
 * replaces the host's /dev/null over masked files by the container's own. Used by the pool only. */
#pragma once

#include "fault.h"
#include "mounts.h"

struct ev_loop;
struct remount;

/* why NULL: remounted. */
typedef void (*remount_done)(void *arg, const struct fault *why);

/* pidfd: of the container's init. target: of the user's directory inside. promise: what mounts_check is to find then.
 * All three are borrowed for the call. done runs exactly once, never from inside, unless cancelled. Returns 0 or a
 * negative errno with why. */
__attribute__((warn_unused_result)) int remount_start(struct remount **ret_remount, struct ev_loop *loop, int pidfd,
                                                      const char *target, const struct mounts_promise *promise,
                                                      remount_done done, void *arg, struct fault *why);
/* Ends the child; done never runs. NULL is fine; returns NULL. */
struct remount *remount_cancel(struct remount *remount);
