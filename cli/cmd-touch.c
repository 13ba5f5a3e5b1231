#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct touch_values {
        struct option_number lease;
};

static const struct option_spec OPTIONS[] = {
        { 'l', "lease", OPTION_NUMBER, offsetof(struct touch_values, lease), 1, 86400, .argument = "S",
          .help = "seconds from now during which it is not reaped as idle" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "USER", "user", FIELD_ID },        { "STATE", "state", FIELD_TEXT },
        { "IDLE", "idle_s", FIELD_SECONDS }, { "LEASE", "lease_left_s", FIELD_SECONDS },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct touch_values *touch = values;
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        AUTO(auto_json) cJSON *answers = cJSON_CreateArray();

        if (body == NULL || answers == NULL ||
            (touch->lease.is_given && cJSON_AddNumberToObject(body, "lease_s", touch->lease.value) == NULL))
                return cli_no_memory(cli);
        const struct cli_action action = { "POST", "/v1/carrels", "/touch", body };
        int status = cli_call_each(cli, &action, operands, answers);
        int shown = cli_show_each(cli, FIELDS, NULL, answers);
        return status != STATUS_OK ? status : shown;
}

const struct verb CMD_TOUCH = {
        .name = "touch",
        .operands = "USER...",
        .summary = "Reset the idle timer of carrels, or lease them for a while",
        .help = "Creates no carrel: exits 1 when a user has none. A shorter lease replaces a longer one.",
        .examples = "  carrel touch ada\n  carrel touch ada --lease 3600",
        .options = OPTIONS,
        .values_size = sizeof(struct touch_values),
        .min_operands = 1,
        .max_operands = OPERANDS_ANY,
        .run = run,
};
