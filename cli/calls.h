/* Shared by the verbs: calls that report their failure at once, paths, JSON that frees itself. */
#pragma once

#include <cjson/cJSON.h>

#include "json-scope.h"
#include "str.h"
#include "verb.h"

void auto_buffer(struct buffer *buffer);

/* api_call; reports a failure on stderr. Returns the exit status. */
int cli_call(struct cli *cli, const char *method, const char *path, const cJSON *body, cJSON **ret_answer);

/* "{collection}/{id}{suffix}"; returns the exit status. */
int cli_path(const struct cli *cli, const char *collection, const char *id, const char *suffix,
             struct buffer *ret_path);

/* Resolves the beginning of exactly one id to ret_id. Returns 0; -ENOENT: no id begins so; another negative value: it
 * is ambiguous or unknown, and stderr says why. */
typedef int (*cli_resolve)(struct cli *cli, const char *text, struct buffer *ret_id);
int cli_resolve_exec(struct cli *cli, const char *text, struct buffer *ret_id);
/* The name of the image whose id ("sha256:" or without) begins so, with six digits at least. */
int cli_resolve_image(struct cli *cli, const char *text, struct buffer *ret_reference);

/* The action of a verb on each operand. */
struct cli_action {
        const char *method;
        const char *collection; /* "/v1/carrels" */
        const char *suffix;     /* after the id */
        const cJSON *body;      /* may be NULL */
        cli_resolve resolve;    /* for an unknown id; may be NULL */
        bool is_final;          /* cannot be undone: the resolved id is only reported */
        bool may_be_missing;    /* an unknown id is not a failure: it has no answer */
};

/* cli_call at "{collection}/{id}{suffix}", repeated with the resolved id unless is_final. Returns the exit status. */
int cli_call_id(struct cli *cli, const struct cli_action *action, const char *id, cJSON **ret_answer);

/* One call for each id, going on after failures that carreld answered. The answers are appended to the array
 * `answers`. Returns the first failure's exit status. */
int cli_call_each(struct cli *cli, const struct cli_action *action, char *const *ids, cJSON *answers);

/* All carrels (of a state, or NULL: of any), page by page, appended to the array `carrels`. Exit status. */
int cli_list_carrels(struct cli *cli, const char *state, bool has_all, bool has_usage, cJSON *carrels);
/* The same for the usage of all carrels. */
int cli_list_usage(struct cli *cli, cJSON *carrels);

/* Reports it; STATUS_FAILED. */
int cli_no_memory(const struct cli *cli);
/* The exit status of a view_* result. */
int cli_shown(const struct cli *cli, int result);

/* A line on stdout, cleaned. 0 or -ENOMEM. */
int cli_print_line(const struct cli *cli, const char *text);

/* A collection of answers: rows of a table, a JSON document a line, or with -q the texts at names_path (NULL: none). */
struct field;
int cli_show_each(const struct cli *cli, const struct field *fields, const char *names_path, const cJSON *answers);
/* The same for a listing. It shows the header even without rows; then `nothing` is printed on a terminal. */
int cli_show_list(const struct cli *cli, const struct field *fields, const char *names_path, const cJSON *rows,
                  const char *nothing);
/* The answer of GET /v1/carrels/{user}{suffix}, as cli_show_one shows it. Returns the exit status. */
int cli_show_carrel(struct cli *cli, const char *user, const char *suffix, const struct field *fields);
/* One answer: title and value a line, its JSON, or with -q nothing. */
int cli_show_one(const struct cli *cli, const struct field *fields, const cJSON *answer);
