#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "connection.h"
#include "events.h"
#include "exchange.h"
#include "httpd-inside.h"
#include "peers.h"
#include "stream.h"

/* Beyond the bound connections are taken, told so and cut: libmicrohttpd forgets them in its next turn, and takes ten
 * in one. */
enum { CONNECTIONS_DEFAULT = 1200, CONNECTIONS_BEYOND = 64, FLUSH_TURNS = 16 };
static const double READ_DEADLINE_S = 10, IDLE_DEADLINE_S = 60, PROGRESS_DEADLINE_S = 30;

/* ---- libmicrohttpd on libev ---- */

/* One turn of libmicrohttpd. It says through MHD_get_timeout that it has more to do without any new event; that is left
 * to the loop's next turn, so that a busy client does not starve the rest of the daemon. */
static void turn(struct api_server *server)
{
        MHD_UNSIGNED_LONG_LONG wait_ms;

        ev_timer_stop(server->loop, &server->again);
        (void)MHD_run(server->http);
        if (ev_is_active(&server->again) || MHD_get_timeout(server->http, &wait_ms) != MHD_YES)
                return;
        ev_timer_set(&server->again, (double)wait_ms / 1000, 0);
        ev_timer_start(server->loop, &server->again);
}

void server_wake(struct api_server *server)
{
        ev_timer_stop(server->loop, &server->again);
        ev_timer_set(&server->again, 0, 0);
        ev_timer_start(server->loop, &server->again);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
        (void)loop;
        (void)revents;
        turn(watcher->data);
}

static void on_again(struct ev_loop *loop, ev_timer *watcher, int revents)
{
        (void)loop;
        (void)revents;
        turn(watcher->data);
}

/* libmicrohttpd would print to stderr; what matters is in the answers and the metrics. */
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
        /* At the limit libmicrohttpd stops listening, and takes it up again only at the beginning of a turn. */
        server_wake(arg);
}

/* The only place where the request line is seen as it came, and where a request that was sent together with the one
 * before it is seen to begin. Its answer would be the access handler's context: none yet. libmicrohttpd must not see
 * the query: it would make a record of each parameter in the connection's memory, and go on as if nothing was when that
 * is full, which is a request that never comes. */
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
        struct request *request = connection->request;

        if (is_gone && request != NULL && request->is_suspended)
                request_abandon(request);
        else if (!is_gone && connection->phase == CONNECTION_IDLE)
                connection_enter(connection, CONNECTION_READING);
}

static int start_http(struct api_server *server)
{
        unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
        const union MHD_DaemonInfo *info;

        server->http = MHD_start_daemon(
                flags, 0, NULL, NULL, request_on_access, server, MHD_OPTION_EXTERNAL_LOGGER, ignore_message, NULL,
                MHD_OPTION_LISTEN_SOCKET, server->options.listen_fd, MHD_OPTION_NOTIFY_COMPLETED, request_on_completed,
                server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, on_target,
                server, MHD_OPTION_CONNECTION_LIMIT, server->options.max_connections + CONNECTIONS_BEYOND,
                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                0U, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
        if (server->http == NULL)
                return -EIO;
        server->options.listen_fd = -1; /* libmicrohttpd closes it */
        info = MHD_get_daemon_info(server->http, MHD_DAEMON_INFO_EPOLL_FD);
        if (info == NULL || info->epoll_fd < 0)
                return -ENOSYS;
        ev_io_set(&server->readable, info->epoll_fd, EV_READ);
        ev_io_start(server->loop, &server->readable);
        turn(server);
        return 0;
}

/* ---- the server ---- */

int api_server_new(struct api_server **ret_server, struct ev_loop *loop, struct pool *pool, struct reaper *reaper,
                   struct metrics *metrics, const struct api_info *info, const struct api_options *options,
                   struct fault *why)
{
        struct api_server *server = calloc(1, sizeof *server);
        int r;

        if (server == NULL) {
                close(options->listen_fd);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        }
        *server = (struct api_server){
                .loop = loop, .pool = pool, .reaper = reaper, .metrics = metrics, .info = *info, .options = *options
        };
        if (server->options.max_connections == 0)
                server->options.max_connections = CONNECTIONS_DEFAULT;
        if (server->options.max_peer_connections == 0)
                server->options.max_peer_connections = server->options.max_connections;
        seats_init(&server->seats, server->options.max_connections, server->options.max_peer_connections);
        if (server->options.read_deadline_s <= 0)
                server->options.read_deadline_s = READ_DEADLINE_S;
        if (server->options.progress_deadline_s <= 0)
                server->options.progress_deadline_s = PROGRESS_DEADLINE_S;
        if (server->options.idle_deadline_s <= 0)
                server->options.idle_deadline_s = IDLE_DEADLINE_S;
        server->user_requests = (struct share){
                .bound = server->options.max_peer_connections < server->options.max_connections
                                 ? server->options.max_peer_connections
                                 : server->options.max_connections,
                .least = server->options.least_user_requests,
        };
        server->spools = (struct spool_quota){
                .places.bound = options->max_spools,
                .bytes = { .bound = options->spools_max_bytes, .least = options->file_max_bytes },
                .directory = server->options.spool_dir,
        };
        server->scratch = malloc(API_SCRATCH_BYTES);
        list_init(&server->requests);
        list_init(&server->subscribers);
        ev_io_init(&server->readable, on_readable, -1, EV_READ);
        ev_timer_init(&server->again, on_again, 0, 0);
        server->readable.data = server->again.data = server;
        r = server->scratch == NULL ? -ENOMEM : peers_new(&server->peers, loop, on_peer);
        if (r == 0)
                r = pool_listen(pool, events_on_event, server);
        if (r == 0)
                r = start_http(server);
        if (r < 0) {
                (void)api_server_free(server);
                return fault_set(why, FAULT_INTERNAL, -r, "cannot serve the API: %s", strerror(-r));
        }
        *ret_server = server;
        return 0;
}

/* libmicrohttpd must not be stopped with a suspended connection (MHD_stop_daemon): each is answered and resumed, and
 * from now on none is put to rest again. */
static void answer_all(struct api_server *server)
{
        struct fault why;

        (void)fault_set(&why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        server->is_stopping = true;
        events_cut_all(server, why.message);
        LIST_EACH (&server->requests, node) {
                struct request *request = LIST_ENTRY(node, struct request, node);

                request_drop(request);
                if (request->stream != NULL)
                        stream_stop(request->stream);
                else if (request->state == REQUEST_WORKING)
                        answer_fault(request, &why);
        }
        for (int i = 0; i < FLUSH_TURNS; i++)
                (void)MHD_run(server->http);
}

static void stop_http(struct api_server *server)
{
        int listen_fd = MHD_quiesce_daemon(server->http);

        if (listen_fd >= 0)
                close(listen_fd);
        answer_all(server);
        MHD_stop_daemon(server->http);
        server->http = NULL;
}

struct api_server *api_server_free(struct api_server *server)
{
        if (server == NULL)
                return NULL;
        pool_unlisten(server->pool, events_on_event, server);
        if (server->http != NULL)
                stop_http(server);
        ev_io_stop(server->loop, &server->readable);
        ev_timer_stop(server->loop, &server->again);
        server->peers = peers_free(server->peers);
        if (server->options.listen_fd >= 0)
                close(server->options.listen_fd);
        free(server->scratch);
        free(server);
        return NULL;
}
