/* Scope-bound cleanup of cJSON trees, as in scope.h:
 *
 *   AUTO(auto_json) cJSON *tree = cJSON_CreateObject();
 *   ...
 *   *ret_tree = TAKE(tree);          // given away: the scope no longer deletes it */
#pragma once

#include <cjson/cJSON.h>

#include "scope.h"

static inline void auto_json(cJSON **tree)
{
        cJSON_Delete(*tree);
}
