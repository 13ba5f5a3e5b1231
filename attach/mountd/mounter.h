/* Attaches a clone of a directory's mount inside the mount namespace of a container. */
#pragma once

#include <sys/types.h>

#include "attach-protocol.h"

struct mounter {
        int proc_fd; /* /proc as it was at the start: the container's own must not be asked */
        int home_fd; /* our mount namespace */
        struct mounter_namespace {
                dev_t device;
                ino_t inode;
        } home, first; /* ours, and that of process 1 (all 0: it could not be read) */
};

/* 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int mounter_open(struct mounter *ret_mounter, struct fault *why);
void mounter_close(struct mounter *mounter);

/* Tries the system calls without a container. Returns a set of ATTACH_CAN_, with why for the first that is missing. */
unsigned mounter_probe(const struct mounter *mounter, struct fault *why);

/* Borrows both descriptors. Enters the container's mount namespace and returns from it; the process ends if it cannot
 * return, because all later mounts would go to the wrong place. For single-threaded processes only. 0, or a negative
 * errno with why; the directory may then be attached. Reads nothing from the directory's file system, which may hang.
 */
int mounter_attach(const struct mounter *mounter, const struct attach_order *order, int pidfd, int directory_fd,
                   struct fault *why);
