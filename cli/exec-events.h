/* Events of an exec from carreld, line by line: output is passed on, the end is noted. */
#pragma once

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "api-client.h"
#include "text.h"
#include "verb.h"

enum { EXEC_ID_TEXT_BYTES = 72 };

struct exec_events {
        const struct cli *cli;
        int output_fd, errors_fd;
        struct text_filter *filters[2];   /* of stdout and stderr; NULL: bytes pass as they are */
        int interrupt_fd;                 /* of interrupt_open */
        char exec_id[EXEC_ID_TEXT_BYTES]; /* "" until it is known */
        bool has_ended;                   /* status is the program's */
        unsigned passed_on;               /* bit n: signal n went to the program once */
        bool is_cut;                      /* carreld no longer keeps the next events */
        int status;
};

/* An api_on_line; arg is a struct exec_events. */
int exec_events_on_line(void *arg, const cJSON *line);
/* Passes on the output of an event "stdout" or "stderr". 0 or a negative errno. */
int exec_events_output(const struct exec_events *events, const cJSON *line);
/* Output that came as it is. */
int exec_events_on_output(void *arg, int stream, const void *bytes, size_t length);
void exec_events_on_exec_id(void *arg, const char *exec_id);
/* The end, from any object with cause, exit_code and signal; a cause that the status cannot express goes to stderr. */
void exec_events_end(struct exec_events *events, const cJSON *end);
/* An exec that has no result: its error object. */
void exec_events_fail(struct exec_events *events, const cJSON *error);
/* An api_on_interrupt: the first signal of each kind goes to the program; else -EINTR, and the connection is closed,
 * which kills it. */
int exec_events_on_interrupt(void *arg, int signal);
/* Sends a signal to an exec over a connection of its own. 0 or a negative errno. */
int exec_signal(const struct cli *cli, const char *exec_id, int signal);
