#include "environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

static int add_ours(struct environment *environment, const char *name)
{
        const char *value = getenv(name);
        struct buffer variable = { 0 };

        if (value == NULL)
                return 0;
        (void)buffer_format(&variable, "%s=%s", name, value);
        char *text = buffer_take(&variable);
        if (text == NULL)
                return -ENOMEM;
        environment->owned[environment->n_owned++] = text;
        environment->list.values[environment->list.count++] = text;
        return 0;
}

int environment_fill(struct environment *environment, const struct option_list *given)
{
        for (size_t i = 0; i < given->count; i++) {
                const char *text = given->values[i];

                /* An empty name is carreld's to refuse. */
                if (*text == '\0' || strchr(text, '=') != NULL)
                        environment->list.values[environment->list.count++] = text;
                else if (add_ours(environment, text) < 0)
                        return -ENOMEM;
        }
        return 0;
}

void auto_environment(struct environment *environment)
{
        while (environment->n_owned > 0)
                free(environment->owned[--environment->n_owned]);
}
