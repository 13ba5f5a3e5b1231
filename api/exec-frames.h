/* The frames of application/vnd.docker.multiplexed-stream (Docker Engine API, "Attach to a container", stream format):
 * one byte for the stream, three zero bytes, the length in four bytes (most significant first), then the data. */
#pragma once

#include <stddef.h>

enum exec_frame_type {
        EXEC_FRAME_OUTPUT = 1,
        EXEC_FRAME_ERRORS = 2,
        EXEC_FRAME_REPORT = 3 /* Docker's clients show its bytes as an error of the daemon */
};

enum { EXEC_FRAME_HEAD_BYTES = 8, EXEC_FRAME_MAX_BYTES = 1 << 30 };

#define EXEC_FRAMES_TYPE "application/vnd.docker.multiplexed-stream"

/* The head of a frame of length bytes, at most EXEC_FRAME_MAX_BYTES. */
void exec_frame_head(char ret_head[static EXEC_FRAME_HEAD_BYTES], enum exec_frame_type type, size_t length);
