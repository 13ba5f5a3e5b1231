/* A WebSocket (RFC 6455) over a connected socket, after its handshake, on libev; wslay does the framing, and only this
 * file touches it. Messages are bounded, sending is queued, and both directions can wait. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct websocket;

enum {
        WEBSOCKET_MESSAGE_MAX_BYTES = 64 << 10, /* of an incoming message, unless websocket_bound says otherwise; a
                                                   longer one closes with 1009 */
        WEBSOCKET_HIGH_BYTES = 256 << 10,       /* queued: the sender should pause */
        WEBSOCKET_LOW_BYTES = 64 << 10,         /* and may go on */
        WEBSOCKET_KEY_BYTES = 25,               /* base64 of 16 bytes, and a NUL */
        WEBSOCKET_ACCEPT_BYTES = 29             /* base64 of a SHA-1, and a NUL */
};

enum websocket_code {
        WEBSOCKET_NORMAL = 1000,
        WEBSOCKET_GOING_AWAY = 1001,
        WEBSOCKET_PROTOCOL_ERROR = 1002,
        WEBSOCKET_UNSUPPORTED = 1003,
        WEBSOCKET_LOST = 1006, /* never sent: there was no closing handshake */
        WEBSOCKET_REFUSED = 1008,
        WEBSOCKET_INTERNAL = 1011
};

/* All may send and close from inside, and must not free. */
struct websocket_handlers {
        void (*on_message)(void *arg, bool is_text, const uint8_t *bytes, size_t length);
        /* A queue that was full has fallen to WEBSOCKET_LOW_BYTES. May be NULL. */
        void (*on_drained)(void *arg);
        /* The last call: the other side's code, or WEBSOCKET_LOST. The object may be freed from here on, not inside. */
        void (*on_closed)(void *arg, unsigned code);
};

/* Borrows loop and fd (made non-blocking; its owner closes it after websocket_free). early: bytes that were read
 * with the handshake already. Copies handlers. */
__attribute__((warn_unused_result)) int websocket_new(struct websocket **ret_websocket, struct ev_loop *loop, int fd,
                                                      bool is_server, const void *early, size_t early_length,
                                                      const struct websocket_handlers *handlers, void *arg);
/* Nothing is called any more. NULL is fine; returns NULL. */
struct websocket *websocket_free(struct websocket *websocket);

/* Sends or queues a binary message: a first byte, and the rest; as several of at most WEBSOCKET_MESSAGE_MAX_BYTES where
 * it is longer, each with that byte. 0, -ENOMEM, or -EPIPE once it is being closed. */
int websocket_send(struct websocket *websocket, uint8_t channel, const void *bytes, size_t length);
/* Queues a text message, of any length. The same errors. */
int websocket_send_text(struct websocket *websocket, const char *text);
/* The bound of incoming messages, from the next one on. */
void websocket_bound(struct websocket *websocket, size_t max_bytes);
bool websocket_is_full(const struct websocket *websocket);
/* Incoming bytes stay in the kernel, and the peer waits. An on_message call already under way is not undone. */
void websocket_pause(struct websocket *websocket, bool is_paused);
/* Sends what is queued (within 60 s), then the closing handshake (within 5 s); on_closed comes in any case. */
void websocket_close(struct websocket *websocket, enum websocket_code code);
/* Sends what the socket takes at once, for a last word before websocket_free. */
void websocket_flush(struct websocket *websocket);

/* The answer to a client's key (RFC 6455, section 4.2.2). -EINVAL: the key is not base64 of 16 bytes. */
__attribute__((warn_unused_result)) int websocket_accept(const char *key,
                                                         char ret_accept[static WEBSOCKET_ACCEPT_BYTES]);
/* A client's new key. */
__attribute__((warn_unused_result)) int websocket_make_key(char ret_key[static WEBSOCKET_KEY_BYTES]);
