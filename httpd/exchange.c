#include "exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "errors.h"
#include "metrics-table.h"
#include "peers.h"
#include "routes.h"
#include "seam.h"
#include "stream.h"
#include "url.h"

/* ---- waiting and answering ---- */

void request_suspend(struct request *request)
{
        if (request->is_suspended)
                return;
        request->is_suspended = true;
        MHD_suspend_connection(request->http);
        peers_await_departure(request->server->peers, request->connection->fd, request->connection);
}

void request_resume(struct request *request)
{
        if (!request->is_suspended)
                return;
        request->is_suspended = false;
        MHD_resume_connection(request->http);
        server_wake(request->server);
}

void request_answer(struct request *request, unsigned status, struct MHD_Response *response)
{
        if (request->state >= REQUEST_ANSWERED) {
                if (response != NULL)
                        MHD_destroy_response(response);
                return;
        }
        request->state = REQUEST_ANSWERED;
        request->status = status;
        request->response = response;
        request->is_gone |= response == NULL;
        request_resume(request);
}

void request_drop(struct request *request)
{
        void (*release)(void *work) = request->release;

        request->release = NULL;
        if (release != NULL)
                release(request->work);
        request->wait = pool_leave(request->wait);
}

void request_abandon(struct request *request)
{
        request->is_gone = true;
        request_drop(request);
        request_resume(request);
}

/* ---- the head ---- */

struct head {
        struct seam seam;
        unsigned content_lengths;
        unsigned transfer_encodings;
        bool is_chunked;
        bool is_expecting;
        bool has_bad_name;
        uint64_t content_length;
};

/* RFC 9110, section 5.6.2. libmicrohttpd keeps a space before the colon as a part of the name, and so overlooks a
 * length that a proxy may see. */
static bool is_token(const char *text)
{
        static const char CHARACTERS[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";

        return text[0] != '\0' && text[strspn(text, CHARACTERS)] == '\0';
}

static enum MHD_Result count_header(void *arg, enum MHD_ValueKind kind, const char *key, size_t key_length,
                                    const char *value, size_t value_length)
{
        struct head *head = arg;

        (void)kind;
        seam_field(&head->seam, key, key_length, value, value_length);
        head->has_bad_name |= !is_token(key);
        if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
                head->content_lengths++;
                if (value == NULL || str_parse_u64(value, 0, UINT64_MAX, &head->content_length) < 0)
                        head->content_lengths++;
        } else if (strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
                head->transfer_encodings++;
                head->is_chunked = value != NULL && strcasecmp(value, "chunked") == 0;
        } else if (strcasecmp(key, MHD_HTTP_HEADER_EXPECT) == 0) {
                head->is_expecting = true;
        }
        return MHD_YES;
}

/* Whether a body of that length may be sent. */
static int check_length(const struct request *request, uint64_t length, struct fault *why)
{
        if (request->refusal.kind != FAULT_NONE)
                return fault_pass(why, &request->refusal);
        if (request->spool != NULL)
                return spool_may_take(request->spool, length, why);
        return length <= API_BODY_MAX_BYTES ? 0
                                            : fault_set(why, FAULT_REQUEST_TOO_LARGE, EMSGSIZE,
                                                        "the body has more than %d bytes", API_BODY_MAX_BYTES);
}

static size_t head_bytes(struct MHD_Connection *http)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

        return info == NULL ? 0 : info->header_size;
}

/* What must be refused before the body is read: what another reader of the same bytes might take for something else.
 * Two lengths, or a length beside chunks, are how requests are smuggled past a proxy (RFC 9112, section 6.3);
 * libmicrohttpd would quietly take one of them. *ret_status is 0 when all is well. */
static void check_head(const struct request *request, const char *version, unsigned *ret_status, struct fault *why)
{
        struct MHD_Connection *http = request->http;
        struct head head = { 0 };

        *ret_status = 0;
        seam_line(&head.seam, request->method, request->connection->target, request->connection->target_end, version);
        (void)MHD_get_connection_values_n(http, MHD_HEADER_KIND, count_header, &head);
        if (head_bytes(http) > API_HEADER_MAX_BYTES) {
                *ret_status = MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE;
                (void)fault_set(why, FAULT_REQUEST_TOO_LARGE, EMSGSIZE,
                                "request line and headers have more than %d bytes", API_HEADER_MAX_BYTES);
        } else if (!seam_ends_at(&head.seam, request->method + head_bytes(http))) {
                *ret_status = MHD_HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG,
                                "request line and headers have no control character, no line is continued in the next, "
                                "and each ends with CR LF");
        } else if (head.has_bad_name) {
                *ret_status = MHD_HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG, "a header's name has a character it cannot have");
        } else if (head.content_lengths + head.transfer_encodings > 1) {
                *ret_status = MHD_HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG,
                                "a request has one Content-Length or one Transfer-Encoding");
        } else if (head.transfer_encodings > 0 && !head.is_chunked) {
                *ret_status = MHD_HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG, "the only Transfer-Encoding taken is chunked");
        } else if ((head.is_expecting || head.content_length > API_DRAIN_MAX_BYTES) &&
                   check_length(request, head.content_length, why) < 0) {
                *ret_status = error_status(why->kind);
        }
}

static enum MHD_Result send_answer(struct request *request)
{
        enum MHD_Result result;
        bool is_open;

        if (request->is_gone || request->response == NULL)
                return MHD_NO;
        request->state = REQUEST_SENDING;
        is_open = request->status == MHD_HTTP_SWITCHING_PROTOCOLS ||
                  (request->stream != NULL && !stream_has_ended(request->stream) && !stream_is_answer(request->stream));
        connection_enter(request->connection, is_open ? CONNECTION_WORKING : CONNECTION_WRITING);
        result = MHD_queue_response(request->http, request->status, request->response);
        MHD_destroy_response(request->response);
        request->response = NULL;
        return result;
}

static int refuse_role(const struct route *route, struct fault *why)
{
        return fault_set(why, FAULT_FORBIDDEN, EACCES, "%s %s is for admins", route->method, route->path);
}

/* The route, as far as it has to be known before the body is read; the rest is dispatch's. */
static int prepare_spool(struct request *request, struct fault *why)
{
        bool is_file;
        const struct api_options *options = &request->server->options;
        char *path = request->connection->target;
        char *query = strchr(path, '?');
        struct route_match match = { 0 };
        int r;

        if (query != NULL)
                *query = '\0';
        r = route_find(request->method, path, &match, NULL);
        if (query != NULL)
                *query = '?';
        if (r < 0 || (match.route->flags & ROUTE_SPOOL) == 0)
                return 0;
        if ((match.route->flags & ROUTE_ADMIN) != 0 && !request->connection->is_admin)
                return refuse_role(match.route, why);
        is_file = (match.route->flags & ROUTE_FILE) != 0;
        r = spool_new(&request->spool, &request->server->spools, is_file ? match.parameter : NULL, why);
        if (r < 0)
                return r;
        request->spool->max_bytes = options->spool_max_bytes;
        request->spool->setting = "image_max_size";
        if (is_file && options->file_max_bytes > 0) {
                request->spool->max_bytes = options->file_max_bytes;
                request->spool->setting = "file_max_size";
        }
        return 0;
}

static enum MHD_Result begin(struct connection *connection, struct MHD_Connection *http, const char *method,
                             const char *version, void **context)
{
        struct request *request = calloc(1, sizeof *request);
        struct fault why;
        unsigned status;

        if (request == NULL)
                return MHD_NO;
        request->server = connection->server;
        request->connection = connection;
        request->http = http;
        request->method = method;
        list_append(&connection->server->requests, &request->node);
        connection->request = request;
        *context = request;
        if (prepare_spool(request, &why) < 0)
                request->refusal = why;
        check_head(request, version, &status, &why);
        if (status == 0)
                return MHD_YES;
        answer_fault_as(request, status, &why, NULL);
        return send_answer(request);
}

/* ---- the body ---- */

/* libmicrohttpd takes no answer while a body comes in. */
static enum MHD_Result cut(struct request *request, const struct fault *why)
{
        connection_cut(request->connection, error_status(why->kind), why);
        return MHD_NO;
}

/* A slow peer is no idle one; one that sends a byte now and then has no more time for it. */
static void earn_time(struct request *request)
{
        if (request->received_bytes - request->timed_bytes < API_PROGRESS_BYTES)
                return;
        request->timed_bytes = request->received_bytes;
        connection_enter(request->connection, CONNECTION_READING);
}

/* Who is refused is let speak for a while, so that he gets to read why: a client that meets a closed socket while it
 * sends is told of that alone. */
static enum MHD_Result receive_spooled(struct request *request, const char *bytes, size_t length)
{
        struct fault *refusal = &request->refusal;

        if (refusal->kind == FAULT_NONE && spool_write(request->spool, bytes, length, refusal) == 0) {
                earn_time(request);
                return MHD_YES;
        }
        request->drained_bytes += length;
        return request->drained_bytes <= API_DRAIN_MAX_BYTES ? MHD_YES : cut(request, refusal);
}

static enum MHD_Result receive(struct request *request, const char *bytes, size_t length)
{
        struct fault why;

        request->received_bytes += length;
        if (request->spool != NULL || request->refusal.kind != FAULT_NONE)
                return receive_spooled(request, bytes, length);
        if (request->received_bytes <= API_BODY_MAX_BYTES) {
                earn_time(request);
                return buffer_append(&request->body, bytes, length) == 0 ? MHD_YES : MHD_NO;
        }
        buffer_free(&request->body);
        if (request->received_bytes <= API_DRAIN_MAX_BYTES)
                return MHD_YES;
        (void)check_length(request, request->received_bytes, &why);
        return cut(request, &why);
}

/* ---- the work ---- */

static int check_use(const struct request *request, const struct route *route, struct fault *why)
{
        if ((route->flags & ROUTE_ADMIN) != 0 && !request->connection->is_admin)
                return refuse_role(route, why);
        if (request->refusal.kind != FAULT_NONE)
                return fault_pass(why, &request->refusal);
        if (request->spool != NULL && spool_finish(request->spool, why) < 0)
                return -EIO;
        if (request->spool == NULL && check_length(request, request->received_bytes, why) < 0)
                return -EMSGSIZE;
        if ((route->flags & (ROUTE_BODY | ROUTE_SPOOL)) == 0 && request->received_bytes > 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s %s takes no body", route->method, route->path);
        if (route->query == NULL && request->query != NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s %s takes no query", route->method,
                                 route->path);
        return 0;
}

static void dispatch(struct request *request)
{
        char *path = request->connection->target;
        struct route_match match = { 0 };
        struct fault why;

        request->state = REQUEST_WORKING;
        request->query = strchr(path, '?');
        if (request->query != NULL)
                *request->query++ = '\0';
        if (route_find(request->method, path, &match, &why) < 0) {
                const struct answer_header allow = { MHD_HTTP_HEADER_ALLOW, match.allow };

                answer_fault_as(request, error_status(why.kind), &why,
                                why.kind == FAULT_METHOD_NOT_ALLOWED ? &allow : NULL);
                return;
        }
        request->route = match.route;
        request->rest = match.rest;
        memcpy(request->parameter, match.parameter, sizeof request->parameter);
        if (check_use(request, match.route, &why) < 0 ||
            ((match.route->flags & ROUTE_SHARED) != 0 &&
             connection_occupy(request->connection, request->parameter, &why) < 0))
                answer_fault(request, &why);
        else
                match.route->handle(request);
}

enum MHD_Result request_on_access(void *arg, struct MHD_Connection *http, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_length, void **context)
{
        struct request *request = *context;

        (void)arg;
        (void)url;
        if (request == NULL) {
                const union MHD_ConnectionInfo *info =
                        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
                struct connection *connection = info == NULL ? NULL : info->socket_context;

                return connection == NULL || connection->target == NULL || connection->is_cut
                               ? MHD_NO
                               : begin(connection, http, method, version, context);
        }
        if (*upload_length > 0) {
                size_t length = *upload_length;

                *upload_length = 0;
                return receive(request, upload, length);
        }
        if (request->state == REQUEST_READING) {
                if (request->server->is_stopping)
                        return MHD_NO;
                connection_enter(request->connection, CONNECTION_WORKING);
                dispatch(request);
        }
        if (request->state == REQUEST_ANSWERED || request->is_gone)
                return send_answer(request);
        request_suspend(request);
        return MHD_YES;
}

/* ---- the end ---- */

static void count_request(const struct request *request)
{
        char status[8];

        (void)snprintf(status, sizeof status, "%u", request->status);
        metrics_add(request->server->metrics, METRIC_HTTP_REQUESTS, 1,
                    request->route == NULL ? "none" : request->route->label, request->status == 0 ? "cut" : status,
                    NULL);
}

void request_on_completed(void *arg, struct MHD_Connection *http, void **context, enum MHD_RequestTerminationCode code)
{
        struct request *request = *context;

        (void)arg;
        (void)http;
        (void)code;
        *context = NULL;
        if (request == NULL)
                return;
        count_request(request);
        request_drop(request);
        list_remove(&request->node);
        request->connection->request = NULL;
        if (request->status != MHD_HTTP_SWITCHING_PROTOCOLS)
                connection_vacate(request->connection);
        connection_enter(request->connection, CONNECTION_IDLE);
        if (request->response != NULL)
                MHD_destroy_response(request->response);
        request->stream = stream_free(request->stream);
        buffer_free(&request->body);
        request->spool = spool_free(request->spool);
        free(request);
}
