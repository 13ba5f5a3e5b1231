/* Claim: a warm carrel becomes a user's. The flow CLAIM answers an ensure without a start in the engine. After a
 * failure that carrel is destroyed, and the caller goes on with a cold start. */
#pragma once

#include "flow.h"

/* The steps of CLAIM, ended by an empty one:
 *
 *   clear, directory    as for a cold start
 *   take                moves the container of a warm carrel to the user's; its undo removes that container
 *   attach              mounts the user's directory on /workspace inside, while the closed network link is opened
 *   prove               reads back from the kernel that it is that directory, and that the process lives
 *   name                gives the container the user's name and labels
 *   open                waits until packets pass
 *
 * prove comes before name, so that a container with the user's name has the user's directory. Until the last step has
 * succeeded, only our own init runs inside, and an adoption opens a link that is still closed. */
extern const struct step CLAIM_STEPS[];
