/* Finds the owner of the users' files: looks the settings uid and gid, names or numbers, up in the host's account
 * database. */
#pragma once

#include <pwd.h>

#include "config.h"
#include "pool.h"

/* The range of people's ids, login.defs(5). */
struct owner_people {
        uint32_t min, max;
};

/* Whether somebody may log in with the account: its id is in people's range, or its shell allows a login. Pure. */
bool owner_is_person(const struct passwd *account, const struct owner_people *people);

/* May wait for the host's directory service: for the start only. FAULT_SETTING_INVALID: there is no such account or
 * group, it is root's, it is a person's and uid_is_shared is not yes, or it is one of the carrels' own ids. */
__attribute__((warn_unused_result)) int owner_find(const struct config *config, struct pool_owner *ret_owner,
                                                   struct fault *why);
