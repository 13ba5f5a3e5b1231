#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "api.h"
#include "ensure-then.h"
#include "handlers.h"
#include "list-query.h"
#include "parse.h"
#include "pieces.h"
#include "put.h"
#include "reaper.h"
#include "remove-query.h"
#include "render.h"
#include "routes.h"
#include "stream.h"
#include "userfiles.h"

enum { SENTENCE_BYTES = 256 };

/* ---- ensure ---- */

static void on_ready(struct request *request, const struct pool_ensured *ensured)
{
        answer_json(request, HTTP_OK, render_ensured(ensured, api_of(request)->info.engine));
}

void handle_ensure(struct request *request)
{
        struct ensure_body body;
        struct fault why;

        if (parse_ensure(request->body.data, request->body.length, &body, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        ensure_then(request, &body.spec, body.on_conflict, on_ready);
}

/* ---- looking ---- */

/* Of carrels that are read with their usage. A turn of the loop makes two pieces: with 300 carrels it takes 0.5 ms of
 * CPU time, and 0.7 in the 99th percentile. With four it takes 1.1 and 1.4, and the whole list is no faster. */
enum { PIECE_USAGES = 2 };

struct listing {
        const struct request *request;
        struct json *(*render)(const struct listing *listing, const struct carrel_view *view);
        size_t n_most; /* in one piece */
        struct list_query query;
        struct piece_list list;
        struct buffer *text;         /* of the current piece */
        char seen[USER_ID_MAX + 1];  /* the last user that was looked at */
        char shown[USER_ID_MAX + 1]; /* the last user that was listed */
        size_t n_shown, n_looked;    /* in total; in this piece */
        bool has_more;
};

static struct json *render_listed(const struct listing *listing, const struct carrel_view *view)
{
        struct json *object = render_looked_at(view, api_of(listing->request)->info.engine);

        if (listing->query.has_usage)
                put_child(&object, "usage", render_usage(view));
        return object;
}

static struct json *render_only_usage(const struct listing *listing, const struct carrel_view *view)
{
        (void)listing;
        return render_usage(view);
}

static bool add_to_listing(void *arg, const struct carrel_view *view)
{
        struct listing *listing = arg;
        int state = listing->query.state;

        listing->n_looked++;
        (void)snprintf(listing->seen, sizeof listing->seen, "%s", view->user);
        if ((state >= 0 && view->state != (enum carrel_state)state) ||
            (view->is_warm && !listing->query.has_all && state != CARREL_WARM))
                return true;
        listing->has_more = listing->n_shown == listing->query.limit;
        if (listing->has_more)
                return false;
        piece_list_add(&listing->list, listing->text, listing->render(listing, view));
        listing->n_shown++;
        return str_copy(listing->shown, sizeof listing->shown, view->user) == 0;
}

/* pool_each cannot filter by state, so the limit is counted here. One carrel more than the limit shows that there is a
 * next page. */
static int add_carrels(void *arg, struct buffer *text)
{
        struct listing *listing = arg;
        struct json *tail;

        if (!listing->list.has_begun)
                piece_list_begin(&listing->list, text, json_object(), "carrels");
        listing->text = text;
        listing->n_looked = 0;
        pool_each(api_of(listing->request)->pool, listing->seen, listing->n_most, add_to_listing, listing);
        if (listing->n_looked == listing->n_most && !listing->has_more)
                return 1;
        tail = json_object();
        put_text(&tail, "next", listing->has_more ? listing->shown : NULL);
        piece_list_end(text, tail);
        return 0;
}

static void list(struct request *request,
                 struct json *(*render)(const struct listing *listing, const struct carrel_view *view))
{
        struct listing *listing = calloc(1, sizeof *listing);
        struct fault why;

        if (listing == NULL) {
                answer_no_memory(request);
                return;
        }
        listing->request = request;
        if (list_query_parse(request->query, request->route->query, &listing->query, &why) < 0) {
                free(listing);
                answer_fault(request, &why);
                return;
        }
        listing->render = render;
        listing->n_most = listing->query.has_usage || render == render_only_usage ? PIECE_USAGES : PIECE_ITEMS;
        memcpy(listing->seen, listing->query.after, sizeof listing->seen);
        if (answer_pieces(request, ANSWER_SIZE_UNKNOWN, &(struct pieces){ add_carrels, free, listing }) < 0)
                answer_no_memory(request);
}

void handle_list(struct request *request)
{
        list(request, render_listed);
}

void handle_usage_list(struct request *request)
{
        list(request, render_only_usage);
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

        answer_json(request, HTTP_OK, render_looked_at(view, api_of(request)->info.engine));
}

static void answer_whole_view(void *arg, const struct carrel_view *view)
{
        struct request *request = arg;
        struct json *object = render_looked_at(view, api_of(request)->info.engine);

        put_child(&object, "usage", render_usage(view));
        answer_json(request, HTTP_OK, object);
}

static void answer_usage(void *arg, const struct carrel_view *view)
{
        answer_json(arg, HTTP_OK, render_usage(view));
}

static void look(struct request *request, void (*visit)(void *arg, const struct carrel_view *view))
{
        if (!pool_inspect(api_of(request)->pool, request->parameter, visit, request))
                answer_no_carrel(request);
}

void handle_inspect(struct request *request)
{
        look(request, answer_whole_view);
}

void handle_usage(struct request *request)
{
        look(request, answer_usage);
}

static void explain_view(void *arg, const struct carrel_view *view)
{
        struct request *request = arg;
        char sentence[SENTENCE_BYTES] = "";

        reaper_explain(api_of(request)->reaper, view, sentence, sizeof sentence);
        answer_json(request, HTTP_OK, render_why(view, sentence));
}

void handle_why(struct request *request)
{
        const struct pool_past *past;

        if (pool_inspect(api_of(request)->pool, request->parameter, explain_view, request))
                return;
        past = pool_recall(api_of(request)->pool, request->parameter);
        if (past != NULL)
                answer_json(request, HTTP_OK, render_past(past));
        else
                answer_no_carrel(request);
}

/* ---- freeze, thaw ---- */

static void on_frozen_or_thawed(void *arg, const struct fault *why)
{
        struct request *request = arg;

        api_context_of(request)->wait = NULL;
        if (why != NULL)
                answer_fault(request, why);
        else
                handle_inspect(request);
}

void handle_freeze(struct request *request)
{
        struct api *api = api_of(request);
        struct fault why;

        if (reaper_may_freeze(api->reaper, request->parameter, &why) < 0)
                answer_fault(request, &why);
        else
                pool_freeze(api->pool, request->parameter, "asked", on_frozen_or_thawed, request,
                            &api_context_of(request)->wait);
}

void handle_thaw(struct request *request)
{
        pool_thaw(api_of(request)->pool, request->parameter, on_frozen_or_thawed, request,
                  &api_context_of(request)->wait);
}

/* ---- touch, remove ---- */

void handle_touch(struct request *request)
{
        uint64_t lease_s;
        struct fault why;

        if (parse_touch(request->body.data, request->body.length, &lease_s, &why) < 0 ||
            pool_touch(api_of(request)->pool, request->parameter, lease_s, &why) < 0)
                answer_fault(request, &why);
        else
                look(request, answer_view);
}

static void on_removed(void *arg, const struct fault *why)
{
        struct request *request = arg;
        struct json *answer;

        api_context_of(request)->wait = NULL;
        if (why != NULL) {
                answer_fault(request, why);
                return;
        }
        answer = json_object();
        put_text(&answer, "user", request->parameter);
        put_text(&answer, "outcome", "removed");
        answer_json(request, HTTP_OK, answer);
}

static void on_erased(void *arg, uint64_t n_removed, const struct fault *why)
{
        struct request *request = arg;
        struct json *answer;

        api_context_of(request)->erasure = NULL;
        if (why != NULL) {
                answer_fault(request, why);
                return;
        }
        answer = json_object();
        put_text(&answer, "user", request->parameter);
        put_text(&answer, "outcome", "erased");
        put_number(&answer, "files", (double)n_removed);
        answer_json(request, HTTP_OK, answer);
}

static int read_files(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct remove_query *)target)->has_files, why);
}

const struct query_parameter REMOVE_QUERY[] = { { "files", read_files, false }, { 0 } };

void handle_remove(struct request *request)
{
        struct api_context *context = api_context_of(request);
        struct api *api = api_of(request);
        struct remove_query query = { 0 };
        struct fault why;

        if (query_parse(request->query, request->route->query, &query, &why) < 0)
                answer_fault(request, &why);
        else if (query.has_files)
                userfiles_erase(api->options.userfiles, request->parameter, on_erased, request, &context->erasure);
        else
                pool_retire(api->pool, request->parameter, "removed", on_removed, request, &context->wait);
}
