/* The variables of `-e NAME=VALUE` and `-e NAME`, which takes the value that we have ourselves. */
#pragma once

#include "options.h"

/* Zero-initialise; release with auto_environment. */
struct environment {
        struct option_list list; /* "NAME=VALUE" */
        char *owned[OPTION_LIST_MAX];
        size_t n_owned;
};

/* A name that we have no value of is left out, as with docker and env(1). 0 or -ENOMEM. */
int environment_fill(struct environment *environment, const struct option_list *given);
void auto_environment(struct environment *environment);
