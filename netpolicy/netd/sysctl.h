/* Network settings below /proc/sys/net, of the caller's own network namespace. */
#pragma once

#include <stdint.h>

/* Writes value into /proc/sys/net/<path> unless it is there already. 0, or a negative errno (-ENOENT: the kernel
 * does not have it). */
__attribute__((warn_unused_result)) int sysctl_set(const char *path, const char *value);

/* The same only where `former` is, e.g. the kernel's default. Words are separated by one tab in what the kernel shows.
 */
__attribute__((warn_unused_result)) int sysctl_replace(const char *path, const char *former, const char *value);

/* Of a setting of three numbers (the least, the default, the most) lowers the default to `most`; one that is lower
 * stays. */
__attribute__((warn_unused_result)) int sysctl_lower_default(const char *path, uint32_t most);

/* Reads a number from there. 0, or a negative errno; *ret_value is untouched then. */
__attribute__((warn_unused_result)) int sysctl_get_u32(const char *path, uint32_t *ret_value);
