/* The system call filter of every carrel: an allow-list for the native architecture, in one table (docs/syscalls.md).
 */
#pragma once

#include "str.h"

/* Appends the profile in Docker's JSON form (the value of security-opt seccomp=...). Returns 0 or -ENOMEM. */
int seccomp_profile_json(struct buffer *ret_json);
