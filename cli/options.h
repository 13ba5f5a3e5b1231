/* The options of a verb as a table, over getopt_long(3). Options and operands may be mixed; everything after "--"
 * is an operand. Values point into argv. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "fault.h"

enum { OPTION_LIST_MAX = 128, OPTIONS_MAX = 32 };

enum option_type {
        OPTION_FLAG,    /* bool */
        OPTION_TEXT,    /* const char *; NULL: not given */
        OPTION_LIST,    /* struct option_list: may be repeated */
        OPTION_NUMBER,  /* struct option_number: a whole number */
        OPTION_DECIMAL, /* struct option_number: with a fraction */
        OPTION_SIZE,    /* struct option_number: bytes, "512m" */
        OPTION_CHOICE   /* const char *: one of choices */
};

struct option_number {
        bool is_given;
        double value;
};

struct option_list {
        const char *values[OPTION_LIST_MAX];
        size_t count;
};

struct option_spec {
        char letter; /* 0: only the long name */
        const char *name;
        enum option_type type;
        size_t offset;              /* of the field in the verb's values */
        double min, max;            /* numbers: the range */
        const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
        const char *argument;       /* its name in the help; NULL for flags */
        const char *help;           /* one line */
};

/* A table (ends with a NULL name; NULL: empty) and the struct its offsets point into. */
struct option_group {
        const struct option_spec *table;
        void *values;
};

enum operand_order {
        OPERANDS_MIXED, /* operands move after the options (argv is reordered) */
        OPERANDS_END    /* the first operand ends the options: the verb itself */
};

/* Parses argv[1..] into the groups' values, which the caller has filled with what holds when nothing is given.
 * argv[0] is the word in front. *ret_first: the index of the first operand, at most argc. On failure
 * FAULT_REQUEST_INVALID (-EINVAL) with a sentence that names the option; some values may have been set. */
int options_parse(const struct option_group *groups, size_t n_groups, int argc, char **argv, enum operand_order order,
                  int *ret_first, struct fault *why);

/* Writes "  -e, --env K=V    help" lines. */
void options_print(const struct option_spec *table, FILE *out);
