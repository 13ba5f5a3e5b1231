/* An exec over a WebSocket: streams, terminal and result on the channels of v5.channel.k8s.io. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "api.h"
#include "ensure-then.h"
#include "exec-id.h"
#include "exec-query.h"
#include "fields.h"
#include "handlers.h"
#include "httpd.h"
#include "parse.h"
#include "put.h"
#include "scope.h"
#include "status-line.h"
#include "upgrade.h"
#include "websocket.h"

enum channel { CHANNEL_INPUT, CHANNEL_OUTPUT, CHANNEL_ERRORS, CHANNEL_STATUS, CHANNEL_RESIZE, CHANNEL_CLOSE = 255 };
enum { PIECES_AT_ONCE = 4 };
/* The channels of Kubernetes (docs/api.md). */
static const char PROTOCOL[] = "v5.channel.k8s.io";

struct session {
        struct request *request;
        struct exec_query query; /* until the program has been started, like `message` */
        struct exec_body message;
        ev_timer deadline;           /* of the first message */
        char exec_id[EXEC_ID_BYTES]; /* with request=message: chosen before the program exists */
        bool is_awaited;             /* the first message has not arrived */
        bool is_starting;            /* it has, and the program is being started: stdin is kept for it */
        struct exec *exec;           /* NULL: not started, or ended */
        struct websocket *socket;
        bool is_closed;       /* on_closed has been called */
        struct buffer input;  /* bytes that stdin has not accepted yet */
        bool is_input_closed; /* by the client; the rest of `input` is still written */
        char *status;         /* the result, if it came before the socket */
};

/* ---- the end ---- */

static void cancel_program(struct session *session)
{
        struct api_context *context = api_context_of(session->request);

        session->is_starting = false;
        context->wait = pool_leave(context->wait);
        if (session->exec != NULL)
                session->exec = pool_exec_cancel(api_of(session->request)->pool, session->exec);
}

static void release_session(void *arg)
{
        struct session *session = arg;

        cancel_program(session);
        ev_timer_stop(api_of(session->request)->loop, &session->deadline);
        if (session->socket != NULL && !session->is_closed) {
                websocket_close(session->socket, WEBSOCKET_GOING_AWAY);
                websocket_flush(session->socket);
        }
        session->socket = websocket_free(session->socket);
        exec_query_release(&session->query);
        exec_body_release(&session->message);
        buffer_free(&session->input);
        free(session->status);
        free(session);
}

static void on_closed(void *arg, unsigned code)
{
        struct session *session = arg;

        (void)code;
        ev_timer_stop(api_of(session->request)->loop, &session->deadline);
        cancel_program(session);
        session->is_closed = true;
        upgrade_end(session->request);
}

static void send_status(struct session *session, const char *status, enum websocket_code code)
{
        if (websocket_send(session->socket, CHANNEL_STATUS, status, strlen(status)) < 0)
                code = WEBSOCKET_INTERNAL;
        websocket_close(session->socket, code);
}

/* Takes json. */
static void tell_end(struct session *session, struct json *json, enum websocket_code code)
{
        char *status = json_take(json);

        if (session->socket == NULL) {
                session->status = status;
                return;
        }
        if (status == NULL)
                websocket_close(session->socket, WEBSOCKET_INTERNAL);
        else
                send_status(session, status, code);
        free(status);
}

/* ---- from the program ---- */

/* If the WebSocket cannot queue more, it is closed and the program paused. The caller may be a callback of the exec, so
 * the exec must not be cancelled here. */
static int send_output(struct session *session, int stream, const void *bytes, size_t length)
{
        int r = websocket_send(session->socket, stream == 1 ? CHANNEL_OUTPUT : CHANNEL_ERRORS, bytes, length);

        if (r < 0) {
                websocket_close(session->socket, WEBSOCKET_INTERNAL);
                if (session->exec != NULL)
                        exec_pause(session->exec, true);
        }
        return r;
}

/* Reads a bounded number of pieces in one turn of the loop, and none while the queue is full. */
static void pump(struct session *session)
{
        char *bytes = api_of(session->request)->scratch;

        for (int i = 0; i < PIECES_AT_ONCE && session->exec != NULL && session->socket != NULL; i++) {
                int stream = 0;
                ssize_t n = 0;

                if (!websocket_is_full(session->socket)) /* else on_drained continues */
                        n = exec_read(session->exec, &stream, bytes, API_SCRATCH_BYTES);
                if (n == 0)
                        return; /* on_readable continues */
                if (send_output(session, stream, bytes, (size_t)n) < 0)
                        return;
        }
        if (session->exec != NULL)
                exec_pause(session->exec, false); /* so that on_readable is called in the next turn */
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct session *session = arg;

        if (session->socket == NULL || length == 0)
                return;
        if (send_output(session, stream, bytes, length) == 0 && websocket_is_full(session->socket) &&
            session->exec != NULL)
                exec_pause(session->exec, true);
}

static void on_drained(void *arg)
{
        struct session *session = arg;

        if (session->exec != NULL)
                exec_pause(session->exec, false);
}

static void on_readable(void *arg)
{
        pump(arg);
}

static void on_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct session *session = arg;

        session->exec = NULL;
        if (why != NULL && !request_is_answered(session->request))
                answer_fault(session->request, why);
        else
                tell_end(session, why != NULL ? status_line_fault(why) : status_line_result(result), WEBSOCKET_NORMAL);
}

/* ---- to the program ---- */

/* Bytes that stdin does not accept wait in `input`; meanwhile the client is not read. */
static void write_input(struct session *session)
{
        ssize_t n;

        while (session->input.length > 0 && session->exec != NULL) {
                n = exec_write(session->exec, session->input.data, session->input.length);
                if (n < 0) {
                        buffer_free(&session->input); /* the program has closed its stdin: drop the rest */
                        break;
                }
                if (n == 0)
                        break;
                buffer_consume(&session->input, (size_t)n);
        }
        if (session->input.length == 0 && session->is_input_closed && session->exec != NULL)
                (void)exec_close_input(session->exec);
        websocket_pause(session->socket, session->input.length > 0 && (session->exec != NULL || session->is_starting));
}

static void on_input_ready(void *arg)
{
        struct session *session = arg;

        if (session->socket != NULL)
                write_input(session);
}

static int take_input(struct session *session, const uint8_t *bytes, size_t length)
{
        if (session->is_input_closed || (session->exec == NULL && !session->is_starting))
                return 0;
        if (buffer_append(&session->input, bytes, length) < 0)
                return -ENOMEM;
        write_input(session);
        return 0;
}

struct cells {
        uint64_t rows, columns;
};

static int read_rows(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return field_whole(value, name, 0, EXEC_CELLS_MAX, &((struct cells *)target)->rows, why);
}

static int read_columns(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return field_whole(value, name, 0, EXEC_CELLS_MAX, &((struct cells *)target)->columns, why);
}

/* {"Width":80,"Height":24}; a size of 0 is ignored. */
static int take_size(struct session *session, const uint8_t *bytes, size_t length)
{
        static const struct field SIZE[] = { { "Height", read_rows }, { "Width", read_columns }, { 0 } };
        struct cells cells = { 0 };
        cJSON *tree = NULL;

        if (fields_parse((const char *)bytes, length, SIZE, &cells, &tree, NULL) < 0)
                return -EPROTO;
        cJSON_Delete(tree);
        if (cells.rows == 0 || cells.columns == 0)
                return 0;
        if (session->exec != NULL)
                (void)exec_resize(session->exec, (uint16_t)cells.rows, (uint16_t)cells.columns);
        session->message.request.rows = (uint16_t)cells.rows;
        session->message.request.cols = (uint16_t)cells.columns;
        return 0;
}

/* A client can close stdin only. */
static int take_close(struct session *session, const uint8_t *bytes, size_t length)
{
        if (length != 1 || bytes[0] != CHANNEL_INPUT)
                return -EPROTO;
        session->is_input_closed = true;
        write_input(session);
        return 0;
}

/* A client that breaks the protocol loses its program. */
static void refuse(struct session *session, enum websocket_code code)
{
        websocket_close(session->socket, code);
        cancel_program(session);
}

static void take_request(struct session *session, bool is_text, const char *text, size_t length);

static void on_message(void *arg, bool is_text, const uint8_t *bytes, size_t length)
{
        struct session *session = arg;
        int r = -EPROTO; /* not a channel of the client */

        if (session->is_awaited) {
                take_request(session, is_text, (const char *)bytes, length);
                return;
        }
        if (is_text) {
                refuse(session, WEBSOCKET_UNSUPPORTED);
                return;
        }
        if (length > 0 && bytes[0] == CHANNEL_INPUT)
                r = take_input(session, bytes + 1, length - 1);
        else if (length > 0 && bytes[0] == CHANNEL_RESIZE)
                r = take_size(session, bytes + 1, length - 1);
        else if (length > 0 && bytes[0] == CHANNEL_CLOSE)
                r = take_close(session, bytes + 1, length - 1);
        if (r < 0)
                refuse(session, r == -ENOMEM ? WEBSOCKET_INTERNAL : WEBSOCKET_REFUSED);
}

/* ---- the beginning ---- */

static const struct exec_sink SINK = {
        .on_output = on_output, .on_done = on_done, .on_input_ready = on_input_ready, .on_readable = on_readable
};

/* ---- a request that comes as the first message ---- */

static void fail_late(struct request *request, const struct fault *why)
{
        struct session *session = request->work;

        session->is_starting = false;
        tell_end(session, status_line_fault(why), WEBSOCKET_NORMAL);
}

static void on_ready_late(struct request *request, const struct pool_ensured *ensured)
{
        struct session *session = request->work;

        (void)ensured;
        if (!carrel_run(request, &session->message.request, &SINK, session, &session->exec))
                return;
        session->is_starting = false;
        exec_body_release(&session->message);
        write_input(session);
}

static void refuse_request(struct session *session, const struct fault *why)
{
        session->is_awaited = false;
        tell_end(session, status_line_fault(why), WEBSOCKET_REFUSED);
}

static void take_request(struct session *session, bool is_text, const char *text, size_t length)
{
        struct request *request = session->request;
        struct fault why;

        ev_timer_stop(api_of(request)->loop, &session->deadline);
        websocket_bound(session->socket, WEBSOCKET_MESSAGE_MAX_BYTES);
        if (!is_text)
                (void)fault_set(&why, FAULT_REQUEST_INVALID, EPROTO, "the first message must be the request, as text");
        if (!is_text || parse_exec_message(text, length, &session->message, &why) < 0) {
                refuse_request(session, &why);
                return;
        }
        session->is_awaited = false;
        session->is_starting = true;
        session->message.request.exec_id = session->exec_id;
        api_context_of(request)->on_failed = fail_late;
        ensure_then_profile(request, session->message.profile, on_ready_late);
}

static void on_request_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct session *session = timer->data;
        struct fault why;

        (void)loop, (void)events;
        (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT, "the first message did not arrive whole within %g s",
                        api_of(session->request)->options.read_deadline_s);
        refuse_request(session, &why);
}

static void await_request(struct session *session)
{
        const struct api *api = api_of(session->request);

        websocket_bound(session->socket, HTTPD_BODY_MAX_BYTES);
        ev_timer_init(&session->deadline, on_request_deadline, api->options.read_deadline_s, 0);
        session->deadline.data = session;
        ev_timer_start(api->loop, &session->deadline);
}

/* ---- the upgrade ---- */

static void on_upgraded(struct request *request, int fd, const char *early, size_t early_length)
{
        static const struct websocket_handlers HANDLERS = { on_message, on_drained, on_closed };
        struct session *session = request->work;

        if (websocket_new(&session->socket, api_of(request)->loop, fd, true, early, early_length, &HANDLERS, session) <
            0) {
                on_closed(session, WEBSOCKET_LOST);
                return;
        }
        if (session->is_awaited)
                await_request(session);
        else if (session->exec != NULL)
                exec_pause(session->exec, false);
        else if (session->status != NULL)
                send_status(session, session->status, WEBSOCKET_NORMAL);
        else
                websocket_close(session->socket, WEBSOCKET_INTERNAL);
}

static void answer_upgrade(struct request *request, const char *exec_id)
{
        upgrade_answer(request, PROTOCOL, &(struct answer_header){ EXEC_ID_HEADER, exec_id }, on_upgraded);
}

static void on_ready(struct request *request, const struct pool_ensured *ensured)
{
        struct session *session = request->work;

        (void)ensured;
        if (!carrel_run(request, &session->query.request, &SINK, session, &session->exec))
                return;
        exec_query_release(&session->query);
        /* Paused until there is a socket for its output. */
        exec_pause(session->exec, true);
        answer_upgrade(request, exec_id(session->exec));
}

void handle_exec_socket(struct request *request)
{
        struct session *session;
        struct fault why;

        if (upgrade_check(request, PROTOCOL) < 0)
                return;
        session = calloc(1, sizeof *session);
        if (session == NULL) {
                answer_no_memory(request);
                return;
        }
        if (exec_query_parse(request->query, &session->query, &why) < 0) {
                free(session);
                answer_fault(request, &why);
                return;
        }
        session->request = request;
        request->work = session;
        request->release = release_session;
        ev_init(&session->deadline, on_request_deadline);
        session->is_awaited = session->query.is_by_message;
        if (!session->is_awaited)
                ensure_then_profile(request, session->query.profile, on_ready);
        else if (exec_id_choose(NULL, session->exec_id) == 0)
                answer_upgrade(request, session->exec_id);
        else
                answer_no_memory(request);
}
