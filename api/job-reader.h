/* One who reads a job's events into the stream of his answer, at his own pace. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobs.h"

struct job_reader {
        struct request *request;
        struct job_follower follower; /* its job, its callback */
        uint64_t next_seq;
        bool is_following; /* goes on until the job's end */
};

/* Begins the answer. Out of memory is answered too. */
void job_reader_begin(struct job_reader *reader);
/* There may be more to read. */
void job_reader_pump(struct job_reader *reader);
