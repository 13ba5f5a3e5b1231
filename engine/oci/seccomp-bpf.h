/* The same filter as seccomp-profile.h's, ready for the kernel: an array of struct sock_filter (seccomp(2)). */
#pragma once

#include "str.h"

/* Compiles it by libseccomp (some 7 ms) and appends the bytes. System calls that this libseccomp does not know are left
 * out, and so are refused. Returns 0 or a negative errno. */
int seccomp_profile_bpf(struct buffer *ret_bpf);
