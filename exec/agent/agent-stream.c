#include "agent-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent-channel.h"
#include "clock.h"

/* READS_AT_ONCE limits how much of one stream is read in one turn of the loop, so that a flood does not delay others.
 */
enum {
        READS_AT_ONCE = 4,
        LARGE_PIPE_BYTES = 1 << 20,
        INPUT_HELD_MAX = 1 << 18,
        FRAME_BYTES = 32768,
        OUTPUT_MODE = 0620,
        INPUT_MODE = 0640
};

_Static_assert(READS_AT_ONCE *AGENT_READ_BYTES >= LARGE_PIPE_BYTES, "one turn empties a pipe that no process fills");

static struct ev_loop *loop_of(const struct agent_channel *channel)
{
        return channel->execs->loop;
}

/* The program may open its end again through /dev/stdin, /dev/stdout or /dev/stderr: its group may, in that direction
 * only. We stay the owner, so that it cannot give itself more. If we are not root, it cannot open it again. */
static void let_in(int fd, gid_t gid, mode_t mode)
{
        if (gid != (gid_t)-1 && fchown(fd, (uid_t)-1, gid) == 0)
                (void)fchmod(fd, mode);
}

static bool make_pipe(const struct agent_channel *channel, int ours, int ends[static 2])
{
        if (pipe2(ends, O_CLOEXEC) != 0)
                return false;
        let_in(ends[ours], channel->gid, ours == 0 ? OUTPUT_MODE : INPUT_MODE);
        /* Only our end: the flag belongs to the open file, and the program's end is another one. */
        if (fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0)
                return true;
        close(ends[0]);
        close(ends[1]);
        return false;
}

/* ---- output ---- */

static double take_turn(struct agent_output *output)
{
        return output_pace_take(&output->pace, clock_boottime_s());
}

static void on_rested(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_output *output = timer->data;

        (void)events;
        if (!output->is_paused)
                ev_io_start(loop, &output->readable);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
        struct agent_output *output = io->data;
        double wait_s = take_turn(output);

        (void)events;
        if (wait_s > 0) {
                ev_io_stop(loop, io);
                ev_timer_set(&output->rest, wait_s, 0);
                ev_timer_start(loop, &output->rest);
                return;
        }
        output->is_emptied = false;
        if (!output->sink.on_readable(output->sink.arg))
                (void)agent_output_read(output);
}

void agent_output_init(struct agent_output *output, struct agent_channel *channel, int stream,
                       const struct agent_stream_sink *sink)
{
        *output =
                (struct agent_output){ .channel = channel, .sink = *sink, .stream = stream, .fd = -1, .is_open = true };
        ev_io_init(&output->readable, on_readable, -1, EV_READ);
        output->readable.data = output;
        ev_timer_init(&output->rest, on_rested, 0, 0);
        output->rest.data = output;
}

int agent_output_pipe(struct agent_output *output, int *ret_other)
{
        int ends[2];

        if (!make_pipe(output->channel, 0, ends))
                return -errno;
        output->fd = ends[0];
        *ret_other = ends[1];
        return 0;
}

void agent_output_go(struct agent_output *output, uint32_t number)
{
        output->number = number;
        if (output->fd < 0 || !output->is_open)
                return;
        ev_io_set(&output->readable, output->fd, EV_READ);
        if (!output->is_paused)
                ev_io_start(loop_of(output->channel), &output->readable);
}

bool agent_output_is_open(const struct agent_output *output)
{
        return output->is_open;
}

/* For the writer this is like a pipe whose reader has closed it. */
static void refuse_more(const struct agent_output *output)
{
        struct agents *agents = output->channel->agents;

        if (!output->channel->is_framed || !output->is_open || output->has_end || output->number == 0)
                return;
        agent_write_end(&agents->out, output->number, (unsigned)output->stream);
        (void)agent_channel_send_stream(output->channel);
}

void agent_output_close(struct agent_output *output)
{
        refuse_more(output);
        ev_io_stop(loop_of(output->channel), &output->readable);
        ev_timer_stop(loop_of(output->channel), &output->rest);
        if (output->fd >= 0)
                close(output->fd);
        output->fd = -1;
        output->owed = 0;
        output->is_open = false;
        buffer_free(&output->held);
}

int agent_output_release(struct agent_output *output)
{
        int fd = output->fd;

        output->fd = -1;
        agent_output_close(output);
        return fd;
}

static size_t unread(const struct agent_output *output)
{
        int length = 0;

        return output->fd >= 0 && ioctl(output->fd, FIONREAD, &length) == 0 && length > 0 ? (size_t)length : 0;
}

bool agent_output_has_more(const struct agent_output *output)
{
        return output->held.length > 0 || unread(output) > 0;
}

bool agent_output_is_held(const struct agent_output *output)
{
        struct pollfd end = { .fd = output->fd };

        if (output->fd < 0)
                return output->is_open && !output->has_end;
        return poll(&end, 1, 0) == 0; /* POLLHUP: the last writer has gone (pipe(7)) */
}

static void end_output(struct agent_output *output)
{
        agent_output_close(output);
        output->sink.on_end(output->sink.arg);
}

/* Large writers get half as many wake-ups. The kernel refuses when root's pipes have too many pages,
 * which does no harm. */
static void widen(struct agent_output *output)
{
        if (!output->is_large)
                (void)fcntl(output->fd, F_SETPIPE_SZ, LARGE_PIPE_BYTES);
        output->is_large = true;
}

bool agent_output_read(struct agent_output *output)
{
        char *bytes = output->channel->agents->bytes;

        for (int i = 0; i < READS_AT_ONCE && output->fd >= 0 && !output->is_paused; i++) {
                ssize_t length = read(output->fd, bytes, AGENT_READ_BYTES);

                if (length < 0 && (errno == EAGAIN || errno == EINTR))
                        return false;
                if (length <= 0) {
                        end_output(output);
                        return false;
                }
                output_pace_pay(&output->pace, (size_t)length);
                if (length >= 1 << 16)
                        widen(output);
                output->sink.on_bytes(output->sink.arg, output->stream, bytes, (size_t)length);
        }
        return output->fd >= 0 && !output->is_paused;
}

size_t agent_output_pull(struct agent_output *output, void *bytes, size_t size)
{
        ssize_t length;

        if (output->fd < 0)
                return 0;
        if (output->is_emptied && output->owed == 0 && !output->is_bounded && take_turn(output) > 0)
                return 0;
        if (output->is_bounded && size > output->owed)
                size = output->owed;
        length = size > 0 ? read(output->fd, bytes, size) : 0;
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (length <= 0) {
                end_output(output);
                return 0;
        }
        output_pace_pay(&output->pace, (size_t)length);
        if (length >= 1 << 16)
                widen(output);
        output->is_emptied = (size_t)length < size;
        output->owed -= (size_t)length < output->owed ? (size_t)length : output->owed;
        return (size_t)length;
}

void agent_output_owe(struct agent_output *output, bool is_bounded)
{
        if (output->fd < 0 || output->is_bounded)
                return;
        output->is_bounded = is_bounded;
        output->owed = unread(output);
}

static void send_credit(struct agent_output *output, uint32_t length)
{
        struct agents *agents = output->channel->agents;

        output->uncredited += length;
        if (output->uncredited < AGENT_WINDOW_BYTES / 4 || output->has_end)
                return;
        agent_write_credit(&agents->out, output->number, (unsigned)output->stream, output->uncredited);
        if (agent_channel_send_stream(output->channel) == 0)
                output->uncredited = 0;
}

/* Delivers what came while the output was paused. */
static void deliver_held(struct agent_output *output)
{
        struct buffer held = output->held;

        output->held = (struct buffer){ 0 };
        if (held.length > 0) {
                output->sink.on_bytes(output->sink.arg, output->stream, held.data, held.length);
                if (output->is_open)
                        send_credit(output, (uint32_t)held.length);
        }
        buffer_free(&held);
        if (output->is_open && output->has_end && !output->is_paused)
                end_output(output);
}

void agent_output_pause(struct agent_output *output, bool is_paused)
{
        if (output->is_paused == is_paused || !output->is_open)
                return;
        output->is_paused = is_paused;
        if (output->fd >= 0 && is_paused)
                ev_io_stop(loop_of(output->channel), &output->readable);
        else if (output->fd >= 0 && output->readable.fd < 0)
                return; /* before agent_output_go, which starts it */
        else if (output->fd >= 0 && !ev_is_active(&output->rest))
                ev_io_start(loop_of(output->channel), &output->readable);
        else if (output->fd < 0 && !is_paused)
                deliver_held(output);
}

int agent_output_take(struct agent_output *output, const void *bytes, size_t length)
{
        if (!output->is_open)
                return 0;
        if (output->has_end || output->held.length + output->uncredited + length > AGENT_WINDOW_BYTES)
                return -EBADMSG;
        if (output->is_paused)
                return buffer_append(&output->held, bytes, length);
        output->sink.on_bytes(output->sink.arg, output->stream, bytes, length);
        if (output->is_open)
                send_credit(output, (uint32_t)length);
        return 0;
}

int agent_output_end(struct agent_output *output)
{
        if (output->has_end)
                return -EBADMSG;
        output->has_end = true;
        if (output->is_open && !output->is_paused)
                end_output(output);
        return 0;
}

/* ---- input ---- */

static void on_writable(struct ev_loop *loop, ev_io *io, int events);

void agent_input_init(struct agent_input *input, struct agent_channel *channel, void (*on_ready)(void *arg), void *arg)
{
        *input = (struct agent_input){
                .channel = channel, .on_ready = on_ready, .arg = arg, .fd = -1, .credit = AGENT_WINDOW_BYTES
        };
        ev_io_init(&input->writable, on_writable, -1, EV_WRITE);
        input->writable.data = input;
}

int agent_input_begin(struct agent_input *input, const void *bytes, size_t length, bool is_all)
{
        input->is_ending = is_all;
        return length > 0 ? buffer_append(&input->held, bytes, length) : 0;
}

int agent_input_pipe(struct agent_input *input, int *ret_other)
{
        int ends[2];

        if (!make_pipe(input->channel, 1, ends))
                return -errno;
        input->fd = ends[1];
        *ret_other = ends[0];
        return 0;
}

void agent_input_close(struct agent_input *input)
{
        ev_io_stop(loop_of(input->channel), &input->writable);
        if (input->fd >= 0)
                close(input->fd);
        input->fd = -1;
        input->is_closed = true;
        buffer_free(&input->held);
}

/* carreld ignores SIGPIPE. */
static ssize_t put_pipe(struct agent_input *input, const void *bytes, size_t length)
{
        ssize_t written = write(input->fd, bytes, length);

        if (written < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        return written < 0 ? -errno : written;
}

static ssize_t put_frames(struct agent_input *input, const char *bytes, size_t length)
{
        struct agents *agents = input->channel->agents;
        size_t done = 0;

        while (done < length && input->credit > 0) {
                size_t piece = length - done < FRAME_BYTES ? length - done : FRAME_BYTES;
                int r;

                if (piece > input->credit)
                        piece = input->credit;
                agent_write_data(&agents->out, input->number, AGENT_STREAM_IN, bytes + done, piece);
                r = agent_channel_send_stream(input->channel);
                if (r < 0)
                        return r;
                input->credit -= (uint32_t)piece;
                done += piece;
        }
        return (ssize_t)done;
}

static ssize_t put(struct agent_input *input, const void *bytes, size_t length)
{
        if (!input->is_started)
                return 0;
        return input->channel->is_framed ? put_frames(input, bytes, length) : put_pipe(input, bytes, length);
}

static void end_input(struct agent_input *input)
{
        struct agents *agents = input->channel->agents;

        if (input->channel->is_framed) {
                agent_write_end(&agents->out, input->number, AGENT_STREAM_IN);
                (void)agent_channel_send_stream(input->channel);
        }
        agent_input_close(input);
}

/* Writes as many of the held bytes as there is room for. */
static void flush(struct agent_input *input)
{
        ssize_t written = input->held.length > 0 ? put(input, input->held.data, input->held.length) : 0;
        bool was_asked = input->is_asked;

        if (written < 0) { /* the reader has gone */
                agent_input_close(input);
                return;
        }
        if (written > 0)
                buffer_consume(&input->held, (size_t)written);
        if (input->fd >= 0 && input->is_started && input->held.length > 0)
                ev_io_start(loop_of(input->channel), &input->writable);
        else
                ev_io_stop(loop_of(input->channel), &input->writable);
        if (input->held.length > 0 || !input->is_started)
                return;
        if (input->is_ending) {
                end_input(input);
                return;
        }
        input->is_asked = false;
        if (was_asked)
                input->on_ready(input->arg);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
        (void)loop, (void)events;
        flush(io->data);
}

void agent_input_go(struct agent_input *input, uint32_t number)
{
        if (input->is_closed)
                return;
        input->number = number;
        input->is_started = true;
        if (input->fd >= 0)
                ev_io_set(&input->writable, input->fd, EV_WRITE);
        flush(input);
}

ssize_t agent_input_write(struct agent_input *input, const void *bytes, size_t length)
{
        size_t room = input->held.length < INPUT_HELD_MAX ? INPUT_HELD_MAX - input->held.length : 0;
        ssize_t written = 0;
        size_t kept;

        if (input->is_closed || input->is_ending)
                return -EPIPE;
        if (input->held.length == 0)
                written = put(input, bytes, length);
        if (written < 0) {
                agent_input_close(input);
                return -EPIPE;
        }
        kept = length - (size_t)written < room ? length - (size_t)written : room;
        if (kept > 0 && buffer_append(&input->held, (const char *)bytes + written, kept) != 0)
                kept = 0;
        input->is_asked = (size_t)written + kept < length;
        if (input->fd >= 0 && input->is_started && input->held.length > 0)
                ev_io_start(loop_of(input->channel), &input->writable);
        return written + (ssize_t)kept;
}

void agent_input_finish(struct agent_input *input)
{
        if (input->is_closed || input->is_ending)
                return;
        input->is_ending = true;
        flush(input);
}

int agent_input_credit(struct agent_input *input, uint32_t bytes)
{
        if (bytes > AGENT_WINDOW_BYTES - input->credit)
                return -EBADMSG;
        input->credit += bytes;
        if (!input->is_closed)
                flush(input);
        return 0;
}
