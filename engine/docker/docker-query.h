/* Parts of a request's path. Results are malloc'd; NULL: out of memory. */
#pragma once

#include <stdbool.h>

char *docker_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One filter: its name, and the values that pass (NULL-terminated). */
struct docker_filter {
        const char *name;
        const char *const *values;
};
/* Filters as the value of a query: {"label":["key=value"],...}, escaped. filters ends with a NULL name. */
char *docker_filters(const char *label, const char *value, const struct docker_filter *filters);
/* Escapes everything but the unreserved characters (RFC 3986, 2.3). */
char *docker_escape(const char *text);

/* Whether text may be part of a path: names and ids of containers, and references of images. */
bool docker_is_name(const char *text);
bool docker_is_reference(const char *text);
