#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct ensure_values {
        const char *image;
        const char *mounts;
        const char *policy;
        const char *profile;
        const char *on_conflict;
        struct option_number memory, cpus, pids;
};

static const char *const POLICIES[] = { "internet", "none", NULL };
static const char *const CONFLICTS[] = { "fail", "replace", "replace_idle", NULL };

#define AT(field) offsetof(struct ensure_values, field)

/* The ranges are the API's (docs/api.md); the pool's own limits are lower. */
static const struct option_spec OPTIONS[] = {
        { 0, "cpus", OPTION_DECIMAL, AT(cpus), 0.01, 1024, .argument = "N",
          .help = "CPUs, at most the profile's or pool's" },
        { 0, "image", OPTION_TEXT, AT(image), .argument = "IMAGE", .help = "image of the container" },
        { 0, "memory", OPTION_SIZE, AT(memory), 1, 9e15, .argument = "SIZE",
          .help = "memory including swap (512m, 2g), at most the profile's or pool's" },
        { 0, "mounts", OPTION_TEXT, AT(mounts), .argument = "SET,...",
          .help = "mount sets of carreld's settings; empty: none" },
        { 0, "on-conflict", OPTION_CHOICE, AT(on_conflict), .choices = CONFLICTS, .argument = "CHOICE",
          .help = "if it runs with another spec: replace_idle (default), replace, fail" },
        { 0, "pids", OPTION_NUMBER, AT(pids), 1, 4194304, .argument = "N",
          .help = "processes, at most the profile's or pool's" },
        { 0, "policy", OPTION_CHOICE, AT(policy), .choices = POLICIES, .argument = "internet|none",
          .help = "egress policy" },
        { 0, "profile", OPTION_TEXT, AT(profile), .argument = "NAME",
          .help = "a profile of carreld's settings; other options can only narrow it" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "USER", "user", FIELD_ID },         { "CONTAINER", "container", FIELD_TEXT },
        { "OUTCOME", "outcome", FIELD_TEXT }, { "STATE", "state", FIELD_TEXT },
        { "PROFILE", "profile", FIELD_TEXT }, { "POLICY", "policy", FIELD_TEXT },
        { "IMAGE", "image", FIELD_TEXT },     { NULL, NULL, FIELD_TEXT },
};

static bool add_text(cJSON *object, const char *name, const char *text)
{
        return text == NULL || cJSON_AddStringToObject(object, name, text) != NULL;
}

static bool add_number(cJSON *object, const char *name, const struct option_number *number)
{
        return !number->is_given || cJSON_AddNumberToObject(object, name, number->value) != NULL;
}

/* An array of the words of text, which are separated by commas. */
static bool add_words(cJSON *object, const char *name, const char *text)
{
        cJSON *array = text != NULL ? cJSON_AddArrayToObject(object, name) : NULL;

        if (text != NULL && array == NULL)
                return false;
        while (text != NULL && *text != '\0') {
                size_t length = strcspn(text, ",");
                AUTO(auto_free) char *word = strndup(text, length);
                cJSON *item = word != NULL ? cJSON_CreateString(word) : NULL;

                if (!cJSON_AddItemToArray(array, item)) {
                        cJSON_Delete(item);
                        return false;
                }
                text += length + (text[length] == ',');
        }
        return true;
}

/* false: out of memory. */
static bool fill_body(cJSON *body, const struct ensure_values *values)
{
        bool has_limits = values->memory.is_given || values->cpus.is_given || values->pids.is_given;
        cJSON *limits = has_limits ? cJSON_AddObjectToObject(body, "limits") : NULL;

        if (has_limits && (limits == NULL || !add_number(limits, "memory", &values->memory) ||
                           !add_number(limits, "cpus", &values->cpus) || !add_number(limits, "pids", &values->pids)))
                return false;
        return add_text(body, "image", values->image) && add_text(body, "policy", values->policy) &&
               add_text(body, "profile", values->profile) && add_words(body, "mounts", values->mounts) &&
               add_text(body, "on_conflict", values->on_conflict);
}

/* Reports the programs that a replacement ended, for people; scripts read it in the answer. */
static void tell_killed(const struct cli *cli, const cJSON *answers)
{
        const cJSON *answer, *id;

        cJSON_ArrayForEach(answer, answers)
        {
                AUTO(auto_buffer) struct buffer ids = { 0 };

                cJSON_ArrayForEach(id, view_find(answer, "killed"))
                {
                        const char *text = cJSON_GetStringValue(id);

                        (void)buffer_format(&ids, "%s%s", ids.length > 0 ? ", " : "", text != NULL ? text : "");
                }
                if (ids.data != NULL)
                        cli_complain(cli, "%s: the carrel was replaced, which ended these programs: %s",
                                     view_text(answer, "user"), ids.data);
        }
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        AUTO(auto_json) cJSON *answers = cJSON_CreateArray();

        if (body == NULL || answers == NULL || !fill_body(body, values))
                return cli_no_memory(cli);
        const struct cli_action action = { "PUT", "/v1/carrels", "", body };
        int status = cli_call_each(cli, &action, operands, answers);
        int shown = cli_show_each(cli, FIELDS, "container", answers);
        if (!cli->is_quiet && !cli_is_json(cli))
                tell_killed(cli, answers);
        return status != STATUS_OK ? status : shown;
}

const struct verb CMD_ENSURE = {
        .name = "ensure",
        .operands = "USER...",
        .summary = "Give each user a running carrel: create or repair it if needed",
        .help = "A running carrel that matches is reused; a stopped, dead or different one is replaced. One with\n"
                "another spec that runs a program or has a lease is replaced only with --on-conflict replace.\n"
                "Omitted options keep the running carrel's values; --profile sets all that the profile has.\n"
                "`carrel info` lists the profiles and mount sets. -q prints the container's name.",
        .examples = "  carrel ensure ada\n  carrel ensure ada --policy none --memory 512m\n"
                    "  carrel ensure ada --profile small\n  carrel ensure ada --mounts models,data",
        .options = OPTIONS,
        .values_size = sizeof(struct ensure_values),
        .min_operands = 1,
        .max_operands = OPERANDS_ANY,
        .is_slow = true,
        .run = run,
};
