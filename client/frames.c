#include "frames.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { TYPE_OUTPUT = 1, TYPE_ERRORS = 2, TYPE_REPORT = 3 };

static int begin_frame(struct frames *frames)
{
        static const unsigned char ZEROES[3];
        uint32_t length;

        memcpy(&length, frames->head + FRAMES_HEAD_BYTES - sizeof length, sizeof length);
        frames->left = be32toh(length);
        if (frames->head[0] < TYPE_OUTPUT || frames->head[0] > TYPE_REPORT || frames->has_report ||
            memcmp(frames->head + 1, ZEROES, sizeof ZEROES) != 0)
                return -EPROTO;
        return frames->head[0] == TYPE_REPORT && frames->left > FRAMES_REPORT_MAX_BYTES ? -EMSGSIZE : 0;
}

static int take(struct frames *frames, const char *bytes, size_t length, const struct frames_visitor *visitor)
{
        int r = 0;

        if (frames->head[0] != TYPE_REPORT)
                r = length > 0 ? visitor->on_output(visitor->arg, frames->head[0], bytes, length) : 0;
        else
                r = buffer_append(&frames->report, bytes, length);
        frames->left -= length;
        if (r < 0 || frames->left > 0)
                return r;
        frames->head_length = 0;
        if (frames->head[0] != TYPE_REPORT)
                return 0;
        frames->has_report = true;
        return visitor->on_report(visitor->arg, frames->report.data, frames->report.length);
}

int frames_feed(struct frames *frames, const void *bytes, size_t length, const struct frames_visitor *visitor)
{
        const char *at = bytes;
        int r = 0;

        while (length > 0 && r >= 0) {
                bool is_head = frames->head_length < FRAMES_HEAD_BYTES;
                size_t wanted = is_head ? FRAMES_HEAD_BYTES - frames->head_length : frames->left;
                size_t n = length < wanted ? length : wanted;

                if (is_head) {
                        memcpy(frames->head + frames->head_length, at, n);
                        frames->head_length += n;
                        r = frames->head_length == FRAMES_HEAD_BYTES ? begin_frame(frames) : 0;
                        if (r == 0 && frames->head_length == FRAMES_HEAD_BYTES && frames->left == 0)
                                r = take(frames, at, 0, visitor);
                } else {
                        r = take(frames, at, n, visitor);
                }
                at += n;
                length -= n;
        }
        return r;
}

int frames_end(const struct frames *frames)
{
        return frames->head_length > 0 ? -EPROTO : 0;
}

void frames_free(struct frames *frames)
{
        buffer_free(&frames->report);
}
