/* The output of carrel-init's file operations (init/include/files.h): the first line, and the records of a list. The
 * user's programs may forge it, so it is parsed as hostile input. Pure, and fuzzed (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct json;

enum { FILE_LINE_MAX_BYTES = 512, FILE_NUMBERS_MAX = 5, FILE_LIST_MAX_ENTRIES = 10000 };

enum file_answer_kind {
        FILE_OK,
        FILE_ERROR,
        FILE_AT_WORK, /* "on": the operation makes progress; another line follows */
        FILE_RANGE
};

struct file_answer {
        enum file_answer_kind kind;
        int64_t numbers[FILE_NUMBERS_MAX]; /* of "ok" and "range"; 0 for text that is not a number */
        struct fault why;                  /* FILE_ERROR */
};

/* line is without its newline. -EPROTO: it is malformed. */
__attribute__((warn_unused_result)) int file_answer_parse(const char *line, size_t length,
                                                          struct file_answer *ret_answer);

/* Reads the record at *records, which is before end, and moves *records past it. A record is "KIND MODE SIZE MTIME
 * NAME" and a NUL. Returns {"name","kind","mode","size","mtime"}; a name that is not text is in "name_b64". NULL:
 * *ret_problem is -ENOMEM or -EPROTO (malformed). */
struct json *file_list_next(const char **records, const char *end, int *ret_problem);
