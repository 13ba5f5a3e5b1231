#include "api-socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api-reach.h"
#include "clock.h"
#include "fault.h"
#include "interrupt.h"
#include "scope.h"
#include "websocket.h"

enum { HEAD_MAX_BYTES = 64 << 10, BODY_MAX_BYTES = 64 << 10 };

/* One handshake under way. */
struct handshake {
        const char *socket_path;
        int fd, interrupt_fd;
        double deadline_s; /* on clock_boottime_s */
        char accept[WEBSOCKET_ACCEPT_BYTES];
        struct buffer received;
        struct api_error *error;
};

static int fail(struct handshake *handshake, int err, const char *sentence)
{
        handshake->error->status = STATUS_FAILED;
        (void)snprintf(handshake->error->message, sizeof handshake->error->message, "%s", sentence);
        return err;
}

static int fail_reach(struct handshake *handshake, enum fault_kind kind, int err)
{
        struct fault why;

        (void)fault_set(&why, kind, err, "%s", strerror(err));
        api_reach_explain(handshake->error, handshake->socket_path, &why);
        return -err;
}

static int dial(struct handshake *handshake)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (str_copy(address.sun_path, sizeof address.sun_path, handshake->socket_path) < 0)
                return fail_reach(handshake, FAULT_INTERNAL, ENAMETOOLONG);
        handshake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (handshake->fd < 0 || connect(handshake->fd, (const struct sockaddr *)&address, sizeof address) < 0)
                return fail_reach(handshake, FAULT_INTERNAL, errno);
        return 0;
}

static int send_request(struct handshake *handshake, const char *path)
{
        char key[WEBSOCKET_KEY_BYTES];
        struct buffer request = { 0 };
        int r = 0;

        if (websocket_make_key(key) < 0 || websocket_accept(key, handshake->accept) < 0)
                return fail(handshake, -EIO, "no random numbers can be had");
        (void)buffer_format(&request,
                            "GET %s HTTP/1.1\r\nHost: carrel\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
                            "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
                            path, key);
        if (request.has_failed)
                r = fail(handshake, -ENOMEM, "out of memory");
        else if (send(handshake->fd, request.data, request.length, MSG_NOSIGNAL) != (ssize_t)request.length)
                r = fail_reach(handshake, FAULT_INTERNAL, errno);
        buffer_free(&request);
        return r;
}

/* Until there is something to read. */
static int wait_readable(struct handshake *handshake)
{
        struct pollfd polled[] = { { .fd = handshake->interrupt_fd, .events = POLLIN },
                                   { .fd = handshake->fd, .events = POLLIN } };
        double left_s = handshake->deadline_s - clock_boottime_s();
        int n = poll(polled, 2, left_s > 0 ? (int)(left_s * 1000) + 1 : 0);

        if (n < 0 && errno != EINTR)
                return fail_reach(handshake, FAULT_INTERNAL, errno);
        if (n == 0)
                return fail_reach(handshake, FAULT_DEADLINE, ETIMEDOUT);
        if (n > 0 && polled[0].revents != 0) {
                handshake->error->signal = interrupt_read(handshake->interrupt_fd);
                handshake->error->status = STATUS_FAILED;
                return handshake->error->signal != 0 ? -EINTR : 0;
        }
        return 0;
}

/* 0 at the connection's end. */
static int receive(struct handshake *handshake)
{
        char bytes[16384];
        ssize_t n;
        int r = wait_readable(handshake);

        if (r < 0)
                return r;
        n = recv(handshake->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 1;
        if (n < 0)
                return fail_reach(handshake, FAULT_INTERNAL, errno);
        if (n > 0 && buffer_append(&handshake->received, bytes, (size_t)n) < 0)
                return fail(handshake, -ENOMEM, "out of memory");
        return n > 0 ? 1 : 0;
}

/* Where the body begins. */
static int read_head(struct handshake *handshake, size_t *ret_length)
{
        for (;;) {
                const char *end =
                        handshake->received.data == NULL ? NULL : strstr(handshake->received.data, "\r\n\r\n");
                int r;

                if (end != NULL) {
                        *ret_length = (size_t)(end - handshake->received.data) + 4;
                        return 0;
                }
                if (handshake->received.length > HEAD_MAX_BYTES)
                        return fail(handshake, -EMSGSIZE, "the answer's head has no end: is it carreld's socket?");
                r = receive(handshake);
                if (r < 0)
                        return r;
                if (r == 0)
                        return fail_reach(handshake, FAULT_INTERNAL, ECONNRESET);
        }
}

/* The value of a header in the head, or "". */
static void find_header(const char *head, const char *name, char *target, size_t size)
{
        const char *at = strcasestr(head, name);
        size_t length = at == NULL ? 0 : strcspn(at + strlen(name), "\r\n");

        target[0] = '\0';
        if (at == NULL || length >= size)
                return;
        memcpy(target, at + strlen(name), length);
        target[length] = '\0';
}

/* carreld closes after a refusal of this kind, or says how long it is; either ends the reading. */
static int read_refusal(struct handshake *handshake, int http_status, const char *head, size_t head_length)
{
        char text[32];
        uint64_t length = 0;
        int r = 1;

        find_header(head, "\r\nContent-Length: ", text, sizeof text);
        if (str_parse_u64(text, 0, BODY_MAX_BYTES, &length) < 0)
                length = BODY_MAX_BYTES;
        while (r > 0 && handshake->received.length < head_length + length)
                r = receive(handshake);
        if (r < 0)
                return r;
        api_error_parse(handshake->error, http_status,
                        handshake->received.length > head_length ? handshake->received.data + head_length : "");
        return -EREMOTEIO;
}

static int judge(struct handshake *handshake, struct api_socket *ret_socket)
{
        char accept[64];
        size_t length = 0;
        int http_status = 0;
        int r = read_head(handshake, &length);

        if (r < 0)
                return r;
        AUTO(auto_free) char *head = strndup(handshake->received.data, length);
        if (head == NULL)
                return fail(handshake, -ENOMEM, "out of memory");
        if (sscanf(head, "HTTP/1.1 %3d ", &http_status) != 1)
                return fail(handshake, -EPROTO, "the answer is not HTTP: is it carreld's socket?");
        handshake->error->http_status = http_status;
        if (http_status != 101)
                return read_refusal(handshake, http_status, head, length);
        find_header(head, "\r\nSec-WebSocket-Accept: ", accept, sizeof accept);
        if (!str_equal(accept, handshake->accept))
                return fail(handshake, -EPROTO, "the answer is not that of a WebSocket: is it carreld's socket?");
        find_header(head, "\r\nCarrel-Exec-Id: ", ret_socket->exec_id, sizeof ret_socket->exec_id);
        buffer_consume(&handshake->received, length);
        return 0;
}

int api_socket_open(const char *socket_path, const char *path, double deadline_s, int interrupt_fd,
                    struct api_socket *ret_socket, struct api_error *ret_error)
{
        struct handshake handshake = { .socket_path = socket_path,
                                       .fd = -1,
                                       .interrupt_fd = interrupt_fd,
                                       .deadline_s = clock_boottime_s() + deadline_s,
                                       .error = ret_error };
        int r;

        *ret_error = (struct api_error){ .status = STATUS_FAILED };
        r = dial(&handshake);
        if (r == 0)
                r = send_request(&handshake, path);
        if (r == 0)
                r = judge(&handshake, ret_socket);
        if (r == 0) {
                ret_socket->fd = handshake.fd;
                ret_socket->early = handshake.received;
                return 0;
        }
        buffer_free(&handshake.received);
        if (handshake.fd >= 0)
                close(handshake.fd);
        return r;
}
