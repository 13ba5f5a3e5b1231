#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct reap_values {
        struct option_number idle;
};

static const struct option_spec OPTIONS[] = {
        { 'i', "idle", OPTION_DECIMAL, offsetof(struct reap_values, idle), 0, 31536000, .argument = "S",
          .help = "only those idle for at least S seconds; default 0: all idle ones" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "retiring", "retiring", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct reap_values *reap = values;
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        AUTO(auto_json) cJSON *answer = NULL;

        if (body == NULL || (reap->idle.is_given && cJSON_AddNumberToObject(body, "idle_s", reap->idle.value) == NULL))
                return cli_no_memory(cli);
        int status = cli_call(cli, "POST", "/v1/reap", body, &answer);
        return status == STATUS_OK ? cli_show_one(cli, FIELDS, answer) : status;
}

const struct verb CMD_REAP = {
        .name = "reap",
        .operands = "",
        .summary = "Remove idle carrels now (admin)",
        .help = "Never removes one with a program or a lease. Prints how many removals were started, and does not\n"
                "wait for them.",
        .examples = "  carrel reap\n  carrel reap --idle 60",
        .options = OPTIONS,
        .values_size = sizeof(struct reap_values),
        .run = run,
};
