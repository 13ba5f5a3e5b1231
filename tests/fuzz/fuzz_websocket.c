/* Bytes that a client sends after the handshake of a WebSocket. The first byte chooses the side and what the receiver
 * does with them. Every message must be within its bound, and the end must be reported exactly once. */
#include <ev.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "websocket.h"

struct receiver {
        struct websocket *websocket;
        unsigned flags;
        unsigned n_closed;
        size_t touched;
};

static void on_message(void *arg, bool is_text, const uint8_t *bytes, size_t length)
{
        struct receiver *receiver = arg;

        if (length > WEBSOCKET_MESSAGE_MAX_BYTES || receiver->n_closed > 0)
                abort();
        for (size_t i = 0; i < length; i++)
                receiver->touched += bytes[i];
        if (is_text && (receiver->flags & 2) != 0)
                websocket_close(receiver->websocket, WEBSOCKET_UNSUPPORTED);
        if ((receiver->flags & 4) != 0)
                (void)websocket_send(receiver->websocket, 1, bytes, length);
}

static void on_closed(void *arg, unsigned code)
{
        struct receiver *receiver = arg;

        (void)code;
        receiver->n_closed++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct websocket_handlers HANDLERS = { .on_message = on_message, .on_closed = on_closed };
        struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
        struct receiver receiver = { 0 };
        size_t early;
        int fds[2];

        if (size < 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
                return 0;
        receiver.flags = data[0];
        early = data[1] < size - 2 ? data[1] : size - 2;
        if (websocket_new(&receiver.websocket, loop, fds[0], (receiver.flags & 1) == 0, data + 2, early, &HANDLERS,
                          &receiver) == 0) {
                (void)!send(fds[1], data + 2 + early, size - 2 - early, MSG_NOSIGNAL);
                close(fds[1]);
                while (receiver.n_closed == 0)
                        ev_run(loop, EVRUN_ONCE);
                if (receiver.n_closed != 1)
                        abort();
                websocket_free(receiver.websocket);
        } else {
                close(fds[1]);
        }
        close(fds[0]);
        return 0;
}
