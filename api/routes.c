#include "routes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "exec-query.h"
#include "file-query.h"
#include "handlers.h"
#include "list-query.h"
#include "str.h"
#include "url.h"

const struct route ROUTES[] = {
        { "GET", "/healthz", handle_healthz, 0, NULL, "healthz" },
        { "GET", "/metrics", handle_metrics, 0, NULL, "metrics" },
        { "GET", "/readyz", handle_readyz, 0, NULL, "readyz" },
        { "GET", "/v1/carrels", handle_list, 0, CARREL_LIST_QUERY, "list" },
        { "PUT", "/v1/carrels/{user}", handle_ensure, ROUTE_BODY | ROUTE_SHARED, NULL, "ensure" },
        { "GET", "/v1/carrels/{user}", handle_inspect, 0, NULL, "inspect" },
        { "DELETE", "/v1/carrels/{user}", handle_remove, 0, NULL, "remove" },
        { "GET", "/v1/carrels/{user}/archive", handle_archive_get, ROUTE_SHARED, ARCHIVE_QUERY, "archive_get" },
        { "PUT", "/v1/carrels/{user}/archive", handle_archive_put, ROUTE_SPOOL | ROUTE_FILE | ROUTE_SHARED,
          ARCHIVE_QUERY, "archive_put" },
        { "GET", "/v1/carrels/{user}/exec", handle_exec_socket, ROUTE_SHARED, EXEC_QUERY, "exec_socket" },
        { "POST", "/v1/carrels/{user}/exec", handle_exec, ROUTE_BODY | ROUTE_SHARED, NULL, "exec" },
        { "GET", "/v1/carrels/{user}/files/{path}", handle_file_get, ROUTE_SHARED, FILE_GET_QUERY, "file_get" },
        { "PUT", "/v1/carrels/{user}/files/{path}", handle_file_put, ROUTE_SPOOL | ROUTE_FILE | ROUTE_SHARED,
          FILE_PUT_QUERY, "file_put" },
        { "DELETE", "/v1/carrels/{user}/files/{path}", handle_file_remove, ROUTE_SHARED, FILE_REMOVE_QUERY,
          "file_remove" },
        { "POST", "/v1/carrels/{user}/touch", handle_touch, ROUTE_BODY, NULL, "touch" },
        { "GET", "/v1/carrels/{user}/why", handle_why, 0, NULL, "why" },
        { "GET", "/v1/events", handle_events, 0, NULL, "events" },
        { "GET", "/v1/execs", handle_exec_list, 0, EXEC_LIST_QUERY, "exec_list" },
        { "GET", "/v1/execs/{id}", handle_exec_inspect, 0, NULL, "exec_inspect" },
        { "GET", "/v1/execs/{id}/output", handle_exec_output, 0, EXEC_OUTPUT_QUERY, "exec_output" },
        { "POST", "/v1/execs/{id}/signal", handle_exec_signal, ROUTE_BODY, NULL, "exec_signal" },
        { "GET", "/v1/images", handle_image_list, 0, NULL, "image_list" },
        { "POST", "/v1/images", handle_image_load, ROUTE_SPOOL | ROUTE_ADMIN, IMAGE_LOAD_QUERY, "image_load" },
        { "GET", "/v1/images/{image}", handle_image_inspect, 0, NULL, "image_inspect" },
        { "DELETE", "/v1/images/{image}", handle_image_remove, ROUTE_ADMIN, NULL, "image_remove" },
        { "GET", "/v1/info", handle_info, 0, NULL, "info" },
        { "POST", "/v1/reap", handle_reap, ROUTE_BODY | ROUTE_ADMIN, NULL, "reap" },
        { "POST", "/v1/sweep", handle_sweep, ROUTE_ADMIN, NULL, "sweep" },
        { 0 },
};

/* A template and a path are walked together, segment by segment; what stands for {user}, {id} or {image} stays encoded.
 */
static bool path_fits(const char *template, const char *path, const char **ret_parameter, size_t *ret_length,
                      const char **ret_rest)
{
        while (*template == '/' && *path == '/') {
                size_t wanted = strcspn(++template, "/");
                size_t length = strcspn(++path, "/");

                if (str_equal(template, "{path}")) {
                        *ret_rest = path;
                        return true;
                }
                if (*template == '{') {
                        *ret_parameter = path;
                        *ret_length = length;
                } else if (wanted != length || memcmp(template, path, length) != 0) {
                        return false;
                }
                template += wanted;
                path += length;
        }
        return *template == '\0' && *path == '\0';
}

static bool method_fits(const struct route *route, const char *method)
{
        return str_equal(route->method, method) || (str_equal(method, "HEAD") && str_equal(route->method, "GET"));
}

/* The decoded id has to be whole: an escaped NUL would cut it, an escaped slash is outside the grammar. */
static int read_user(const char *text, size_t length, char target[ROUTE_PARAMETER_BYTES], struct fault *why)
{
        char decoded[USER_ID_MAX + 2];
        size_t n;
        int r = url_decode(text, length, decoded, sizeof decoded, &n);

        if (r == -EINVAL)
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "the user id has a malformed percent escape");
        if (r < 0)
                return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "the user id is longer than %d characters",
                                 USER_ID_MAX);
        r = user_id_check(decoded, n, why);
        if (r == 0)
                memcpy(target, decoded, n + 1);
        return r;
}

static int read_parameter(const struct route *route, const char *text, size_t length,
                          char target[ROUTE_PARAMETER_BYTES], struct fault *why)
{
        size_t n;

        target[0] = '\0';
        if (text == NULL)
                return 0;
        if (strstr(route->path, "{user}") != NULL)
                return read_user(text, length, target, why);
        if (url_decode(text, length, target, ROUTE_PARAMETER_BYTES, &n) < 0 || strlen(target) != n)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no such %s",
                                 strstr(route->path, "{image}") != NULL ? "image" : "exec");
        return 0;
}

static void append_method(char allow[ROUTE_ALLOW_BYTES], const char *method)
{
        size_t length = strlen(allow);

        (void)snprintf(allow + length, ROUTE_ALLOW_BYTES - length, "%s%s%s", length == 0 ? "" : ", ", method,
                       str_equal(method, "GET") ? ", HEAD" : "");
}

int route_find(const char *method, const char *path, struct route_match *ret_match, struct fault *why)
{
        struct route_match match = { 0 };

        for (const struct route *route = ROUTES; route->method != NULL; route++) {
                const char *parameter = NULL;
                const char *rest = NULL;
                size_t length = 0;

                if (!path_fits(route->path, path, &parameter, &length, &rest))
                        continue;
                append_method(match.allow, route->method);
                if (!method_fits(route, method))
                        continue;
                match.route = route;
                match.rest = rest;
                if (read_parameter(route, parameter, length, match.parameter, why) < 0)
                        return -EINVAL;
                *ret_match = match;
                return 0;
        }
        if (match.allow[0] == '\0')
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no such path; docs/api.md has them all");
        *ret_match = match;
        return fault_set(why, FAULT_METHOD_NOT_ALLOWED, EPERM, "this path takes %s", match.allow);
}
