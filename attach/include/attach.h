/* Mounts a user's directory at /workspace of a container that runs already: the client of carrel-mountd, the helper
 * process that does it. A fork of carreld would take longer than all the rest (docs/architecture.md, "Processes").
 *
 * The helper clones the mount of the directory alone, without the mounts below it, makes it nosuid, nodev and private,
 * and attaches it inside. It refuses the host's own mount namespace. That it did so is still to be read back from the
 * kernel (isolation_check_workspace in verify/). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

struct ev_loop;
struct attach;
struct attach_call;

/* Starts the helper (helper_path: absolute) and does not wait for it; it is started again when it ends. 0, or a
 * negative errno with why. */
__attribute__((warn_unused_result)) int attach_new(struct attach **ret_attach, struct ev_loop *loop,
                                                   const char *helper_path, struct fault *why);
/* One without a process, which mounts nothing: for the fake engine and for unit tests. Calls succeed at a later turn of
 * the loop. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int attach_new_fake(struct attach **ret_attach, struct ev_loop *loop);
/* Ends the helper. Calls in flight are dropped: their done never runs. NULL is fine; returns NULL. */
struct attach *attach_free(struct attach *attach);

enum attach_fake {
        ATTACH_FAKE_WORKS,
        ATTACH_FAKE_FAILS,   /* calls end with FAULT_INTERNAL */
        ATTACH_FAKE_HANGS,   /* calls end by their deadline */
        ATTACH_FAKE_IS_DOWN, /* as while the helper is started again */
};
/* How a fake answers calls from now on. */
void attach_fake_set(struct attach *attach, enum attach_fake behaviour);

/* Whether the helper is up and has shown that its kernel and its privileges suffice. While it is not, calls fail. */
bool attach_is_available(const struct attach *attach);
/* The same, and whether it can make mounts with other owners. The file system must allow idmapped mounts, too. */
bool attach_can_map(const struct attach *attach);
/* Why it is not available, or cannot map: a sentence. "": it can do both. Valid until the next turn of the loop. */
const char *attach_obstacle(const struct attach *attach);

struct attach_request {
        int pidfd;                     /* of the container's process 1; borrowed for the call of attach_start */
        int directory_fd;              /* the user's directory (O_PATH or O_RDONLY); borrowed as well */
        uint32_t owner_uid, owner_gid; /* its owner on disk; never 0 */
        uint32_t uid, gid;             /* the host's ids that own it inside; never 0. The same pair: it is not mapped */
        bool is_detached; /* directory_fd is a mount that is attached nowhere (fsmount(2)), which itself is moved
                             inside: before Linux 6.15 such a mount cannot be cloned */
};

/* why NULL: it is attached. After a fault it may be attached or not: remove the container. FAULT_CARREL_LOST: the
 * process has ended. FAULT_DEADLINE: no answer in time. FAULT_RESOURCE_EXHAUSTED: the helper is being started again, or
 * a limit is reached. FAULT_INTERNAL: the kernel has refused it. */
typedef void (*attach_done)(void *arg, const struct fault *why);

/* done runs once, from the loop, unless the call is cancelled. 0; -EINVAL: a descriptor is negative or an id is not
 * allowed; -ENOMEM. ret_call may be NULL. */
__attribute__((warn_unused_result)) int attach_start(struct attach *attach, const struct attach_request *request,
                                                     attach_done done, void *arg, struct attach_call **ret_call);
/* After this done never runs, but the directory may be attached. NULL is fine; returns NULL. */
struct attach_call *attach_cancel(struct attach_call *call);
