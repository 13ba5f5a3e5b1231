#include "route-table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

/* The parameter of a path, still encoded, and its {name} in the template. */
struct parts {
        const char *name;
        const char *text;
        size_t length;
        const char *rest;
};

static size_t segment_length(const char *path)
{
        return (size_t)(strchrnul(path, '/') - path);
}

/* Walks template and path together, segment by segment. */
static bool path_fits(const char *template, const char *path, struct parts *parts)
{
        while (*template == '/' && *path == '/') {
                size_t wanted = segment_length(++template);
                size_t length = segment_length(++path);

                if (str_equal(template, "{path}")) {
                        parts->rest = path;
                        return true;
                }
                if (*template == '{') {
                        parts->name = template;
                        parts->text = path;
                        parts->length = length;
                } else if (wanted != length || memcmp(template, path, length) != 0) {
                        return false;
                }
                template += wanted;
                path += length;
        }
        return *template == '\0' && *path == '\0';
}

static int read_parameter(const struct route_table *table, const struct parts *parts,
                          char target[ROUTE_PARAMETER_BYTES], struct fault *why)
{
        target[0] = '\0';
        if (parts->name == NULL)
                return 0;
        for (const struct route_parameter *at = table->parameters; at->name != NULL; at++)
                if (str_has_prefix(parts->name, at->name))
                        return at->read(parts->text, parts->length, target, why);
        return fault_set(why, FAULT_INTERNAL, ENOSYS, "no parameter of the table is called %s", parts->name);
}

/* "": no route has the path. */
static void list_methods(const struct route_table *table, const char *path, char allow[ROUTE_ALLOW_BYTES])
{
        size_t length = 0;

        allow[0] = '\0';
        for (const struct route *route = table->routes; route->method != NULL; route++) {
                struct parts parts = { 0 };

                if (!path_fits(route->path, path, &parts))
                        continue;
                (void)snprintf(allow + length, ROUTE_ALLOW_BYTES - length, "%s%s%s", length == 0 ? "" : ", ",
                               route->method, str_equal(route->method, "GET") ? ", HEAD" : "");
                length = strlen(allow);
        }
}

int route_find(const struct route_table *table, const char *method, const char *path, struct route_match *ret_match,
               struct fault *why)
{
        const char *wanted = str_equal(method, "HEAD") ? "GET" : method;
        struct route_match match = { 0 };

        for (const struct route *route = table->routes; route->method != NULL; route++) {
                struct parts parts = { 0 };
                int r;

                if (!str_equal(route->method, wanted) || !path_fits(route->path, path, &parts))
                        continue;
                match.route = route;
                match.rest = parts.rest;
                r = read_parameter(table, &parts, match.parameter, why);
                if (r == 0)
                        *ret_match = match;
                return r;
        }
        list_methods(table, path, match.allow);
        if (match.allow[0] == '\0')
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "%s", table->unknown_path);
        *ret_match = match;
        return fault_set(why, FAULT_METHOD_NOT_ALLOWED, EPERM, "this path takes %s", match.allow);
}
