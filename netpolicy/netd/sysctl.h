/* Network settings below /proc/sys/net, of the caller's own network namespace. */
#pragma once

#include <stdint.h>

/* Writes value into /proc/sys/net/<path> unless it is there already. 0, or a negative errno (-ENOENT: the kernel does
 * not have this setting). */
__attribute__((warn_unused_result)) int sysctl_set(const char *path, const char *value);

/* The same, but only if the value is `former`, e.g. the kernel's default. The kernel shows one tab between two words.
 */
__attribute__((warn_unused_result)) int sysctl_replace(const char *path, const char *former, const char *value);

/* In a setting of three numbers (minimum, default, maximum), lowers the default to `most`. A lower default stays. */
__attribute__((warn_unused_result)) int sysctl_lower_default(const char *path, uint32_t most);

/* Reads a number. 0, or a negative errno with *ret_value untouched. */
__attribute__((warn_unused_result)) int sysctl_get_u32(const char *path, uint32_t *ret_value);
