/* How an exec is answered: a table of formats, one for each kind of answer that a request can ask for. */
#pragma once

#include <stdbool.h>

#include "exec-ring.h"
#include "exec.h"
#include "request.h"

struct exec_feed;

struct exec_format {
        const char *content_type; /* in Accept and of the answer; NULL: not chosen by Accept */
        char name;                /* in the digest of a job's request: a retry must ask for the same kind of answer */
        bool is_replayable;       /* the events that a job keeps suffice for it */
        bool is_text;             /* output is cut between characters */
        bool is_pulled;           /* output goes from the program's pipe straight to the client's socket (exec_read) */
        /* The stream is open, and the answer is on its way. May be NULL. */
        void (*begin)(struct exec_feed *feed);
        /* Adds a start or output to the stream: 0, or a negative errno, and the stream is cut. NULL: there is no
         * stream, and `end` is the whole answer. */
        int (*push)(struct exec_feed *feed, const struct exec_event *event);
        /* Of a replayable stream: its last line, when it has to end before the exec does. */
        void (*cut)(struct exec_feed *feed, const char *reason);
        /* The last call: one of result and why. */
        void (*end)(struct exec_feed *feed, const struct exec_result *result, const struct fault *why);
};

/* EXEC_DETACHED is answered with its job as soon as there is one: none of its functions is called. */
extern const struct exec_format EXEC_BUFFERED, EXEC_DETACHED, EXEC_FRAMES, EXEC_NDJSON;

/* The format that the request asks for; frames if its Accept names both streams. */
const struct exec_format *exec_format_of(const struct request *request, bool is_detached);
