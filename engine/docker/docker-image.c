#include "docker-image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker-call.h"
#include "docker-query.h"
#include "scope.h"
#include "str.h"
#include "wire.h"

#define LOAD_DEADLINE_S 600.0
#define BUILD_DEADLINE_S 1800.0

static void on_inspected(struct docker_call *call, const struct http_response *response)
{
        struct image_info image;
        const struct engine_reply reply = { .image = &image };
        int r = wire_decode_image(response->body, response->body_length, &image);

        if (r < 0) {
                docker_call_garbled(call, r);
                return;
        }
        /* An image has many names; report the one in the request. */
        if (!str_has_prefix(call->subject, "sha256:"))
                (void)snprintf(image.reference, sizeof image.reference, "%s", call->subject);
        docker_call_succeed(call, &reply);
}

static const struct docker_step INSPECT = {
        .method = "GET",
        .what = "inspect an image",
        .on_missing = FAULT_IMAGE_MISSING,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_inspected,
};

static int make(struct engine *engine, const struct docker_step *step, int fd, const char *reference, char *path,
                engine_done done, void *arg, struct engine_call **ret_call)
{
        struct docker_call *call;
        int r = docker_call_new(&call, (struct docker *)engine, reference, done, arg);

        if (r < 0) {
                free(path);
                return r;
        }
        call->body_fd = fd;
        r = docker_call_request(call, step, path, NULL);
        if (r < 0)
                docker_call_free(call);
        else
                *ret_call = &call->base;
        return r;
}

static char *image_path(const char *reference)
{
        return docker_text("/images/%s/json", reference);
}

int docker_image_inspect(struct engine *engine, const char *reference, engine_done done, void *arg,
                         struct engine_call **ret_call)
{
        if (!docker_is_reference(reference))
                return -EINVAL;
        return make(engine, &INSPECT, -1, reference, image_path(reference), done, arg, ret_call);
}

/* Load and build answer 200 at once, then send a JSON object per line, one of which may be the error. */
static int read_progress(const struct http_response *response, struct wire_progress *progress)
{
        const char *at = response->body;
        const char *end = at + response->body_length;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                size_t length = (size_t)((newline != NULL ? newline : end) - at);

                if (length > 1 && wire_decode_progress(at, length, progress) == -ENOMEM)
                        return -ENOMEM;
                at += length + 1;
        }
        return 0;
}

/* *ret_loaded: the image that the engine reports as loaded, or "". False: the call has failed. */
static bool take_progress(struct docker_call *call, const struct http_response *response,
                          struct wire_progress *progress)
{
        struct fault why;

        call->body_fd = -1;
        if (read_progress(response, progress) < 0) {
                docker_call_garbled(call, -ENOMEM);
                return false;
        }
        if (progress->error[0] == '\0')
                return true;
        fault_set(&why, FAULT_ENGINE_REFUSED, EREMOTEIO, "the engine could not %s: %s", call->step->what,
                  progress->error);
        docker_call_fail(call, &why);
        return false;
}

static void on_made(struct docker_call *call, const struct http_response *response)
{
        struct wire_progress progress = { 0 };

        if (take_progress(call, response, &progress))
                docker_call_continue(call, &INSPECT, image_path(call->subject), NULL);
}

static void on_tagged(struct docker_call *call, const struct http_response *response)
{
        docker_call_continue(call, &INSPECT, image_path(call->subject), NULL);
}

static const struct docker_step TAG = {
        .method = "POST",
        .what = "name an image",
        .on_missing = FAULT_ENGINE_REFUSED,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_tagged,
};

/* The reference as "repo=NAME&tag=TAG". */
static char *name_query(const char *reference)
{
        const char *colon = strrchr(reference, ':');
        AUTO(auto_free) char *name = strndup(reference, (size_t)(colon - reference));
        AUTO(auto_free) char *repository = name == NULL ? NULL : docker_escape(name);

        return repository == NULL ? NULL : docker_text("repo=%s&tag=%s", repository, colon + 1);
}

/* An engine that imports by repository gets the whole reference there. */
static char *import_query(const struct docker *docker, const char *reference)
{
        AUTO(auto_free) char *whole = docker_escape(reference);

        if (!docker->quirks->imports_by_repository)
                return name_query(reference);
        return whole == NULL ? NULL : docker_text("repo=%s", whole);
}

/* An archive has its own names; the requested one is added. */
static void on_loaded(struct docker_call *call, const struct http_response *response)
{
        struct wire_progress progress = { 0 };
        AUTO(auto_free) char *query = name_query(call->subject);
        struct fault why;

        if (!take_progress(call, response, &progress))
                return;
        if (str_equal(progress.reference, call->subject)) {
                docker_call_continue(call, &INSPECT, image_path(call->subject), NULL);
        } else if (!docker_is_reference(progress.reference)) {
                fault_set(&why, FAULT_ENGINE_REFUSED, EREMOTEIO, "the engine loaded the archive but reported no image");
                docker_call_fail(call, &why);
        } else {
                docker_call_continue(call, &TAG,
                                     query == NULL ? NULL : docker_text("/images/%s/tag?%s", progress.reference, query),
                                     NULL);
        }
}

#define ARCHIVE_STEP(does, then, seconds)                                                                              \
        {                                                                                                              \
                .method = "POST", .what = (does), .on_missing = FAULT_ENGINE_REFUSED,                                  \
                .on_conflict = FAULT_ENGINE_REFUSED, .content_type = "application/x-tar", .deadline_s = (seconds),     \
                .on_success = (then)                                                                                   \
        }
static const struct docker_step LOAD = ARCHIVE_STEP("load an image", on_loaded, LOAD_DEADLINE_S);
static const struct docker_step IMPORT = ARCHIVE_STEP("import a root tree", on_made, LOAD_DEADLINE_S);
static const struct docker_step BUILD = ARCHIVE_STEP("build an image", on_made, BUILD_DEADLINE_S);

/* The engine's own load reads docker-archives (Podman's reads OCI layouts too). For a root tree the caller must say so.
 */
int docker_image_load(struct engine *engine, const struct image_source *source, engine_done done, void *arg,
                      struct engine_call **ret_call)
{
        char reference[IMAGE_REFERENCE_BYTES];
        AUTO(auto_free) char *query = NULL;

        if (image_reference_resolve(source->reference, reference, NULL) < 0 || image_is_id(reference))
                return -EINVAL;
        if (source->format != IMAGE_ROOTFS)
                return make(engine, &LOAD, source->fd, reference, docker_text("/images/load?quiet=1"), done, arg,
                            ret_call);
        query = import_query((const struct docker *)engine, reference);
        if (query == NULL)
                return -ENOMEM;
        return make(engine, &IMPORT, source->fd, reference, docker_text("/images/create?fromSrc=-&%s", query), done,
                    arg, ret_call);
}

static void on_listed(struct docker_call *call, const struct http_response *response)
{
        struct engine_reply reply = { 0 };
        struct image_info *images = NULL;
        int r = wire_decode_images(response->body, response->body_length, &images, &reply.n_images);

        if (r < 0) {
                docker_call_garbled(call, r);
                return;
        }
        reply.images = images;
        docker_call_succeed(call, &reply);
        free(images);
}

static const struct docker_step LIST = {
        .method = "GET",
        .what = "list the images",
        .on_missing = FAULT_ENGINE_REFUSED,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_listed,
};

int docker_image_list(struct engine *engine, engine_done done, void *arg, struct engine_call **ret_call)
{
        return make(engine, &LIST, -1, NULL, docker_text("/images/json"), done, arg, ret_call);
}

static void on_removed(struct docker_call *call, const struct http_response *response)
{
        const struct engine_reply reply = { 0 };

        docker_call_succeed(call, &reply);
}

static const struct docker_step REMOVE = {
        .method = "DELETE",
        .what = "remove an image",
        .on_missing = FAULT_IMAGE_MISSING,
        .on_conflict = FAULT_IMAGE_IN_USE,
        .on_success = on_removed,
};

int docker_image_remove(struct engine *engine, const char *reference, engine_done done, void *arg,
                        struct engine_call **ret_call)
{
        if (!docker_is_reference(reference))
                return -EINVAL;
        return make(engine, &REMOVE, -1, reference, docker_text("/images/%s", reference), done, arg, ret_call);
}

/* Without a network: our recipes need none. */
int docker_image_build(struct engine *engine, int context_fd, const char *reference, engine_done done, void *arg,
                       struct engine_call **ret_call)
{
        AUTO(auto_free) char *tag = docker_is_reference(reference) ? docker_escape(reference) : NULL;

        if (!docker_is_reference(reference))
                return -EINVAL;
        if (tag == NULL)
                return -ENOMEM;
        return make(engine, &BUILD, context_fd, reference,
                    docker_text("/build?t=%s&rm=1&forcerm=1&networkmode=none", tag), done, arg, ret_call);
}
