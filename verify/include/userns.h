/* Whether the host ids of a carrel belong to it alone, read from the kernel (user_namespaces(7), "User and group ID
 * mappings"). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* Judges /proc/<pid>/uid_map or gid_map: one line that maps ids from 0 on to PROFILE_USERNS_IDS host ids, none of which
 * is below PROFILE_USERNS_IDS. Pure. FAULT_HARDENING_MISSING. */
int userns_judge_map(const char *map, uint32_t *ret_base, struct fault *why);

/* Judges the id that made the namespace: it must be in the carrel's own range, from base on. The kernel charges what is
 * counted in a user namespace to its maker, so no other carrel may share it. Pure. */
int userns_judge_maker(uint32_t maker, uint32_t base, struct fault *why);

/* All this for a live process. Its user namespace is not carreld's, and users and groups have the same range. Its
 * maker is checked, too. *ret_base is the first id of that range, which no other carrel may have.
 * FAULT_HARDENING_MISSING; FAULT_CARREL_LOST when it cannot be read. */
int userns_check(int pid, uint32_t *ret_base, struct fault *why);
