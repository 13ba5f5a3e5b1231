#include <stdint.h>

#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct kill_values {
        const char *signal;
};

static const struct option_spec OPTIONS[] = {
        { 's', "signal", OPTION_TEXT, offsetof(struct kill_values, signal), .argument = "SIGNAL",
          .help = "name or number; default TERM" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "EXEC", "exec_id", FIELD_ID },
        { "SIGNAL", "signal", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

/* A number is sent as one; carreld checks names. */
static cJSON *make_body(const char *signal)
{
        cJSON *body = cJSON_CreateObject();
        uint64_t number = 0;
        cJSON *added;

        if (str_parse_u64(signal, 0, UINT32_MAX, &number) == 0)
                added = cJSON_AddNumberToObject(body, "signal", (double)number);
        else
                added = cJSON_AddStringToObject(body, "signal", signal);
        if (added == NULL) {
                cJSON_Delete(body);
                return NULL;
        }
        return body;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct kill_values *chosen = values;
        AUTO(auto_json) cJSON *body = make_body(chosen->signal != NULL ? chosen->signal : "TERM");
        AUTO(auto_json) cJSON *answers = cJSON_CreateArray();

        if (body == NULL || answers == NULL)
                return cli_no_memory(cli);
        const struct cli_action action = { .method = "POST",
                                           .collection = "/v1/execs",
                                           .suffix = "/signal",
                                           .body = body,
                                           .resolve = cli_resolve_exec,
                                           .is_final = true };
        int status = cli_call_each(cli, &action, operands, answers);
        int shown = cli_show_each(cli, FIELDS, NULL, answers);
        return status != STATUS_OK ? status : shown;
}

const struct verb CMD_KILL = {
        .name = "kill",
        .operands = "EXEC_ID...",
        .summary = "Send a signal to the processes of an exec",
        .help = "`carrel ps` shows the ids. The whole id is needed: once build-4 is forgotten, its id would be the\n"
                "beginning of build-42.",
        .examples = "  carrel kill build-42\n  carrel kill -s KILL $(carrel ps -q ada)",
        .options = OPTIONS,
        .values_size = sizeof(struct kill_values),
        .min_operands = 1,
        .max_operands = OPERANDS_ANY,
        .run = run,
};
