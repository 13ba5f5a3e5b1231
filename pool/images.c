#include "images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool-inside.h"
#include "scope.h"

struct image_work {
        struct list node; /* in pool->image_works */
        struct pool *pool;
        struct engine_call *call;
        pool_on_images on_images;
        void *arg;
        bool is_load;
};

static struct image_work *work_free(struct image_work *work)
{
        work->pool->n_image_loads -= work->is_load;
        list_remove(&work->node);
        free(work);
        return NULL;
}

static struct pool_image view_of(const struct image_info *image)
{
        return (struct pool_image){ .id = image->id,
                                    .reference = image->reference,
                                    .bytes = image->bytes,
                                    .created_wall_ms = image->created_wall_ms };
}

static void answer(struct image_work *work, const struct pool_image *images, size_t count, const struct fault *why)
{
        pool_on_images on_images = work->on_images;
        void *arg = work->arg;

        work_free(work);
        on_images(arg, images, count, why);
}

static void on_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct image_work *work = arg;
        struct pool_image image;

        work->call = NULL;
        if (why == NULL && reply->image != NULL)
                image = view_of(reply->image);
        if (why == NULL && reply->image != NULL && work->is_load)
                warm_image_changed(&work->pool->warm, image.reference);
        answer(work, &image, why == NULL && reply->image != NULL ? 1 : 0, why);
}

static void on_listed(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct image_work *work = arg;
        size_t count = why == NULL ? reply->n_images : 0;
        AUTO(auto_free) struct pool_image *images = calloc(count + 1, sizeof *images);
        struct fault none;

        work->call = NULL;
        if (images == NULL) {
                (void)fault_set(&none, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
                answer(work, NULL, 0, &none);
                return;
        }
        for (size_t i = 0; i < count; i++)
                images[i] = view_of(&reply->images[i]);
        answer(work, images, count, why);
}

static int work_new(struct image_work **ret_work, struct pool *pool, pool_on_images on_images, void *arg,
                    struct fault *why)
{
        struct image_work *work = calloc(1, sizeof *work);

        if (work == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        work->pool = pool;
        work->on_images = on_images;
        work->arg = arg;
        list_append(&pool->image_works, &work->node);
        *ret_work = work;
        return 0;
}

/* Translates an error of the engine at the beginning of an operation. */
static int begun(struct image_work *work, int r, struct image_work **ret_work, struct fault *why)
{
        if (r == 0) {
                *ret_work = work;
                return 0;
        }
        work_free(work);
        if (r == -EINVAL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "this is not a valid image name");
        if (r == -ENOTSUP)
                return fault_set(why, FAULT_ENGINE_REFUSED, ENOTSUP,
                                 "this engine does not support this operation on images");
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot send the request to the engine: %s", strerror(-r));
}

int pool_images_list(struct pool *pool, pool_on_images on_images, void *arg, struct image_work **ret_work,
                     struct fault *why)
{
        struct image_work *work = NULL;
        int r = work_new(&work, pool, on_images, arg, why);

        if (r < 0 || work == NULL)
                return r;
        return begun(work, pool->engine->ops->image_list(pool->engine, on_listed, work, &work->call), ret_work, why);
}

/* One of the engine's operations on an image by its name. */
typedef int (*image_deed)(struct engine *engine, const char *reference, engine_done done, void *arg,
                          struct engine_call **ret_call);

static int do_with(struct pool *pool, const char *reference, image_deed deed, pool_on_images on_images, void *arg,
                   struct image_work **ret_work, struct fault *why)
{
        char resolved[IMAGE_REFERENCE_BYTES];
        struct image_work *work = NULL;
        int r = image_reference_resolve(reference, resolved, why);

        if (r == 0)
                r = work_new(&work, pool, on_images, arg, why);
        if (r < 0 || work == NULL)
                return r;
        return begun(work, deed(pool->engine, resolved, on_done, work, &work->call), ret_work, why);
}

int pool_images_inspect(struct pool *pool, const char *reference, pool_on_images on_images, void *arg,
                        struct image_work **ret_work, struct fault *why)
{
        return do_with(pool, reference, pool->engine->ops->image_inspect, on_images, arg, ret_work, why);
}

int pool_images_remove(struct pool *pool, const char *reference, pool_on_images on_images, void *arg,
                       struct image_work **ret_work, struct fault *why)
{
        return do_with(pool, reference, pool->engine->ops->image_remove, on_images, arg, ret_work, why);
}

int pool_images_load(struct pool *pool, int fd, const char *reference, const char *format, pool_on_images on_images,
                     void *arg, struct image_work **ret_work, struct fault *why)
{
        char resolved[IMAGE_REFERENCE_BYTES];
        struct image_source source = { .fd = fd, .reference = resolved };
        struct image_work *work = NULL;
        int r = image_reference_resolve(reference, resolved, why);

        if (r < 0)
                return r;
        if (image_is_id(resolved))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "load an image under a name, not under an id");
        if (image_format_parse(format, &source.format) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "format is one of auto, docker, oci, rootfs");
        if (pool->n_image_loads >= IMAGE_LOADS_MAX)
                return fault_set(why, FAULT_QUEUE_FULL, EBUSY, "%d images are being loaded; try again when one is done",
                                 IMAGE_LOADS_MAX);
        r = work_new(&work, pool, on_images, arg, why);
        if (r < 0 || work == NULL)
                return r;
        work->is_load = true;
        pool->n_image_loads++;
        return begun(work, pool->engine->ops->image_load(pool->engine, &source, on_done, work, &work->call), ret_work,
                     why);
}

struct image_work *pool_images_leave(struct image_work *work)
{
        if (work == NULL)
                return NULL;
        work->call = engine_cancel(work->call);
        return work_free(work);
}

void images_free(struct pool *pool)
{
        LIST_EACH (&pool->image_works, node)
                pool_images_leave(LIST_ENTRY(node, struct image_work, node));
}
