#include "connection.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errors.h"
#include "peers.h"
#include "scope.h"

static bool has_supplementary_group(int fd, gid_t group)
{
        socklen_t size = 0;
        AUTO(auto_free) gid_t *groups = NULL;

        /* unix(7), SO_PEERGROUPS: ERANGE tells the size that is needed. */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE)
                return false;
        groups = malloc(size);
        if (groups == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof *groups; i++)
                if (groups[i] == group)
                        return true;
        return false;
}

/* The credentials are those of connect(2): a later exec or setuid of the peer changes nothing. */
static bool is_admin(int fd, gid_t admin_gid)
{
        struct ucred peer;
        socklen_t size = sizeof peer;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || size != sizeof peer)
                return false;
        if (peer.uid == 0 || peer.uid == geteuid())
                return true;
        if (admin_gid == (gid_t)-1)
                return false;
        return peer.gid == admin_gid || has_supplementary_group(fd, admin_gid);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
        struct connection *connection = timer->data;
        struct fault why;

        (void)revents;
        ev_timer_stop(loop, timer);
        if (connection->phase != CONNECTION_READING) {
                connection_cut(connection, 0, NULL);
                return;
        }
        (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT,
                        "the request's head did not arrive whole, or of its body less than %d bytes, within %g s",
                        API_PROGRESS_BYTES, connection->server->options.read_deadline_s);
        connection_cut(connection, MHD_HTTP_REQUEST_TIMEOUT, &why);
}

struct connection *connection_new(struct api_server *server, int fd)
{
        struct connection *connection = calloc(1, sizeof *connection);

        if (connection == NULL)
                return NULL;
        if (peers_add(server->peers, fd, connection) < 0) {
                free(connection);
                return NULL;
        }
        connection->server = server;
        connection->fd = fd;
        connection->is_admin = is_admin(fd, server->options.admin_gid);
        ev_init(&connection->deadline, on_deadline);
        connection->deadline.data = connection;
        connection_enter(connection, CONNECTION_IDLE);
        return connection;
}

struct connection *connection_free(struct connection *connection)
{
        if (connection == NULL)
                return NULL;
        peers_remove(connection->server->peers, connection->fd);
        ev_timer_stop(connection->server->loop, &connection->deadline);
        free(connection->target);
        free(connection);
        return NULL;
}

void connection_enter(struct connection *connection, enum connection_phase phase)
{
        const struct api_options *options = &connection->server->options;

        connection->phase = phase;
        connection->deadline.repeat = 0;
        if (phase == CONNECTION_READING)
                connection->deadline.repeat = options->read_deadline_s;
        else if (phase != CONNECTION_WORKING)
                connection->deadline.repeat = options->idle_deadline_s;
        /* With a repeat of 0 this stops the timer (ev(3)). */
        ev_timer_again(connection->server->loop, &connection->deadline);
        if (phase == CONNECTION_IDLE)
                peers_await_input(connection->server->peers, connection->fd, connection);
}

void connection_widen(struct connection *connection)
{
        const int bytes = CONNECTION_WIDE_BYTES;

        /* The kernel doubles it for its own bookkeeping (socket(7)); what it refuses is no harm. */
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* libmicrohttpd has nothing to send while it reads, so the socket is ours for these few bytes. A peer that does not
 * take them at once goes without. */
static void say(int fd, unsigned status, const struct fault *why)
{
        cJSON *tree = error_render(why);
        AUTO(auto_free) char *body = tree == NULL ? NULL : cJSON_PrintUnformatted(tree);
        struct buffer answer = { 0 };

        cJSON_Delete(tree);
        if (body == NULL)
                return;
        (void)buffer_format(&answer,
                            "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                            "Connection: close\r\n\r\n%s",
                            status, MHD_get_reason_phrase_for(status), strlen(body), body);
        if (!answer.has_failed)
                (void)send(fd, answer.data, answer.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        buffer_free(&answer);
}

void connection_cut(struct connection *connection, unsigned status, const struct fault *why)
{
        if (why != NULL)
                say(connection->fd, status, why);
        (void)shutdown(connection->fd, SHUT_RDWR);
}
