/* The events of one exec on their way to the answer of one request. They come from one of two sources: a program that
 * runs for this request alone, or a job. Both give the same events (struct exec_event), and a table says how these
 * become an answer (exec-format.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "exec-format.h"
#include "jobs.h"
#include "parse.h"
#include "request.h"
#include "text-tail.h"

struct exec_feed {
        struct request *request;
        const struct exec_format *format;
        char exec_id[EXEC_ID_BYTES]; /* once it is known */
        uint64_t seq;                /* of the next event */
        /* The program that runs for this request alone. */
        struct exec_body body;     /* until the program has been started */
        struct exec *exec;         /* NULL: not started, or ended */
        struct text_tail tails[2]; /* of stdout and stderr, for formats that send text */
        /* The job. Its follower must not be holding for a request that only reads what there is. */
        struct job_follower follower;
        bool is_following; /* until the job's end; else up to its last event so far */
};

/* Becomes request->work. NULL: out of memory, and that has been answered. */
struct exec_feed *exec_feed_new(struct request *request, const struct exec_format *format);

/* Ensures the carrel and runs feed->body. Cancelled when the request ends. */
void exec_feed_run(struct exec_feed *feed);

/* Answers with the job's events from feed->seq on. With is_holding the answer begins with the first event, and the job
 * lives as long as somebody holds it; without, it begins at once. */
void exec_feed_follow(struct exec_feed *feed, struct job *job, bool is_holding);
