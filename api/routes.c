#include "routes.h"

#include <errno.h>
#include <string.h>

#include "exec-query.h"
#include "file-query.h"
#include "handlers.h"
#include "list-query.h"
#include "pool.h"
#include "remove-query.h"
#include "str.h"
#include "url.h"

static const struct route ROUTES[] = {
        { "GET", "/healthz", handle_healthz, 0, NULL, "healthz" },
        { "GET", "/metrics", handle_metrics, 0, NULL, "metrics" },
        { "GET", "/readyz", handle_readyz, 0, NULL, "readyz" },
        { "GET", "/v1/carrels", handle_list, 0, CARREL_LIST_QUERY, "list" },
        { "PUT", "/v1/carrels/{user}", handle_ensure, ROUTE_BODY | ROUTE_SHARED, NULL, "ensure" },
        { "GET", "/v1/carrels/{user}", handle_inspect, 0, NULL, "inspect" },
        { "DELETE", "/v1/carrels/{user}", handle_remove, 0, REMOVE_QUERY, "remove" },
        { "GET", "/v1/carrels/{user}/archive", handle_archive_get, ROUTE_SHARED, ARCHIVE_QUERY, "archive_get" },
        { "PUT", "/v1/carrels/{user}/archive", handle_archive_put, ROUTE_SPOOL | ROUTE_SHARED, ARCHIVE_QUERY,
          "archive_put", SPOOL_FILE },
        { "GET", "/v1/carrels/{user}/exec", handle_exec_socket, ROUTE_SHARED, EXEC_QUERY, "exec_socket" },
        { "POST", "/v1/carrels/{user}/exec", handle_exec, ROUTE_BODY | ROUTE_SHARED, NULL, "exec" },
        { "GET", "/v1/carrels/{user}/files/{path}", handle_file_get, ROUTE_SHARED, FILE_GET_QUERY, "file_get" },
        { "PUT", "/v1/carrels/{user}/files/{path}", handle_file_put, ROUTE_SPOOL | ROUTE_SHARED, FILE_PUT_QUERY,
          "file_put", SPOOL_FILE },
        { "DELETE", "/v1/carrels/{user}/files/{path}", handle_file_remove, ROUTE_SHARED, FILE_REMOVE_QUERY,
          "file_remove" },
        { "POST", "/v1/carrels/{user}/freeze", handle_freeze, 0, NULL, "freeze" },
        { "POST", "/v1/carrels/{user}/thaw", handle_thaw, 0, NULL, "thaw" },
        { "POST", "/v1/carrels/{user}/fork", handle_fork, ROUTE_BODY | ROUTE_SHARED, NULL, "fork" },
        { "GET", "/v1/carrels/{user}/snapshots", handle_snapshot_list, 0, NULL, "snapshot_list" },
        { "POST", "/v1/carrels/{user}/snapshots", handle_snapshot_create, ROUTE_BODY | ROUTE_SHARED, NULL,
          "snapshot_create" },
        { "GET", "/v1/carrels/{user}/snapshots/{path}", handle_snapshot_inspect, 0, NULL, "snapshot_inspect" },
        { "POST", "/v1/carrels/{user}/snapshots/{path}", handle_snapshot_restore, ROUTE_SHARED, NULL,
          "snapshot_restore" },
        { "DELETE", "/v1/carrels/{user}/snapshots/{path}", handle_snapshot_remove, 0, NULL, "snapshot_remove" },
        { "POST", "/v1/carrels/{user}/touch", handle_touch, ROUTE_BODY, NULL, "touch" },
        { "GET", "/v1/carrels/{user}/usage", handle_usage, 0, NULL, "usage" },
        { "GET", "/v1/carrels/{user}/why", handle_why, 0, NULL, "why" },
        { "GET", "/v1/events", handle_events, 0, NULL, "events" },
        { "GET", "/v1/execs", handle_exec_list, 0, EXEC_LIST_QUERY, "exec_list" },
        { "GET", "/v1/execs/{id}", handle_exec_inspect, 0, NULL, "exec_inspect" },
        { "GET", "/v1/execs/{id}/output", handle_exec_output, 0, EXEC_OUTPUT_QUERY, "exec_output" },
        { "POST", "/v1/execs/{id}/signal", handle_exec_signal, ROUTE_BODY, NULL, "exec_signal" },
        { "GET", "/v1/images", handle_image_list, 0, NULL, "image_list" },
        { "POST", "/v1/images", handle_image_load, ROUTE_SPOOL | ROUTE_ADMIN, IMAGE_LOAD_QUERY, "image_load",
          SPOOL_IMAGE },
        { "GET", "/v1/images/{image}", handle_image_inspect, 0, NULL, "image_inspect" },
        { "DELETE", "/v1/images/{image}", handle_image_remove, ROUTE_ADMIN, NULL, "image_remove" },
        { "GET", "/v1/info", handle_info, 0, NULL, "info" },
        { "POST", "/v1/reap", handle_reap, ROUTE_BODY | ROUTE_ADMIN, NULL, "reap" },
        { "POST", "/v1/sweep", handle_sweep, ROUTE_ADMIN, NULL, "sweep" },
        { "GET", "/v1/usage", handle_usage_list, 0, USAGE_LIST_QUERY, "usage_list" },
        { 0 },
};

/* ---- path parameters ---- */

/* user_id_check gets the decoded length: an escaped NUL must not cut the id, and an escaped slash is refused. */
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

static int read_name(const char *text, size_t length, char target[ROUTE_PARAMETER_BYTES], const char *what,
                     struct fault *why)
{
        size_t n;

        if (url_decode(text, length, target, ROUTE_PARAMETER_BYTES, &n) < 0 || strlen(target) != n)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no such %s", what);
        return 0;
}

static int read_exec(const char *text, size_t length, char target[ROUTE_PARAMETER_BYTES], struct fault *why)
{
        return read_name(text, length, target, "exec", why);
}

static int read_image(const char *text, size_t length, char target[ROUTE_PARAMETER_BYTES], struct fault *why)
{
        return read_name(text, length, target, "image", why);
}

static const struct route_parameter PARAMETERS[] = {
        { "{id}", read_exec }, { "{image}", read_image }, { "{user}", read_user }, { 0 }
};

const struct route_table API_ROUTES = {
        .routes = ROUTES,
        .parameters = PARAMETERS,
        .unknown_path = "there is no such path; docs/api.md lists them all",
};
