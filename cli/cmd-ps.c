#include "api-path.h"
#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "EXEC", "exec_id", FIELD_TEXT },    { "USER", "user", FIELD_TEXT }, { "RUNNING", "running_s", FIELD_SECONDS },
        { "PROGRAM", "program", FIELD_TEXT }, { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;

        (void)buffer_text(&path, "/v1/execs");
        if (api_path_query(&path, "user", operands[0]) < 0 || path.has_failed)
                return cli_no_memory(cli);
        int status = cli_call(cli, "GET", path.data, NULL, &answer);
        if (status != STATUS_OK)
                return status;
        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, answer));
        return cli_show_each(cli, FIELDS, "exec_id", view_find(answer, "execs"));
}

const struct verb CMD_PS = {
        .name = "ps",
        .operands = "[USER]",
        .summary = "List the programs that run in carrels",
        .help = "-q prints the exec ids, for `carrel kill`.",
        .examples = "  carrel ps\n  carrel kill $(carrel ps -q ada)",
        .max_operands = 1,
        .run = run,
};
