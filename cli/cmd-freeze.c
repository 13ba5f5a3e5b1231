/* The verbs freeze and thaw. */
#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "USER", "user", FIELD_ID },
        { "STATE", "state", FIELD_TEXT },
        { "IDLE", "idle_s", FIELD_SECONDS },
        { NULL, NULL, FIELD_TEXT },
};

static int post(struct cli *cli, const char *suffix, char **operands)
{
        const struct cli_action action = { .method = "POST", .collection = "/v1/carrels", .suffix = suffix };
        AUTO(auto_json) cJSON *answers = cJSON_CreateArray();

        if (answers == NULL)
                return cli_no_memory(cli);
        int status = cli_call_each(cli, &action, operands, answers);
        int shown = cli_show_each(cli, FIELDS, NULL, answers);
        return status != STATUS_OK ? status : shown;
}

static int freeze(struct cli *cli, const void *values, char **operands, int n_operands)
{
        return post(cli, "/freeze", operands);
}

static int thaw(struct cli *cli, const void *values, char **operands, int n_operands)
{
        return post(cli, "/thaw", operands);
}

const struct verb CMD_FREEZE = {
        .name = "freeze",
        .operands = "USER...",
        .summary = "Freeze carrels: nothing in them runs until their next use",
        .help = "The next ensure, exec or file operation thaws them. Refuses a carrel that a program, a file\n"
                "operation or a lease uses. The idle time goes on.",
        .examples = "  carrel freeze ada",
        .min_operands = 1,
        .max_operands = OPERANDS_ANY,
        .run = freeze,
};

const struct verb CMD_THAW = {
        .name = "thaw",
        .operands = "USER...",
        .summary = "Thaw carrels, whoever has frozen them",
        .help = "Also a container that the engine has paused (docker pause). Resets the idle timer.",
        .examples = "  carrel thaw ada",
        .min_operands = 1,
        .max_operands = OPERANDS_ANY,
        .run = thaw,
};
