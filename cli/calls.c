#include "calls.h"

#include <errno.h>
#include <string.h>

#include "api-path.h"
#include "scope.h"
#include "text.h"
#include "view.h"

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
                cli_complain(cli, "\"%s\" is not an id: ids start with a letter or a digit", id);
                return STATUS_FAILED;
        }
        (void)buffer_text(ret_path, suffix);
        return ret_path->has_failed ? cli_no_memory(cli) : STATUS_OK;
}

/* ---- ids ---- */

static int call_path(struct cli *cli, const struct cli_action *action, const char *id, cJSON **ret_answer,
                     struct api_error *ret_error)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        int status = cli_path(cli, action->collection, id, action->suffix, &path);

        if (status != STATUS_OK) {
                ret_error->status = STATUS_OK; /* reported */
                return -EINVAL;
        }
        return api_call(cli->api, action->method, path.data, action->body, ret_answer, ret_error);
}

static bool is_missing(const struct api_error *error)
{
        return str_equal(error->code, "not_found") || str_equal(error->code, "image_missing");
}

int cli_call_id(struct cli *cli, const struct cli_action *action, const char *id, cJSON **ret_answer)
{
        AUTO(auto_buffer) struct buffer whole = { 0 };
        struct api_error error = { .status = STATUS_OK };
        int r = call_path(cli, action, id, ret_answer, &error);

        if (r < 0 && action->resolve != NULL && is_missing(&error)) {
                int found = action->resolve(cli, id, &whole);

                if (found < 0 && found != -ENOENT)
                        return STATUS_FAILED;
                if (found == 0 && action->is_final) {
                        cli_complain(cli, "no id is \"%s\", which is only the beginning of %s: give the whole id", id,
                                     whole.data);
                        return STATUS_FAILED;
                }
                if (found == 0)
                        r = call_path(cli, action, whole.data, ret_answer, &error);
        }
        if (r == 0 || (action->may_be_missing && is_missing(&error)))
                return STATUS_OK;
        return error.status == STATUS_OK ? STATUS_FAILED : cli_fail(cli, &error);
}

/* Searches an array for objects whose text at `path` begins so. 0 with the only one's text at `answer_path`. */
static int find_beginning(const struct cli *cli, const cJSON *array, const char *path, const char *beginning,
                          const char *answer_path, struct buffer *ret_text)
{
        AUTO(auto_buffer) struct buffer several = { 0 };
        const char *found = NULL;
        const cJSON *object;
        size_t count = 0;

        cJSON_ArrayForEach(object, array)
        {
                if (!str_has_prefix(view_text(object, path), beginning))
                        continue;
                found = view_text(object, answer_path);
                if (++count <= 4)
                        (void)buffer_format(&several, "%s%s", count > 1 ? ", " : "", view_text(object, path));
        }
        if (count == 0)
                return -ENOENT;
        if (count == 1)
                return buffer_text(ret_text, found) < 0 ? (cli_no_memory(cli), -ENOMEM) : 0;
        cli_complain(cli, "%zu ids begin with \"%s\": %s%s", count, beginning, several.data != NULL ? several.data : "",
                     count > 4 ? ", ..." : "");
        return -EEXIST;
}

int cli_resolve_exec(struct cli *cli, const char *text, struct buffer *ret_id)
{
        AUTO(auto_json) cJSON *answer = NULL;

        if (cli_call(cli, "GET", "/v1/execs?state=all", NULL, &answer) != STATUS_OK)
                return -EIO;
        if (cJSON_IsTrue(view_find(answer, "truncated"))) {
                cli_complain(cli, "too many execs to search for the beginning \"%s\": give the whole id", text);
                return -E2BIG;
        }
        return find_beginning(cli, view_find(answer, "execs"), "exec_id", text, "exec_id", ret_id);
}

int cli_resolve_image(struct cli *cli, const char *text, struct buffer *ret_reference)
{
        enum { DIGITS_LEAST = 6 };
        static const char ALGORITHM[] = "sha256:";
        const char *digits = str_has_prefix(text, ALGORITHM) ? text + strlen(ALGORITHM) : text;
        AUTO(auto_buffer) struct buffer beginning = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;

        /* A misspelt name must not be taken for an id. */
        if (strlen(digits) < DIGITS_LEAST || digits[strspn(digits, "0123456789abcdef")] != '\0')
                return -ENOENT;
        if (buffer_format(&beginning, "%s%s", ALGORITHM, digits) < 0)
                return -ENOENT;
        if (cli_call(cli, "GET", "/v1/images", NULL, &answer) != STATUS_OK)
                return -EIO;
        return find_beginning(cli, view_find(answer, "images"), "id", beginning.data, "reference", ret_reference);
}

static int call_one(struct cli *cli, const struct cli_action *action, const char *id, cJSON *answers)
{
        cJSON *answer = NULL;
        int status = cli_call_id(cli, action, id, &answer);

        if (status != STATUS_OK || answer == NULL)
                return status;
        if (!cJSON_AddItemToArray(answers, answer)) {
                cJSON_Delete(answer);
                return cli_no_memory(cli);
        }
        return STATUS_OK;
}

int cli_call_each(struct cli *cli, const struct cli_action *action, char *const *ids, cJSON *answers)
{
        bool is_one = ids[0] != NULL && ids[1] == NULL;
        int first_failure = STATUS_OK;

        for (; *ids != NULL; ids++) {
                cli->about = is_one ? NULL : *ids;
                int status = call_one(cli, action, *ids, answers);

                if (first_failure == STATUS_OK)
                        first_failure = status;
                if (status == STATUS_UNREACHABLE)
                        break;
        }
        cli->about = NULL;
        return first_failure;
}

/* ---- listings ---- */

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

/* path_begin: with a query that has the limit. */
static int list_pages(struct cli *cli, const char *path_begin, const char *state, bool has_all, cJSON *carrels)
{
        AUTO(auto_buffer) struct buffer after = { 0 };
        bool has_more = true;

        while (has_more) {
                AUTO(auto_buffer) struct buffer path = { 0 };
                AUTO(auto_json) cJSON *page = NULL;

                (void)buffer_text(&path, path_begin);
                (void)api_path_query(&path, "state", state);
                (void)api_path_query(&path, "all", has_all ? "1" : NULL);
                if (api_path_query(&path, "after", after.data) < 0 || path.has_failed)
                        return cli_no_memory(cli);
                int status = cli_call(cli, "GET", path.data, NULL, &page);
                if (status != STATUS_OK)
                        return status;
                /* Pages must go forwards (strcmp), or the loop would not end. */
                const char *next = view_text(page, "next");
                has_more = *next != '\0' && (after.data == NULL || strcmp(next, after.data) > 0);
                buffer_free(&after);
                (void)buffer_text(&after, next);
                take_page(page, carrels);
        }
        return STATUS_OK;
}

int cli_list_carrels(struct cli *cli, const char *state, bool has_all, bool has_usage, cJSON *carrels)
{
        return list_pages(cli, has_usage ? "/v1/carrels?limit=1000&usage=1" : "/v1/carrels?limit=1000", state, has_all,
                          carrels);
}

int cli_list_usage(struct cli *cli, cJSON *carrels)
{
        return list_pages(cli, "/v1/usage?limit=1000", NULL, false, carrels);
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
        return answers->child == NULL ? STATUS_OK : cli_shown(cli, view_rows(cli, fields, answers));
}

int cli_show_list(const struct cli *cli, const struct field *fields, const char *names_path, const cJSON *rows,
                  const char *nothing)
{
        if (cli->is_quiet)
                return cli_shown(cli, view_names(cli, names_path, rows));
        int status = cli_shown(cli, view_rows(cli, fields, rows));
        if (status == STATUS_OK && (rows == NULL || rows->child == NULL) && cli->width > 0)
                cli_complain(cli, "%s", nothing);
        return status;
}

int cli_show_one(const struct cli *cli, const struct field *fields, const cJSON *answer)
{
        if (cli_is_json(cli))
                return cli_shown(cli, view_json(cli, answer));
        return cli->is_quiet ? STATUS_OK : cli_shown(cli, view_pairs(cli, fields, answer));
}

int cli_show_carrel(struct cli *cli, const char *user, const char *suffix, const struct field *fields)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_path(cli, "/v1/carrels", user, suffix, &path);

        if (status == STATUS_OK)
                status = cli_call(cli, "GET", path.data, NULL, &answer);
        return status == STATUS_OK ? cli_show_one(cli, fields, answer) : status;
}
