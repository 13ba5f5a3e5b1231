/* Splits a body of Docker's frames (application/vnd.docker.multiplexed-stream) as it comes: a program's output in
 * pieces of any size, and carreld's report, which is the last. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "str.h"

#define FRAMES_TYPE "application/vnd.docker.multiplexed-stream"

enum { FRAMES_HEAD_BYTES = 8, FRAMES_REPORT_MAX_BYTES = 64 * 1024 };

/* Zero-initialise; release with frames_free. */
struct frames {
        unsigned char head[FRAMES_HEAD_BYTES];
        size_t head_length;
        size_t left;          /* of the frame */
        struct buffer report; /* what has come of it */
        bool has_report;      /* all of it */
};

/* Each answers 0, or a negative value that ends the splitting. */
struct frames_visitor {
        int (*on_output)(void *arg, int stream /* 1, 2 */, const void *bytes, size_t length);
        int (*on_report)(void *arg, const char *text, size_t length);
        void *arg;
};

/* 0, -EPROTO (an unknown frame, or data after the report), -EMSGSIZE, -ENOMEM, or what was answered. */
int frames_feed(struct frames *frames, const void *bytes, size_t length, const struct frames_visitor *visitor);
/* The body has ended: 0, or -EPROTO when it ended inside a frame. */
int frames_end(const struct frames *frames);
void frames_free(struct frames *frames);
