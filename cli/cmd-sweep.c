#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "kept", "kept", FIELD_TEXT }, { "adopted", "adopted", FIELD_TEXT }, { "removed", "removed", FIELD_TEXT },
        { "lost", "lost", FIELD_TEXT }, { "failed", "failed", FIELD_TEXT },   { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call(cli, "POST", "/v1/sweep", NULL, &answer);

        if (status == STATUS_OK)
                status = cli_show_one(cli, FIELDS, answer);
        if (status == STATUS_OK && view_number(answer, "failed", 0) > 0)
                return STATUS_FAILED;
        return status;
}

const struct verb CMD_SWEEP = {
        .name = "sweep",
        .operands = "",
        .summary = "Compare the engine's containers with the pool, and remove orphans now (admin)",
        .help = "Exits 1 when a container could not be removed.",
        .examples = "  carrel sweep",
        .is_slow = true,
        .run = run,
};
