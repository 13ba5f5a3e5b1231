#include "exec-environment.h"

#include <stdlib.h>
#include <string.h>

static size_t count(const char *const *variables)
{
        size_t n = 0;

        while (variables != NULL && variables[n] != NULL)
                n++;
        return n;
}

/* Whether one of `others` sets the variable of this "NAME=value". */
static bool is_overridden(const char *variable, const char *const *others)
{
        size_t length = strcspn(variable, "=") + 1;

        for (; others != NULL && *others != NULL; others++)
                if (strncmp(*others, variable, length) == 0)
                        return true;
        return false;
}

const char **exec_environment(const char *const *defaults, const char *id_variable, const char *const *chosen)
{
        size_t n_chosen = count(chosen);
        const char **variables = calloc(count(defaults) + n_chosen + 2, sizeof *variables);
        size_t n = 0;

        if (variables == NULL)
                return NULL;
        for (; defaults != NULL && *defaults != NULL; defaults++)
                if (!is_overridden(*defaults, defaults + 1) && !is_overridden(*defaults, chosen))
                        variables[n++] = *defaults;
        if (!is_overridden(id_variable, chosen))
                variables[n++] = id_variable;
        if (n_chosen > 0)
                memcpy(variables + n, chosen, n_chosen * sizeof *chosen);
        return variables;
}
