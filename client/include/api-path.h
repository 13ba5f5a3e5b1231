/* Request paths, percent-encoded (RFC 3986, section 2.1). */
#pragma once

#include "str.h"

/* Appends "/" and `segment`. -EINVAL for "", "." and "..", which anyone on the way may resolve; -ENOMEM. */
int api_path_append(struct buffer *path, const char *segment);

/* Appends "?name=value", or "&name=value" after another; value NULL: nothing. 0 or -ENOMEM. */
int api_path_query(struct buffer *path, const char *name, const char *value);
