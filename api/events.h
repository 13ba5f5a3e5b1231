/* Passes the events of the pool to the metrics and to the readers of GET /v1/events. */
#pragma once

struct api;
struct pool_event;

/* The pool's listener; arg is the api. */
void events_on_event(void *arg, const struct pool_event *event);
/* Ends every reader's stream with a last line. */
void events_cut_all(struct api *api, const char *reason);
