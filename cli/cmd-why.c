#include "calls.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "user", "user", FIELD_TEXT },
        { "state", "state", FIELD_TEXT },
        { "step", "step", FIELD_TEXT },
        { "profile", "profile", FIELD_TEXT },
        { "reason", "reason", FIELD_TEXT },
        { "reaper", "reaper", FIELD_TEXT },
        { "last fault", "last_fault", FIELD_TEXT },
        { "idle", "idle_s", FIELD_SECONDS },
        { "lease left", "lease_left_s", FIELD_SECONDS },
        { "execs", "execs", FIELD_TEXT },
        { "background", "background", FIELD_TEXT },
        { "since", "since", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        return cli_show_carrel(cli, operands[0], "/why", FIELDS);
}

const struct verb CMD_WHY = {
        .name = "why",
        .operands = "USER",
        .summary = "Say why a carrel is in its state, and when it will be reaped",
        .examples = "  carrel why ada",
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
