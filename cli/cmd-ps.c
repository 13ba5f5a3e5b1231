#include "api-path.h"
#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct ps_values {
        const char *state;
        bool is_all;
};

static const char *const STATES[] = { "all", "ended", "failed", "running", "waiting", NULL };

static const struct option_spec OPTIONS[] = {
        { 'a', "all", OPTION_FLAG, offsetof(struct ps_values, is_all),
          .help = "also waiting ones, and finished ones that are still remembered" },
        { 's', "state", OPTION_CHOICE, offsetof(struct ps_values, state), .choices = STATES, .argument = "STATE",
          .help = "only those in STATE: all, ended, failed, running, waiting" },
        { .name = NULL },
};

static const struct field RUNNING[] = {
        { "EXEC", "exec_id", FIELD_ID },      { "USER", "user", FIELD_ID }, { "RUNNING", "running_s", FIELD_SECONDS },
        { "COMMAND", "command", FIELD_TEXT }, { NULL, NULL, FIELD_TEXT },
};
static const struct field ANY[] = {
        { "EXEC", "exec_id", FIELD_ID },
        { "USER", "user", FIELD_ID },
        { "STATE", "state", FIELD_TEXT },
        { "CAUSE", "cause", FIELD_TEXT },
        { "EXIT", "exit_code", FIELD_TEXT },
        { "ERROR", "error.code", FIELD_TEXT },
        { "CPU", "usage.cpu_us", FIELD_MICROSECONDS },
        { "PEAK", "usage.memory_peak_bytes", FIELD_BYTES },
        { "AGE", "age_s", FIELD_SECONDS },
        { "COMMAND", "command", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct ps_values *ps = values;
        const char *state = ps->state != NULL ? ps->state : ps->is_all ? "all" : NULL;
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;

        (void)n_operands;
        (void)buffer_text(&path, "/v1/execs");
        if (api_path_query(&path, "user", operands[0]) < 0 || api_path_query(&path, "state", state) < 0 ||
            path.has_failed)
                return cli_no_memory(cli);
        int status = cli_call(cli, "GET", path.data, NULL, &answer);
        if (status != STATUS_OK)
                return status;
        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, answer));
        if (cJSON_IsTrue(view_find(answer, "truncated")))
                cli_complain(cli, "there are more; these are the latest");
        return cli_show_list(cli, state == NULL ? RUNNING : ANY, "exec_id", view_find(answer, "execs"),
                             state == NULL ? "no program runs; -a also shows finished ones" : "no such execs");
}

const struct verb CMD_PS = {
        .name = "ps",
        .operands = "[USER]",
        .summary = "List the programs that run in carrels",
        .help = "-q prints the exec ids, for `carrel kill`. Finished execs are remembered for exec_keep_s if they ran\n"
                "detached or with --id.",
        .examples = "  carrel ps\n  carrel ps -a ada\n  carrel kill $(carrel ps -q ada)",
        .options = OPTIONS,
        .values_size = sizeof(struct ps_values),
        .max_operands = 1,
        .run = run,
};
