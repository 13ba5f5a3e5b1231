#include "websocket.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "base64.h"
#include "str.h"

enum {
        KEY_RAW_BYTES = 16,
        TURN_BYTES = 256 << 10, /* read in one turn of the loop */
        FRAGMENTS_MAX = 1024,   /* of one message */
        PINGS_MAX = 4 /* unanswered: with more, reading stops. wslay still answers those in its 4 KiB of input */
};
static const double PING_INTERVAL_S = 20, DRAIN_DEADLINE_S = 60, CLOSE_DEADLINE_S = 5;

struct websocket {
        struct ev_loop *loop;
        int fd;
        bool is_server;
        wslay_event_context_ptr frames;
        struct websocket_handlers handlers;
        void *arg;
        char *early; /* bytes that come before the socket's */
        size_t early_length, early_read;
        size_t turn_bytes; /* still to be read in this turn */
        struct buffer
                rest; /* of a frame that was sent without wslay: the part that the socket did not take; sent first */
        unsigned n_fragments; /* of the incoming message */
        unsigned n_pings;     /* received since the queue was last empty; wslay queues a pong for each */
        bool is_paused;
        bool is_full;
        bool is_lost;   /* the peer has gone, or broke the protocol so that no answer is possible */
        bool is_ending; /* on_closed is due, or done */
        unsigned code;
        enum websocket_code closing; /* of our own close, which is sent after the queue; 0: no close is due */
        ev_io readable, writable;
        ev_timer ping, deadline, end;
};

/* ---- handshake ---- */

int websocket_accept(const char *key, char ret_accept[static WEBSOCKET_ACCEPT_BYTES])
{
        static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, section 1.3 */
        unsigned char digest[SHA1_DIGEST_SIZE];
        struct sha1_ctx sha;
        size_t length;
        char *raw;
        char *text;

        if (strlen(key) != WEBSOCKET_KEY_BYTES - 1 || base64_decode(key, &raw, &length) < 0)
                return -EINVAL;
        free(raw);
        if (length != KEY_RAW_BYTES)
                return -EINVAL;
        sha1_init(&sha);
        sha1_update(&sha, strlen(key), (const uint8_t *)key);
        sha1_update(&sha, sizeof GUID - 1, (const uint8_t *)GUID);
        sha1_digest(&sha, sizeof digest, digest);
        text = base64_encode(digest, sizeof digest);
        if (text == NULL)
                return -ENOMEM;
        memcpy(ret_accept, text, WEBSOCKET_ACCEPT_BYTES);
        free(text);
        return 0;
}

static int fill_random(void *target, size_t length)
{
        ssize_t n;

        /* Reads up to 256 bytes are never short (getrandom(2)). */
        do
                n = getrandom(target, length, 0);
        while (n < 0 && errno == EINTR);
        return n == (ssize_t)length ? 0 : -EIO;
}

int websocket_make_key(char ret_key[static WEBSOCKET_KEY_BYTES])
{
        unsigned char raw[KEY_RAW_BYTES];
        char *text;

        if (fill_random(raw, sizeof raw) < 0)
                return -EIO;
        text = base64_encode(raw, sizeof raw);
        if (text == NULL)
                return -ENOMEM;
        memcpy(ret_key, text, WEBSOCKET_KEY_BYTES);
        free(text);
        return 0;
}

/* ---- wslay's callbacks ---- */

/* Whether reading is stopped: by websocket_pause, or because the peer does not take our pongs. */
static bool is_held(const struct websocket *websocket)
{
        return websocket->is_paused || websocket->n_pings >= PINGS_MAX;
}

static ssize_t take_early(struct websocket *websocket, uint8_t *target, size_t size)
{
        size_t left = websocket->early_length - websocket->early_read;
        size_t n = left < size ? left : size;

        memcpy(target, websocket->early + websocket->early_read, n);
        websocket->early_read += n;
        return (ssize_t)n;
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *target, size_t size, int flags, void *arg)
{
        struct websocket *websocket = arg;
        ssize_t n;

        (void)flags;
        if (is_held(websocket) || websocket->turn_bytes == 0) {
                wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
                return -1;
        }
        if (websocket->early_read < websocket->early_length)
                return take_early(websocket, target, size);
        if (size > websocket->turn_bytes)
                size = websocket->turn_bytes;
        do
                n = recv(websocket->fd, target, size, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
                websocket->turn_bytes -= (size_t)n;
                return n;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
                return -1;
        }
        websocket->is_lost = true;
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t length, int flags, void *arg)
{
        struct websocket *websocket = arg;
        ssize_t n;

        do
                n = send(websocket->fd, bytes, length,
                         MSG_DONTWAIT | MSG_NOSIGNAL | ((flags & WSLAY_MSG_MORE) != 0 ? MSG_MORE : 0));
        while (n < 0 && errno == EINTR);
        if (n >= 0)
                return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
                wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
                return -1;
        }
        websocket->is_lost = true;
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
}

static int on_mask(wslay_event_context_ptr frames, uint8_t *target, size_t length, void *arg)
{
        (void)frames, (void)arg;
        return fill_random(target, length) < 0 ? -1 : 0;
}

static void on_frames_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *message,
                              void *arg)
{
        struct websocket *websocket = arg;

        (void)frames;
        if (message->opcode == WSLAY_CONNECTION_CLOSE)
                websocket->code = message->status_code;
        websocket->n_pings += message->opcode == WSLAY_PING;
        if (websocket->is_ending || websocket->closing != 0 || wslay_event_get_close_sent(websocket->frames) ||
            (message->opcode != WSLAY_TEXT_FRAME && message->opcode != WSLAY_BINARY_FRAME))
                return;
        websocket->handlers.on_message(websocket->arg, message->opcode == WSLAY_TEXT_FRAME, message->msg,
                                       message->msg_length);
}

/* ---- the loop ---- */

static void on_end(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct websocket *websocket = timer->data;

        (void)events;
        ev_timer_stop(loop, timer);
        websocket->handlers.on_closed(websocket->arg, websocket->code);
}

static void stop(struct websocket *websocket)
{
        ev_io_stop(websocket->loop, &websocket->readable);
        ev_io_stop(websocket->loop, &websocket->writable);
        ev_timer_stop(websocket->loop, &websocket->ping);
        ev_timer_stop(websocket->loop, &websocket->deadline);
}

/* on_closed is called from the loop, never from inside a call. */
static void finish(struct websocket *websocket)
{
        if (websocket->is_ending)
                return;
        websocket->is_ending = true;
        stop(websocket);
        ev_timer_start(websocket->loop, &websocket->end);
}

static size_t queued_bytes(const struct websocket *websocket)
{
        return websocket->rest.length + wslay_event_get_queued_msg_length(websocket->frames);
}

/* Sends the rest. True: all of it has been sent. */
static bool send_rest(struct websocket *websocket)
{
        ssize_t n;

        if (websocket->rest.length == 0)
                return true;
        do
                n = send(websocket->fd, websocket->rest.data, websocket->rest.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n > 0)
                buffer_consume(&websocket->rest, (size_t)n);
        else if (n < 0 && errno != EAGAIN)
                websocket->is_lost = true;
        return websocket->rest.length == 0;
}

/* The events to wait for now. */
static void settle(struct websocket *websocket)
{
        bool wants_write =
                websocket->rest.length > 0 || wslay_event_want_write(websocket->frames) != 0 || websocket->closing != 0;
        bool wants_read = wslay_event_want_read(websocket->frames) != 0;

        if (websocket->is_lost || (!wants_write && !wants_read)) {
                finish(websocket);
                return;
        }
        if (wslay_event_get_queued_msg_count(websocket->frames) == 0)
                websocket->n_pings = 0;
        if (wants_write)
                ev_io_start(websocket->loop, &websocket->writable);
        else
                ev_io_stop(websocket->loop, &websocket->writable);
        if (wants_read && !is_held(websocket))
                ev_io_start(websocket->loop, &websocket->readable);
        else
                ev_io_stop(websocket->loop, &websocket->readable);
        if (websocket->early_read < websocket->early_length && !is_held(websocket))
                ev_feed_event(websocket->loop, &websocket->readable, EV_READ);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct websocket *websocket = watcher->data;

        (void)loop, (void)events;
        if (websocket->is_ending || is_held(websocket))
                return;
        websocket->turn_bytes = TURN_BYTES;
        /* wslay reports a malformed frame as a close without a code. */
        if (wslay_event_recv(websocket->frames) != 0 && !websocket->is_lost) {
                if (send_rest(websocket))
                        (void)wslay_event_send(websocket->frames);
                websocket->is_lost = true;
        }
        websocket->turn_bytes = 0;
        settle(websocket);
}

/* wslay sends a close before all queued messages, so it is queued only when they have been sent. */
static void close_if_drained(struct websocket *websocket)
{
        unsigned code = websocket->closing;

        if (code == 0 || websocket->is_lost || websocket->rest.length > 0 ||
            wslay_event_get_queued_msg_count(websocket->frames) > 0)
                return;
        websocket->closing = 0;
        ev_timer_stop(websocket->loop, &websocket->deadline);
        ev_timer_set(&websocket->deadline, CLOSE_DEADLINE_S, 0);
        ev_timer_start(websocket->loop, &websocket->deadline);
        if (wslay_event_queue_close(websocket->frames, (uint16_t)code, NULL, 0) != 0 ||
            wslay_event_send(websocket->frames) != 0)
                websocket->is_lost = true;
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct websocket *websocket = watcher->data;

        (void)loop, (void)events;
        if (send_rest(websocket) && wslay_event_send(websocket->frames) != 0)
                websocket->is_lost = true;
        close_if_drained(websocket);
        if (websocket->is_full && websocket->rest.length == 0 && queued_bytes(websocket) <= WEBSOCKET_LOW_BYTES &&
            !websocket->is_lost) {
                websocket->is_full = false;
                if (websocket->handlers.on_drained != NULL)
                        websocket->handlers.on_drained(websocket->arg);
        }
        settle(websocket);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct websocket *websocket = timer->data;

        (void)loop, (void)events;
        finish(websocket);
}

/* Keeps devices on the path from dropping an idle connection. Sends none while anything is queued, so that
 * a peer that does not read makes no queue of pings. */
static void on_ping(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct websocket *websocket = timer->data;
        const struct wslay_event_msg ping = { .opcode = WSLAY_PING };

        (void)loop, (void)events;
        if (queued_bytes(websocket) > 0 || wslay_event_get_queued_msg_count(websocket->frames) > 0)
                return;
        (void)wslay_event_queue_msg(websocket->frames, &ping);
        settle(websocket);
}

/* Bounds the fragments of a message: wslay allocates a node for each, however short it is. */
static void on_frame_start(wslay_event_context_ptr frames, const struct wslay_event_on_frame_recv_start_arg *frame,
                           void *arg)
{
        struct websocket *websocket = arg;

        if ((frame->opcode & 0x8) != 0)
                return; /* a control frame may come between fragments (RFC 6455, 5.4) */
        websocket->n_fragments = frame->opcode == WSLAY_CONTINUATION_FRAME ? websocket->n_fragments + 1 : 0;
        if (websocket->n_fragments <= FRAGMENTS_MAX)
                return;
        wslay_event_shutdown_read(frames);
        websocket->is_lost = true;
}

/* ---- the object ---- */

static int start_frames(struct websocket *websocket)
{
        static const struct wslay_event_callbacks CALLBACKS = {
                .recv_callback = on_recv,
                .send_callback = on_send,
                .genmask_callback = on_mask,
                .on_frame_recv_start_callback = on_frame_start,
                .on_msg_recv_callback = on_frames_message,
        };
        int r = websocket->is_server ? wslay_event_context_server_init(&websocket->frames, &CALLBACKS, websocket)
                                     : wslay_event_context_client_init(&websocket->frames, &CALLBACKS, websocket);

        if (r != 0)
                return -ENOMEM;
        wslay_event_config_set_max_recv_msg_length(websocket->frames, WEBSOCKET_MESSAGE_MAX_BYTES);
        return 0;
}

static int keep_early(struct websocket *websocket, const void *early, size_t length)
{
        if (length == 0)
                return 0;
        websocket->early = malloc(length);
        if (websocket->early == NULL)
                return -ENOMEM;
        memcpy(websocket->early, early, length);
        websocket->early_length = length;
        return 0;
}

static void init_watchers(struct websocket *websocket)
{
        ev_io_init(&websocket->readable, on_readable, websocket->fd, EV_READ);
        ev_io_init(&websocket->writable, on_writable, websocket->fd, EV_WRITE);
        ev_timer_init(&websocket->ping, on_ping, PING_INTERVAL_S, PING_INTERVAL_S);
        ev_timer_init(&websocket->deadline, on_deadline, DRAIN_DEADLINE_S, 0);
        ev_timer_init(&websocket->end, on_end, 0, 0);
        websocket->readable.data = websocket->writable.data = websocket;
        websocket->ping.data = websocket->deadline.data = websocket->end.data = websocket;
}

int websocket_new(struct websocket **ret_websocket, struct ev_loop *loop, int fd, bool is_server, const void *early,
                  size_t early_length, const struct websocket_handlers *handlers, void *arg)
{
        struct websocket *websocket = calloc(1, sizeof *websocket);
        int r;

        if (websocket == NULL)
                return -ENOMEM;
        *websocket = (struct websocket){ .loop = loop,
                                         .fd = fd,
                                         .is_server = is_server,
                                         .handlers = *handlers,
                                         .arg = arg,
                                         .code = WEBSOCKET_LOST };
        init_watchers(websocket);
        r = start_frames(websocket);
        if (r == 0)
                r = keep_early(websocket, early, early_length);
        if (r < 0) {
                websocket_free(websocket);
                return r;
        }
        if (is_server)
                ev_timer_start(loop, &websocket->ping);
        settle(websocket);
        *ret_websocket = websocket;
        return 0;
}

struct websocket *websocket_free(struct websocket *websocket)
{
        if (websocket == NULL)
                return NULL;
        stop(websocket);
        ev_timer_stop(websocket->loop, &websocket->end);
        if (websocket->frames != NULL)
                wslay_event_context_free(websocket->frames);
        buffer_free(&websocket->rest);
        free(websocket->early);
        free(websocket);
        return NULL;
}

static int queue(struct websocket *websocket, enum wslay_opcode opcode, const uint8_t *bytes, size_t length)
{
        const struct wslay_event_msg message = { .opcode = (uint8_t)opcode, .msg = bytes, .msg_length = length };
        int r = wslay_event_queue_msg(websocket->frames, &message);

        if (r == WSLAY_ERR_NOMEM)
                return -ENOMEM;
        return r == 0 ? 0 : -EPIPE;
}

enum { HEAD_BYTES = 11, LENGTH_16 = 126, LENGTH_64 = 127, FRAMES_AT_ONCE = 8 };

/* Writes the header of a whole, unmasked binary message of 1 + length bytes, and its first byte (RFC 6455, 5.2). */
static size_t put_head(uint8_t ret_head[static HEAD_BYTES], uint8_t channel, size_t length)
{
        uint64_t total = (uint64_t)length + 1;
        size_t n_bytes = total < LENGTH_16 ? 0 : total <= UINT16_MAX ? 2 : 8;
        size_t at = 0;

        ret_head[at++] = 0x80 | WSLAY_BINARY_FRAME;
        ret_head[at++] = n_bytes == 0 ? (uint8_t)total : n_bytes == 2 ? LENGTH_16 : LENGTH_64;
        while (n_bytes-- > 0)
                ret_head[at++] = (uint8_t)(total >> 8 * n_bytes);
        ret_head[at++] = channel;
        return at;
}

static size_t message_length(size_t length)
{
        return length < WEBSOCKET_MESSAGE_MAX_BYTES ? length : WEBSOCKET_MESSAGE_MAX_BYTES - 1;
}

static void keep_rest(struct websocket *websocket, const struct iovec *pieces, size_t n_pieces, size_t sent)
{
        for (size_t i = 0; i < n_pieces; i++) {
                size_t gone = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;

                sent -= gone;
                if (gone < pieces[i].iov_len)
                        (void)buffer_append(&websocket->rest, (const char *)pieces[i].iov_base + gone,
                                            pieces[i].iov_len - gone);
        }
}

/* Sends without wslay, which would copy everything twice. Keeps the part that the socket does not take. Returns the
 * number of bytes sent or kept. The loop finds an error of the socket, as any other loss. */
static size_t send_at_once(struct websocket *websocket, uint8_t channel, const char *bytes, size_t length)
{
        uint8_t heads[FRAMES_AT_ONCE][HEAD_BYTES];
        struct iovec pieces[2 * FRAMES_AT_ONCE];
        struct msghdr message = { .msg_iov = pieces };
        size_t done = 0;
        ssize_t n;

        for (size_t i = 0; i < FRAMES_AT_ONCE && (i == 0 || done < length); i++) {
                size_t piece = message_length(length - done);

                pieces[2 * i] = (struct iovec){ heads[i], put_head(heads[i], channel, piece) };
                pieces[2 * i + 1] = (struct iovec){ (char *)bytes + done, piece };
                message.msg_iovlen += 2;
                done += piece;
        }
        do
                n = sendmsg(websocket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        websocket->is_lost |= n < 0 && errno != EAGAIN;
        keep_rest(websocket, pieces, message.msg_iovlen, n > 0 ? (size_t)n : 0);
        websocket->is_lost |= websocket->rest.has_failed;
        websocket->is_full |= websocket->rest.length > 0;
        if (websocket->is_full || websocket->is_lost)
                ev_io_start(websocket->loop, &websocket->writable);
        return done;
}

static int queue_message(struct websocket *websocket, uint8_t channel, const char *bytes, size_t length)
{
        uint8_t *message = malloc(length + 1);
        int r;

        if (message == NULL)
                return -ENOMEM;
        message[0] = channel;
        if (length > 0)
                memcpy(message + 1, bytes, length);
        r = queue(websocket, WSLAY_BINARY_FRAME, message, length + 1);
        free(message);
        return r;
}

static bool can_send_at_once(const struct websocket *websocket)
{
        return websocket->is_server && !websocket->is_lost && websocket->rest.length == 0 &&
               wslay_event_want_write(websocket->frames) == 0 && !wslay_event_get_close_sent(websocket->frames);
}

int websocket_send(struct websocket *websocket, uint8_t channel, const void *bytes, size_t length)
{
        const char *at = bytes;
        size_t done = 0;

        if (websocket->is_ending || websocket->is_lost || websocket->closing != 0)
                return -EPIPE;
        do {
                size_t n = message_length(length - done);
                int r = 0;

                if (can_send_at_once(websocket))
                        n = send_at_once(websocket, channel, at + done, length - done);
                else
                        r = queue_message(websocket, channel, at + done, n);
                if (r < 0)
                        return r;
                done += n;
        } while (done < length);
        if (queued_bytes(websocket) >= WEBSOCKET_HIGH_BYTES)
                websocket->is_full = true;
        if (wslay_event_want_write(websocket->frames) != 0)
                ev_io_start(websocket->loop, &websocket->writable);
        return 0;
}

int websocket_send_text(struct websocket *websocket, const char *text)
{
        int r;

        if (websocket->is_ending || websocket->is_lost || websocket->closing != 0)
                return -EPIPE;
        r = queue(websocket, WSLAY_TEXT_FRAME, (const uint8_t *)text, strlen(text));
        if (r == 0)
                ev_io_start(websocket->loop, &websocket->writable);
        return r;
}

void websocket_bound(struct websocket *websocket, size_t max_bytes)
{
        wslay_event_config_set_max_recv_msg_length(websocket->frames, max_bytes);
}

bool websocket_is_full(const struct websocket *websocket)
{
        return websocket->is_full;
}

void websocket_pause(struct websocket *websocket, bool is_paused)
{
        if (websocket->is_ending || websocket->is_paused == is_paused)
                return;
        websocket->is_paused = is_paused;
        if (!is_paused)
                ev_io_start(websocket->loop, &websocket->readable);
        if (!is_paused && websocket->early_read < websocket->early_length)
                ev_feed_event(websocket->loop, &websocket->readable, EV_READ);
}

void websocket_close(struct websocket *websocket, enum websocket_code code)
{
        if (websocket->is_ending || ev_is_active(&websocket->deadline))
                return;
        websocket_pause(websocket, false);
        websocket->closing = code;
        ev_timer_start(websocket->loop, &websocket->deadline);
        ev_io_start(websocket->loop, &websocket->writable);
}

void websocket_flush(struct websocket *websocket)
{
        if (websocket->is_ending || !send_rest(websocket) || wslay_event_send(websocket->frames) != 0)
                return;
        close_if_drained(websocket);
}
