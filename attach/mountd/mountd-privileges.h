/* The privileges of carrel-mountd. */
#pragma once

#include "fault.h"

/* Makes the process undumpable, so that only CAP_SYS_PTRACE can read it, keeps the capabilities below, gives up all
 * others for good, and sets no-new-privileges. 0, or a negative errno with why: one that every mount needs is missing.
 */
__attribute__((warn_unused_result)) int mountd_privileges_drop(struct fault *why);
