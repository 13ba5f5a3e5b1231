/* Profiles: named sets of what an ensure leaves open. Pure. */
#pragma once

#include "pool.h"

enum { PROFILE_VARIABLES_MAX = 64 };

/* The profile of this name; NULL: none; the name may be NULL. */
const struct pool_profile *profiles_find(const struct pool_options *options, const char *name);

/* FAULT_REQUEST_INVALID with the names that there are. Returns its negative errno. */
int profiles_refuse(const struct pool_options *options, const char *name, struct fault *why);

/* Splits a copy of a profile's environment in place. Returns the number of variables. */
size_t profiles_split(char *environment, const char *ret_variables[static PROFILE_VARIABLES_MAX]);

/* Checks names, bounds and the default profile. Returns 0 or -EINVAL with *why. */
int profiles_check(const struct pool_options *options, struct fault *why);

/* Copies the profiles of the options in place. 0 or -ENOMEM; release with profiles_release in either case. */
int profiles_copy(struct pool_options *options);
void profiles_release(struct pool_options *options);
