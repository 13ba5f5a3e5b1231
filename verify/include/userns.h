/* That a carrel's ids are nobody else's on the host: read from the kernel, whatever the engine says
 * (user_namespaces(7), "User and group ID mappings"). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* /proc/<pid>/uid_map or gid_map: one line that maps 0 and the PROFILE_USERNS_IDS - 1 ids above it to as many ids of
 * the host, none of which is below PROFILE_USERNS_IDS. Pure. FAULT_HARDENING_MISSING. */
int userns_judge_map(const char *map, uint32_t *ret_base, struct fault *why);

/* The id that made the namespace is one of its own 65,536 from base on: the kernel adds what is counted in a user
 * namespace to the account of its maker, who is then nobody else. Pure. */
int userns_judge_maker(uint32_t maker, uint32_t base, struct fault *why);

/* All this of a live process, whose user namespace is not ours and whose users and groups have one range; who made it
 * is asked where has_own_maker. *ret_base: the first id of that range, which no other carrel may have.
 * FAULT_HARDENING_MISSING; FAULT_CARREL_LOST when it cannot be read. */
int userns_check(int pid, bool has_own_maker, uint32_t *ret_base, struct fault *why);
