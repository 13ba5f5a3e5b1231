/* A file operation of carrel-init on behalf of a request: ensures the carrel, runs the operation as an exec, reads its
 * first line, and feeds it the request's body. The user's programs can stop it, so it has to get on: one that does not
 * is killed, and answered with FAULT_DEADLINE. */
#pragma once

#include <ev.h>

#include "exec.h"
#include "file-answer.h"
#include "file-query.h"
#include "pieces.h"
#include "request.h"

enum { FILE_PROGRESS_BYTES = 64 << 10, FILE_ARGUMENTS_MAX = 8 };

struct file_work;

/* The hooks of a route into an operation. */
struct file_operation {
        /* The line says it is well; answers or begins the answer. For those whose line is their last word this comes
         * with their end. */
        void (*on_ok)(struct file_work *work, const struct file_answer *answer);
        /* The bytes after the line, as they arrive; NULL: none are expected, and they are ignored. */
        void (*on_bytes)(struct file_work *work, const char *bytes, size_t length);
        /* It has ended with success or not; NULL for those whose line is their last word. */
        void (*on_end)(struct file_work *work, bool is_success);
        /* Seconds for its first word, and then for each FILE_PROGRESS_BYTES; a client that does not read has all the
         * time in the world. 0: the server's own. */
        double patience_s;
        bool has_body; /* the request's body is its stdin */
};

struct file_work {
        ev_timer patience;
        bool is_launched;
        uint64_t moved_bytes; /* into it and out of it, since the timer was set */
        struct request *request;
        const struct file_operation *operation;
        const char *arguments[FILE_ARGUMENTS_MAX]; /* after "file"; NULL-terminated */
        struct file_query query;
        char path[FILE_PATH_BYTES];
        char numbers[3][24]; /* texts for arguments */
        struct exec *exec;   /* NULL: not started, or over */
        char line[FILE_LINE_MAX_BYTES];
        size_t line_length;
        bool has_line;
        struct file_answer answer;
        struct buffer listing;
        size_t n_entries;        /* of the listing, so far */
        const char *next_record; /* of the listing: what is rendered next */
        struct piece_list list;
        int64_t left; /* bytes that are still promised */
        bool is_ranged;
};

/* NULL: answered already. */
struct file_work *file_work_new(struct request *request, const struct file_operation *operation);
/* path, query and arguments are set. Answers in any case. */
void file_work_begin(struct file_work *work);
/* Answers with a fault, and ends the operation. */
void file_work_fail(struct file_work *work, const struct fault *why);
void file_work_pause(struct file_work *work, bool is_paused);
