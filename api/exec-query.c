#include "exec-query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "scope.h"
#include "str.h"
#include "url.h"

enum { TEXT_MAX = 4096, SIZE_MAX_CELLS = 4096 };

struct reading {
        struct exec_query *query;
        size_t n_argv, n_environment;
        unsigned seen; /* of those that come once: a bit for each of PARAMETERS */
};

static int wrong(struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s", sentence);
}

static int read_argv(struct reading *reading, const char *value, struct fault *why)
{
        if (reading->n_argv == EXEC_ARGV_MAX)
                return wrong(why, "the query has too many argv");
        if (reading->n_argv == 0 && value[0] == '\0')
                return wrong(why, "the first argv must not be empty");
        reading->query->argv[reading->n_argv++] = value;
        return 0;
}

static int read_env(struct reading *reading, const char *value, struct fault *why)
{
        const char *equals = strchr(value, '=');

        if (reading->n_environment == EXEC_ENV_MAX)
                return wrong(why, "the query has too many env");
        if (equals == NULL || equals == value)
                return wrong(why, "each env must be NAME=VALUE");
        reading->query->environment[reading->n_environment++] = value;
        return 0;
}

static int read_cwd(struct reading *reading, const char *value, struct fault *why)
{
        if (value[0] != '/' || strlen(value) >= TEXT_MAX)
                return wrong(why, "cwd must be an absolute path");
        reading->query->request.working_dir = value;
        return 0;
}

static int read_cells(const char *value, uint16_t *ret_cells, struct fault *why)
{
        uint64_t cells;

        if (str_parse_u64(value, 1, SIZE_MAX_CELLS, &cells) < 0)
                return wrong(why, "rows and cols are from 1 to 4096");
        *ret_cells = (uint16_t)cells;
        return 0;
}

static int read_rows(struct reading *reading, const char *value, struct fault *why)
{
        return read_cells(value, &reading->query->request.rows, why);
}

static int read_cols(struct reading *reading, const char *value, struct fault *why)
{
        return read_cells(value, &reading->query->request.cols, why);
}

static int read_flag(const char *value, bool *ret_flag, struct fault *why)
{
        if (!str_equal(value, "0") && !str_equal(value, "1"))
                return wrong(why, "stdin and tty are 0 or 1");
        *ret_flag = value[0] == '1';
        return 0;
}

static int read_stdin(struct reading *reading, const char *value, struct fault *why)
{
        return read_flag(value, &reading->query->request.is_input_open, why);
}

static int read_tty(struct reading *reading, const char *value, struct fault *why)
{
        return read_flag(value, &reading->query->request.is_tty, why);
}

static int read_timeout(struct reading *reading, const char *value, struct fault *why)
{
        if (str_parse_decimal(value, 0.001, 86400, &reading->query->request.timeout_s) < 0)
                return wrong(why, "timeout_s is from 0.001 to 86400");
        return 0;
}

static const struct parameter {
        const char *name;
        int (*read)(struct reading *reading, const char *value, struct fault *why);
        bool is_repeated;
} PARAMETERS[] = {
        { "argv", read_argv, true }, { "cols", read_cols, false },         { "cwd", read_cwd, false },
        { "env", read_env, true },   { "rows", read_rows, false },         { "stdin", read_stdin, false },
        { "tty", read_tty, false },  { "timeout_s", read_timeout, false },
};
enum { N_PARAMETERS = sizeof PARAMETERS / sizeof *PARAMETERS };

static const struct parameter *find(const char *name, size_t length)
{
        for (size_t i = 0; i < N_PARAMETERS; i++)
                if (strlen(PARAMETERS[i].name) == length && memcmp(PARAMETERS[i].name, name, length) == 0)
                        return &PARAMETERS[i];
        return NULL;
}

/* Decodes the value to *target, which has room for it, and moves *target behind it. */
static int read_pair(struct reading *reading, const char *text, size_t length, char **target, struct fault *why)
{
        const char *equals = memchr(text, '=', length);
        size_t name_length = equals == NULL ? length : (size_t)(equals - text);
        const struct parameter *parameter = find(text, name_length);
        char *value = *target;
        unsigned bit;
        size_t n;

        if (parameter == NULL)
                return wrong(why, "the query has a parameter that is not known here");
        bit = 1U << (parameter - PARAMETERS);
        if (!parameter->is_repeated && (reading->seen & bit) != 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query has %s twice", parameter->name);
        reading->seen |= bit;
        if (equals == NULL || url_decode(equals + 1, length - name_length - 1, value, length, &n) < 0 ||
            strlen(value) != n)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the query's %s is malformed", parameter->name);
        *target += n + 1;
        return parameter->read(reading, value, why);
}

static int allocate(struct exec_query *query, size_t length, struct fault *why)
{
        query->text = malloc(length + 1);
        query->argv = calloc(EXEC_ARGV_MAX + 1, sizeof *query->argv);
        query->environment = calloc(EXEC_ENV_MAX + 1, sizeof *query->environment);
        if (query->text != NULL && query->argv != NULL && query->environment != NULL)
                return 0;
        (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "carreld is out of memory");
        return -ENOMEM;
}

int exec_query_parse(const char *text, struct exec_query *ret_query, struct fault *why)
{
        AUTO(exec_query_release)
        struct exec_query query = { .request = { .is_streaming = true, .is_pulled = true, .is_input_open = true } };
        struct reading reading = { .query = &query };
        char *target;
        int r = allocate(&query, text == NULL ? 0 : strlen(text), why);

        target = query.text;
        while (r == 0 && text != NULL && *text != '\0') {
                size_t length = strcspn(text, "&");

                r = read_pair(&reading, text, length, &target, why);
                text += length + (text[length] == '&' ? 1 : 0);
        }
        if (r == 0 && reading.n_argv == 0)
                r = wrong(why, "argv is missing: the program and its arguments");
        if (r < 0)
                return r;
        query.request.argv = query.argv;
        query.request.environment = query.environment;
        *ret_query = query;
        query = (struct exec_query){ 0 };
        return 0;
}

void exec_query_release(struct exec_query *query)
{
        free(query->text);
        free(query->argv);
        free(query->environment);
        *query = (struct exec_query){ 0 };
}
