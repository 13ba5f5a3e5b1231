#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct ls_values {
        const char *state;
        bool has_all;
        bool has_usage;
};

static const char *const STATES[] = { "frozen", "lost", "queued", "ready", "retiring", "starting", "warm", NULL };

static const struct option_spec OPTIONS[] = {
        { 'a', "all", OPTION_FLAG, offsetof(struct ls_values, has_all), .help = "warm carrels, too" },
        { 's', "state", OPTION_CHOICE, offsetof(struct ls_values, state), .choices = STATES, .argument = "STATE",
          .help = "only carrels in STATE: frozen, lost, queued, ready, retiring, starting, warm" },
        { 0, "usage", OPTION_FLAG, offsetof(struct ls_values, has_usage), .help = "CPU time, memory and tasks, too" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "USER", "user", FIELD_ID },
        { "STATE", "state", FIELD_TEXT },
        { "POLICY", "policy", FIELD_TEXT },
        { "AGE", "age_s", FIELD_SECONDS },
        { "IDLE", "idle_s", FIELD_SECONDS },
        { "EXECS", "execs", FIELD_TEXT },
        { "BACKGROUND", "background", FIELD_TEXT },
        { "PROFILE", "profile", FIELD_TEXT },
        { "IMAGE", "image", FIELD_TEXT },
        { "CONTAINER", "container", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static const struct field USAGE_FIELDS[] = {
        { "USER", "user", FIELD_ID },
        { "STATE", "state", FIELD_TEXT },
        { "AGE", "age_s", FIELD_SECONDS },
        { "IDLE", "idle_s", FIELD_SECONDS },
        { "EXECS", "execs", FIELD_TEXT },
        { "CPU", "usage.cpu.usage_us", FIELD_MICROSECONDS },
        { "MEMORY", "usage.memory.current_bytes", FIELD_BYTES },
        { "PEAK", "usage.memory.peak_bytes", FIELD_BYTES },
        { "LIMIT", "usage.memory.limit_bytes", FIELD_BYTES },
        { "PIDS", "usage.pids.current", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct ls_values *ls = values;
        AUTO(auto_json) cJSON *answer = cJSON_CreateObject();
        cJSON *carrels = cJSON_AddArrayToObject(answer, "carrels");

        if (carrels == NULL)
                return cli_no_memory(cli);
        int status = cli_list_carrels(cli, ls->state, ls->has_all, ls->has_usage, carrels);
        if (status != STATUS_OK)
                return status;
        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, answer));
        return cli_show_list(cli, ls->has_usage ? USAGE_FIELDS : FIELDS, "user", carrels,
                             ls->state != NULL ? "there is no carrel in this state"
                                               : "there is no carrel; `carrel ensure USER` makes one");
}

const struct verb CMD_LS = {
        .name = "ls",
        .operands = "",
        .summary = "List the carrels, sorted by user id",
        .help = "Listing does not reset the idle timer. -q prints the user ids. A warm carrel has no user yet:\n"
                "its name begins with a dot.",
        .examples = "  carrel ls\n  carrel ls --state ready -q",
        .options = OPTIONS,
        .values_size = sizeof(struct ls_values),
        .run = run,
};
