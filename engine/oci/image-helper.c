#include "image-helper.h"

#include <cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "str.h"

/* An import writes gigabytes and syncs them. */
#define DEADLINE_S 1800.0

enum { OUTPUT_MAX_BYTES = 16384 };

static int run(const struct image_helper *helper, struct ev_loop *loop, const char *const *argv, int input_fd,
               void (*done)(void *arg, const struct child_result *result), void *arg, struct child **ret_child)
{
        const struct child_plan plan = {
                .path = helper->program,
                .argv = argv,
                .stdin_fd = input_fd,
                .mount_namespace_fd = -1,
                .streams = CHILD_COLLECT,
                .output_max = OUTPUT_MAX_BYTES,
                .deadline_s = DEADLINE_S,
                .dies_with_us = true,
                .done = done,
                .arg = arg,
        };

        return child_start(ret_child, loop, &plan);
}

int image_helper_import(const struct image_helper *helper, struct ev_loop *loop, const struct image_source *source,
                        void (*done)(void *arg, const struct child_result *result), void *arg, struct child **ret_child)
{
        char max_bytes[32];
        char max_entries[32];
        const char *const argv[] = { helper->program,   "import",          "--store",
                                     helper->directory, "--format",        IMAGE_FORMATS[source->format],
                                     "--max-bytes",     max_bytes,         "--max-entries",
                                     max_entries,       source->reference, NULL };

        (void)snprintf(max_bytes, sizeof max_bytes, "%llu", (unsigned long long)helper->max_bytes);
        (void)snprintf(max_entries, sizeof max_entries, "%llu", (unsigned long long)helper->max_entries);
        return run(helper, loop, argv, source->fd, done, arg, ret_child);
}

int image_helper_run(const struct image_helper *helper, struct ev_loop *loop, const char *verb, const char *reference,
                     void (*done)(void *arg, const struct child_result *result), void *arg, struct child **ret_child)
{
        const char *const argv[] = { helper->program, verb, "--store", helper->directory, reference, NULL };

        return run(helper, loop, argv, -1, done, arg, ret_child);
}

/* ---- its report ---- */

static enum fault_kind kind_of(const char *code)
{
        static const enum fault_kind KINDS[] = { FAULT_IMAGE_IN_USE, FAULT_IMAGE_MISSING, FAULT_IMAGE_REFUSED,
                                                 FAULT_REQUEST_INVALID, FAULT_RESOURCE_EXHAUSTED };

        for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
                if (str_equal(code, fault_code(KINDS[i])))
                        return KINDS[i];
        return FAULT_INTERNAL;
}

static int take_error(const cJSON *error, struct fault *why)
{
        const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
        const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "code"));

        return fault_set(why, kind_of(code), EINVAL, "%s", message == NULL ? "carrel-image failed" : message);
}

static int take_image(const cJSON *tree, struct image_info *ret_image)
{
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "id"));
        const char *reference = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "reference"));
        const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(tree, "bytes");
        struct image_info image = { 0 };

        if (id == NULL || !image_is_id(id) || reference == NULL || !cJSON_IsNumber(bytes) ||
            str_copy(image.id, sizeof image.id, id) < 0 ||
            str_copy(image.reference, sizeof image.reference, reference) < 0)
                return -EBADMSG;
        image.bytes = bytes->valuedouble > 0 ? (uint64_t)bytes->valuedouble : 0;
        *ret_image = image;
        return 0;
}

int image_helper_result(const struct child_result *result, struct image_info *ret_image, struct fault *why)
{
        cJSON *tree = cJSON_ParseWithLength(result->out, result->out_length);
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(tree, "error");
        bool has_succeeded = WIFEXITED(result->wait_status) && WEXITSTATUS(result->wait_status) == 0;
        int r = 0;

        if (result->is_late)
                r = fault_set(why, FAULT_DEADLINE, ETIMEDOUT, "carrel-image did not end within %g s", DEADLINE_S);
        else if (error != NULL)
                r = take_error(error, why);
        else if (!has_succeeded || !cJSON_IsObject(tree) || (ret_image != NULL && take_image(tree, ret_image) < 0))
                r = fault_set(why, FAULT_INTERNAL, EBADMSG, "carrel-image ended without a result");
        cJSON_Delete(tree);
        return r;
}
