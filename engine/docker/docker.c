#include "docker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "docker-breaker.h"
#include "docker-call.h"
#include "docker-exec.h"
#include "docker-image.h"
#include "docker-query.h"
#include "docker-watch.h"
#include "scope.h"
#include "seccomp-profile.h"
#include "str.h"
#include "wire.h"

enum { MAX_CONNECTIONS = 64, MAX_STREAMS = 8192 };

/* ---- answers ---- */

static void on_nothing(struct docker_call *call, const struct http_response *response)
{
        const struct engine_reply reply = { 0 };

        docker_call_succeed(call, &reply);
}

static void on_created(struct docker_call *call, const struct http_response *response)
{
        char id[ENGINE_ID_BYTES];
        const struct engine_reply reply = { .id = id };
        int r = wire_decode_id(response->body, response->body_length, id);

        if (r < 0)
                docker_call_garbled(call, r);
        else
                docker_call_succeed(call, &reply);
}

static void on_inspected(struct docker_call *call, const struct http_response *response)
{
        struct container_info info;
        const struct engine_reply reply = { .containers = &info, .n_containers = 1 };
        int r = wire_decode_container(response->body, response->body_length, &info);

        if (r < 0) {
                docker_call_garbled(call, r);
                return;
        }
        docker_call_succeed(call, &reply);
        container_info_release(&info);
}

static void on_listed(struct docker_call *call, const struct http_response *response)
{
        struct container_info *infos;
        struct engine_reply reply = { 0 };
        int r = wire_decode_list(response->body, response->body_length, &infos, &reply.n_containers);

        if (r < 0) {
                docker_call_garbled(call, r);
                return;
        }
        reply.containers = infos;
        docker_call_succeed(call, &reply);
        container_infos_free(infos, reply.n_containers);
}

static bool says(const struct http_response *response, const char *words)
{
        char message[256];

        wire_decode_message(response->body, response->body_length, message, sizeof message);
        return strstr(message, words) != NULL;
}

static bool on_create_refused(struct docker_call *call, const struct http_response *response)
{
        const struct docker_quirks *quirks = call->docker->quirks;

        return response->status == 409 && quirks->on_name_taken != NULL && quirks->on_name_taken(call, response);
}

/* The name is still taken for a moment: a removal is in progress, or (Podman 4.3) init died between the engine's check
 * and its SIGKILL. */
static bool is_removal_unfinished(const struct http_response *response)
{
        return response->status == 409 &&
               (says(response, "already in progress") || says(response, "could not be stopped"));
}

/* A container that is gone already counts as removed. A 5xx may be temporary: Podman 4.3.1, restarted while it made a
 * container, refuses once with "removing container ...: unlinkat .../userdata/shm: device or resource busy" and then
 * removes it. */
static bool on_remove_refused(struct docker_call *call, const struct http_response *response)
{
        if (response->status == 404)
                on_nothing(call, response);
        else if (is_removal_unfinished(response))
                docker_call_repeat(call);
        else if (response->status / 100 == 5)
                docker_call_repeat_refused(call, response);
        else
                return false;
        return true;
}

/* The container has the requested state already (docker 20.10 answers 409 or 500 with these words). */
static bool on_pause_refused(struct docker_call *call, const struct http_response *response)
{
        if (!says(response, "already paused"))
                return false;
        on_nothing(call, response);
        return true;
}

static bool on_unpause_refused(struct docker_call *call, const struct http_response *response)
{
        if (!says(response, "is not paused"))
                return false;
        on_nothing(call, response);
        return true;
}

/* ---- requests ---- */

enum operation { CLAIM, CREATE, INSPECT, LIST, PAUSE, REMOVE, START, UNPAUSE };

static const struct docker_step STEPS[] = {
        [CLAIM] = { "POST", "rename a container", FAULT_NOT_FOUND, FAULT_NAME_TAKEN, .on_success = on_nothing },
        [CREATE] = { "POST", "create a container", FAULT_IMAGE_MISSING, FAULT_NAME_TAKEN, .on_success = on_created,
                     .on_refusal = on_create_refused },
        [INSPECT] = { "GET", "inspect a container", FAULT_NOT_FOUND, FAULT_ENGINE_REFUSED, .on_success = on_inspected },
        [LIST] = { "GET", "list containers", FAULT_ENGINE_REFUSED, FAULT_ENGINE_REFUSED, .on_success = on_listed },
        [PAUSE] = { "POST", "pause a container", FAULT_NOT_FOUND, FAULT_ENGINE_REFUSED, .on_success = on_nothing,
                    .on_refusal = on_pause_refused },
        [REMOVE] = { "DELETE", "remove a container", FAULT_NOT_FOUND, FAULT_ENGINE_REFUSED, .on_success = on_nothing,
                     .on_refusal = on_remove_refused },
        [START] = { "POST", "start a container", FAULT_NOT_FOUND, FAULT_ENGINE_REFUSED, .on_success = on_nothing },
        [UNPAUSE] = { "POST", "unpause a container", FAULT_NOT_FOUND, FAULT_ENGINE_REFUSED, .on_success = on_nothing,
                      .on_refusal = on_unpause_refused },
};

/* Takes path and body. */
static int begin(struct engine *engine, enum operation operation, const char *subject, char *path, char *body,
                 engine_done done, void *arg, struct engine_call **ret_call)
{
        struct docker_call *call;
        int r = docker_call_new(&call, (struct docker *)engine, subject, done, arg);

        if (r < 0) {
                free(path);
                free(body);
                return r;
        }
        r = docker_call_request(call, &STEPS[operation], path, body);
        if (r < 0)
                docker_call_free(call);
        else
                *ret_call = &call->base;
        return r;
}

static int docker_create(struct engine *engine, const struct container_spec *spec, engine_done done, void *arg,
                         struct engine_call **ret_call)
{
        const struct docker *docker = (const struct docker *)engine;

        if (!docker_is_name(spec->name) || !docker_is_reference(spec->image) || spec->uid == 0 || spec->gid == 0)
                return -EINVAL;
        AUTO(auto_free) char *seccomp = docker->quirks->seccomp_option(docker);
        if (seccomp == NULL)
                return -errno;
        const struct wire_machine machine = {
                .has_ipv6 = docker->has_ipv6,
                .nproc = docker->quirks->nproc != NULL ? docker->quirks->nproc() : 0,
                .engine = docker->quirks->engine,
                .seccomp_option = seccomp,
        };
        char *body = wire_encode_create(spec, &machine);
        if (body == NULL)
                return -ENOMEM;
        return begin(engine, CREATE, spec->image, docker_text("/containers/create?name=%s", spec->name), body, done,
                     arg, ret_call);
}

static int docker_start(struct engine *engine, const char *id, engine_done done, void *arg,
                        struct engine_call **ret_call)
{
        if (!docker_is_name(id))
                return -EINVAL;
        return begin(engine, START, id, docker_text("/containers/%s/start", id), NULL, done, arg, ret_call);
}

static int docker_inspect(struct engine *engine, const char *id, engine_done done, void *arg,
                          struct engine_call **ret_call)
{
        if (!docker_is_name(id))
                return -EINVAL;
        return begin(engine, INSPECT, id, docker_text("/containers/%s/json", id), NULL, done, arg, ret_call);
}

static int docker_list(struct engine *engine, const char *label, const char *value, engine_done done, void *arg,
                       struct engine_call **ret_call)
{
        static const struct docker_filter NO_MORE = { NULL, NULL };
        AUTO(auto_free) char *filters = docker_filters(label, value, &NO_MORE);

        if (filters == NULL)
                return -ENOMEM;
        return begin(engine, LIST, NULL, docker_text("/containers/json?all=1&filters=%s", filters), NULL, done, arg,
                     ret_call);
}

/* The labels of a container cannot be changed. */
static int docker_claim(struct engine *engine, const char *id, const char *name, const struct label *labels,
                        size_t n_labels, engine_done done, void *arg, struct engine_call **ret_call)
{
        (void)labels, (void)n_labels;
        if (!docker_is_name(id) || !docker_is_name(name))
                return -EINVAL;
        return begin(engine, CLAIM, id, docker_text("/containers/%s/rename?name=%s", id, name), NULL, done, arg,
                     ret_call);
}

static int docker_remove(struct engine *engine, const char *id, engine_done done, void *arg,
                         struct engine_call **ret_call)
{
        if (!docker_is_name(id))
                return -EINVAL;
        const struct docker *docker = (const struct docker *)engine;

        return begin(engine, REMOVE, id,
                     docker_text("%s%s?%s", docker->quirks->remove_path, id, docker->quirks->remove_query), NULL, done,
                     arg, ret_call);
}

static int docker_pause(struct engine *engine, const char *id, bool is_paused, engine_done done, void *arg,
                        struct engine_call **ret_call)
{
        if (!docker_is_name(id))
                return -EINVAL;
        return begin(engine, is_paused ? PAUSE : UNPAUSE, id,
                     docker_text("/containers/%s/%s", id, is_paused ? "pause" : "unpause"), NULL, done, arg, ret_call);
}

/* ---- the engine ---- */

static void docker_about(const struct engine *engine, struct engine_about *ret_about)
{
        const struct docker *docker = (const struct docker *)engine;
        struct engine_about about = { .is_available = !docker->is_open };

        snprintf(about.kind, sizeof about.kind, "%s", docker->quirks->kind);
        memcpy(about.version, docker->version, sizeof about.version);
        memcpy(about.api_version, docker->api_version, sizeof about.api_version);
        if (docker->is_open)
                snprintf(about.detail, sizeof about.detail,
                         "%s does not answer on %.108s: start it (systemctl start %s), or set engine_socket",
                         about.kind, docker->socket_path, docker->quirks->service);
        *ret_about = about;
}

static struct engine *docker_free(struct engine *engine)
{
        struct docker *docker = (struct docker *)engine;

        if (docker == NULL)
                return NULL;
        docker->watch = docker_watch_free(docker->watch);
        while (!list_is_empty(&docker->calls))
                engine_cancel(&LIST_ENTRY(docker->calls.next, struct docker_call, node)->base);
        breaker_stop(docker);
        http_client_free(docker->http);
        http_client_free(docker->streams);
        if (docker->quirks->free_extra != NULL)
                docker->quirks->free_extra(docker->extra);
        free(docker->socket_path);
        free(docker);
        return NULL;
}

static const struct engine_ops OPERATIONS = {
        .free = docker_free,
        .about = docker_about,
        .create = docker_create,
        .start = docker_start,
        .inspect = docker_inspect,
        .list = docker_list,
        .claim = docker_claim,
        .remove = docker_remove,
        .pause = docker_pause,
        .exec = docker_exec,
        .exec_inspect = docker_exec_inspect,
        .image_inspect = docker_image_inspect,
        .image_list = docker_image_list,
        .image_load = docker_image_load,
        .image_remove = docker_image_remove,
        .image_build = docker_image_build,
        .watch = docker_watch,
};

static int open_clients(struct docker *docker)
{
        struct http_client_options options = {
                .socket_path = docker->socket_path,
                .authority = "docker",
                .max_connections = MAX_CONNECTIONS,
        };
        int r = http_client_new(&docker->http, docker->loop, &options);

        if (r < 0)
                return r;
        options.max_connections = MAX_STREAMS;
        return http_client_new(&docker->streams, docker->loop, &options);
}

static int docker_alloc(struct docker **ret_docker, struct ev_loop *loop, const struct docker_options *options)
{
        struct docker *docker;

        if (strlen(options->socket_path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
                return -ENAMETOOLONG;
        docker = calloc(1, sizeof *docker);
        if (docker == NULL)
                return -ENOMEM;
        docker->loop = loop;
        list_init(&docker->calls);
        docker->call_deadline_s = options->call_deadline_s > 0 ? options->call_deadline_s : ENGINE_DEADLINE_S;
        docker->ping_interval_s = options->ping_interval_s > 0 ? options->ping_interval_s : 1.0;
        docker->has_ipv6 = access("/proc/sys/net/ipv6/conf/all/disable_ipv6", F_OK) == 0;
        *ret_docker = docker;
        return 0;
}

int docker_new_quirky(struct engine **ret_engine, struct ev_loop *loop, const struct docker_options *options,
                      const struct docker_quirks *quirks, void *extra)
{
        struct docker *docker;
        int r = docker_alloc(&docker, loop, options);

        if (r < 0) {
                if (quirks->free_extra != NULL)
                        quirks->free_extra(extra);
                return r;
        }
        docker->quirks = quirks;
        docker->extra = extra;
        docker->ops = OPERATIONS;
        docker->ops.kind = quirks->kind;
        docker->engine.ops = &docker->ops;
        docker->socket_path = strdup(options->socket_path);
        r = docker->socket_path != NULL ? open_clients(docker) : -ENOMEM;
        if (r < 0) {
                docker_free(&docker->engine);
                return r;
        }
        breaker_start(docker);
        *ret_engine = &docker->engine;
        return 0;
}

/* ---- Docker itself ---- */

static char *docker_seccomp_option(const struct docker *docker)
{
        struct buffer option = { 0 };
        char *text = NULL;

        if (buffer_text(&option, "seccomp=") == 0 && seccomp_profile_json(&option) == 0)
                text = buffer_take(&option);
        buffer_free(&option);
        if (text == NULL)
                errno = ENOMEM;
        return text;
}

static const char *const EVENT_ACTIONS[] = { "start", "die", "destroy", "oom", "exec_die", NULL };

static const struct docker_rule RULES[] = { { 0 } };

static const struct docker_quirks QUIRKS = {
        .kind = "docker",
        .engine = PROFILE_DOCKER,
        .pull_command = "docker pull",
        .service = "docker",
        .remove_path = "/containers/",
        .remove_query = "force=1&v=1",
        .event_actions = EVENT_ACTIONS,
        .rules = RULES,
        .report_words = "OCI runtime exec failed",
        .seccomp_option = docker_seccomp_option,
};

int docker_new(struct engine **ret_engine, struct ev_loop *loop, const struct docker_options *options)
{
        return docker_new_quirky(ret_engine, loop, options, &QUIRKS, NULL);
}
