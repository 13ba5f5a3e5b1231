#include "exec-query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"
#include "scope.h"
#include "settings.h"
#include "str.h"

enum { TEXT_MAX = 4096 };

static int wrong(struct fault *why, const char *sentence)
{
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s", sentence);
}

static int read_argv(void *target, const char *value, const char *name, struct fault *why)
{
        struct exec_query *query = target;

        (void)name;
        if (query->n_argv == EXEC_ARGV_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, E2BIG, "the query has more than %d argv", EXEC_ARGV_MAX);
        if (query->n_argv == 0 && value[0] == '\0')
                return wrong(why, "the first argv must not be empty");
        query->argv[query->n_argv++] = value;
        return 0;
}

static int read_env(void *target, const char *value, const char *name, struct fault *why)
{
        struct exec_query *query = target;
        const char *equals = strchr(value, '=');

        (void)name;
        if (query->n_environment == EXEC_ENV_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, E2BIG, "the query has more than %d env", EXEC_ENV_MAX);
        if (equals == NULL || equals == value)
                return wrong(why, "each env must be NAME=VALUE");
        query->environment[query->n_environment++] = value;
        return 0;
}

static int read_cwd(void *target, const char *value, const char *name, struct fault *why)
{
        (void)name;
        if (value[0] != '/' || strlen(value) >= TEXT_MAX)
                return wrong(why, "cwd must be an absolute path");
        ((struct exec_query *)target)->request.working_dir = value;
        return 0;
}

static int read_cells(const char *value, const char *name, uint16_t *ret_cells, struct fault *why)
{
        uint64_t cells;

        if (str_parse_u64(value, 1, EXEC_CELLS_MAX, &cells) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE, "%s is from 1 to %d", name, EXEC_CELLS_MAX);
        *ret_cells = (uint16_t)cells;
        return 0;
}

static int read_request(void *target, const char *value, const char *name, struct fault *why)
{
        (void)name;
        if (!str_equal(value, "message"))
                return wrong(why, "request is \"message\", or left out");
        ((struct exec_query *)target)->is_by_message = true;
        return 0;
}

static int read_rows(void *target, const char *value, const char *name, struct fault *why)
{
        return read_cells(value, name, &((struct exec_query *)target)->request.rows, why);
}

static int read_cols(void *target, const char *value, const char *name, struct fault *why)
{
        return read_cells(value, name, &((struct exec_query *)target)->request.cols, why);
}

static int read_stdin(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct exec_query *)target)->request.is_input_open, why);
}

static int read_tty(void *target, const char *value, const char *name, struct fault *why)
{
        return query_flag(value, name, &((struct exec_query *)target)->request.is_tty, why);
}

static int read_timeout(void *target, const char *value, const char *name, struct fault *why)
{
        (void)name;
        if (str_parse_decimal(value, 0.001, 86400, &((struct exec_query *)target)->request.timeout_s) < 0)
                return wrong(why, "timeout_s is from 0.001 to 86400");
        return 0;
}

static int read_drain(void *target, const char *value, const char *name, struct fault *why)
{
        struct exec_query *query = target;

        (void)name;
        query->request.has_drain = true;
        if (str_parse_decimal(value, 0, EXEC_DRAIN_MAX_S, &query->request.drain_s) < 0)
                return wrong(why, "drain_s is from 0 to 86400");
        return 0;
}

static int read_profile(void *target, const char *value, const char *name, struct fault *why)
{
        if (settings_check_name(value) != NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s: %s", name, settings_check_name(value));
        ((struct exec_query *)target)->profile = value;
        return 0;
}

const struct query_parameter EXEC_QUERY[] = {
        { "argv", read_argv, true },
        { "cols", read_cols, false },
        { "cwd", read_cwd, false },
        { "drain_s", read_drain, false },
        { "env", read_env, true },
        { "profile", read_profile, false },
        { "request", read_request, false },
        { "rows", read_rows, false },
        { "stdin", read_stdin, false },
        { "tty", read_tty, false },
        { "timeout_s", read_timeout, false },
        { 0 },
};

int exec_query_parse(char *text, struct exec_query *ret_query, struct fault *why)
{
        AUTO(exec_query_release)
        struct exec_query query = { .request = { .is_streaming = true, .is_pulled = true, .is_input_open = true } };
        int r;

        if (str_equal(text, "request=message")) {
                *ret_query = (struct exec_query){ .is_by_message = true };
                return 0;
        }
        query.argv = calloc(EXEC_ARGV_MAX + 1, sizeof *query.argv);
        query.environment = calloc(EXEC_ENV_MAX + 1, sizeof *query.environment);
        if (query.argv == NULL || query.environment == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "carreld is out of memory");
        r = query_parse(text, EXEC_QUERY, &query, why);
        if (r == 0 && query.is_by_message)
                r = wrong(why, "with request=message the query has no other parameters: the message has the request");
        if (r == 0 && query.n_argv == 0)
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
        free(query->argv);
        free(query->environment);
        *query = (struct exec_query){ 0 };
}
