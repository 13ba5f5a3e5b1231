#include "bench-load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "plain-http.h"

enum { EVENTS_MAX = 64 };

struct client {
        int fd;
        double begin_ms;
        size_t received;
        char answer[LOAD_ANSWER_BYTES];
};

struct run {
        const struct load *load;
        struct samples *samples;
        size_t request_bytes;
        size_t n_begun, n_ended;
        int epoll_fd;
        struct client clients[LOAD_CONNECTIONS_MAX];
};

/* 1: the answer is complete; 0: there is more to come; or a negative errno. */
static int check_answer(const struct client *client)
{
        static const char OK[] = "HTTP/1.1 200 ", LENGTH[] = "\r\nContent-Length: ";
        const char *blank = memmem(client->answer, client->received, "\r\n\r\n", 4);
        const char *length;
        size_t expected;

        if (blank == NULL)
                return client->received == LOAD_ANSWER_BYTES ? -EMSGSIZE : 0;
        length = memmem(client->answer, client->received, LENGTH, sizeof LENGTH - 1);
        if (memcmp(client->answer, OK, sizeof OK - 1) != 0 || length == NULL || length > blank)
                return -EPROTO;
        expected = (size_t)(blank - client->answer) + 4 + strtoul(length + sizeof LENGTH - 1, NULL, 10);
        if (expected > LOAD_ANSWER_BYTES)
                return -EMSGSIZE;
        return client->received >= expected;
}

static int open_client(const struct run *run, struct client *client)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

        client->fd = plain_connect(run->load->socket_path);
        if (client->fd < 0)
                return client->fd;
        return epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0 ? -errno : 0;
}

static void close_client(struct client *client)
{
        if (client->fd >= 0)
                close(client->fd);
        client->fd = -1;
}

static int begin(struct run *run, struct client *client)
{
        int r = 0;

        if (run->n_begun == run->load->requests)
                return 0;
        run->n_begun++;
        client->received = 0;
        client->begin_ms = bench_now_ms();
        if (client->fd < 0)
                r = open_client(run, client);
        if (r == 0 && send(client->fd, run->load->request, run->request_bytes, MSG_NOSIGNAL) < 0)
                r = -errno;
        return r;
}

static int on_readable(struct run *run, struct client *client)
{
        ssize_t got = recv(client->fd, client->answer + client->received, LOAD_ANSWER_BYTES - client->received, 0);
        int r;

        if (got <= 0)
                return got < 0 ? -errno : -EPROTO;
        client->received += (size_t)got;
        r = check_answer(client);
        if (r <= 0)
                return r;
        run->n_ended++;
        samples_add(run->samples, bench_now_ms() - client->begin_ms);
        if (run->load->is_new_each)
                close_client(client);
        return begin(run, client);
}

static int run_clients(struct run *run)
{
        struct epoll_event events[EVENTS_MAX];
        int r = 0;

        for (unsigned i = 0; i < run->load->connections && r == 0; i++)
                r = begin(run, &run->clients[i]);
        while (r == 0 && run->n_ended < run->load->requests) {
                int n = epoll_wait(run->epoll_fd, events, EVENTS_MAX, -1);

                for (int i = 0; i < n && r == 0; i++)
                        r = on_readable(run, events[i].data.ptr);
        }
        return r;
}

int load_run(const struct load *load, struct samples *ret_samples, double *ret_per_s)
{
        struct run *run = calloc(1, sizeof *run);
        double begin_ms;
        int r = samples_open(ret_samples, load->requests);

        if (run == NULL || r < 0) {
                free(run);
                return -ENOMEM;
        }
        run->load = load;
        run->samples = ret_samples;
        run->request_bytes = strlen(load->request);
        run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        for (unsigned i = 0; i < LOAD_CONNECTIONS_MAX; i++)
                run->clients[i].fd = -1;
        begin_ms = bench_now_ms();
        r = run->epoll_fd < 0 ? -errno : run_clients(run);
        *ret_per_s = (double)run->n_ended / (bench_now_ms() - begin_ms) * 1e3;
        for (unsigned i = 0; i < LOAD_CONNECTIONS_MAX; i++)
                close_client(&run->clients[i]);
        if (run->epoll_fd >= 0)
                close(run->epoll_fd);
        free(run);
        return r;
}

int load_ask(const struct load *load, char answer[static LOAD_ANSWER_BYTES])
{
        struct client client = { .fd = plain_connect(load->socket_path) };
        int r = client.fd < 0 ? client.fd : 0;

        if (r == 0 && send(client.fd, load->request, strlen(load->request), MSG_NOSIGNAL) < 0)
                r = -errno;
        while (r == 0) {
                ssize_t got = recv(client.fd, client.answer + client.received, LOAD_ANSWER_BYTES - client.received, 0);

                if (got <= 0) {
                        r = got < 0 ? -errno : -EPROTO;
                        break;
                }
                client.received += (size_t)got;
                r = check_answer(&client);
        }
        close_client(&client);
        if (r < 0)
                return r;
        memcpy(answer, client.answer, client.received);
        return (int)client.received;
}
