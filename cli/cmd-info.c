#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "carreld", "version", FIELD_TEXT },
        { "pool", "pool", FIELD_TEXT },
        { "engine", "engine.kind", FIELD_TEXT },
        { "engine version", "engine.version", FIELD_TEXT },
        { "engine API", "engine.api_version", FIELD_TEXT },
        { "engine answers", "engine.is_available", FIELD_TEXT },
        { "engine detail", "engine.detail", FIELD_TEXT },
        { "policy in force", "policy.is_in_force", FIELD_TEXT },
        { "can connect", "policy.can_connect", FIELD_TEXT },
        { "policy detail", "policy.detail", FIELD_TEXT },
        { "reconciled", "stats.has_reconciled", FIELD_TEXT },
        { "carrels ready", "stats.carrels.ready", FIELD_TEXT },
        { "carrels queued", "stats.carrels.queued", FIELD_TEXT },
        { "carrels starting", "stats.carrels.starting", FIELD_TEXT },
        { "carrels retiring", "stats.carrels.retiring", FIELD_TEXT },
        { "carrels lost", "stats.carrels.lost", FIELD_TEXT },
        { "carrels warm", "stats.warm.ready", FIELD_TEXT },
        { "warm wanted", "stats.warm.wanted", FIELD_TEXT },
        { "warm detail", "stats.warm.detail", FIELD_TEXT },
        { "execs", "stats.execs", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int show_engines(const struct cli *cli, const cJSON *engines)
{
        const cJSON *engine;

        cJSON_ArrayForEach(engine, engines)
        {
                AUTO(auto_buffer) struct buffer line = { 0 };

                (void)buffer_format(&line, "%s %s: %s", cJSON_IsTrue(view_find(engine, "is_chosen")) ? "uses" : "not",
                                    view_text(engine, "kind"), view_text(engine, "reason"));
                if (line.has_failed || cli_print_line(cli, line.data) < 0)
                        return cli_no_memory(cli);
        }
        return STATUS_OK;
}

static int show_settings(const struct cli *cli, const cJSON *settings)
{
        const cJSON *setting;

        cJSON_ArrayForEach(setting, settings)
        {
                AUTO(auto_buffer) struct buffer line = { 0 };
                const char *value = cJSON_GetStringValue(setting);

                (void)buffer_format(&line, "%s = %s", setting->string, value != NULL ? value : "");
                if (line.has_failed || cli_print_line(cli, line.data) < 0)
                        return cli_no_memory(cli);
        }
        return STATUS_OK;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call(cli, "GET", "/v1/info", NULL, &answer);

        if (status == STATUS_OK)
                status = cli_show_one(cli, FIELDS, answer);
        if (status != STATUS_OK || cli_is_json(cli) || cli->is_quiet)
                return status;
        (void)fputs("\nengines\n", cli->out);
        status = show_engines(cli, view_find(answer, "engines"));
        if (status != STATUS_OK)
                return status;
        (void)fputs("\nsettings\n", cli->out);
        return show_settings(cli, view_find(answer, "settings"));
}

const struct verb CMD_INFO = {
        .name = "info",
        .operands = "",
        .summary = "Show carreld's state: engine, policy, numbers, settings",
        .examples = "  carrel info\n  carrel info -o json",
        .run = run,
};
