/* Each function reads the whole output of one exec in one way of streaming, on a new connection. It checks the number
 * of bytes and that the stream reports the end of the program. 0, -EPROTO, or another negative errno. */
#pragma once

#include "bench.h"

/* The bytes are encoded in JSON, so that only the end is checked. */
int stream_ndjson(struct bench *bench, const char *path, const char *body, double bytes);
int stream_multiplexed(struct bench *bench, const char *path, const char *body, double bytes);
int stream_websocket(struct bench *bench, const char *path, double bytes);
