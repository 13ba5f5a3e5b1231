/* The syscall filter of every carrel: an allow-list on the native architecture, one table (docs/threats.md). */
#pragma once

#include "str.h"

/* Appends the profile in Docker's JSON form (the value of security-opt seccomp=...). Returns 0 or -ENOMEM. */
int seccomp_profile_json(struct buffer *ret_json);
