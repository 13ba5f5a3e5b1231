#include "api-client.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api-reach.h"
#include "client.h"
#include "frames.h"
#include "interrupt.h"
#include "lines.h"
#include "scope.h"

/* An exec event carries at most one read's worth of output, in base64 or with every byte escaped. */
enum { LINE_LIMIT_BYTES = 4 * 1024 * 1024 };
/* A body that is larger waits for the server's agreement; a smaller one is sent before a refusal could come. */
enum { ASK_FIRST_BYTES = 1 << 20 };

struct api_client {
        struct ev_loop *loop;
        struct http_client *http;
        const char *socket_path;
        double deadline_s;
        int interrupt_fd; /* -1: none */
};

/* One call under way. */
struct pending {
        struct api_client *client;
        struct http_call *call; /* NULL once done has run */
        struct api_error *error;
        struct lines lines;
        struct frames frames;
        bool is_framed;                          /* the stream is of frames, not of lines */
        const struct api_stream_request *stream; /* NULL: a plain call */
        ev_io interrupt;
        api_on_bytes on_bytes; /* of a call whose answer is no JSON */
        void *bytes_arg;
        cJSON *answer;
        int result;
};

int api_client_new(struct api_client **ret_client, const char *socket_path, double deadline_s)
{
        struct api_client *client = calloc(1, sizeof *client);
        const struct http_client_options options = { .socket_path = socket_path, .authority = "carrel" };
        int r;

        if (client == NULL)
                return -ENOMEM;
        client->socket_path = socket_path;
        client->interrupt_fd = -1;
        client->deadline_s = deadline_s;
        client->loop = ev_loop_new(EVFLAG_AUTO);
        r = client->loop == NULL ? -ENOMEM : http_client_new(&client->http, client->loop, &options);
        if (r < 0) {
                api_client_free(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

void api_client_heed(struct api_client *client, int interrupt_fd)
{
        client->interrupt_fd = interrupt_fd;
}

struct api_client *api_client_free(struct api_client *client)
{
        if (client == NULL)
                return NULL;
        client->http = http_client_free(client->http);
        if (client->loop != NULL)
                ev_loop_destroy(client->loop);
        free(client);
        return NULL;
}

static void finish(struct pending *pending, int result)
{
        pending->result = result;
        ev_break(pending->client->loop, EVBREAK_ALL);
}

static void read_success(struct pending *pending, const struct http_response *response)
{
        if (pending->on_bytes != NULL) {
                finish(pending, 0);
                return;
        }
        if (pending->stream != NULL) {
                if ((pending->is_framed ? frames_end(&pending->frames) : lines_end(&pending->lines)) == 0) {
                        finish(pending, 0);
                        return;
                }
                pending->error->status = STATUS_FAILED;
                (void)snprintf(pending->error->message, sizeof pending->error->message,
                               "carreld's answer ended in the middle of a %s", pending->is_framed ? "frame" : "line");
                finish(pending, -EPROTO);
                return;
        }
        pending->answer = response->body_length > 0 ? cJSON_ParseWithLength(response->body, response->body_length)
                                                    : cJSON_CreateObject();
        if (pending->answer == NULL) {
                pending->error->status = STATUS_FAILED;
                (void)snprintf(pending->error->message, sizeof pending->error->message,
                               "the answer of %s is not JSON: is it carreld's socket?", pending->client->socket_path);
        }
        finish(pending, pending->answer != NULL ? 0 : -EPROTO);
}

static void on_done(void *arg, const struct http_response *response, const struct fault *why)
{
        struct pending *pending = arg;

        pending->call = NULL;
        if (why != NULL) {
                api_reach_explain(pending->error, pending->client->socket_path, why);
                finish(pending, -ECONNREFUSED);
                return;
        }
        pending->error->http_status = response->status;
        if (response->status >= 200 && response->status <= 299) {
                read_success(pending, response);
                return;
        }
        api_error_parse(pending->error, response->status, response->body);
        finish(pending, -EREMOTEIO);
}

static int on_line(void *arg, const char *line, size_t length)
{
        struct pending *pending = arg;
        cJSON *json = cJSON_ParseWithLength(line, length);

        if (json == NULL)
                return -EPROTO;
        int r = pending->stream->on_line(pending->stream->arg, json);
        cJSON_Delete(json);
        if (r < 0)
                pending->error->is_abandoned = true;
        return r;
}

static int on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct pending *pending = arg;
        int r = pending->stream->on_output(pending->stream->arg, stream, bytes, length);

        if (r < 0)
                pending->error->is_abandoned = true;
        return r;
}

/* The answer may be frames or lines: its header says which. */
static void on_stream_header(void *arg)
{
        struct pending *pending = arg;
        const char *type = http_header(pending->call, "Content-Type");
        const char *exec_id;

        pending->is_framed = type != NULL && str_equal(type, FRAMES_TYPE);
        exec_id = http_header(pending->call, "Carrel-Exec-Id");
        if (exec_id != NULL && pending->stream->on_exec_id != NULL)
                pending->stream->on_exec_id(pending->stream->arg, exec_id);
}

static void on_data(void *arg, const void *bytes, size_t length)
{
        struct pending *pending = arg;
        const struct frames_visitor visitor = { on_output, on_line, pending };
        int r = pending->is_framed ? frames_feed(&pending->frames, bytes, length, &visitor)
                                   : lines_feed(&pending->lines, bytes, length, on_line, pending);

        if (r == 0)
                return;
        pending->call = http_cancel(pending->call);
        pending->error->status = STATUS_FAILED;
        if (r == -EINTR)
                pending->error->signal = interrupt_read(pending->stream->interrupt_fd);
        else if (!pending->error->is_abandoned)
                (void)snprintf(pending->error->message, sizeof pending->error->message, "carreld's answer is %s",
                               r == -EMSGSIZE       ? "a line beyond every bound"
                               : pending->is_framed ? "not a frame"
                                                    : "not a line of JSON");
        finish(pending, r);
}

static void on_interrupt(struct ev_loop *loop, ev_io *watcher, int revents)
{
        struct pending *pending = watcher->data;
        int signal = interrupt_read(watcher->fd);

        (void)loop;
        (void)revents;
        if (signal == 0)
                return;
        if (pending->stream != NULL && pending->stream->on_interrupt != NULL &&
            pending->stream->on_interrupt(pending->stream->arg, signal) == 0)
                return;
        pending->call = http_cancel(pending->call);
        pending->error->signal = signal;
        pending->error->status = STATUS_FAILED;
        finish(pending, -EINTR);
}

static int fail_locally(struct api_error *error, int err)
{
        *error = (struct api_error){ .status = STATUS_FAILED };
        (void)snprintf(error->message, sizeof error->message, "cannot send the request: %s", strerror(-err));
        return err;
}

/* Sends and runs the loop until the end. */
static int run(struct pending *pending, struct http_request *request, const cJSON *body)
{
        struct api_client *client = pending->client;
        AUTO(auto_free) char *text = NULL;

        *pending->error = (struct api_error){ .status = STATUS_FAILED };
        if (body != NULL) {
                text = cJSON_PrintUnformatted(body);
                if (text == NULL)
                        return fail_locally(pending->error, -ENOMEM);
                request->content_type = "application/json";
                request->body = text;
                request->body_length = strlen(text);
        }
        int r = http_send(client->http, request, on_done, pending, &pending->call);
        if (r < 0)
                return fail_locally(pending->error, r);
        int interrupt_fd = pending->stream != NULL ? pending->stream->interrupt_fd : client->interrupt_fd;
        if (interrupt_fd >= 0) {
                ev_io_init(&pending->interrupt, on_interrupt, interrupt_fd, EV_READ);
                pending->interrupt.data = pending;
                ev_io_start(client->loop, &pending->interrupt);
        }
        ev_run(client->loop, 0);
        ev_io_stop(client->loop, &pending->interrupt);
        return pending->result;
}

int api_call(struct api_client *client, const char *method, const char *path, const cJSON *body, cJSON **ret_answer,
             struct api_error *ret_error)
{
        struct pending pending = { .client = client, .error = ret_error };
        struct http_request request = { .method = method,
                                        .path = path,
                                        .body_fd = -1,
                                        .accept = "application/json",
                                        .deadline_s = client->deadline_s };
        int r = run(&pending, &request, body);

        if (r == 0)
                *ret_answer = pending.answer;
        return r;
}

static void on_bytes(void *arg, const void *bytes, size_t length)
{
        struct pending *pending = arg;
        int r = pending->on_bytes(pending->bytes_arg, bytes, length);

        if (r >= 0)
                return;
        pending->call = http_cancel(pending->call);
        pending->error->is_abandoned = true;
        finish(pending, r);
}

int api_receive(struct api_client *client, const char *path, api_on_bytes on_data_bytes, void *arg,
                struct api_error *ret_error)
{
        struct pending pending = { .client = client, .error = ret_error, .on_bytes = on_data_bytes, .bytes_arg = arg };
        struct http_request request = { .method = "GET", .path = path, .body_fd = -1, .on_data = on_bytes };

        return run(&pending, &request, NULL);
}

int api_send_file(struct api_client *client, const char *method, const char *path, int fd, cJSON **ret_answer,
                  struct api_error *ret_error)
{
        struct pending pending = { .client = client, .error = ret_error };
        struct http_request request = { .method = method,
                                        .path = path,
                                        .content_type = "application/octet-stream",
                                        .body_fd = fd,
                                        .accept = "application/json" };
        struct stat file;
        int r;

        request.asks_first = fstat(fd, &file) == 0 && file.st_size > ASK_FIRST_BYTES;
        r = run(&pending, &request, NULL);

        if (r == 0)
                *ret_answer = pending.answer;
        return r;
}

int api_stream(struct api_client *client, const struct api_stream_request *request, struct api_error *ret_error)
{
        struct pending pending = {
                .client = client, .error = ret_error, .stream = request, .lines = { .limit_bytes = LINE_LIMIT_BYTES }
        };
        struct http_request http_request = { .method = request->method,
                                             .path = request->path,
                                             .body_fd = -1,
                                             .accept = request->on_output != NULL ? FRAMES_TYPE ", application/x-ndjson"
                                                                                  : "application/x-ndjson",
                                             .on_header = request->on_output != NULL ? on_stream_header : NULL,
                                             .on_data = on_data };
        int r = run(&pending, &http_request, request->body);

        lines_free(&pending.lines);
        frames_free(&pending.frames);
        return r;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
        (void)timer;
        (void)revents;
        ev_break(loop, EVBREAK_ALL);
}

void api_client_wait(struct api_client *client, double seconds)
{
        ev_timer timer;

        ev_timer_init(&timer, on_timer, seconds, 0.0);
        ev_timer_start(client->loop, &timer);
        ev_run(client->loop, 0);
        ev_timer_stop(client->loop, &timer);
}
