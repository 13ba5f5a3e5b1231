/* Whose the users' files are: the settings uid and gid, which are names or numbers, asked of the host's account
 * database. */
#pragma once

#include <pwd.h>

#include "config.h"
#include "pool.h"

/* The ids that are people's, login.defs(5). */
struct owner_people {
        uint32_t min, max;
};

/* Whether the account is one that somebody logs in with: it has an id of people's, or a shell that is not for refusing.
 * Pure. */
bool owner_is_person(const struct passwd *account, const struct owner_people *people);

/* May wait for the host's directory service: for the start only. FAULT_SETTING_INVALID: there is no such account or
 * group, it is root's, it is a person's and uid_is_shared is not yes, or it is one of the carrels' own ids. */
__attribute__((warn_unused_result)) int owner_find(const struct config *config, struct pool_owner *ret_owner,
                                                   struct fault *why);
