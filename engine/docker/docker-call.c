#include "docker-call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docker-breaker.h"
#include "docker-query.h"
#include "scope.h"
#include "str.h"
#include "wire.h"

#define FIRST_RETRY_S 0.02
#define LAST_RETRY_S 0.4

static void send_step(struct docker_call *call);

/* ---- the life of a call ---- */

/* Stops everything that could run the call. */
static void call_detach(struct docker_call *call)
{
        call->http = http_cancel(call->http);
        ev_timer_stop(call->loop, &call->timer);
        list_remove(&call->node);
}

void docker_call_free(struct docker_call *call)
{
        if (call == NULL)
                return;
        call_detach(call);
        if (call->free_extra != NULL)
                call->free_extra(call->extra);
        free(call->path);
        free(call->body);
        free(call->subject);
        free(call);
}

void docker_call_enter(struct docker_call *call)
{
        call->is_busy = true;
}

bool docker_call_leave(struct docker_call *call)
{
        call->is_busy = false;
        if (!call->is_cancelled)
                return true;
        docker_call_free(call);
        return false;
}

static void call_cancel(struct engine_call *base)
{
        struct docker_call *call = (struct docker_call *)base;

        call_detach(call);
        if (call->is_busy)
                call->is_cancelled = true;
        else
                docker_call_free(call);
}

static void call_pause(struct engine_call *base, bool is_paused)
{
        struct docker_call *call = (struct docker_call *)base;

        call->is_paused = is_paused;
        if (call->http != NULL && call->step->is_stream)
                http_pause(call->http, is_paused);
}

void docker_call_succeed(struct docker_call *call, const struct engine_reply *reply)
{
        call_detach(call);
        call->is_busy = true; /* a cancel inside done must not free the call twice */
        call->done(call->arg, reply, NULL);
        docker_call_free(call);
}

void docker_call_fail(struct docker_call *call, const struct fault *why)
{
        call_detach(call);
        call->is_busy = true;
        call->done(call->arg, NULL, why);
        docker_call_free(call);
}

void docker_call_garbled(struct docker_call *call, int err)
{
        struct fault why;

        if (err == -ENOMEM)
                fault_set(&why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "no memory to %s", call->step->what);
        else
                fault_set(&why, FAULT_ENGINE_UNAVAILABLE, EBADMSG,
                          "the engine's answer to a request to %s is not one that its API documents", call->step->what);
        docker_call_fail(call, &why);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct docker_call *call = timer->data;

        if (call->why.kind != FAULT_NONE)
                docker_call_fail(call, &call->why);
        else
                send_step(call);
}

static void call_arm(struct docker_call *call, double delay_s)
{
        ev_timer_stop(call->loop, &call->timer);
        ev_timer_set(&call->timer, delay_s, 0.0);
        ev_timer_start(call->loop, &call->timer);
}

int docker_call_new(struct docker_call **ret_call, struct docker *docker, const char *subject, engine_done done,
                    void *arg)
{
        struct docker_call *call = calloc(1, sizeof *call);

        if (call == NULL)
                return -ENOMEM;
        list_init(&call->node);
        ev_init(&call->timer, on_timer);
        call->timer.data = call;
        call->base = (struct engine_call){ .cancel = call_cancel, .pause = call_pause };
        call->docker = docker;
        call->loop = docker->loop;
        call->body_fd = -1;
        call->done = done;
        call->arg = arg;
        call->retry_delay_s = FIRST_RETRY_S;
        call->subject = strdup(subject != NULL ? subject : "");
        if (call->subject == NULL) {
                docker_call_free(call);
                return -ENOMEM;
        }
        *ret_call = call;
        return 0;
}

/* ---- answers ---- */

static bool is_unreachable(const struct fault *why)
{
        return why->kind == FAULT_ENGINE_UNAVAILABLE &&
               (why->err == ECONNREFUSED || why->err == ENOENT || why->err == EACCES || why->err == EAGAIN);
}

static void fail_unanswered(struct docker_call *call, const struct fault *http_why)
{
        struct docker *docker = call->docker;
        struct fault why;

        if (is_unreachable(http_why))
                breaker_open(docker);
        fault_set(&why, http_why->kind, http_why->err, "the engine at %s did not %s: %s", docker->socket_path,
                  call->step->what, http_why->message);
        why.retry_after_s = 1;
        docker_call_fail(call, &why);
}

static void set_refusal(const struct docker_call *call, const struct http_response *response, struct fault *why)
{
        const struct docker_step *step = call->step;
        enum fault_kind kind = FAULT_ENGINE_REFUSED;
        int r = EREMOTEIO;
        char message[192];

        wire_decode_message(response->body, response->body_length, message, sizeof message);
        if (response->status == 404) {
                kind = step->on_missing;
                r = ENOENT;
        } else if (response->status == 409) {
                kind = step->on_conflict;
                r = EEXIST;
        }
        if (kind == FAULT_IMAGE_MISSING)
                fault_set(why, kind, r, "the engine has no image %s: make it with \"carrel image build\", or %s %s",
                          call->subject, call->docker->quirks->pull_command, call->subject);
        else
                fault_set(why, kind, r, "the engine refused to %s (%d): %s", step->what, response->status, message);
}

/* The answer, with the status that Docker would have given. */
static struct http_response understood(const struct docker_rule *rules, const struct http_response *response)
{
        struct http_response answer = *response;
        char message[192];

        wire_decode_message(response->body, response->body_length, message, sizeof message);
        for (; rules->status != 0; rules++)
                if (rules->status == response->status && strstr(message, rules->words) != NULL)
                        answer.status = rules->understood_as;
        return answer;
}

static void on_refusal(struct docker_call *call, const struct http_response *response)
{
        const struct docker_step *step = call->step;
        struct http_response answer = understood(call->docker->quirks->rules, response);
        struct fault why;

        if (step->on_refusal != NULL && step->on_refusal(call, &answer))
                return;
        set_refusal(call, &answer, &why);
        docker_call_fail(call, &why);
}

static void on_response(void *arg, const struct http_response *response, const struct fault *http_why)
{
        struct docker_call *call = arg;
        const struct docker_step *step = call->step;

        call->http = NULL;
        ev_timer_stop(call->loop, &call->timer);
        if (http_why != NULL && step->on_cut != NULL && step->on_cut(call, http_why))
                return;
        if (http_why != NULL)
                fail_unanswered(call, http_why);
        else if (response->status / 100 == 2 || response->status == 304)
                step->on_success(call, response);
        else
                on_refusal(call, response);
}

static void on_stream_header(void *arg)
{
        struct docker_call *call = arg;

        ev_timer_stop(call->loop, &call->timer);
        call->why = (struct fault){ 0 };
        if (call->step->on_started != NULL)
                call->step->on_started(call);
}

static void on_stream_data(void *arg, const void *bytes, size_t length)
{
        struct docker_call *call = arg;

        call->step->on_data(call, bytes, length);
}

/* ---- requests ---- */

static double seconds_left(const struct docker_call *call)
{
        double left = call->deadline_at - ev_now(call->loop);

        return left > 0.001 ? left : 0.001;
}

static void fail_soon(struct docker_call *call, enum fault_kind kind, int err, const char *sentence)
{
        fault_set(&call->why, kind, err, "%s", sentence);
        call_arm(call, 0.0);
}

static int send_request(struct docker_call *call)
{
        const struct docker_step *step = call->step;
        struct docker *docker = call->docker;
        AUTO(auto_free) char *path = docker_text("%s%s", docker->prefix, call->path);
        const struct http_request request = {
                .method = step->method,
                .path = path,
                .content_type = call->body != NULL ? "application/json" : step->content_type,
                .body = call->body,
                .body_length = call->body != NULL ? strlen(call->body) : 0,
                .body_fd = call->body_fd,
                .deadline_s = step->is_stream ? 0.0 : seconds_left(call),
                .after_header = step->is_stream ? call->input : NULL,
                .after_header_length = step->is_stream ? call->input_length : 0,
                .is_hijacked = step->is_stream && call->input_length > 0,
                .on_header = step->is_stream ? on_stream_header : NULL,
                .on_data = step->on_data != NULL ? on_stream_data : NULL,
        };

        if (path == NULL)
                return -ENOMEM;
        if (step->is_stream) {
                fault_set(&call->why, FAULT_DEADLINE, ETIMEDOUT, "the engine at %s did not %s in time",
                          docker->socket_path, step->what);
                call_arm(call, docker->call_deadline_s);
        }
        int r = http_send(step->is_stream ? docker->streams : docker->http, &request, on_response, call, &call->http);
        if (r == 0 && step->is_stream && call->is_paused)
                http_pause(call->http, true);
        return r;
}

/* "1.41" -> 1041; -1: not a version. */
static int version_number(const char *text)
{
        int major;
        int minor;
        char rest;

        return sscanf(text, "%2d.%3d%c", &major, &minor, &rest) == 2 ? major * 1000 + minor : -1;
}

void docker_use_version(struct docker *docker, const char *api_version)
{
        snprintf(docker->prefix, sizeof docker->prefix, "/v%s", api_version);
        snprintf(docker->api_version, sizeof docker->api_version, "%s", api_version);
}

/* 1.41, for which this file was written, or the engine's oldest version if that is newer. */
static int choose_version(struct docker *docker, const struct engine_about *about, const char *min)
{
        static const char OURS[] = "1.41";
        const char *chosen = version_number(min) > version_number(OURS) ? min : OURS;

        if (version_number(min) < 0 || version_number(about->api_version) < version_number(chosen))
                return -EBADMSG;
        docker_use_version(docker, chosen);
        snprintf(docker->version, sizeof docker->version, "%s", about->version);
        return 0;
}

static void on_version(void *arg, const struct http_response *response, const struct fault *http_why)
{
        struct docker_call *call = arg;
        struct engine_about about = { 0 };
        char min[16];
        int r;

        call->http = NULL;
        if (http_why != NULL) {
                fail_unanswered(call, http_why);
                return;
        }
        r = response->status == 200 ? wire_decode_version(response->body, response->body_length, &about, min)
                                    : -EBADMSG;
        if (r == 0)
                r = choose_version(call->docker, &about, min);
        if (r == 0)
                r = send_request(call);
        if (r < 0)
                docker_call_garbled(call, r);
}

static int send_version(struct docker_call *call)
{
        const struct http_request request = {
                .method = "GET",
                .path = "/version",
                .deadline_s = call->deadline_at > 0 ? seconds_left(call) : call->docker->call_deadline_s,
        };

        return http_send(call->docker->http, &request, on_version, call, &call->http);
}

static int try_step(struct docker_call *call)
{
        const char *known = call->docker->quirks->known_api_version;

        if (call->docker->prefix[0] == '\0' && known != NULL)
                docker_use_version(call->docker, known);
        if (!call->docker->is_open)
                return call->docker->prefix[0] != '\0' ? send_request(call) : send_version(call);
        fault_set(&call->why, FAULT_ENGINE_UNAVAILABLE, EHOSTDOWN,
                  "the engine at %s does not answer its ping: is it running?", call->docker->socket_path);
        call->why.retry_after_s = 1;
        call_arm(call, 0.0);
        return 0;
}

static void send_step(struct docker_call *call)
{
        if (call->deadline_at > 0 && ev_now(call->loop) >= call->deadline_at) {
                if (call->refusal.kind != FAULT_NONE)
                        docker_call_fail(call, &call->refusal);
                else
                        fail_soon(call, FAULT_DEADLINE, ETIMEDOUT, "the engine did not finish in time");
                return;
        }
        int r = try_step(call);
        if (r < 0)
                docker_call_garbled(call, r);
}

int docker_call_request(struct docker_call *call, const struct docker_step *step, char *path, char *body)
{
        double deadline_s = step->deadline_s > 0 ? step->deadline_s : call->docker->call_deadline_s;

        free(call->path);
        free(call->body);
        call->path = path;
        call->body = body;
        call->step = step;
        call->why = (struct fault){ 0 };
        if (call->path == NULL)
                return -ENOMEM;
        ev_now_update(call->loop);
        if (call->deadline_at <= 0 && !step->is_stream)
                call->deadline_at = ev_now(call->loop) + deadline_s;
        if (list_is_empty(&call->node))
                list_append(&call->docker->calls, &call->node);
        return try_step(call);
}

void docker_call_continue(struct docker_call *call, const struct docker_step *step, char *path, char *body)
{
        int r = docker_call_request(call, step, path, body);

        if (r < 0)
                docker_call_garbled(call, r);
}

void docker_call_repeat(struct docker_call *call)
{
        call->refusal = (struct fault){ 0 };
        call_arm(call, call->retry_delay_s);
        call->retry_delay_s = call->retry_delay_s * 2 < LAST_RETRY_S ? call->retry_delay_s * 2 : LAST_RETRY_S;
}

void docker_call_repeat_refused(struct docker_call *call, const struct http_response *response)
{
        docker_call_repeat(call);
        set_refusal(call, response, &call->refusal);
}
