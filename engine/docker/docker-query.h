/* Inside the engine room only: the pieces of a request's path. Results are malloc'd; NULL: no memory. */
#pragma once

#include <stdbool.h>

char *docker_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One filter: what is filtered by, and the values that pass (NULL-terminated). */
struct docker_filter {
        const char *name;
        const char *const *values;
};
/* {"label":["key=value"],...} as a query's value: JSON, escaped. filters ends with a NULL name. */
char *docker_filters(const char *label, const char *value, const struct docker_filter *filters);
/* Escapes everything but the unreserved characters (RFC 3986, 2.3). */
char *docker_escape(const char *text);

/* Whether text may stand in a path: container names and ids, and references of images. */
bool docker_is_name(const char *text);
bool docker_is_reference(const char *text);
