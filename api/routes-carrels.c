#include <cjson/cJSON.h>
#include <errno.h>

#include "answer.h"
#include "carrel-first.h"
#include "handlers.h"
#include "list-query.h"
#include "parse.h"
#include "put.h"
#include "reaper.h"
#include "render.h"
#include "routes.h"

enum { SENTENCE_BYTES = 256 };

/* ---- ensure ---- */

static void on_ready(struct request *request, const struct pool_ensured *ensured)
{
        const struct api_info *info = &request->server->info;
        struct api_state state = { 0 };

        info->describe(info->arg, &state);
        answer_json(request, MHD_HTTP_OK, render_ensured(ensured, state.engine));
}

void handle_ensure(struct request *request)
{
        struct ensure_body body;
        struct fault why;

        if (parse_ensure(request->body.data, request->body.length, &body, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        carrel_first(request, &body.spec, body.on_conflict, on_ready);
}

/* ---- looking ---- */

struct listing {
        cJSON *carrels;
        const struct list_query *query;
        const char *engine;
        size_t n;
        char last[USER_ID_MAX + 1];
        bool has_more;
};

static bool add_to_listing(void *arg, const struct carrel_view *view)
{
        struct listing *listing = arg;
        int state = listing->query->state;

        if (state >= 0 && view->state != (enum carrel_state)state)
                return true;
        listing->has_more = listing->n == listing->query->limit;
        if (listing->has_more)
                return false;
        put_copy(&listing->carrels, render_looked_at(view, listing->engine));
        listing->n++;
        return str_copy(listing->last, sizeof listing->last, view->user) == 0;
}

/* pool_each cannot filter by state, so the limit is counted here; one more than the limit tells whether there is a next
 * page. The strings of the views live as long as the pool is left alone, and nothing runs before the tree is printed.
 */
void handle_list(struct request *request)
{
        const struct api_info *info = &request->server->info;
        struct api_state state = { 0 };
        struct list_query query;
        struct listing listing = { .query = &query, .engine = state.engine };
        cJSON *answer;
        struct fault why;

        if (list_query_parse(request->query, request->route->query, &query, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        info->describe(info->arg, &state);
        listing.carrels = cJSON_CreateArray();
        pool_each(request->server->pool, query.after, SIZE_MAX, add_to_listing, &listing);
        answer = cJSON_CreateObject();
        put_child(&answer, "carrels", listing.carrels);
        put_text(&answer, "next", listing.has_more ? listing.last : NULL);
        answer_json(request, MHD_HTTP_OK, answer);
}

static void answer_no_carrel(struct request *request)
{
        struct fault why;

        (void)fault_set(&why, FAULT_NOT_FOUND, ENOENT, "user %s has no carrel; PUT /v1/carrels/%s makes one",
                        request->parameter, request->parameter);
        answer_fault(request, &why);
}

static void answer_view(void *arg, const struct carrel_view *view)
{
        struct request *request = arg;
        const struct api_info *info = &request->server->info;
        struct api_state state = { 0 };

        info->describe(info->arg, &state);
        answer_json(request, MHD_HTTP_OK, render_looked_at(view, state.engine));
}

void handle_inspect(struct request *request)
{
        if (!pool_inspect(request->server->pool, request->parameter, answer_view, request))
                answer_no_carrel(request);
}

static void explain_view(void *arg, const struct carrel_view *view)
{
        struct request *request = arg;
        char sentence[SENTENCE_BYTES] = "";

        reaper_explain(request->server->reaper, view, sentence, sizeof sentence);
        answer_json(request, MHD_HTTP_OK, render_why(view, sentence));
}

void handle_why(struct request *request)
{
        if (!pool_inspect(request->server->pool, request->parameter, explain_view, request))
                answer_no_carrel(request);
}

/* ---- touch, remove ---- */

void handle_touch(struct request *request)
{
        uint64_t lease_s;
        struct fault why;

        if (parse_touch(request->body.data, request->body.length, &lease_s, &why) < 0 ||
            pool_touch(request->server->pool, request->parameter, lease_s, &why) < 0)
                answer_fault(request, &why);
        else
                handle_inspect(request);
}

static void on_removed(void *arg, const struct fault *why)
{
        struct request *request = arg;
        cJSON *answer;

        request->wait = NULL;
        if (why != NULL) {
                answer_fault(request, why);
                return;
        }
        answer = cJSON_CreateObject();
        put_text(&answer, "user", request->parameter);
        put_text(&answer, "outcome", "removed");
        answer_json(request, MHD_HTTP_OK, answer);
}

void handle_remove(struct request *request)
{
        pool_retire(request->server->pool, request->parameter, "removed", on_removed, request, &request->wait);
}
