#include <stdlib.h>
#include <unistd.h>

#include "calls.h"
#include "environment.h"
#include "inside.h"
#include "scope.h"
#include "session.h"
#include "verbs.h"

struct shell_values {
        struct option_list environment;
        const char *profile;
        const char *working_dir;
};

#define AT(field) offsetof(struct shell_values, field)

static const struct option_spec OPTIONS[] = {
        { 'e', "env", OPTION_LIST, AT(environment), .argument = "NAME[=VALUE]",
          .help = "set a variable, without a value to the local one; may be repeated" },
        { 0, "profile", OPTION_TEXT, AT(profile), .argument = "NAME",
          .help = "ensure the carrel with this profile of carreld's settings" },
        { 'w', "workdir", OPTION_TEXT, AT(working_dir), .argument = "DIR",
          .help = "absolute; default " INSIDE_WORKSPACE },
        { .name = NULL },
};

/* bash where the image has it. */
static const char *const SHELL[] = { "/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l",
                                     NULL };

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct shell_values *chosen = values;
        AUTO(auto_environment) struct environment environment = { 0 };
        struct session_request request = {
                .user = operands[0],
                .argv = SHELL,
                .environment = &environment.list,
                .working_dir = chosen->working_dir,
                .profile = chosen->profile,
                .is_tty = true,
        };

        (void)n_operands;
        if (isatty(STDIN_FILENO) != 1) {
                cli_complain(cli, "a shell needs a terminal as stdin; for a script use `carrel exec -i %s -- sh`",
                             operands[0]);
                return STATUS_EXEC_FAILED;
        }
        if (environment_fill(&environment, &chosen->environment) < 0) {
                (void)cli_no_memory(cli);
                return STATUS_EXEC_FAILED;
        }
        return session_run(cli, &request);
}

const struct verb CMD_SHELL = {
        .name = "shell",
        .operands = "USER",
        .summary = "Ensure the user's carrel, and open a login shell in it",
        .help = "The terminal is connected to it as with `carrel exec -it`, and restored at the end.",
        .examples = "  carrel shell ada\n  carrel shell -e EDITOR=vi -w /tmp ada",
        .options = OPTIONS,
        .values_size = sizeof(struct shell_values),
        .min_operands = 1,
        .max_operands = 1,
        .failure_status = STATUS_EXEC_FAILED,
        .run = run,
};
