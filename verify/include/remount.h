/* Makes the mount of the user's directory inside a started container nosuid and nodev. The Docker Engine API has no
 * such option for a bind mount (v1.41, Mount.BindOptions). So a short-lived child enters the container's mount
 * namespace (setns(2)) and sets the attributes (mount_setattr(2), Linux 5.12), while only carrel-init runs inside.
 *
 * The child also limits the container's terminals, for which the API has no option, and replaces the host's /dev/null
 * over masked files by the container's own. Used by the pool only. */
#pragma once

#include "fault.h"

struct ev_loop;
struct remount;

/* why NULL: remounted. */
typedef void (*remount_done)(void *arg, const struct fault *why);

/* pidfd: of the container's init; borrowed for the call. target: an absolute path inside, a constant. done runs exactly
 * once, never from inside, unless cancelled. Returns 0 or a negative errno with why. */
__attribute__((warn_unused_result)) int remount_start(struct remount **ret_remount, struct ev_loop *loop, int pidfd,
                                                      const char *target, remount_done done, void *arg,
                                                      struct fault *why);
/* Ends the child; done never runs. NULL is fine; returns NULL. */
struct remount *remount_cancel(struct remount *remount);
