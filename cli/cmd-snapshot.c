/* The verbs snapshot and fork. */
#include <stdio.h>
#include <string.h>

#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

static const struct field COPIED[] = {
        { "USER", "user", FIELD_ID },     { "OUTCOME", "outcome", FIELD_TEXT }, { "FILES", "files", FIELD_TEXT },
        { "SIZE", "bytes", FIELD_BYTES }, { NULL, NULL, FIELD_TEXT },
};

static const struct field LISTED[] = {
        { "NAME", "name", FIELD_ID },     { "CREATED", "created_at", FIELD_TEXT },
        { "FILES", "files", FIELD_TEXT }, { "SIZE", "bytes", FIELD_BYTES },
        { NULL, NULL, FIELD_TEXT },
};

static const struct field REMOVED[] = {
        { "NAME", "name", FIELD_ID },
        { "OUTCOME", "outcome", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

/* /v1/carrels/USER/snapshots/NAME{suffix} */
static int call_snapshot(struct cli *cli, const char *method, char **operands, const char *suffix, cJSON **ret_answer)
{
        char between[] = "/snapshots";
        AUTO(auto_buffer) struct buffer user = { 0 };
        AUTO(auto_buffer) struct buffer path = { 0 };
        int status = cli_path(cli, "/v1/carrels", operands[0], between, &user);

        if (status == STATUS_OK)
                status = cli_path(cli, user.data, operands[1], suffix, &path);
        return status == STATUS_OK ? cli_call(cli, method, path.data, NULL, ret_answer) : status;
}

static int post(struct cli *cli, const char *user, const char *suffix, const char *key, const char *value)
{
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        AUTO(auto_json) cJSON *answer = NULL;
        AUTO(auto_buffer) struct buffer path = { 0 };
        int status;

        if (body == NULL || cJSON_AddStringToObject(body, key, value) == NULL)
                return cli_no_memory(cli);
        status = cli_path(cli, "/v1/carrels", user, suffix, &path);
        if (status == STATUS_OK)
                status = cli_call(cli, "POST", path.data, body, &answer);
        return status == STATUS_OK ? cli_show_one(cli, COPIED, answer) : status;
}

static int create(struct cli *cli, char **operands)
{
        return post(cli, operands[0], "/snapshots", "name", operands[1]);
}

static int list(struct cli *cli, char **operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        AUTO(auto_buffer) struct buffer path = { 0 };
        int status = cli_path(cli, "/v1/carrels", operands[0], "/snapshots", &path);

        if (status == STATUS_OK)
                status = cli_call(cli, "GET", path.data, NULL, &answer);
        return status == STATUS_OK ? cli_show_each(cli, LISTED, NULL, view_find(answer, "snapshots")) : status;
}

static int restore(struct cli *cli, char **operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = call_snapshot(cli, "POST", operands, "/restore", &answer);

        return status == STATUS_OK ? cli_show_one(cli, COPIED, answer) : status;
}

static int remove_one(struct cli *cli, char **operands)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = call_snapshot(cli, "DELETE", operands, "", &answer);

        return status == STATUS_OK ? cli_show_one(cli, REMOVED, answer) : status;
}

static const struct {
        const char *name;
        int n_operands;
        int (*run)(struct cli *cli, char **operands);
} ACTIONS[] = {
        { "create", 2, create },
        { "ls", 1, list },
        { "restore", 2, restore },
        { "rm", 2, remove_one },
};

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
                if (strcmp(ACTIONS[i].name, operands[0]) != 0)
                        continue;
                if (n_operands - 1 != ACTIONS[i].n_operands)
                        return cli_fail_usage(cli, "snapshot", "wrong number of arguments after the action");
                return ACTIONS[i].run(cli, operands + 1);
        }
        return cli_fail_usage(cli, "snapshot", "snapshot takes create, ls, restore or rm, not \"%s\"", operands[0]);
}

static int fork_files(struct cli *cli, const void *values, char **operands, int n_operands)
{
        return post(cli, operands[0], "/fork", "to", operands[1]);
}

const struct verb CMD_FORK = {
        .name = "fork",
        .operands = "USER TO",
        .summary = "Copy the files of a user to a user who has none",
        .help = "The user's carrel is frozen meanwhile. Refuses a carrel that a program, a file operation or a lease\n"
                "uses, and a user TO who has files.",
        .examples = "  carrel fork ada bob",
        .min_operands = 2,
        .max_operands = 2,
        .is_slow = true,
        .run = fork_files,
};

const struct verb CMD_SNAPSHOT = {
        .name = "snapshot",
        .operands = "create USER NAME | ls USER | restore USER NAME | rm USER NAME",
        .summary = "Keep copies of a user's files, and bring them back",
        .help = "create freezes the user's carrel meanwhile, and refuses one that a program, a file operation or a\n"
                "lease uses. restore replaces all files of the user, and removes the idle carrel.",
        .examples = "  carrel snapshot create ada before\n  carrel snapshot ls ada\n"
                    "  carrel snapshot restore ada before",
        .min_operands = 1,
        .max_operands = 3,
        .is_slow = true,
        .run = run,
};
