/* The filter of seccomp-profile.h, compiled: an array of struct sock_filter (seccomp(2)). */
#pragma once

#include "str.h"

/* Compiles the filter with libseccomp (some 7 ms) and appends the bytes. System calls that this libseccomp does not
 * know are not in it, and so are refused. Returns 0 or a negative errno. */
int seccomp_profile_bpf(struct buffer *ret_bpf);
