#include "docker-image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "docker-call.h"
#include "docker-query.h"
#include "scope.h"
#include "wire.h"

#define LOAD_DEADLINE_S 600.0
#define BUILD_DEADLINE_S 1800.0

static void on_inspected(struct docker_call *call, const struct http_response *response)
{
        struct image_info image;
        const struct engine_reply reply = { .image = &image };
        int r = wire_decode_image(response->body, response->body_length, &image);

        if (r < 0)
                docker_call_garbled(call, r);
        else
                docker_call_succeed(call, &reply);
}

static const struct docker_step INSPECT = {
        .method = "GET",
        .what = "inspect an image",
        .on_missing = FAULT_IMAGE_MISSING,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .on_success = on_inspected,
};

static char *image_path(const char *reference)
{
        return docker_text("/images/%s/json", reference);
}

int docker_image_inspect(struct engine *engine, const char *reference, engine_done done, void *arg,
                         struct engine_call **ret_call)
{
        struct docker_call *call;
        int r;

        if (!docker_is_reference(reference))
                return -EINVAL;
        r = docker_call_new(&call, (struct docker *)engine, reference, done, arg);
        if (r < 0)
                return r;
        r = docker_call_request(call, &INSPECT, image_path(reference), NULL);
        if (r < 0)
                docker_call_free(call);
        else
                *ret_call = &call->base;
        return r;
}

/* Load and build answer 200 at once, then a JSON object a line, of which one may be the error. */
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

static void on_made(struct docker_call *call, const struct http_response *response)
{
        struct wire_progress progress = { 0 };
        const char *reference = call->subject;
        struct fault why;

        if (read_progress(response, &progress) < 0) {
                docker_call_garbled(call, -ENOMEM);
                return;
        }
        if (reference[0] == '\0')
                reference = progress.reference;
        call->body_fd = -1;
        if (progress.error[0] == '\0' && docker_is_reference(reference)) {
                docker_call_continue(call, &INSPECT, image_path(reference), NULL);
                return;
        }
        fault_set(&why, FAULT_ENGINE_REFUSED, EREMOTEIO, "the engine could not %s: %s", call->step->what,
                  progress.error[0] != '\0' ? progress.error : "it names no image");
        docker_call_fail(call, &why);
}

static const struct docker_step LOAD = {
        .method = "POST",
        .what = "load an image",
        .on_missing = FAULT_ENGINE_REFUSED,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .content_type = "application/x-tar",
        .deadline_s = LOAD_DEADLINE_S,
        .on_success = on_made,
};

static const struct docker_step BUILD = {
        .method = "POST",
        .what = "build an image",
        .on_missing = FAULT_ENGINE_REFUSED,
        .on_conflict = FAULT_ENGINE_REFUSED,
        .content_type = "application/x-tar",
        .deadline_s = BUILD_DEADLINE_S,
        .on_success = on_made,
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

int docker_image_load(struct engine *engine, int tar_fd, engine_done done, void *arg, struct engine_call **ret_call)
{
        return make(engine, &LOAD, tar_fd, NULL, docker_text("/images/load?quiet=1"), done, arg, ret_call);
}

/* Without a network: a recipe that needs one is not ours. */
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
