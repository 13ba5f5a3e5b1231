#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "job.h"
#include "metrics-table.h"

static const double GUARD_S = 60;
static const struct jobs_options JOBS = {
        .ring_bytes = 64 << 10,
        .total_bytes = 256 << 10,
        .max_outputs = 16,
        .max_records = 64,
        .keep_s = 3600,
};

static void describe(void *arg, struct api_state *ret_state)
{
        const struct rig *rig = arg;

        *ret_state = rig->state;
        ret_state->disks[0] = (struct api_disk){
                "users_dir",
                { .size_bytes = 8192, .free_bytes = 4096, .inodes = 9, .free_inodes = 7, .age_s = 2.5 },
        };
        ret_state->n_disks = 1;
        ret_state->runtime_fs = (struct file_system){ "ext4", false };
        ret_state->settings_json = "{\"idle_ttl_s\":300}";
        ret_state->sections_json = "{\"profile\":{}}";
}

#define BOOT "11111111-2222-3333-4444-555555555555"

static int listen_at(struct rig *rig)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        (void)snprintf(rig->path, sizeof rig->path, "%s/socket", rig->directory);
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig->path);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(chmod(rig->path, 0666), 0);
        assert_int_equal(listen(fd, 16), 0);
        return fd;
}

static void serve(struct rig *rig)
{
        struct fault why = { 0 };

        rig->options.listen_fd = listen_at(rig);
        if (job_registry_open(&rig->registry, rig->directory, "default", BOOT, &why) < 0)
                fail_msg("%s", why.message);
        assert_int_equal(jobs_new(&rig->jobs, rig->loop, &rig->pool, rig->registry, &JOBS), 0);
        rig->options.jobs = rig->jobs;
        if (api_new(&rig->server, rig->loop, &rig->pool, &rig->reaper, rig->metrics, &rig->info, &rig->options, &why) <
            0)
                fail_msg("%s", why.message);
}

static void stop_serving(struct rig *rig)
{
        rig->server = api_free(rig->server);
        for (int i = 0; i < RIG_CLIENTS; i++)
                client_close(&rig->clients[i]);
        rig->jobs = jobs_free(rig->jobs);
        rig->registry = job_registry_close(rig->registry);
        (void)unlink(rig->path);
}

struct rig *rig_new(const struct api_options *options)
{
        struct rig *rig = calloc(1, sizeof *rig);

        assert_non_null(rig);
        rig->options = options == NULL ? (struct api_options){ .admin_gid = (gid_t)-1 } : *options;
        rig->options.execs = &rig->execs;
        rig->userfiles.pool = &rig->pool;
        rig->options.userfiles = &rig->userfiles;
        rig->info = (struct api_info){
                .version = "0.1.0",
                .pool = "default",
                .engine = "docker",
                .describe = describe,
                .arg = rig,
        };
        for (int i = 0; i < RIG_CLIENTS; i++)
                rig->clients[i].fd = -1;
        rig->loop = ev_loop_new(EVFLAG_AUTO);
        assert_int_equal(metrics_new(&rig->metrics, METRICS_TABLE), 0);
        (void)snprintf(rig->directory, sizeof rig->directory, "/tmp/test-api.XXXXXX");
        assert_non_null(mkdtemp(rig->directory));
        assert_int_equal(chmod(rig->directory, 0755), 0);
        serve(rig);
        return rig;
}

void rig_restart(struct rig *rig)
{
        rig->jobs->registry = NULL; /* the dead write nothing */
        stop_serving(rig);
        rig->pool.exec.is_running = false;
        serve(rig);
}

void rig_free(struct rig *rig)
{
        char path[96];

        stop_serving(rig);
        rig->metrics = metrics_free(rig->metrics);
        (void)snprintf(path, sizeof path, "%s/default.execs", rig->directory);
        (void)unlink(path);
        (void)rmdir(rig->directory);
        ev_loop_destroy(rig->loop);
        free(rig);
}

/* ---- clients ---- */

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
        struct client *client = watcher->data;
        char bytes[65536];
        ssize_t n = recv(client->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        (void)revents;
        if (n > 0)
                assert_int_equal(buffer_append(&client->received, bytes, (size_t)n), 0);
        if (n > 0 || (n < 0 && errno == EAGAIN))
                return;
        client->is_closed = true;
        ev_io_stop(loop, &client->readable);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int revents)
{
        struct client *client = watcher->data;
        ssize_t n = send(client->fd, client->unsent.data, client->unsent.length, MSG_DONTWAIT | MSG_NOSIGNAL);

        (void)revents;
        if (n > 0)
                buffer_consume(&client->unsent, (size_t)n);
        if (client->unsent.length == 0 || (n < 0 && errno != EAGAIN))
                ev_io_stop(loop, &client->writable);
}

struct client *rig_connect(struct rig *rig)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct client *client = rig->clients;

        while (client->fd >= 0)
                client++;
        assert_true(client < rig->clients + RIG_CLIENTS);
        *client = (struct client){ .rig = rig, .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig->path);
        assert_int_equal(connect(client->fd, (const struct sockaddr *)&address, sizeof address), 0);
        ev_io_init(&client->readable, on_readable, client->fd, EV_READ);
        ev_io_init(&client->writable, on_writable, client->fd, EV_WRITE);
        client->readable.data = client->writable.data = client;
        ev_io_start(rig->loop, &client->readable);
        return client;
}

void client_close(struct client *client)
{
        if (client->fd < 0)
                return;
        ev_io_stop(client->rig->loop, &client->readable);
        ev_io_stop(client->rig->loop, &client->writable);
        close(client->fd);
        client->fd = -1;
        buffer_free(&client->unsent);
        buffer_free(&client->received);
}

void client_send(struct client *client, const void *bytes, size_t length)
{
        assert_int_equal(buffer_append(&client->unsent, bytes, length), 0);
        ev_io_start(client->rig->loop, &client->writable);
}

void client_say(struct client *client, const char *text)
{
        client_send(client, text, strlen(text));
}

void client_pause(struct client *client, bool is_paused)
{
        if (is_paused)
                ev_io_stop(client->rig->loop, &client->readable);
        else
                ev_io_start(client->rig->loop, &client->readable);
}

/* ---- waiting ---- */

static void on_guard(struct ev_loop *loop, ev_timer *timer, int revents)
{
        (void)loop;
        (void)revents;
        *(bool *)timer->data = true;
}

void rig_until(struct rig *rig, bool (*condition)(void *arg), void *arg)
{
        bool is_late = false;
        ev_timer guard;

        ev_timer_init(&guard, on_guard, GUARD_S, 0);
        guard.data = &is_late;
        ev_now_update(rig->loop);
        ev_timer_start(rig->loop, &guard);
        while (!condition(arg) && !is_late)
                ev_run(rig->loop, EVRUN_ONCE);
        ev_timer_stop(rig->loop, &guard);
        if (is_late)
                fail_msg("nothing happened within %g s", GUARD_S);
}

void rig_turn(struct rig *rig)
{
        ev_run(rig->loop, EVRUN_NOWAIT);
}

/* ---- responses ---- */

struct reading {
        struct client *client;
        bool is_head;
};

static const char *find_header(const char *head, const char *name)
{
        const char *at = strcasestr(head, name);

        return at == NULL ? NULL : at + strlen(name);
}

static char *head_end(struct client *client)
{
        char *end = client->received.length == 0 ? NULL : strstr(client->received.data, "\r\n\r\n");

        return end == NULL ? NULL : end + 4;
}

static size_t chunks_length(const char *body, size_t have)
{
        static const char END[] = "\r\n0\r\n\r\n";
        const size_t length = sizeof END - 1;

        if (have == length - 2 && memcmp(body, END + 2, have) == 0)
                return have; /* nothing but the last chunk */
        return have >= length && memcmp(body + have - length, END, length) == 0 ? have : SIZE_MAX;
}

/* The length of the body as it stands in the stream, SIZE_MAX while it is not whole. Chunks are the last thing that a
 * test waits for on its connection. */
static size_t raw_body_length(struct client *client, char *body, bool is_head)
{
        size_t have = client->received.length - (size_t)(body - client->received.data);
        const char *length, *chunks;

        body[-1] = '\0';
        length = find_header(client->received.data, "\r\nContent-Length: ");
        chunks = find_header(client->received.data, "\r\nTransfer-Encoding: chunked");
        body[-1] = '\n';
        if (is_head)
                return 0;
        if (length != NULL)
                return strtoul(length, NULL, 10) <= have ? strtoul(length, NULL, 10) : SIZE_MAX;
        if (chunks != NULL)
                return chunks_length(body, have);
        return client->is_closed ? have : SIZE_MAX;
}

static bool has_response(void *arg)
{
        struct reading *reading = arg;
        char *body = head_end(reading->client);

        if (body != NULL && raw_body_length(reading->client, body, reading->is_head) != SIZE_MAX)
                return true;
        return reading->client->is_closed;
}

static void join_chunks(struct response *response)
{
        size_t read = 0, written = 0;

        while (read < response->body_length) {
                char *end;
                size_t length = strtoul(response->body + read, &end, 16);

                read = (size_t)(end - response->body) + 2;
                memmove(response->body + written, response->body + read, length);
                written += length;
                read += length + 2;
        }
        response->body_length = written;
        response->body[written] = '\0';
}

struct response client_response(struct client *client, bool is_head)
{
        struct reading reading = { .client = client, .is_head = is_head };
        struct response response = { 0 };
        char *body;
        size_t head_length;

        rig_until(client->rig, has_response, &reading);
        body = head_end(client);
        if (body == NULL)
                return response;
        head_length = (size_t)(body - client->received.data);
        response.body_length = raw_body_length(client, body, is_head);
        if (response.body_length == SIZE_MAX)
                return (struct response){ 0 };
        response.head = strndup(client->received.data, head_length);
        response.body = calloc(1, response.body_length + 1);
        memcpy(response.body, body, response.body_length);
        response.status = atoi(response.head + strlen("HTTP/1.1 "));
        if (!is_head && find_header(response.head, "\r\nTransfer-Encoding: chunked") != NULL)
                join_chunks(&response);
        buffer_consume(&client->received, head_length + raw_body_length(client, body, is_head));
        return response;
}

void response_free(struct response *response)
{
        free(response->head);
        free(response->body);
        *response = (struct response){ 0 };
}

static bool is_closed(void *arg)
{
        return ((struct client *)arg)->is_closed;
}

void client_await_close(struct client *client)
{
        rig_until(client->rig, is_closed, client);
}

struct response rig_ask(struct rig *rig, const char *line, const char *body)
{
        struct client *client = rig_connect(rig);
        struct buffer request = { 0 };
        struct response response;

        (void)buffer_format(&request, "%s HTTP/1.1\r\nHost: carrel\r\n", line);
        if (body != NULL)
                (void)buffer_format(&request, "Content-Length: %zu\r\n", strlen(body));
        (void)buffer_text(&request, "\r\n");
        (void)buffer_text(&request, body == NULL ? "" : body);
        client_send(client, request.data, request.length);
        response = client_response(client, strncmp(line, "HEAD ", 5) == 0);
        buffer_free(&request);
        client_close(client);
        return response;
}
