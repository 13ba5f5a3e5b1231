#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct rm_values {
        bool is_all;
        bool has_files;
        bool is_confirmed;
        bool is_forced;
};

static const struct option_spec OPTIONS[] = {
        { 'a', "all", OPTION_FLAG, offsetof(struct rm_values, is_all), .help = "every user's carrel" },
        { .name = "files",
          .type = OPTION_FLAG,
          .offset = offsetof(struct rm_values, has_files),
          .help = "remove the users' files for good, too; asks first" },
        { 'f', "force", OPTION_FLAG, offsetof(struct rm_values, is_forced),
          .help = "ignore users without a carrel (--files: without files, too); with --all: do not ask" },
        { 'y', "yes", OPTION_FLAG, offsetof(struct rm_values, is_confirmed),
          .help = "with --all or --files: do not ask" },
        { .name = NULL },
};

static const struct field FIELDS[] = {
        { "USER", "user", FIELD_ID },
        { "OUTCOME", "outcome", FIELD_TEXT },
        { NULL, NULL, FIELD_TEXT },
};

static int remove_users(struct cli *cli, char *const *users, bool is_forced, bool has_files)
{
        const struct cli_action action = { .method = "DELETE",
                                           .collection = "/v1/carrels",
                                           .suffix = has_files ? "?files=1" : "",
                                           .may_be_missing = is_forced };
        AUTO(auto_json) cJSON *answers = cJSON_CreateArray();

        if (answers == NULL)
                return cli_no_memory(cli);
        int status = cli_call_each(cli, &action, users, answers);
        int shown = cli_show_each(cli, FIELDS, NULL, answers);
        return status != STATUS_OK ? status : shown;
}

/* Asks on the terminal; only "y" and "yes" are a yes. */
static bool is_agreed(const struct cli *cli, int count, bool has_files)
{
        char answer[16] = "";

        (void)fprintf(cli->err, "Remove %d carrel%s and end the programs in %s? The users' files %s [y/N] ", count,
                      count == 1 ? "" : "s", count == 1 ? "it" : "them",
                      has_files ? "are removed, too, for good." : "stay.");
        (void)fflush(cli->err);
        if (fgets(answer, sizeof answer, stdin) == NULL)
                return false;
        return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

/* The users of the listed carrels as an array of borrowed texts, NULL at the end; false: out of memory. */
static bool list_users(const cJSON *carrels, struct buffer *ret_users)
{
        const cJSON *carrel;
        const char *end = NULL;

        cJSON_ArrayForEach(carrel, carrels)
        {
                const char *user = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(carrel, "user"));

                if (user != NULL)
                        (void)buffer_append(ret_users, &user, sizeof user);
        }
        return buffer_append(ret_users, &end, sizeof end) == 0;
}

static int give_up(struct cli *cli)
{
        cli_complain(cli, "nothing was removed");
        return STATUS_FAILED;
}

/* Files of users without a carrel are not listed: --all is not for them. */
static int erase(struct cli *cli, const struct rm_values *rm, char **users, int count)
{
        if (rm->is_all)
                return cli_fail_usage(cli, "rm", "--files needs the names of the users, not --all");
        if (!rm->is_confirmed && isatty(STDIN_FILENO) != 1)
                return cli_fail_usage(cli, "rm", "--files asks on the terminal first; without one, add --yes");
        if (!rm->is_confirmed && !is_agreed(cli, count, true))
                return give_up(cli);
        return remove_users(cli, users, rm->is_forced, true);
}

static int remove_all(struct cli *cli, bool is_confirmed)
{
        AUTO(auto_json) cJSON *carrels = cJSON_CreateArray();
        AUTO(auto_buffer) struct buffer users = { 0 };
        int status;

        if (!is_confirmed && isatty(STDIN_FILENO) != 1)
                return cli_fail_usage(cli, "rm", "--all asks on the terminal first; without one, add --yes");
        if (carrels == NULL)
                return cli_no_memory(cli);
        status = cli_list_carrels(cli, NULL, false, false, carrels);
        if (status != STATUS_OK)
                return status;
        if (!list_users(carrels, &users))
                return cli_no_memory(cli);
        int count = (int)(users.length / sizeof(char *)) - 1;
        if (count > 0 && !is_confirmed && !is_agreed(cli, count, false))
                return give_up(cli);
        return remove_users(cli, (char *const *)(void *)users.data, true, false); /* one may have ended meanwhile */
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct rm_values *rm = values;

        if (rm->is_all && n_operands > 0)
                return cli_fail_usage(cli, "rm", "give users or --all, not both");
        if (!rm->is_all && n_operands == 0)
                return cli_fail_usage(cli, "rm", "missing argument: USER, or --all");
        if (rm->has_files)
                return erase(cli, rm, operands, n_operands);
        return rm->is_all ? remove_all(cli, rm->is_confirmed || rm->is_forced)
                          : remove_users(cli, operands, rm->is_forced, false);
}

const struct verb CMD_RM = {
        .name = "rm",
        .operands = "USER... | --all",
        .summary = "Remove carrels; the users' files stay without --files",
        .help = "Ends their programs. Answers when the containers are gone, and with --files when the files are.",
        .examples = "  carrel rm ada grace\n  carrel rm --all --yes\n  carrel rm --files ada",
        .options = OPTIONS,
        .values_size = sizeof(struct rm_values),
        .max_operands = OPERANDS_ANY,
        .is_slow = true,
        .run = run,
};
