#include <string.h>

#include "answer.h"
#include "api.h"
#include "errors.h"
#include "handlers.h"
#include "images.h"
#include "list-query.h"
#include "put.h"
#include "render.h"

static void leave(void *work)
{
        (void)pool_images_leave(work);
}

/* Waits for the work, or answers the fault of its start. */
static void await(struct request *request, int r, struct image_work *work, const struct fault *why)
{
        if (r < 0) {
                answer_fault(request, why);
                return;
        }
        request->work = work;
        request->release = leave;
}

static void on_listed(void *arg, const struct pool_image *images, size_t count, const struct fault *why)
{
        struct request *request = arg;
        struct json *answer = json_object();
        struct json *array = json_array();

        request->release = NULL;
        for (size_t i = 0; why == NULL && i < count; i++)
                put_child(&array, NULL, render_image(&images[i]));
        put_child(&answer, "images", array);
        if (why == NULL) {
                answer_json(request, HTTP_OK, answer);
                return;
        }
        json_free(answer);
        answer_fault(request, why);
}

void handle_image_list(struct request *request)
{
        struct image_work *work = NULL;
        struct fault why;
        int r = pool_images_list(api_of(request)->pool, on_listed, request, &work, &why);

        await(request, r, work, &why);
}

static void on_found(void *arg, const struct pool_image *images, size_t count, const struct fault *why)
{
        struct request *request = arg;

        request->release = NULL;
        if (why != NULL)
                answer_fault_as(request, why->kind == FAULT_IMAGE_MISSING ? HTTP_NOT_FOUND : error_status(why->kind),
                                why, NULL);
        else
                answer_json(request, HTTP_OK, count > 0 ? render_image(images) : json_object());
}

void handle_image_inspect(struct request *request)
{
        struct image_work *work = NULL;
        struct fault why;
        int r = pool_images_inspect(api_of(request)->pool, request->parameter, on_found, request, &work, &why);

        await(request, r, work, &why);
}

void handle_image_load(struct request *request)
{
        struct list_query query;
        struct image_work *work = NULL;
        struct fault why;
        int r = list_query_parse(request->query, request->route->query, &query, &why);

        if (r == 0)
                r = pool_images_load(api_of(request)->pool, request->spool->fd, query.reference, query.format, on_found,
                                     request, &work, &why);
        await(request, r, work, &why);
}

static void on_removed(void *arg, const struct pool_image *images, size_t count, const struct fault *why)
{
        struct request *request = arg;
        struct json *answer;

        if (why != NULL) {
                on_found(arg, images, count, why);
                return;
        }
        request->release = NULL;
        answer = json_object();
        put_text(&answer, "reference", request->parameter);
        put_text(&answer, "outcome", "removed");
        answer_json(request, HTTP_OK, answer);
}

void handle_image_remove(struct request *request)
{
        struct image_work *work = NULL;
        struct fault why;
        int r = pool_images_remove(api_of(request)->pool, request->parameter, on_removed, request, &work, &why);

        await(request, r, work, &why);
}
