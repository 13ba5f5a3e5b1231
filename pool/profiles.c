#include "profiles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host-mounts.h"
#include "scope.h"
#include "settings.h"
#include "spec.h"
#include "str.h"

const struct pool_profile *profiles_find(const struct pool_options *options, const char *name)
{
        for (size_t i = 0; name != NULL && i < options->n_profiles; i++)
                if (strcmp(options->profiles[i].name, name) == 0)
                        return &options->profiles[i];
        return NULL;
}

int profiles_refuse(const struct pool_options *options, const char *name, struct fault *why)
{
        enum { NAMES_BYTES = 150 }; /* leaves room for the rest of the sentence */
        struct buffer names = { 0 };
        size_t i = 0;
        int r;

        for (; i < options->n_profiles && names.length + POOL_PROFILE_BYTES < NAMES_BYTES; i++)
                (void)buffer_format(&names, "%s%s", i > 0 ? ", " : "", options->profiles[i].name);
        if (i < options->n_profiles)
                (void)buffer_text(&names, ", ...");
        r = names.data != NULL ? fault_set(why, FAULT_REQUEST_INVALID, ENOENT,
                                           "there is no profile %s in the settings; there is: %s", name, names.data)
                               : fault_set(why, FAULT_REQUEST_INVALID, ENOENT,
                                           "there is no profile %s: the settings have none", name);
        buffer_free(&names);
        return r;
}

size_t profiles_split(char *environment, const char *ret_variables[static PROFILE_VARIABLES_MAX])
{
        size_t n = 0;

        for (char *rest = environment; n < PROFILE_VARIABLES_MAX && rest != NULL && rest[0] != '\0';)
                ret_variables[n++] = strsep(&rest, "\n");
        return n;
}

/* The same name twice would be ambiguous. */
static bool has_name_twice(const char *const *variables, size_t n)
{
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < i; k++)
                        if (strncmp(variables[i], variables[k], strcspn(variables[i], "=") + 1) == 0)
                                return true;
        return false;
}

static int check_environment(const struct pool_profile *profile, struct fault *why)
{
        const char *variables[PROFILE_VARIABLES_MAX];
        AUTO(auto_free) char *text = strdup(profile->environment != NULL ? profile->environment : "");
        size_t n_lines = 0, n;

        if (text == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
                n_lines++;
        n = profiles_split(text, variables);
        if (n_lines > n)
                return fault_set(why, FAULT_SETTING_INVALID, E2BIG, "profile %s: env has more than %d variables",
                                 profile->name, PROFILE_VARIABLES_MAX);
        for (size_t i = 0; i < n; i++)
                if (settings_check_variable(variables[i]) != NULL)
                        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "profile %s: env %s", profile->name,
                                         settings_check_variable(variables[i]));
        if (has_name_twice(variables, n))
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "profile %s: env has a name twice", profile->name);
        return 0;
}

static int check_profile(const struct pool_options *options, const struct pool_profile *profile, struct fault *why)
{
        struct host_mounts mounts = { 0 };
        struct carrel_spec resolved;
        struct fault own = { 0 };

        if (settings_check_name(profile->name) != NULL)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "profile: %s", settings_check_name(profile->name));
        if (profiles_find(options, profile->name) != profile)
                return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "the profile %s is there twice", profile->name);
        if (spec_resolve(&profile->spec, NULL, profile, &options->defaults, &resolved, &own) == 0 &&
            host_mounts_find(options, resolved.mounts, &mounts, &own) == 0) {
                host_mounts_release(&mounts);
                return check_environment(profile, why);
        }
        return fault_set(why, FAULT_SETTING_INVALID, own.err, "profile %s: %s", profile->name, own.message);
}

int profiles_check(const struct pool_options *options, struct fault *why)
{
        int r = 0;

        for (size_t i = 0; i < options->n_profiles && r == 0; i++)
                r = check_profile(options, &options->profiles[i], why);
        if (r < 0 || options->profile == NULL || options->profile[0] == '\0' ||
            profiles_find(options, options->profile) != NULL)
                return r;
        return fault_set(why, FAULT_SETTING_INVALID, EINVAL, "profile: there is no section [profile %s]",
                         options->profile);
}

int profiles_copy(struct pool_options *options)
{
        const struct pool_profile *from = options->profiles;
        struct pool_profile *copies = calloc(options->n_profiles + 1, sizeof *copies);
        bool has_all = copies != NULL;

        options->profiles = copies;
        for (size_t i = 0; has_all && i < options->n_profiles; i++) {
                copies[i] = from[i];
                copies[i].name = strdup(from[i].name);
                copies[i].environment = strdup(from[i].environment != NULL ? from[i].environment : "");
                has_all = copies[i].name != NULL && copies[i].environment != NULL;
        }
        return has_all ? 0 : -ENOMEM;
}

void profiles_release(struct pool_options *options)
{
        for (size_t i = 0; options->profiles != NULL && i < options->n_profiles; i++) {
                free((char *)options->profiles[i].name);
                free((char *)options->profiles[i].environment);
        }
        free((struct pool_profile *)options->profiles);
}
