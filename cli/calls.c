#include "calls.h"

#include <string.h>

#include "api-path.h"
#include "scope.h"
#include "text.h"
#include "view.h"

void auto_json(cJSON **json)
{
        cJSON_Delete(*json);
}

void auto_buffer(struct buffer *buffer)
{
        buffer_free(buffer);
}

int cli_no_memory(const struct cli *cli)
{
        cli_complain(cli, "out of memory");
        return STATUS_FAILED;
}

int cli_shown(const struct cli *cli, int result)
{
        return result < 0 ? cli_no_memory(cli) : STATUS_OK;
}

int cli_call(struct cli *cli, const char *method, const char *path, const cJSON *body, cJSON **ret_answer)
{
        struct api_error error;

        return api_call(cli->api, method, path, body, ret_answer, &error) < 0 ? cli_fail(cli, &error) : STATUS_OK;
}

int cli_path(const struct cli *cli, const char *collection, const char *id, const char *suffix, struct buffer *ret_path)
{
        (void)buffer_text(ret_path, collection);
        if (api_path_append(ret_path, id) < 0 && !ret_path->has_failed) {
                cli_complain(cli, "\"%s\" is no id: ids start with a letter or a digit", id);
                return STATUS_FAILED;
        }
        (void)buffer_text(ret_path, suffix);
        return ret_path->has_failed ? cli_no_memory(cli) : STATUS_OK;
}

static int call_one(struct cli *cli, const struct cli_action *action, const char *id, cJSON *answers)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        cJSON *answer = NULL;
        int status = cli_path(cli, action->collection, id, action->suffix, &path);

        if (status == STATUS_OK)
                status = cli_call(cli, action->method, path.data, action->body, &answer);
        if (status != STATUS_OK)
                return status;
        if (!cJSON_AddItemToArray(answers, answer)) {
                cJSON_Delete(answer);
                return cli_no_memory(cli);
        }
        return STATUS_OK;
}

int cli_call_each(struct cli *cli, const struct cli_action *action, char *const *ids, cJSON *answers)
{
        int first_failure = STATUS_OK;

        for (; *ids != NULL; ids++) {
                int status = call_one(cli, action, *ids, answers);

                if (first_failure == STATUS_OK)
                        first_failure = status;
                if (status == STATUS_UNREACHABLE)
                        break;
        }
        return first_failure;
}

/* Moves a page's carrels to the end of `carrels`. */
static void take_page(cJSON *page, cJSON *carrels)
{
        cJSON *listed = cJSON_GetObjectItemCaseSensitive(page, "carrels");

        while (cJSON_IsArray(listed) && listed->child != NULL) {
                cJSON *item = cJSON_DetachItemViaPointer(listed, listed->child);

                if (!cJSON_AddItemToArray(carrels, item))
                        cJSON_Delete(item);
        }
}

int cli_list_carrels(struct cli *cli, const char *state, cJSON *carrels)
{
        AUTO(auto_buffer) struct buffer after = { 0 };
        bool has_more = true;

        while (has_more) {
                AUTO(auto_buffer) struct buffer path = { 0 };
                AUTO(auto_json) cJSON *page = NULL;

                (void)buffer_text(&path, "/v1/carrels?limit=1000");
                (void)api_path_query(&path, "state", state);
                if (api_path_query(&path, "after", after.data) < 0 || path.has_failed)
                        return cli_no_memory(cli);
                int status = cli_call(cli, "GET", path.data, NULL, &page);
                if (status != STATUS_OK)
                        return status;
                /* Pages go forwards (strcmp); one that does not would never end. */
                const char *next = view_text(page, "next");
                has_more = *next != '\0' && (after.data == NULL || strcmp(next, after.data) > 0);
                buffer_free(&after);
                (void)buffer_text(&after, next);
                take_page(page, carrels);
        }
        return STATUS_OK;
}

int cli_print_line(const struct cli *cli, const char *text)
{
        AUTO(auto_buffer) struct buffer clean = { 0 };
        int r = text_clean(&clean, text);

        if (r == 0)
                (void)fprintf(cli->out, "%s\n", clean.data);
        return r;
}

int cli_show_each(const struct cli *cli, const struct field *fields, const char *names_path, const cJSON *answers)
{
        const cJSON *answer;

        if (cli_is_json(cli)) {
                cJSON_ArrayForEach(answer, answers) if (view_json(cli, answer) < 0) return cli_no_memory(cli);
                return STATUS_OK;
        }
        if (cli->is_quiet)
                return names_path != NULL ? cli_shown(cli, view_names(cli, names_path, answers)) : STATUS_OK;
        return cli_shown(cli, view_rows(cli, fields, answers));
}

int cli_show_one(const struct cli *cli, const struct field *fields, const cJSON *answer)
{
        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, answer));
        return cli->is_quiet ? STATUS_OK : cli_shown(cli, view_pairs(cli, fields, answer));
}
