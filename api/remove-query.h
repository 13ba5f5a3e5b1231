/* The query of a removal: whether the user's files are removed, too. */
#pragma once

#include "query.h"

struct remove_query {
        bool has_files;
};

extern const struct query_parameter REMOVE_QUERY[];
