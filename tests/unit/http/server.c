#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct connection {
        struct list node;
        struct server *server;
        struct script script; /* of the request it has */
        ev_io reader;
        ev_io writer;
        struct buffer request;
        struct buffer answer;
        size_t said;
        bool has_request;
};

static void connection_free(struct connection *connection)
{
        ev_io_stop(connection->server->loop, &connection->reader);
        ev_io_stop(connection->server->loop, &connection->writer);
        close(connection->reader.fd);
        list_remove(&connection->node);
        buffer_free(&connection->request);
        buffer_free(&connection->answer);
        free(connection);
}

/* Header and body as Content-Length has it. */
static bool is_whole(const struct buffer *request)
{
        const char *end = request->length > 0 ? strstr(request->data, "\r\n\r\n") : NULL;
        const char *length = end != NULL ? strstr(request->data, "Content-Length: ") : NULL;
        size_t body = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;

        return end != NULL && request->length >= (size_t)(end + 4 - request->data) + body;
}

static void begin_answer(struct connection *connection)
{
        const struct script *script = &connection->script;

        connection->said = 0;
        buffer_consume(&connection->answer, connection->answer.length);
        if (script->answer == NULL)
                return;
        buffer_text(&connection->answer, script->answer);
        for (size_t i = 0; i < script->repeat; i++)
                buffer_append(&connection->answer, "x", 1);
        ev_io_start(connection->server->loop, &connection->writer);
}

static void take_request(struct connection *connection)
{
        struct server *server = connection->server;

        connection->has_request = true;
        buffer_consume(&server->request, server->request.length);
        buffer_append(&server->request, connection->request.data, connection->request.length);
        connection->script =
                server->choose != NULL ? server->choose(server->choose_arg, server->request.data) : server->script;
        buffer_consume(&connection->request, connection->request.length);
        begin_answer(connection);
}

static void take_more(struct connection *connection, const char *bytes, size_t length)
{
        struct server *server = connection->server;

        server->has_more_before_answer |= connection->said == 0;
        buffer_append(&server->more, bytes, length);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
        struct connection *connection = io->data;
        struct server *server = connection->server;
        char bytes[65536];
        ssize_t n = recv(io->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n < 0)
                return;
        if (n == 0) {
                server->has_seen_end = true;
                ev_io_stop(loop, io);
                if (!connection->script.expects_more || connection->said == 0)
                        connection_free(connection);
                else
                        begin_answer(connection); /* once more, now that all has come */
        } else if (connection->has_request && connection->script.expects_more) {
                take_more(connection, bytes, (size_t)n);
        } else {
                buffer_append(&connection->request, bytes, (size_t)n);
                if (is_whole(&connection->request))
                        take_request(connection);
        }
}

static void on_writable(struct ev_loop *loop, ev_io *io, int revents)
{
        struct connection *connection = io->data;
        const struct script *script = &connection->script;
        size_t left = connection->answer.length - connection->said;
        size_t size = script->piece_bytes > 0 && script->piece_bytes < left ? script->piece_bytes : left;
        ssize_t n = send(io->fd, connection->answer.data + connection->said, size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && size > 0) {
                connection_free(connection);
                return;
        }
        connection->said += (size_t)n;
        if (connection->said < connection->answer.length)
                return;
        ev_io_stop(loop, io);
        bool waits_for_more = script->expects_more && !connection->server->has_seen_end;
        if (!script->keeps_open && !waits_for_more)
                connection_free(connection);
        else if (!script->expects_more)
                connection->has_request = false;
}

static void on_connection(struct ev_loop *loop, ev_io *io, int revents)
{
        struct server *server = io->data;
        int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
        struct connection *connection = calloc(1, sizeof *connection);

        if (fd < 0 || connection == NULL)
                abort();
        server->accepted++;
        connection->server = server;
        ev_io_init(&connection->reader, on_readable, fd, EV_READ);
        ev_io_init(&connection->writer, on_writable, fd, EV_WRITE);
        connection->reader.data = connection;
        connection->writer.data = connection;
        ev_io_start(loop, &connection->reader);
        list_append(&server->connections, &connection->node);
}

void server_init(struct server *server, struct ev_loop *loop)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *server = (struct server){ .loop = loop };
        list_init(&server->connections);
        snprintf(server->path, sizeof server->path, "/tmp/carrel-test-http-%d.sock", (int)getpid());
        snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
        unlink(server->path);
        assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0);
        ev_io_init(&server->listener, on_connection, fd, EV_READ);
        server->listener.data = server;
        ev_io_start(loop, &server->listener);
        ev_unref(loop); /* the loop ends when the client has nothing left to do */
}

void server_release(struct server *server)
{
        LIST_EACH (&server->connections, node)
                connection_free(LIST_ENTRY(node, struct connection, node));
        ev_ref(server->loop);
        ev_io_stop(server->loop, &server->listener);
        close(server->listener.fd);
        unlink(server->path);
        buffer_free(&server->request);
        buffer_free(&server->more);
}
