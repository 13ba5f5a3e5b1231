/* The privileges of carrel-diskd. */
#pragma once

#include "fault.h"

/* Makes the process undumpable, keeps the capabilities below, gives up all others for good, and sets no-new-privileges.
 * 0, or a negative errno with why: one of them is missing. */
__attribute__((warn_unused_result)) int diskd_privileges_drop(struct fault *why);
