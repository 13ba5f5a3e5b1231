#include "server.h"

#include "prelude.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dispatch.h"

static bool is_whole(const char *request)
{
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strcasestr(request, "Content-Length:");

        if (end == NULL)
                return false;
        return length == NULL || length > end || strlen(end + 4) >= strtoul(length + 15, NULL, 10);
}

static void read_request(struct server *server, int fd)
{
        char request[32768] = "";
        size_t used = 0;

        while (!is_whole(request)) {
                ssize_t count = recv(fd, request + used, sizeof request - 1 - used, 0);

                if (count <= 0)
                        break;
                used += (size_t)count;
                request[used] = '\0';
        }
        (void)fputs(request, server->requests);
}

static void *serve(void *arg)
{
        struct server *server = arg;

        for (const char *const *answer = server->answers; *answer != NULL; answer++) {
                int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
                char rest[64];

                if (fd < 0)
                        break;
                read_request(server, fd);
                (void)!send(fd, *answer, strlen(*answer), MSG_NOSIGNAL);
                if (server->is_held && answer[1] == NULL)
                        while (recv(fd, rest, sizeof rest, 0) > 0)
                                continue;
                close(fd);
        }
        return NULL;
}

void server_start(struct server *server, const char *const *answers, bool is_held)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        *server = (struct server){ .directory = "/tmp/carrel-test-XXXXXX", .answers = answers, .is_held = is_held };
        assert_non_null(mkdtemp(server->directory));
        (void)snprintf(server->path, sizeof server->path, "%s/s", server->directory);
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
        server->requests = open_memstream(&server->asked, &server->asked_size);
        assert_non_null(server->requests);
        server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(server->listen_fd >= 0);
        assert_int_equal(bind(server->listen_fd, (const struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(listen(server->listen_fd, 16), 0);
        assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void server_stop(struct server *server)
{
        /* Wakes an accept(2) that no client will ever answer. */
        shutdown(server->listen_fd, SHUT_RDWR);
        assert_int_equal(pthread_join(server->thread, NULL), 0);
        close(server->listen_fd);
        assert_int_equal(fclose(server->requests), 0);
}

void server_end(struct server *server)
{
        free(server->asked);
        unlink(server->path);
        rmdir(server->directory);
}

static void read_back(FILE *file, char *text, size_t size)
{
        rewind(file);
        text[fread(text, 1, size - 1, file)] = '\0';
        fclose(file);
}

void run_carrel(struct outcome *ret_outcome, const char *socket_path, const char *const *words)
{
        char *argv[32] = { strdup("carrel") };
        char *given[32];
        int argc = 1;
        FILE *out = tmpfile();
        FILE *err = tmpfile();

        assert_non_null(out);
        assert_non_null(err);
        for (; words[argc - 1] != NULL && argc < 31; argc++)
                argv[argc] = strdup(words[argc - 1]);
        memcpy(given, argv, sizeof given); /* getopt reorders argv */
        ret_outcome->status = cli_dispatch(argc, argv, socket_path, out, err);
        for (int i = 0; i < argc; i++)
                free(given[i]);
        read_back(out, ret_outcome->out, sizeof ret_outcome->out);
        read_back(err, ret_outcome->err, sizeof ret_outcome->err);
}
