#include "httpd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "connection.h"
#include "exchange.h"
#include "httpd-inside.h"
#include "peers.h"
#include "stream.h"

/* More connections than max_connections are accepted, answered with the reason and cut: libmicrohttpd frees them in
 * its next turn, and accepts ten in one turn. */
enum { CONNECTIONS_BEYOND = 64, FLUSH_TURNS = 16 };

/* ---- libmicrohttpd on libev ---- */

/* One turn of libmicrohttpd. When it has more to do without a new event (MHD_get_timeout), that waits for the loop's
 * next turn, so that a busy client does not starve the rest of the daemon. */
static void turn(struct httpd *httpd)
{
        MHD_UNSIGNED_LONG_LONG wait_ms;

        ev_timer_stop(httpd->loop, &httpd->next_turn);
        (void)MHD_run(httpd->http);
        if (ev_is_active(&httpd->next_turn) || MHD_get_timeout(httpd->http, &wait_ms) != MHD_YES)
                return;
        ev_timer_set(&httpd->next_turn, (double)wait_ms / 1000, 0);
        ev_timer_start(httpd->loop, &httpd->next_turn);
}

void httpd_wake(struct httpd *httpd)
{
        ev_timer_stop(httpd->loop, &httpd->next_turn);
        ev_timer_set(&httpd->next_turn, 0, 0);
        ev_timer_start(httpd->loop, &httpd->next_turn);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
        (void)loop;
        (void)revents;
        turn(watcher->data);
}

static void on_next_turn(struct ev_loop *loop, ev_timer *watcher, int revents)
{
        (void)loop;
        (void)revents;
        turn(watcher->data);
}

/* libmicrohttpd would print to stderr. The answers and the metrics have the same information. */
__attribute__((format(printf, 2, 0))) static void ignore_message(void *arg, const char *format, va_list args)
{
        (void)arg;
        (void)format;
        (void)args;
}

static void on_connection(void *arg, struct MHD_Connection *http, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);

        if (code == MHD_CONNECTION_NOTIFY_STARTED && info != NULL)
                *socket_context = connection_new(arg, info->connect_fd);
        if (code != MHD_CONNECTION_NOTIFY_CLOSED)
                return;
        *socket_context = connection_free(*socket_context);
        /* At the limit libmicrohttpd stops listening, and resumes only at the beginning of a turn. */
        httpd_wake(arg);
}

/* The only callback that sees the request line as it came, and the beginning of a request that was sent together with
 * the one before it. The result is the access handler's first context: NULL. The query is hidden from libmicrohttpd: it
 * would make a record of each parameter in the connection's memory, and when that is full it goes on as if nothing had
 * happened, and never calls the access handler. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *http)
{
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        struct connection *connection = info == NULL ? NULL : info->socket_context;

        (void)arg;
        if (connection == NULL)
                return NULL;
        free(connection->target);
        connection->target = strdup(target);
        connection->target_end = target + strlen(target);
        if (strchr(target, '?') != NULL)
                strchr((char *)target, '?')[1] = '\0';
        if (connection->phase == CONNECTION_IDLE)
                connection_enter(connection, CONNECTION_READING);
        return NULL;
}

static void on_peer(void *arg, bool is_gone)
{
        struct connection *connection = arg;
        struct exchange *exchange = connection->exchange;

        if (is_gone && exchange != NULL && exchange->is_suspended)
                exchange_abandon(exchange);
        else if (!is_gone && connection->phase == CONNECTION_IDLE)
                connection_enter(connection, CONNECTION_READING);
        else
                connection->has_missed = true;
}

static int start_http(struct httpd *httpd)
{
        unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
        const union MHD_DaemonInfo *info;

        httpd->http = MHD_start_daemon(
                flags, 0, NULL, NULL, exchange_on_access, httpd, MHD_OPTION_EXTERNAL_LOGGER, ignore_message, NULL,
                MHD_OPTION_LISTEN_SOCKET, httpd->options.listen_fd, MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed,
                httpd, MHD_OPTION_NOTIFY_CONNECTION, on_connection, httpd, MHD_OPTION_URI_LOG_CALLBACK, on_target,
                httpd, MHD_OPTION_CONNECTION_LIMIT, httpd->options.max_connections + CONNECTIONS_BEYOND,
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0U,
                MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
        if (httpd->http == NULL)
                return -EIO;
        httpd->options.listen_fd = -1; /* libmicrohttpd closes it */
        info = MHD_get_daemon_info(httpd->http, MHD_DAEMON_INFO_EPOLL_FD);
        if (info == NULL || info->epoll_fd < 0)
                return -ENOSYS;
        ev_io_set(&httpd->readable, info->epoll_fd, EV_READ);
        ev_io_start(httpd->loop, &httpd->readable);
        turn(httpd);
        return 0;
}

/* ---- the server ---- */

static unsigned smaller(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

int httpd_new(struct httpd **ret_httpd, struct ev_loop *loop, const struct httpd_app *app,
              const struct httpd_options *options, struct fault *why)
{
        struct httpd *httpd = calloc(1, sizeof *httpd);
        int r;

        if (httpd == NULL) {
                close(options->listen_fd);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        *httpd = (struct httpd){ .loop = loop, .app = *app, .options = *options };
        seats_init(&httpd->seats, options->max_connections, options->max_peer_connections);
        httpd->user_requests = (struct share){
                .bound = smaller(options->max_peer_connections, options->max_connections),
                .least = options->least_user_requests,
        };
        httpd->spools = (struct spool_quota){
                .places.bound = options->max_uploads,
                .bytes = { .bound = options->uploads_size, .least = options->least_user_upload },
                .directory = options->spool_dir,
        };
        list_init(&httpd->exchanges);
        ev_io_init(&httpd->readable, on_readable, -1, EV_READ);
        ev_timer_init(&httpd->next_turn, on_next_turn, 0, 0);
        httpd->readable.data = httpd->next_turn.data = httpd;
        r = peers_new(&httpd->peers, loop, on_peer);
        if (r == 0)
                r = start_http(httpd);
        if (r < 0) {
                (void)httpd_free(httpd);
                return fault_set(why, FAULT_INTERNAL, -r, "cannot start the HTTP server: %s", strerror(-r));
        }
        *ret_httpd = httpd;
        return 0;
}

/* libmicrohttpd must not be stopped with a suspended connection (MHD_stop_daemon): each is answered and resumed, and
 * is_stopping keeps others from being suspended. */
static void answer_all(struct httpd *httpd)
{
        struct fault why;

        (void)fault_set(&why, FAULT_CANCELLED, ECANCELED, "the server is being stopped");
        httpd->is_stopping = true;
        httpd->app.on_stop(httpd->app.arg);
        LIST_EACH (&httpd->exchanges, node) {
                struct exchange *exchange = LIST_ENTRY(node, struct exchange, node);

                exchange_drop(exchange);
                if (exchange->request.stream != NULL)
                        stream_stop(exchange->request.stream);
                else if (exchange->state == EXCHANGE_WORKING)
                        answer_fault(&exchange->request, &why);
        }
        for (int i = 0; i < FLUSH_TURNS; i++)
                (void)MHD_run(httpd->http);
}

static void stop_http(struct httpd *httpd)
{
        int listen_fd = MHD_quiesce_daemon(httpd->http);

        if (listen_fd >= 0)
                close(listen_fd);
        answer_all(httpd);
        MHD_stop_daemon(httpd->http);
        httpd->http = NULL;
}

struct httpd *httpd_free(struct httpd *httpd)
{
        if (httpd == NULL)
                return NULL;
        if (httpd->http != NULL)
                stop_http(httpd);
        ev_io_stop(httpd->loop, &httpd->readable);
        ev_timer_stop(httpd->loop, &httpd->next_turn);
        httpd->peers = peers_free(httpd->peers);
        if (httpd->options.listen_fd >= 0)
                close(httpd->options.listen_fd);
        free(httpd);
        return NULL;
}

void httpd_stats(const struct httpd *httpd, struct httpd_stats *ret_stats)
{
        *ret_stats = (struct httpd_stats){
                .connections = httpd->seats.n,
                .spool_bytes = httpd->spools.bytes.used,
                .spool_bytes_max = httpd->spools.bytes.bound,
        };
}
