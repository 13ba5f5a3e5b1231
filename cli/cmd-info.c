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

static int show_setting(const struct cli *cli, const char *key, const cJSON *value)
{
        AUTO(auto_buffer) struct buffer line = { 0 };
        const char *text = cJSON_GetStringValue(value);

        (void)buffer_format(&line, "%s = %s", key, text != NULL ? text : "");
        return line.has_failed || cli_print_line(cli, line.data) < 0 ? cli_no_memory(cli) : STATUS_OK;
}

/* A key that may be repeated has an array. */
static int show_settings(const struct cli *cli, const cJSON *settings)
{
        const cJSON *setting, *value;
        int status = STATUS_OK;

        cJSON_ArrayForEach(setting, settings)
        {
                cJSON_ArrayForEach(value, setting) if (status == STATUS_OK) status =
                        show_setting(cli, setting->string, value);
                if (status == STATUS_OK && !cJSON_IsArray(setting))
                        status = show_setting(cli, setting->string, setting);
        }
        return status;
}

/* As carrel.conf has them. */
static int show_sections(const struct cli *cli, const cJSON *kinds)
{
        const cJSON *kind, *section;

        cJSON_ArrayForEach(kind, kinds)
        {
                cJSON_ArrayForEach(section, kind)
                {
                        AUTO(auto_buffer) struct buffer line = { 0 };
                        int status;

                        (void)buffer_format(&line, "[%s %s]", kind->string, section->string);
                        (void)fputc('\n', cli->out);
                        status = line.has_failed || cli_print_line(cli, line.data) < 0 ? cli_no_memory(cli)
                                                                                       : show_settings(cli, section);
                        if (status != STATUS_OK)
                                return status;
                }
        }
        return STATUS_OK;
}

/* For scripts, and for the shells' completion. */
static int show_profiles(const struct cli *cli, const cJSON *profiles)
{
        const cJSON *profile;

        cJSON_ArrayForEach(profile, profiles) if (cli_print_line(cli, profile->string) < 0) return cli_no_memory(cli);
        return STATUS_OK;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call(cli, "GET", "/v1/info", NULL, &answer);

        if (status == STATUS_OK && cli->is_quiet && !cli_is_json(cli))
                return show_profiles(cli, view_find(answer, "sections.profile"));
        if (status == STATUS_OK)
                status = cli_show_one(cli, FIELDS, answer);
        if (status != STATUS_OK || cli_is_json(cli))
                return status;
        (void)fputs("\nengines\n", cli->out);
        status = show_engines(cli, view_find(answer, "engines"));
        if (status != STATUS_OK)
                return status;
        (void)fputs("\nsettings\n", cli->out);
        status = show_settings(cli, view_find(answer, "settings"));
        return status != STATUS_OK ? status : show_sections(cli, view_find(answer, "sections"));
}

const struct verb CMD_INFO = {
        .name = "info",
        .operands = "",
        .summary = "Show carreld's state: engine, policy, numbers, settings, profiles",
        .help = "-q prints the names of the profiles.",
        .examples = "  carrel info\n  carrel info -o json",
        .run = run,
};
