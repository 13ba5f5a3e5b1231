/* Images of the store. carreld only reads the store; carrel-image, a process of its own, writes it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image-helper.h"
#include "oci-engine.h"
#include "scope.h"

static void fill_info(struct image_info *info, const struct stored_image *image)
{
        (void)snprintf(info->id, sizeof info->id, "%s", image->id);
        (void)snprintf(info->reference, sizeof info->reference, "%s", image->reference);
        info->bytes = image->bytes;
        info->created_wall_ms = image->created_wall_ms;
}

int oci_image_inspect(struct engine *engine, const char *reference, engine_done done, void *arg,
                      struct engine_call **ret_call)
{
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        struct oci *oci = (struct oci *)engine;
        struct oci_call *call;
        int r = oci_call_new(&call, oci, "inspect an image", done, arg);

        if (r < 0)
                return r;
        if (image_store_find(oci->images, reference, &image, &call->why) == 0) {
                fill_info(&call->image, &image);
                call->reply.image = &call->image;
        }
        oci_call_answer(call);
        *ret_call = &call->base;
        return 0;
}

/* ---- list ---- */

static void free_images(struct oci_call *call)
{
        free(call->extra);
}

/* Skips a name whose image has just been removed. */
static int list_images(struct oci_call *call)
{
        AUTO(auto_free) struct stored_reference *references = NULL;
        struct image_info *infos;
        size_t count = 0;
        int r = image_store_list(call->oci->images, &references, &count, &call->why);

        if (r < 0)
                return r;
        infos = calloc(count + 1, sizeof *infos);
        if (infos == NULL)
                return fault_set(&call->why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        call->extra = infos;
        call->reply.images = infos;
        for (size_t i = 0; i < count; i++) {
                AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;

                if (image_store_find(call->oci->images, references[i].reference, &image, NULL) == 0)
                        fill_info(&infos[call->reply.n_images++], &image);
        }
        return 0;
}

int oci_image_list(struct engine *engine, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct oci_call *call;
        int r = oci_call_new(&call, (struct oci *)engine, "list images", done, arg);

        if (r < 0)
                return r;
        call->free_extra = free_images;
        (void)list_images(call);
        oci_call_answer(call);
        *ret_call = &call->base;
        return 0;
}

/* ---- load and remove, by the helper ---- */

static void on_helped(void *arg, const struct child_result *result)
{
        struct oci_call *call = arg;

        call->child = NULL;
        if (image_helper_result(result, &call->image, &call->why) == 0)
                call->reply.image = &call->image;
        oci_call_answer_now(call);
}

static void on_removed(void *arg, const struct child_result *result)
{
        struct oci_call *call = arg;

        call->child = NULL;
        if (image_helper_result(result, NULL, &call->why) == 0)
                call->why = (struct fault){ 0 };
        oci_call_answer_now(call);
}

static struct image_helper helper_of(const struct oci *oci)
{
        return (struct image_helper){
                .program = oci->image_helper,
                .directory = image_store_directory(oci->images),
                .max_bytes = oci->image_max_bytes,
                .max_entries = oci->image_max_entries,
        };
}

int oci_image_load(struct engine *engine, const struct image_source *source, engine_done done, void *arg,
                   struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct image_helper helper = helper_of(oci);
        struct oci_call *call;
        int r = oci_call_new(&call, oci, "load an image", done, arg);

        if (r < 0)
                return r;
        *ret_call = &call->base;
        oci_runtime_begun(call, call->oci->image_helper,
                          image_helper_import(&helper, oci->loop, source, on_helped, call, &call->child));
        return 0;
}

int oci_image_remove(struct engine *engine, const char *reference, engine_done done, void *arg,
                     struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct image_helper helper = helper_of(oci);
        struct oci_call *call;
        int r = oci_call_new(&call, oci, "remove an image", done, arg);

        if (r < 0)
                return r;
        *ret_call = &call->base;
        oci_runtime_begun(call, call->oci->image_helper,
                          image_helper_run(&helper, oci->loop, "remove", reference, on_removed, call, &call->child));
        return 0;
}

/* ---- at the start ---- */

static void on_prepared(void *arg, const struct child_result *result)
{
        struct oci *oci = arg;

        oci->housekeeper = NULL;
}

/* carrel-image always begins by clearing the leftovers of dead imports. If it cannot make `host` (no merged /usr), that
 * image is missing, and a request for it says so. */
void oci_image_prepare(struct oci *oci)
{
        struct image_helper helper = helper_of(oci);

        if (oci->image_helper[0] == '\0' ||
            image_helper_run(&helper, oci->loop, "host", "host", on_prepared, oci, &oci->housekeeper) < 0)
                oci->housekeeper = NULL;
}

int oci_image_build(struct engine *engine, int context_fd, const char *reference, engine_done done, void *arg,
                    struct engine_call **ret_call)
{
        return -ENOTSUP; /* this engine has no builder; `carrel image build` runs its own */
}
