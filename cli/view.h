/* Shows JSON objects to a person: a table of fields says which, under which title, and how. */
#pragma once

#include <stddef.h>

#include <cjson/cJSON.h>

struct cli;

enum field_kind {
        FIELD_ID,           /* a text that is typed again: never cut */
        FIELD_DIGEST,       /* "sha256:" and 64 digits: the first 12 of them */
        FIELD_TEXT,         /* texts as they are, numbers in full, true and false as yes and no */
        FIELD_SECONDS,      /* "3m20s" */
        FIELD_MICROSECONDS, /* "1.250s" */
        FIELD_BYTES         /* "512m", "1.4g" */
};

struct field {
        const char *title;
        const char *path; /* names joined by dots: "limits.pids" */
        enum field_kind kind;
};

/* The value as text, malloc'd; "-" for a missing one or null; NULL when out of memory. */
char *view_format(const struct field *field, const cJSON *object);

/* One line an object, under a header, which is there without any, too. fields ends with a NULL title. 0 or -ENOMEM. */
int view_rows(const struct cli *cli, const struct field *fields, const cJSON *array);

/* One line a field: title and value. Missing ones are left out. */
int view_pairs(const struct cli *cli, const struct field *fields, const cJSON *object);

/* For -q: one field of each object, a line each. */
int view_names(const struct cli *cli, const char *path, const cJSON *array);

/* The answer as it came, on one line. */
int view_json(const struct cli *cli, const cJSON *json);

/* Follows a path of names; NULL when it is not there. And the text there, "" without one. */
const cJSON *view_find(const cJSON *object, const char *path);
const char *view_text(const cJSON *object, const char *path);
/* The number there, or fallback. */
double view_number(const cJSON *object, const char *path, double fallback);
