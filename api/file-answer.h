/* The answer of carrel-init to a file operation (init/include/files.h): the first line of its output, and a list's
 * records. The user's programs may have a hand in it, so it is judged as hostile. Pure, and fuzzed
 * (tests/fuzz/fuzz_parse.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct cJSON;

enum { FILE_LINE_MAX_BYTES = 512, FILE_NUMBERS_MAX = 5, FILE_LIST_MAX_ENTRIES = 10000 };

enum file_answer_kind {
        FILE_OK,
        FILE_ERROR,
        FILE_AT_WORK, /* "on": it has not done yet, and gets on; another line follows */
        FILE_RANGE
};

struct file_answer {
        enum file_answer_kind kind;
        int64_t numbers[FILE_NUMBERS_MAX]; /* of "ok" and "range"; what is no number is 0 */
        struct fault why;                  /* FILE_ERROR */
};

/* line without its newline. -EPROTO: it is another text. */
__attribute__((warn_unused_result)) int file_answer_parse(const char *line, size_t length,
                                                          struct file_answer *ret_answer);

/* The next entry of a list of "KIND MODE SIZE MTIME NAME" and NUL, after which *records is moved; it is before end:
 * {"name","kind","mode","size","mtime"}; a name that is no text is "name_b64". NULL when out of memory or malformed
 * (*ret_problem says which: -ENOMEM, -EPROTO). */
struct cJSON *file_list_next(const char **records, const char *end, int *ret_problem);
