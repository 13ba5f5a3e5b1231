#include "probe.h"

#include <cJSON.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "scope.h"
#include "str.h"

/* --- what the answers mean --------------------------------------------------------------------------------------- */

static void json_release(cJSON **json)
{
        cJSON_Delete(*json);
}

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
        AUTO(json_release) cJSON *info = cJSON_ParseWithLength(json, length);

        if (!cJSON_IsObject(info))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, EBADMSG, "what answers there is no engine");
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
                                 "it moves user ids (userns-remap): the users' files would have other owners");
        if (runtime != NULL && runtime[0] != '\0' &&
            !cJSON_HasObjectItem(cJSON_GetObjectItemCaseSensitive(info, "Runtimes"), runtime))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP, "it has no runtime %s", runtime);
        return 0;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

struct inquiry {
        struct ev_loop *loop;
        struct buffer body;
        int status; /* 0: no answer */
        struct fault why;
};

static void on_answer(void *arg, const struct http_response *response, const struct fault *why)
{
        struct inquiry *inquiry = arg;

        if (why != NULL)
                inquiry->why = *why;
        else if (buffer_append(&inquiry->body, response->body, response->body_length) == 0)
                inquiry->status = response->status;
        ev_break(inquiry->loop, EVBREAK_ALL);
}

/* One question, to its answer or its deadline. */
static int ask(struct http_client *client, struct inquiry *inquiry, const char *path, double deadline_s,
               struct fault *why)
{
        const struct http_request request = { .method = "GET", .path = path, .deadline_s = deadline_s };
        struct http_call *call;
        int r;

        inquiry->status = 0;
        buffer_free(&inquiry->body);
        inquiry->body = (struct buffer){ 0 };
        r = http_send(client, &request, on_answer, inquiry, &call);
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot ask it: %s", strerror(-r));
        ev_run(inquiry->loop, 0);
        if (inquiry->status != 0)
                return 0;
        return fault_set(why, FAULT_ENGINE_UNAVAILABLE, inquiry->why.err, "nothing answers: %s", inquiry->why.message);
}

/* GET /version would tell who it is, and takes Podman seconds. Docker answers 400 to a version that it is too old for.
 */
static int inquire(struct http_client *client, struct inquiry *inquiry, const char *runtime, double deadline_s,
                   enum probed_kind *ret_kind, struct fault *why)
{
        int r = ask(client, inquiry, "/v1.41/libpod/_ping", deadline_s / 2, why);

        if (r == 0) {
                *ret_kind = inquiry->status == 200 ? PROBED_PODMAN : PROBED_DOCKER;
                r = ask(client, inquiry, "/v1.41/info", deadline_s / 2, why);
        }
        if (r == 0 && inquiry->status != 200)
                r = fault_set(why, FAULT_ENGINE_UNAVAILABLE, EPROTONOSUPPORT,
                              "it answers GET /v1.41/info with %d: an engine with API 1.41 or newer is needed",
                              inquiry->status);
        if (r == 0)
                r = probe_judge_info(inquiry->body.data, inquiry->body.length, runtime, why);
        return r;
}

int probe_engine(const char *socket_path, const char *runtime, double deadline_s, enum probed_kind *ret_kind,
                 struct fault *why)
{
        const struct http_client_options options = { .socket_path = socket_path,
                                                     .authority = "engine",
                                                     .max_connections = 1 };
        struct inquiry inquiry = { .loop = ev_loop_new(EVFLAG_AUTO) };
        struct http_client *client = NULL;
        int r = inquiry.loop != NULL ? http_client_new(&client, inquiry.loop, &options) : -ENOMEM;

        if (r < 0)
                fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot ask it: %s", strerror(-r));
        else
                r = inquire(client, &inquiry, runtime, deadline_s, ret_kind, why);
        http_client_free(client);
        buffer_free(&inquiry.body);
        if (inquiry.loop != NULL)
                ev_loop_destroy(inquiry.loop);
        return r;
}
