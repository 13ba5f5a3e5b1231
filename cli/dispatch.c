#include "dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"
#include "table.h"
#include "verbs.h"

/* carreld has deadlines of its own; these only catch a stopped one. */
static const double DEADLINE_S = 15.0;
static const double SLOW_DEADLINE_S = 3660.0;

static const char DEFAULT_SOCKET[] = "/run/carrel/carrel.sock";

static void auto_client(struct api_client **client)
{
        api_client_free(*client);
}

/* problem and its argument: "unexpected argument", "--fast". */
static int fail_usage(const struct cli *cli, const struct verb *verb, const char *problem, const char *argument)
{
        int status = cli_fail_usage(cli, verb->name, "%s%s%s", problem, argument != NULL ? ": " : "",
                                    argument != NULL ? argument : "");

        return verb->failure_status != 0 ? verb->failure_status : status;
}

static int run_with_client(struct cli *cli, const struct verb *verb, const void *values, char **operands,
                           int n_operands)
{
        AUTO(auto_client) struct api_client *client = NULL;
        double deadline_s = verb->is_slow ? SLOW_DEADLINE_S : DEADLINE_S;
        int r = verb->is_local ? 0 : api_client_new(&client, cli->socket_path, deadline_s);

        if (r < 0) {
                cli_complain(cli, "cannot set up the client: %s", strerror(-r));
                return verb->failure_status != 0 ? verb->failure_status : STATUS_FAILED;
        }
        cli->api = client;
        return verb->run(cli, values, operands, n_operands);
}

/* "USER -- PROGRAM [ARGUMENT...]" with one operand given lacks PROGRAM. A choice ("A | B") is named whole. */
static int fail_missing(const struct cli *cli, const struct verb *verb, int n_given)
{
        enum { NAME_BYTES = 32 };
        const char *name = verb->operands;
        char text[NAME_BYTES];

        if (strchr(name, '|') != NULL)
                return fail_usage(cli, verb, "missing argument", name);
        for (int i = 0; i < n_given && *name != '\0'; i++) {
                name += strcspn(name, " ");
                name += strspn(name, " -");
        }
        (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(name, " ."), name);
        return fail_usage(cli, verb, "missing argument", text);
}

/* argv[0] is the verb's name. */
static int run_verb(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
        AUTO(auto_free) void *values = calloc(1, verb->values_size > 0 ? verb->values_size : 1);
        const struct option_group groups[] = { { COMMON_OPTIONS, cli }, { verb->options, values } };
        struct fault why;
        int first;

        if (values == NULL)
                return STATUS_FAILED;
        if (options_parse(groups, 2, argc, argv, OPERANDS_MIXED, &first, &why) < 0)
                return fail_usage(cli, verb, why.message, NULL);
        if (cli->wants_help) {
                verb_print_help(verb, cli->out);
                return STATUS_OK;
        }
        if (argc - first < verb->min_operands)
                return fail_missing(cli, verb, argc - first);
        if (argc - first > verb->max_operands)
                return fail_usage(cli, verb, "unexpected argument", argv[first + verb->max_operands]);
        return run_with_client(cli, verb, values, argv + first, argc - first);
}

static int choose_verb(struct cli *cli, int argc, char **argv)
{
        const struct option_spec version_option[] = {
                { 'V', "version", OPTION_FLAG, offsetof(struct cli, wants_version), .help = "" }, { .name = NULL }
        };
        const struct option_group groups[] = { { COMMON_OPTIONS, cli }, { version_option, cli } };
        char version_name[] = "version";
        char *version[] = { version_name, NULL };
        struct fault why;
        int first;

        if (options_parse(groups, 2, argc, argv, OPERANDS_END, &first, &why) < 0)
                return cli_fail_usage(cli, NULL, "%s", why.message);
        if (cli->wants_version)
                return run_verb(cli, &CMD_VERSION, 1, version);
        if (first == argc) {
                verbs_print_help(cli->wants_help ? cli->out : cli->err);
                return cli->wants_help ? STATUS_OK : STATUS_USAGE;
        }
        const struct verb *verb = verb_find(argv[first]);
        if (verb == NULL)
                return verb_fail_unknown(cli, argv[first]);
        return run_verb(cli, verb, argc - first, argv + first);
}

/* Output must have been written; a reader that left (head(1)) needs no message. */
static int finish(const struct cli *cli, int status)
{
        errno = 0;
        if (fflush(cli->out) == 0 && ferror(cli->out) == 0)
                return status;
        /* 0: the earlier failure was reported already. */
        if (errno != EPIPE && errno != 0)
                cli_complain(cli, "cannot write the output: %s", strerror(errno));
        return status != STATUS_OK ? status : STATUS_FAILED;
}

int cli_dispatch(int argc, char **argv, const char *socket_variable, FILE *out, FILE *err)
{
        bool has_variable = socket_variable != NULL && *socket_variable != '\0';
        const char *advised = NULL;
        struct cli cli = { .socket_path = has_variable ? socket_variable : DEFAULT_SOCKET,
                           .output = OUTPUT_NAMES[0],
                           .out = out,
                           .err = err,
                           .advised = &advised,
                           .width = table_terminal_width(fileno(out)) };

        return finish(&cli, choose_verb(&cli, argc, argv));
}
