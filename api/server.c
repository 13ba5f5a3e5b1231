#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "api.h"
#include "events.h"
#include "httpd.h"
#include "metrics-table.h"
#include "routes.h"
#include "spool.h"
#include "str.h"
#include "userfiles.h"

enum { CONNECTIONS_DEFAULT = 1200 };
static const double READ_DEADLINE_S = 10, IDLE_DEADLINE_S = 60, PROGRESS_DEADLINE_S = 30;

/* ---- what the HTTP server calls ---- */

static void on_drop(void *context)
{
        struct api_context *call = context;

        call->wait = pool_leave(call->wait);
        call->erasure = userfiles_leave(call->erasure);
        call->copy = userfiles_forget(call->copy);
}

static void on_request(void *arg, const struct route *route, unsigned status)
{
        const struct api *api = arg;
        char text[STR_U64_BYTES];

        (void)str_u64(status, text);
        metrics_add(api->metrics, METRIC_HTTP_REQUESTS, 1, route == NULL ? "none" : route->label,
                    status == 0 ? "cut" : text, NULL);
}

static void on_cut(void *arg, const char *why)
{
        const struct api *api = arg;

        metrics_add(api->metrics, METRIC_CONNECTIONS_CUT, 1, why, NULL, NULL);
}

static void on_stop(void *arg)
{
        events_cut_all(arg, "carreld is being stopped");
}

/* ---- the API ---- */

static void set_defaults(struct api_options *options)
{
        if (options->max_connections == 0)
                options->max_connections = CONNECTIONS_DEFAULT;
        if (options->max_peer_connections == 0)
                options->max_peer_connections = options->max_connections;
        if (options->read_deadline_s <= 0)
                options->read_deadline_s = READ_DEADLINE_S;
        if (options->progress_deadline_s <= 0)
                options->progress_deadline_s = PROGRESS_DEADLINE_S;
        if (options->idle_deadline_s <= 0)
                options->idle_deadline_s = IDLE_DEADLINE_S;
}

static int start_http(struct api *api, struct fault *why)
{
        const struct api_options *options = &api->options;
        const struct httpd_app app = {
                .arg = api,
                .routes = API_ROUTES,
                .context_bytes = sizeof(struct api_context),
                .on_drop = on_drop,
                .on_request = on_request,
                .on_cut = on_cut,
                .on_stop = on_stop,
        };
        const struct httpd_options httpd_options = {
                .listen_fd = options->listen_fd,
                .admin_gid = options->admin_gid,
                .max_connections = options->max_connections,
                .max_peer_connections = options->max_peer_connections,
                .least_user_requests = options->least_user_requests,
                .read_deadline_s = options->read_deadline_s,
                .idle_deadline_s = options->idle_deadline_s,
                .spool_dir = options->spool_dir,
                .max_uploads = options->max_spools,
                .uploads_size = options->spools_max_bytes,
                .least_user_upload = options->file_max_bytes,
                .spool_limits = api->spool_limits,
        };

        api->spool_limits[SPOOL_IMAGE] = (struct spool_limit){ options->spool_max_bytes, "image_max_size" };
        api->spool_limits[SPOOL_FILE] = options->file_max_bytes > 0
                                                ? (struct spool_limit){ options->file_max_bytes, "file_max_size" }
                                                : api->spool_limits[SPOOL_IMAGE];
        api->options.listen_fd = -1; /* the HTTP server's from here on */
        return httpd_new(&api->httpd, api->loop, &app, &httpd_options, why);
}

int api_new(struct api **ret_api, struct ev_loop *loop, struct pool *pool, struct reaper *reaper,
            struct metrics *metrics, const struct api_info *info, const struct api_options *options, struct fault *why)
{
        struct api *api = calloc(1, sizeof *api);
        int r = -ENOMEM;

        if (api == NULL) {
                close(options->listen_fd);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        *api = (struct api){
                .loop = loop, .pool = pool, .reaper = reaper, .metrics = metrics, .info = *info, .options = *options
        };
        set_defaults(&api->options);
        list_init(&api->subscribers);
        api->scratch = malloc(API_SCRATCH_BYTES);
        if (api->scratch != NULL)
                r = pool_listen(pool, events_on_event, api);
        if (r < 0)
                (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "out of memory");
        else
                r = start_http(api, why);
        if (r < 0) {
                (void)api_free(api);
                return r;
        }
        *ret_api = api;
        return 0;
}

struct api *api_free(struct api *api)
{
        if (api == NULL)
                return NULL;
        pool_unlisten(api->pool, events_on_event, api);
        api->httpd = httpd_free(api->httpd);
        if (api->options.listen_fd >= 0)
                close(api->options.listen_fd);
        free(api->scratch);
        free(api);
        return NULL;
}
