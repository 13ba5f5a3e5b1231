/* What verbs have in common: calls whose failure is told at once, paths, JSON that frees itself. */
#pragma once

#include <cjson/cJSON.h>

#include "str.h"
#include "verb.h"

void auto_json(cJSON **json);
void auto_buffer(struct buffer *buffer);

/* api_call; a failure is on stderr already. Returns the exit status. */
int cli_call(struct cli *cli, const char *method, const char *path, const cJSON *body, cJSON **ret_answer);

/* "{collection}/{id}{suffix}"; returns the exit status. */
int cli_path(const struct cli *cli, const char *collection, const char *id, const char *suffix,
             struct buffer *ret_path);

/* What a verb does to each of its operands. */
struct cli_action {
        const char *method;
        const char *collection; /* "/v1/carrels" */
        const char *suffix;     /* behind the id */
        const cJSON *body;      /* may be NULL */
};

/* One call for each id, going on after failures that carreld answered. The answers are appended to the array
 * `answers`. Returns the first failure's exit status. */
int cli_call_each(struct cli *cli, const struct cli_action *action, char *const *ids, cJSON *answers);

/* All carrels (of a state, or NULL: of any), page by page, appended to the array `carrels`. Exit status. */
int cli_list_carrels(struct cli *cli, const char *state, cJSON *carrels);

/* Says so; STATUS_FAILED. */
int cli_no_memory(const struct cli *cli);
/* The exit status of a view_* result. */
int cli_shown(const struct cli *cli, int result);

/* A line on stdout, cleaned. 0 or -ENOMEM. */
int cli_print_line(const struct cli *cli, const char *text);

/* A collection of answers: rows of a table, a JSON document a line, or with -q the texts at names_path (NULL: none). */
struct field;
int cli_show_each(const struct cli *cli, const struct field *fields, const char *names_path, const cJSON *answers);
/* One answer: title and value a line, its JSON, or with -q nothing. */
int cli_show_one(const struct cli *cli, const struct field *fields, const cJSON *answer);
