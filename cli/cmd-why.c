#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "user", "user", FIELD_TEXT },      { "state", "state", FIELD_TEXT },
        { "step", "step", FIELD_TEXT },      { "reason", "reason", FIELD_TEXT },
        { "reaper", "reaper", FIELD_TEXT },  { "last fault", "last_fault", FIELD_TEXT },
        { "idle", "idle_s", FIELD_SECONDS }, { "lease left", "lease_left_s", FIELD_SECONDS },
        { "execs", "execs", FIELD_TEXT },    { "background", "background", FIELD_TEXT },
        { "since", "since", FIELD_TEXT },    { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_path(cli, "/v1/carrels", operands[0], "/why", &path);

        if (status == STATUS_OK)
                status = cli_call(cli, "GET", path.data, NULL, &answer);
        return status == STATUS_OK ? cli_show_one(cli, FIELDS, answer) : status;
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
