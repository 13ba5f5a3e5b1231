#include "exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "errors.h"
#include "httpd-inside.h"
#include "seam.h"
#include "stream.h"
#include "upgrade.h"

/* ---- for handlers ---- */

void *request_app(const struct request *request)
{
        return exchange_of(request)->httpd->app.arg;
}

void *request_context(struct request *request)
{
        return exchange_of(request)->context;
}

const char *request_header(const struct request *request, const char *name)
{
        return MHD_lookup_connection_value(exchange_of(request)->http, MHD_HEADER_KIND, name);
}

bool request_is_answered(const struct request *request)
{
        return exchange_of(request)->state >= EXCHANGE_ANSWERED;
}

int request_occupy(struct request *request, const char *user, struct fault *why)
{
        return connection_occupy(exchange_of(request)->connection, user, why);
}

/* ---- waiting and answering ---- */

void exchange_suspend(struct exchange *exchange)
{
        if (exchange->is_suspended)
                return;
        exchange->is_suspended = true;
        MHD_suspend_connection(exchange->http);
        connection_await_peer(exchange->connection);
}

void exchange_resume(struct exchange *exchange)
{
        if (!exchange->is_suspended)
                return;
        exchange->is_suspended = false;
        MHD_resume_connection(exchange->http);
        httpd_wake(exchange->httpd);
}

void exchange_answer(struct exchange *exchange, unsigned status, struct MHD_Response *response)
{
        if (exchange->state >= EXCHANGE_ANSWERED) {
                if (response != NULL)
                        MHD_destroy_response(response);
                return;
        }
        exchange->state = EXCHANGE_ANSWERED;
        exchange->status = status;
        exchange->response = response;
        exchange->is_gone |= response == NULL;
        exchange_resume(exchange);
}

void exchange_drop(struct exchange *exchange)
{
        struct request *request = &exchange->request;
        void (*release)(void *work) = request->release;

        if (exchange->is_dropped)
                return;
        exchange->is_dropped = true;
        request->release = NULL;
        if (release != NULL)
                release(request->work);
        exchange->httpd->app.on_drop(exchange->context);
        upgrade_end(request);
}

void exchange_abandon(struct exchange *exchange)
{
        exchange->is_gone = true;
        exchange_drop(exchange);
        exchange_resume(exchange);
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

static bool is_letter_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 9110, section 5.6.2. libmicrohttpd keeps a space before the colon as a part of the name, and so misses a length
 * that a proxy may see. */
static bool is_token(const char *text)
{
        const char *at = text;

        while (is_letter_or_digit(*at) || (*at != '\0' && strchr("!#$%&'*+-.^_`|~", *at) != NULL))
                at++;
        return at > text && *at == '\0';
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

/* Checks that a body of that length may be sent. */
static int check_length(const struct exchange *exchange, uint64_t length, struct fault *why)
{
        const struct spool *spool = exchange->request.spool;

        if (exchange->refusal.kind != FAULT_NONE)
                return fault_pass(why, &exchange->refusal);
        if (spool != NULL)
                return spool_may_take(spool, length, why);
        if (length > HTTPD_BODY_MAX_BYTES)
                return fault_set(why, FAULT_REQUEST_TOO_LARGE, EMSGSIZE, "the body has more than %d bytes",
                                 HTTPD_BODY_MAX_BYTES);
        return 0;
}

static size_t head_bytes(struct MHD_Connection *http)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

        return info == NULL ? 0 : info->header_size;
}

/* Refuses, before the body is read, a head that another reader of the same bytes may understand differently. Two
 * lengths, or a length together with chunks, are how requests are smuggled past a proxy (RFC 9112, section 6.3);
 * libmicrohttpd would use one of them without a notice. *ret_status is 0 when the head is good. */
static void check_head(const struct exchange *exchange, const char *version, unsigned *ret_status, struct fault *why)
{
        const struct connection *connection = exchange->connection;
        const char *method = exchange->request.method;
        struct head head = { 0 };

        *ret_status = 0;
        seam_line(&head.seam, method, connection->target, connection->target_end, version);
        (void)MHD_get_connection_values_n(exchange->http, MHD_HEADER_KIND, count_header, &head);
        if (head_bytes(exchange->http) > HEADER_MAX_BYTES) {
                *ret_status = HTTP_HEADERS_TOO_LARGE;
                (void)fault_set(why, FAULT_REQUEST_TOO_LARGE, EMSGSIZE,
                                "request line and headers have more than %d bytes", HEADER_MAX_BYTES);
        } else if (!seam_ends_at(&head.seam, method + head_bytes(exchange->http))) {
                *ret_status = HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG,
                                "request line and headers must have no control characters and no continued lines, "
                                "and each must end with CR LF");
        } else if (head.has_bad_name) {
                *ret_status = HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG,
                                "the name of a header has a character that is not allowed");
        } else if (head.content_lengths + head.transfer_encodings > 1) {
                *ret_status = HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG,
                                "a request may have one Content-Length or one Transfer-Encoding");
        } else if (head.transfer_encodings > 0 && !head.is_chunked) {
                *ret_status = HTTP_BAD_REQUEST;
                (void)fault_set(why, FAULT_REQUEST_INVALID, EBADMSG, "the only Transfer-Encoding accepted is chunked");
        } else if ((head.is_expecting || head.content_length > DRAIN_MAX_BYTES) &&
                   check_length(exchange, head.content_length, why) < 0) {
                *ret_status = error_status(why->kind);
        }
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
        const struct stream *stream = exchange->request.stream;
        enum MHD_Result result;
        bool is_open;

        if (exchange->is_gone || exchange->response == NULL)
                return MHD_NO;
        exchange->state = EXCHANGE_SENDING;
        is_open = exchange->status == HTTP_SWITCHING_PROTOCOLS ||
                  (stream != NULL && !stream_has_ended(stream) && !stream_is_answer(stream));
        connection_enter(exchange->connection, is_open ? CONNECTION_WORKING : CONNECTION_WRITING);
        result = MHD_queue_response(exchange->http, exchange->status, exchange->response);
        MHD_destroy_response(exchange->response);
        exchange->response = NULL;
        return result;
}

static int refuse_role(const struct route *route, struct fault *why)
{
        return fault_set(why, FAULT_FORBIDDEN, EACCES, "%s %s is for admins", route->method, route->path);
}

/* Faults are left to dispatch. */
static void find_route(struct exchange *exchange)
{
        struct request *request = &exchange->request;
        char *path = exchange->connection->target;
        char *query = strchr(path, '?');
        struct route_match match;

        if (query != NULL)
                *query = '\0';
        if (route_find(&exchange->httpd->app.routes, request->method, path, &match, NULL) == 0) {
                exchange->route = match.route;
                request->rest = match.rest;
                memcpy(request->parameter, match.parameter, sizeof request->parameter);
        }
        if (query != NULL)
                *query = '?';
}

/* Before the body is read. */
static int prepare_spool(struct exchange *exchange, struct fault *why)
{
        struct httpd *httpd = exchange->httpd;
        struct request *request = &exchange->request;
        const struct route *route = exchange->route;
        bool is_users;

        if (route == NULL || (route->flags & ROUTE_SPOOL) == 0)
                return 0;
        if ((route->flags & ROUTE_ADMIN) != 0 && !exchange->connection->is_admin)
                return refuse_role(route, why);
        is_users = (route->flags & ROUTE_SHARED) != 0;
        return spool_new(&request->spool, &httpd->spools, is_users ? request->parameter : NULL,
                         &httpd->options.spool_limits[route->spool_limit], why);
}

static enum MHD_Result begin(struct connection *connection, struct MHD_Connection *http, const char *method,
                             const char *version, void **context)
{
        struct httpd *httpd = connection->httpd;
        struct exchange *exchange = calloc(1, sizeof *exchange + httpd->app.context_bytes);
        struct fault why;
        unsigned status;

        if (exchange == NULL)
                return MHD_NO;
        exchange->httpd = httpd;
        exchange->connection = connection;
        exchange->http = http;
        exchange->request.method = method;
        list_append(&httpd->exchanges, &exchange->node);
        connection->exchange = exchange;
        *context = exchange;
        find_route(exchange);
        if (prepare_spool(exchange, &why) < 0)
                exchange->refusal = why;
        check_head(exchange, version, &status, &why);
        if (status == 0)
                return MHD_YES;
        answer_fault_as(&exchange->request, status, &why, NULL);
        return send_answer(exchange);
}

/* ---- the body ---- */

/* libmicrohttpd accepts no answer while a body comes in. */
static enum MHD_Result cut(struct exchange *exchange, const struct fault *why)
{
        connection_cut(exchange->connection, error_status(why->kind), why);
        return MHD_NO;
}

/* A slow client keeps its connection; one that sends a byte now and then does not. */
static void earn_time(struct exchange *exchange)
{
        if (exchange->received_bytes - exchange->timed_bytes < PROGRESS_BYTES)
                return;
        exchange->timed_bytes = exchange->received_bytes;
        connection_enter(exchange->connection, CONNECTION_READING);
}

/* After a refusal the body is drained for a while: a client that finds the socket closed while it sends does not read
 * the answer. */
static enum MHD_Result receive_spooled(struct exchange *exchange, const char *bytes, size_t length)
{
        struct fault *refusal = &exchange->refusal;

        if (refusal->kind == FAULT_NONE && spool_write(exchange->request.spool, bytes, length, refusal) == 0) {
                earn_time(exchange);
                return MHD_YES;
        }
        exchange->drained_bytes += length;
        return exchange->drained_bytes <= DRAIN_MAX_BYTES ? MHD_YES : cut(exchange, refusal);
}

static enum MHD_Result receive(struct exchange *exchange, const char *bytes, size_t length)
{
        struct request *request = &exchange->request;
        struct fault why;

        exchange->received_bytes += length;
        if (request->spool != NULL || exchange->refusal.kind != FAULT_NONE)
                return receive_spooled(exchange, bytes, length);
        if (exchange->received_bytes <= HTTPD_BODY_MAX_BYTES) {
                earn_time(exchange);
                return buffer_append(&request->body, bytes, length) == 0 ? MHD_YES : MHD_NO;
        }
        buffer_free(&request->body);
        if (exchange->received_bytes <= DRAIN_MAX_BYTES)
                return MHD_YES;
        (void)check_length(exchange, exchange->received_bytes, &why);
        return cut(exchange, &why);
}

/* ---- the work ---- */

static int check_use(const struct exchange *exchange, const struct route *route, struct fault *why)
{
        struct spool *spool = exchange->request.spool;

        if ((route->flags & ROUTE_ADMIN) != 0 && !exchange->connection->is_admin)
                return refuse_role(route, why);
        if (exchange->refusal.kind != FAULT_NONE)
                return fault_pass(why, &exchange->refusal);
        if (spool != NULL && spool_finish(spool, why) < 0)
                return -EIO;
        if (spool == NULL && check_length(exchange, exchange->received_bytes, why) < 0)
                return -EMSGSIZE;
        if ((route->flags & (ROUTE_BODY | ROUTE_SPOOL)) == 0 && exchange->received_bytes > 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s %s takes no body", route->method, route->path);
        if (route->query == NULL && exchange->request.query != NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s %s takes no query", route->method,
                                 route->path);
        return 0;
}

/* Looks again, for the reason: what failed once fails again. */
static void answer_no_route(struct exchange *exchange, const char *path)
{
        struct request *request = &exchange->request;
        struct route_match match = { 0 };
        const struct answer_header allow = { MHD_HTTP_HEADER_ALLOW, match.allow };
        struct fault why;

        if (route_find(&exchange->httpd->app.routes, request->method, path, &match, &why) < 0)
                answer_fault_as(request, error_status(why.kind), &why,
                                why.kind == FAULT_METHOD_NOT_ALLOWED ? &allow : NULL);
}

static void dispatch(struct exchange *exchange)
{
        struct request *request = &exchange->request;
        char *path = exchange->connection->target;
        const struct route *route = exchange->route;
        struct fault why;

        exchange->state = EXCHANGE_WORKING;
        request->query = strchr(path, '?');
        if (request->query != NULL)
                *request->query++ = '\0';
        if (route == NULL) {
                answer_no_route(exchange, path);
                return;
        }
        request->route = route;
        if (check_use(exchange, route, &why) < 0 ||
            ((route->flags & ROUTE_SHARED) != 0 && request_occupy(request, request->parameter, &why) < 0))
                answer_fault(request, &why);
        else
                route->handle(request);
}

enum MHD_Result exchange_on_access(void *arg, struct MHD_Connection *http, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_length, void **context)
{
        struct exchange *exchange = *context;

        (void)arg;
        (void)url;
        if (exchange == NULL) {
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
                return receive(exchange, upload, length);
        }
        if (exchange->state == EXCHANGE_READING) {
                if (exchange->httpd->is_stopping)
                        return MHD_NO;
                connection_enter(exchange->connection, CONNECTION_WORKING);
                dispatch(exchange);
        }
        if (exchange->state == EXCHANGE_ANSWERED || exchange->is_gone)
                return send_answer(exchange);
        exchange_suspend(exchange);
        return MHD_YES;
}

/* ---- the end ---- */

void exchange_on_completed(void *arg, struct MHD_Connection *http, void **context, enum MHD_RequestTerminationCode code)
{
        struct exchange *exchange = *context;
        struct request *request;
        const struct httpd_app *app;

        (void)arg;
        (void)http;
        (void)code;
        *context = NULL;
        if (exchange == NULL)
                return;
        request = &exchange->request;
        app = &exchange->httpd->app;
        app->on_request(app->arg, request->route, exchange->status);
        exchange_drop(exchange);
        list_remove(&exchange->node);
        exchange->connection->exchange = NULL;
        if (exchange->status != HTTP_SWITCHING_PROTOCOLS)
                connection_vacate(exchange->connection);
        connection_enter(exchange->connection, CONNECTION_IDLE);
        if (exchange->response != NULL)
                MHD_destroy_response(exchange->response);
        request->stream = stream_free(request->stream);
        buffer_free(&request->body);
        request->spool = spool_free(request->spool);
        free(exchange);
}
