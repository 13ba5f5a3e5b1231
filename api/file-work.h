/* A file operation of carrel-init for a request: ensures the carrel, runs the operation as an exec, reads its first
 * line, and writes the request's body to its stdin. The user's programs can stop it, so an operation that makes no
 * progress is killed and answered with FAULT_DEADLINE. */
#pragma once

#include <ev.h>

#include "exec.h"
#include "file-answer.h"
#include "file-query.h"
#include "pieces.h"
#include "request.h"

enum { FILE_PROGRESS_BYTES = 64 << 10, FILE_ARGUMENTS_MAX = 8 };

struct file_work;

/* How a route uses an operation. */
struct file_operation {
        /* The first line reports success: answers, or begins the answer. Without on_end this is called when the
         * operation has ended. */
        void (*on_ok)(struct file_work *work, const struct file_answer *answer);
        /* Output after the first line. NULL: it is ignored. */
        void (*on_bytes)(struct file_work *work, const char *bytes, size_t length);
        /* The operation has ended. NULL for operations that write only the line. */
        void (*on_end)(struct file_work *work, bool is_success);
        /* Seconds for the first output, and then for each FILE_PROGRESS_BYTES. It does not run while the client does
         * not read. 0: api_options.progress_deadline_s. */
        double patience_s;
        bool has_body; /* the request's body is its stdin */
};

struct file_work {
        ev_timer patience;
        bool is_launched;
        uint64_t moved_bytes; /* in both directions, since the timer was set */
        struct request *request;
        const struct file_operation *operation;
        const char *arguments[FILE_ARGUMENTS_MAX]; /* after "file"; NULL-terminated */
        struct file_query query;
        char path[FILE_PATH_BYTES];
        char numbers[3][24]; /* texts for arguments */
        struct exec *exec;   /* NULL: not started, or ended */
        char line[FILE_LINE_MAX_BYTES];
        size_t line_length;
        bool has_line;
        struct file_answer answer;
        struct buffer listing;
        size_t n_entries;        /* of the listing, so far */
        const char *next_record; /* of the listing, to be rendered next */
        struct piece_list list;
        int64_t left; /* bytes still to send of the announced length */
        bool is_ranged;
};

/* Becomes request->work. NULL: out of memory, and that has been answered. */
struct file_work *file_work_new(struct request *request, const struct file_operation *operation);
/* Call it with path, query and arguments set. It answers in every case. */
void file_work_begin(struct file_work *work);
/* Answers with a fault, and ends the operation. */
void file_work_fail(struct file_work *work, const struct fault *why);
void file_work_pause(struct file_work *work, bool is_paused);
