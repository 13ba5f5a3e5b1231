/* The environment of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"

#define USERS_PROGRAMS "/.local/bin" /* below HOME */
/* For a container without one; the same as Docker's and Podman's. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { ENVIRONMENT_MAX = AGENT_TEXTS_MAX + 1024 };

const char *environment_find(char *const *environment, const char *name)
{
        size_t length = strlen(name);

        for (; *environment != NULL; environment++)
                if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
                        return *environment + length + 1;
        return NULL;
}

static bool is_overridden(const char *variable, const struct agent_spec *spec)
{
        size_t length = strcspn(variable, "=") + 1;

        for (size_t i = 0; i < spec->n_environment; i++)
                if (strncmp(spec->environment[i], variable, length) == 0)
                        return true;
        return false;
}

static bool begins_with_users(const char *path, const char *home)
{
        size_t length = strlen(home);

        if (strncmp(path, home, length) != 0 || strncmp(path + length, USERS_PROGRAMS, strlen(USERS_PROGRAMS)) != 0)
                return false;
        path += length + strlen(USERS_PROGRAMS);
        return *path == ':' || *path == '\0';
}

/* The container's PATH with the user's programs before it, until the next call. NULL: out of memory. */
static char *make_path(const char *home, const char *path)
{
        static char *made;

        free(made);
        if (path == NULL)
                path = DEFAULT_PATH;
        if (asprintf(&made, "PATH=%s%s%s", home, home[0] != '\0' ? USERS_PROGRAMS ":" : "", path) < 0)
                made = NULL;
        return made;
}

/* Only a PATH that the exec does not set itself; HOME may be the exec's. */
static char *choose_path(char *const *container, const struct agent_spec *spec)
{
        const char *path = environment_find(container, "PATH");
        const char *home = environment_find(spec->environment, "HOME");

        if (home == NULL)
                home = environment_find(container, "HOME");
        if (home == NULL || home[0] != '/' || (path != NULL && begins_with_users(path, home)))
                home = "";
        return make_path(home, path);
}

char *const *environment_merge(char *const *container, const struct agent_spec *spec)
{
        static char *merged[ENVIRONMENT_MAX + 2];
        bool has_path = environment_find(spec->environment, "PATH") != NULL;
        char *path = has_path ? NULL : choose_path(container, spec);
        size_t count = 0;

        for (char *const *at = container; *at != NULL && count < ENVIRONMENT_MAX - spec->n_environment; at++)
                if (!is_overridden(*at, spec) && (path == NULL || strncmp(*at, "PATH=", strlen("PATH=")) != 0))
                        merged[count++] = *at;
        if (path != NULL)
                merged[count++] = path;
        for (size_t i = 0; i < spec->n_environment; i++)
                merged[count++] = spec->environment[i];
        merged[count] = NULL;
        return merged;
}
