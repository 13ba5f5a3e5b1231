/* A WebSocket (RFC 6455) on libev, over a connected socket after the handshake. wslay does the framing; only
 * websocket.c uses it. Messages are bounded, sends are queued, and both directions have backpressure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct websocket;

enum {
        WEBSOCKET_MESSAGE_MAX_BYTES = 64 << 10, /* of an incoming message, unless websocket_bound changes it; a
                                                   longer one closes with 1009 */
        WEBSOCKET_HIGH_BYTES = 256 << 10,       /* queued: the sender should stop */
        WEBSOCKET_LOW_BYTES = 64 << 10,         /* and may send again */
        WEBSOCKET_KEY_BYTES = 25,               /* base64 of 16 bytes, and a NUL */
        WEBSOCKET_ACCEPT_BYTES = 29             /* base64 of a SHA-1, and a NUL */
};

enum websocket_code {
        WEBSOCKET_NORMAL = 1000,
        WEBSOCKET_GOING_AWAY = 1001,
        WEBSOCKET_PROTOCOL_ERROR = 1002,
        WEBSOCKET_UNSUPPORTED = 1003,
        WEBSOCKET_LOST = 1006, /* never sent: the connection ended without a closing handshake */
        WEBSOCKET_REFUSED = 1008,
        WEBSOCKET_INTERNAL = 1011
};

/* They may send and close, and must not free. */
struct websocket_handlers {
        void (*on_message)(void *arg, bool is_text, const uint8_t *bytes, size_t length);
        /* The queue was full and has fallen to WEBSOCKET_LOW_BYTES. May be NULL. */
        void (*on_drained)(void *arg);
        /* The last call, with the peer's code or WEBSOCKET_LOST. The object may be freed after it returns. */
        void (*on_closed)(void *arg, unsigned code);
};

/* Borrows loop and fd, which it makes non-blocking; the owner closes fd after websocket_free. early: bytes that were
 * read together with the handshake. Copies handlers. */
__attribute__((warn_unused_result)) int websocket_new(struct websocket **ret_websocket, struct ev_loop *loop, int fd,
                                                      bool is_server, const void *early, size_t early_length,
                                                      const struct websocket_handlers *handlers, void *arg);
/* No handler runs any more. NULL is fine; returns NULL. */
struct websocket *websocket_free(struct websocket *websocket);

/* Sends or queues a binary message: the channel's byte, then the bytes. Splits them into messages of at most
 * WEBSOCKET_MESSAGE_MAX_BYTES, each with the channel's byte. 0, -ENOMEM, or -EPIPE: it is being closed. */
int websocket_send(struct websocket *websocket, uint8_t channel, const void *bytes, size_t length);
/* Queues a text message, of any length. The same errors. */
int websocket_send_text(struct websocket *websocket, const char *text);
/* The bound of incoming messages, from the next one on. */
void websocket_bound(struct websocket *websocket, size_t max_bytes);
bool websocket_is_full(const struct websocket *websocket);
/* Stops reading: incoming bytes stay in the kernel, and the peer waits. */
void websocket_pause(struct websocket *websocket, bool is_paused);
/* Sends the queue (at most 60 s), then the closing handshake (at most 5 s). on_closed is called in any case. */
void websocket_close(struct websocket *websocket, enum websocket_code code);
/* Sends as much of the queue as the socket takes now. For a last message before websocket_free. */
void websocket_flush(struct websocket *websocket);

/* The answer to a client's key (RFC 6455, section 4.2.2). -EINVAL: the key is not base64 of 16 bytes. */
__attribute__((warn_unused_result)) int websocket_accept(const char *key,
                                                         char ret_accept[static WEBSOCKET_ACCEPT_BYTES]);
/* A client's new key. */
__attribute__((warn_unused_result)) int websocket_make_key(char ret_key[static WEBSOCKET_KEY_BYTES]);
