#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "errors.h"
#include "peers.h"
#include "put.h"
#include "scope.h"

static bool has_supplementary_group(int fd, gid_t group)
{
        socklen_t size = 0;
        AUTO(auto_free) gid_t *groups = NULL;

        /* unix(7), SO_PEERGROUPS: with ERANGE size is the size that is needed. */
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
static struct ucred peer_of(int fd)
{
        struct ucred peer;
        socklen_t size = sizeof peer;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || size != sizeof peer)
                return (struct ucred){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
        return peer;
}

static bool is_admin(int fd, const struct ucred *peer, gid_t admin_gid)
{
        if (peer->uid == 0 || peer->uid == geteuid())
                return true;
        if (admin_gid == (gid_t)-1)
                return false;
        return peer->gid == admin_gid || has_supplementary_group(fd, admin_gid);
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
        (void)fault_set(
                &why, FAULT_DEADLINE, ETIMEDOUT,
                "the request's head did not arrive completely, or less than %d bytes of its body arrived, within %g s",
                PROGRESS_BYTES, connection->httpd->options.read_deadline_s);
        connection_cut(connection, HTTP_REQUEST_TIMEOUT, &why);
}

static struct connection *of_seat(struct seat *seat)
{
        return (struct connection *)(void *)((char *)seat - offsetof(struct connection, seat));
}

/* A new connection never waits for a seat: it takes an idle one's, or is refused at once. */
static void take_seat(struct connection *connection, uid_t uid)
{
        struct httpd *httpd = connection->httpd;
        struct seat *victim = NULL;
        int r = seats_take(&httpd->seats, &connection->seat, uid, connection->is_admin, &victim);
        struct fault why;

        if (victim != NULL) {
                httpd->app.on_cut(httpd->app.arg, "idle");
                connection_cut(of_seat(victim), 0, NULL);
        }
        if (r == 0)
                return;
        httpd->app.on_cut(httpd->app.arg, "refused");
        if (r == -EDQUOT)
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, EDQUOT,
                                "uid %u has %u connections and all are busy (max_peer_connections)", (unsigned)uid,
                                httpd->options.max_peer_connections);
        else
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, EAGAIN,
                                "all connections are busy: max_connections is %u, a sixteenth of it for admins",
                                httpd->options.max_connections);
        connection_cut(connection, error_status(why.kind), &why);
}

struct connection *connection_new(struct httpd *httpd, int fd)
{
        const struct ucred peer = peer_of(fd);
        struct connection *connection = calloc(1, sizeof *connection);

        if (connection == NULL)
                return NULL;
        if (peers_add(httpd->peers, fd, connection) < 0) {
                free(connection);
                return NULL;
        }
        connection->httpd = httpd;
        connection->fd = fd;
        connection->is_admin = is_admin(fd, &peer, httpd->options.admin_gid);
        ev_init(&connection->deadline, on_deadline);
        connection->deadline.data = connection;
        take_seat(connection, peer.uid);
        connection_enter(connection, CONNECTION_IDLE);
        return connection;
}

struct connection *connection_free(struct connection *connection)
{
        if (connection == NULL)
                return NULL;
        connection_vacate(connection);
        seats_leave(&connection->httpd->seats, &connection->seat);
        peers_remove(connection->httpd->peers, connection->fd);
        ev_timer_stop(connection->httpd->loop, &connection->deadline);
        free(connection->target);
        free(connection);
        return NULL;
}

int connection_occupy(struct connection *connection, const char *user, struct fault *why)
{
        struct httpd *httpd = connection->httpd;
        struct sharer *sharer = sharer_join(&httpd->users, user);
        int r = sharer == NULL ? -ENOMEM : share_take(&httpd->user_requests, sharer->held, 1);

        if (r == 0) {
                connection_vacate(connection);
                connection->user = sharer;
                return 0;
        }
        sharer_leave(&httpd->users, sharer);
        if (r == -ENOMEM)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        return fault_set(why, FAULT_QUEUE_FULL, -r,
                         "%ju requests of %s are open, the most that one user may have of max_peer_connections now",
                         (uintmax_t)(r == -EDQUOT ? share_part(&httpd->user_requests) : 1), user);
}

void connection_vacate(struct connection *connection)
{
        struct httpd *httpd = connection->httpd;

        if (connection->user == NULL)
                return;
        share_give(&httpd->user_requests, connection->user->held, 1);
        connection->user = sharer_leave(&httpd->users, connection->user);
}

void connection_enter(struct connection *connection, enum connection_phase phase)
{
        const struct httpd_options *options = &connection->httpd->options;

        connection->phase = phase;
        seat_mark_idle(&connection->seat, phase == CONNECTION_IDLE);
        connection->deadline.repeat = 0;
        if (phase == CONNECTION_READING)
                connection->deadline.repeat = options->read_deadline_s;
        else if (phase != CONNECTION_WORKING)
                connection->deadline.repeat = options->idle_deadline_s;
        /* With a repeat of 0 this stops the timer (ev(3)). */
        ev_timer_again(connection->httpd->loop, &connection->deadline);
        if (phase == CONNECTION_IDLE)
                connection_await_peer(connection);
}

void connection_await_peer(struct connection *connection)
{
        if (connection->has_missed)
                peers_repeat(connection->httpd->peers, connection->fd, connection);
        connection->has_missed = false;
}

void connection_widen(struct connection *connection)
{
        const int bytes = CONNECTION_WIDE_BYTES;

        /* The kernel doubles the value for its own bookkeeping (socket(7)). A failure does no harm. */
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* libmicrohttpd has nothing to send while it reads, so we may write these few bytes to the socket. A peer whose socket
 * is full does not get them. */
static void say(int fd, unsigned status, const struct fault *why)
{
        AUTO(auto_free) char *body = json_take(error_render(why));
        struct buffer answer = { 0 };

        if (body == NULL)
                return;
        (void)buffer_format(&answer, "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
                            status, MHD_get_reason_phrase_for(status), strlen(body));
        if (error_retry_after_s(why, status) > 0)
                (void)buffer_format(&answer, "Retry-After: %u\r\n", error_retry_after_s(why, status));
        (void)buffer_format(&answer, "Connection: close\r\n\r\n%s", body);
        if (!answer.has_failed)
                (void)send(fd, answer.data, answer.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        buffer_free(&answer);
}

void connection_cut(struct connection *connection, unsigned status, const struct fault *why)
{
        if (why != NULL)
                say(connection->fd, status, why);
        connection->is_cut = true;
        (void)shutdown(connection->fd, SHUT_RDWR);
}
