#include "verbs.h"

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct verb *verb;

        if (n_operands == 0) {
                verbs_print_help(cli->out);
                return STATUS_OK;
        }
        verb = verb_find(operands[0]);
        if (verb == NULL)
                return verb_fail_unknown(cli, operands[0]);
        verb_print_help(verb, cli->out);
        return STATUS_OK;
}

const struct verb CMD_HELP = {
        .name = "help",
        .operands = "[VERB]",
        .summary = "Explain carrel, or one verb",
        .examples = "  carrel help exec",
        .max_operands = 1,
        .is_local = true,
        .run = run,
};
