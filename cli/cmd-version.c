#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field FIELDS[] = {
        { "carrel", "carrel", FIELD_TEXT },
        { "carreld", "carreld", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

/* Works without carreld: then its version is null. */
static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *versions = cJSON_CreateObject();
        AUTO(auto_json) cJSON *info = NULL;
        struct api_error error;
        cJSON *theirs;

        if (cJSON_AddStringToObject(versions, "carrel", CARREL_VERSION) == NULL)
                return cli_no_memory(cli);
        if (cli->is_quiet) {
                (void)fputs(CARREL_VERSION "\n", cli->out);
                return STATUS_OK;
        }
        if (api_call(cli->api, "GET", "/v1/info", NULL, &info, &error) == 0)
                theirs = cJSON_AddStringToObject(versions, "carreld", view_text(info, "version"));
        else
                theirs = cJSON_AddNullToObject(versions, "carreld");
        if (theirs == NULL)
                return cli_no_memory(cli);
        return cli_show_one(cli, FIELDS, versions);
}

const struct verb CMD_VERSION = {
        .name = "version",
        .operands = "",
        .summary = "Show carrel's version, and carreld's if it answers",
        .help = "-q prints only carrel's own.",
        .examples = "  carrel version\n  carrel --version",
        .run = run,
};
