#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "in force", "is_in_force", FIELD_TEXT },
        { "detail", "detail", FIELD_TEXT },
        { "heals", "heals", FIELD_TEXT },
        { "alarms", "alarms", FIELD_TEXT },
        { "dropped packets", "dropped_packets", FIELD_TEXT },
        { "resolvers", "resolvers", FIELD_TEXT },
        { "connections", "flows.of_the_host", FIELD_TEXT },
        { "table size", "flows.table_size", FIELD_TEXT },
        { "a carrel's bound", "flows.of_a_carrel_max", FIELD_TEXT },
        { "refused packets", "flows.refused_packets", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call(cli, "GET", "/v1/info", NULL, &answer);

        if (status != STATUS_OK)
                return status;
        status = cli_show_one(cli, FIELDS, view_find(answer, "policy"));
        if (status == STATUS_OK && !cJSON_IsTrue(view_find(answer, "policy.is_in_force")))
                return STATUS_FAILED;
        return status;
}

const struct verb CMD_POLICY = {
        .name = "policy",
        .operands = "",
        .summary = "Show whether the egress policy is in force, and how many packets it dropped",
        .help = "Exits 1 when it is not in force: carreld then gives out no carrels. \"heals\" counts how often "
                "missing\n"
                "rules were restored.",
        .examples = "  carrel policy\n  carrel policy -q || echo 'egress is not guarded'",
        .run = run,
};
