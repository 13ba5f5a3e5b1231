/* A verb of carrel(1): what it takes, what its help says, and what it does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "api-client.h"
#include "options.h"

/* The context of every verb. */
struct cli {
        const char *socket_path;
        const char *output; /* one of OUTPUT_NAMES */
        bool is_quiet;
        bool wants_help;
        bool wants_version;
        FILE *out, *err;
        const char *about;      /* the one of several operands that is worked on; NULL: there is only one */
        size_t width;           /* of the terminal of out; 0: none, so output is plain */
        const char **advised;   /* the code of the error that advice was given for last */
        struct api_client *api; /* NULL for verbs with is_local */
};

extern const char *const OUTPUT_NAMES[]; /* "table", "json", NULL */
bool cli_is_json(const struct cli *cli);

struct verb {
        const char *name;
        const char *operands; /* "USER -- PROGRAM [ARGUMENT...]"; "": none */
        const char *summary;  /* one line */
        const char *help;     /* further paragraphs, or NULL */
        const char *examples; /* lines "  carrel ..." */
        const struct option_spec *options;
        size_t values_size; /* of the struct that options point into; 0: none */
        int min_operands, max_operands;
        bool is_local;      /* works without carreld */
        bool is_slow;       /* waits for the engine: carreld answers by ensure_timeout_s, an hour at most */
        int failure_status; /* what every failure of our own exits with; 0: as enum cli_status says */
        /* operands: n_operands texts, then NULL. Returns the exit status. */
        int (*run)(struct cli *cli, const void *values, char **operands, int n_operands);
};

enum { OPERANDS_ANY = 1000000 };

/* Says on stderr what went wrong (and with cli->about for whom), and what to do next; returns the exit status. */
int cli_fail(const struct cli *cli, const struct api_error *error);
/* The same for the command line; names the verb's --help when verb is not NULL. */
int cli_fail_usage(const struct cli *cli, const char *verb, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* One sentence on stderr, cleaned, after "carrel: ". */
void cli_complain(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
