#include "probe.h"

#include <cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "json-scope.h"

/* ---- judge the answers ---- */

/* SecurityOptions: "name=seccomp,profile=default". */
static bool has_security(const cJSON *info, const char *name)
{
        const cJSON *option;
        size_t length = strlen(name);

        cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(info, "SecurityOptions"))
        {
                const char *text = cJSON_GetStringValue(option);

                if (text != NULL && strncmp(text, name, length) == 0 && (text[length] == ',' || text[length] == '\0'))
                        return true;
        }
        return false;
}

int probe_judge_info(const char *json, size_t length, const char *runtime, struct fault *why)
{
        static const struct {
                const char *key, *promise;
        } ABILITIES[] = {
                { "MemoryLimit", "limit memory: its memory cgroup is missing" },
                { "SwapLimit", "limit swap: the kernel does not account for it (swapaccount=1)" },
                { "PidsLimit", "limit processes: its pids cgroup is missing" },
                { "CpuCfsQuota", "limit CPUs: the kernel has no CFS bandwidth control" },
        };
        AUTO(auto_json) cJSON *info = cJSON_ParseWithLength(json, length);

        if (!cJSON_IsObject(info))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, EBADMSG,
                                 "the answer is not that of a container engine");
        for (size_t i = 0; i < sizeof ABILITIES / sizeof *ABILITIES; i++)
                if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(info, ABILITIES[i].key)))
                        return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "it cannot %s", ABILITIES[i].promise);
        if (!has_security(info, "name=seccomp"))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "it has no seccomp");
        if (has_security(info, "name=rootless"))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP,
                                 "it runs without root: a carrel's network cannot be plugged into it");
        if (has_security(info, "name=userns"))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP,
                                 "it maps user ids (userns-remap): the users' files would have other owners");
        if (runtime != NULL && runtime[0] != '\0' &&
            !cJSON_HasObjectItem(cJSON_GetObjectItemCaseSensitive(info, "Runtimes"), runtime))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "it has no runtime %s", runtime);
        return 0;
}

/* ---- ask ---- */

/* An engine that has answered /_ping may be slow, but it is not missing. */
#define INFO_S 30.0

struct probe {
        struct http_client *client;
        enum probed_kind kind;
        char *runtime;
        probe_done done;
        void *arg;
};

struct probe *probe_cancel(struct probe *probe)
{
        if (probe != NULL) {
                http_client_free(probe->client);
                free(probe->runtime);
                free(probe);
        }
        return NULL;
}

static void finish(struct probe *probe, const struct fault *why)
{
        probe->done(probe->arg, probe->kind, why);
        (void)probe_cancel(probe);
}

static void finish_unanswered(struct probe *probe, const struct fault *why)
{
        struct fault own = { 0 };

        (void)fault_set(&own, FAULT_ENGINE_UNAVAILABLE, why->err, "nothing answers: %s", why->message);
        finish(probe, &own);
}

static int ask(struct probe *probe, const char *path, double deadline_s, http_done done)
{
        const struct http_request request = { .method = "GET", .path = path, .deadline_s = deadline_s };
        struct http_call *call;

        return http_send(probe->client, &request, done, probe, &call);
}

static void on_info(void *arg, const struct http_response *response, const struct fault *why)
{
        struct probe *probe = arg;
        struct fault own = { 0 };
        int r = 0;

        if (why != NULL) {
                finish_unanswered(probe, why);
                return;
        }
        if (response->status != 200)
                r = fault_set(&own, FAULT_ENGINE_UNAVAILABLE, EPROTONOSUPPORT,
                              "it answers GET /v1.41/info with %d: an engine with API 1.41 or newer is needed",
                              response->status);
        else
                r = probe_judge_info(response->body, response->body_length, probe->runtime, &own);
        finish(probe, r < 0 ? &own : NULL);
}

static void on_ping(void *arg, const struct http_response *response, const struct fault *why)
{
        struct probe *probe = arg;
        struct fault own = { 0 };
        int r;

        if (why != NULL) {
                finish_unanswered(probe, why);
                return;
        }
        probe->kind = response->status == 200 ? PROBED_PODMAN : PROBED_DOCKER;
        r = ask(probe, "/v1.41/info", INFO_S, on_info);
        if (r < 0) {
                (void)fault_set(&own, FAULT_RESOURCE_EXHAUSTED, -r, "cannot ask it: %s", strerror(-r));
                finish(probe, &own);
        }
}

/* GET /version would name the engine, but takes Podman seconds. Docker answers 400 if it is too old for a version. */
int probe_start(struct probe **ret_probe, struct ev_loop *loop, const char *socket_path, const char *runtime,
                double deadline_s, probe_done done, void *arg)
{
        const struct http_client_options options = { .socket_path = socket_path,
                                                     .authority = "engine",
                                                     .max_connections = 1 };
        struct probe *probe = calloc(1, sizeof *probe);
        int r = probe != NULL ? 0 : -ENOMEM;

        if (r == 0) {
                *probe = (struct probe){ .runtime = strdup(runtime != NULL ? runtime : ""), .done = done, .arg = arg };
                r = probe->runtime != NULL ? http_client_new(&probe->client, loop, &options) : -ENOMEM;
        }
        if (r == 0)
                r = ask(probe, "/v1.41/libpod/_ping", deadline_s, on_ping);
        if (r < 0)
                (void)probe_cancel(probe);
        else
                *ret_probe = probe;
        return r;
}
