/* The output of one exec, read whole by each way of streaming, on a connection of its own. Each checks that so many
 * bytes came and that the program's end was told. 0, -EPROTO, or another negative errno. */
#pragma once

#include "bench.h"

/* The bytes are inside of JSON: only the end is looked at. */
int stream_ndjson(struct bench *bench, const char *path, const char *body, double bytes);
int stream_multiplexed(struct bench *bench, const char *path, const char *body, double bytes);
int stream_websocket(struct bench *bench, const char *path, double bytes);
