#include <cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "api.h"
#include "clock.h"
#include "fields.h"
#include "handlers.h"
#include "put.h"
#include "routes.h"
#include "storage.h"
#include "str.h"
#include "userfiles.h"

struct named {
        char name[SNAPSHOT_NAME_MAX + 2]; /* one byte longer than any valid one */
};

/* ---- requests ---- */

static int read_name(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct named *named = target;

        if (!cJSON_IsString(value))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s is a string", name);
        if (strlen(value->valuestring) > SNAPSHOT_NAME_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s has more than %d characters", name,
                                 SNAPSHOT_NAME_MAX);
        return str_copy(named->name, sizeof named->name, value->valuestring);
}

static const struct field CREATE[] = { { "name", read_name }, { 0 } };
static const struct field FORK[] = { { "to", read_name }, { 0 } };

static int parse(const struct request *request, const struct field *fields, struct named *ret_named, struct fault *why)
{
        cJSON *tree = NULL;
        int r;

        *ret_named = (struct named){ 0 };
        r = fields_parse(request->body.data, request->body.length, fields, ret_named, &tree, why);
        if (r < 0)
                return r;
        cJSON_Delete(tree);
        if (ret_named->name[0] == '\0')
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s is missing", fields->name);
        return 0;
}

/* The rest of the path is a name, then `suffix`. No character of a name needs an escape. */
static int parse_rest(const struct request *request, const char *suffix, struct named *ret_named, struct fault *why)
{
        size_t length = strlen(request->rest);
        size_t n = strlen(suffix);

        *ret_named = (struct named){ 0 };
        if (length <= n || length - n > SNAPSHOT_NAME_MAX || strcmp(request->rest + length - n, suffix) != 0 ||
            memchr(request->rest, '/', length - n) != NULL)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no such snapshot or action");
        memcpy(ret_named->name, request->rest, length - n);
        return snapshot_name_check(ret_named->name, why);
}

/* ---- copies ---- */

static void on_copied(void *arg, const struct storage_tally *tally, const struct fault *why)
{
        static const char *const NAMES[] = { "created", "restored", "forked" };
        struct request *request = arg;
        struct json *answer;
        size_t outcome = strcmp(request->route->label, "fork") == 0               ? 2
                         : strcmp(request->route->label, "snapshot_restore") == 0 ? 1
                                                                                  : 0;

        api_context_of(request)->copy = NULL;
        if (why != NULL) {
                answer_fault(request, why);
                return;
        }
        answer = json_object();
        put_text(&answer, "user", request->parameter);
        put_text(&answer, "outcome", NAMES[outcome]);
        put_number(&answer, "files", (double)tally->entries);
        put_number(&answer, "bytes", (double)tally->bytes);
        put_number(&answer, "cloned", (double)tally->cloned);
        put_number(&answer, "left_out", (double)(tally->sockets + tally->devices));
        answer_json(request, HTTP_OK, answer);
}

static void copy(struct request *request, enum userfiles_copy what, int r, const struct named *named,
                 const struct fault *why)
{
        if (r < 0)
                answer_fault(request, why);
        else
                userfiles_copy(api_of(request)->options.userfiles, what, request->parameter, named->name, on_copied,
                               request, &api_context_of(request)->copy);
}

void handle_snapshot_create(struct request *request)
{
        struct named named;
        struct fault why;

        copy(request, USERFILES_SNAPSHOT, parse(request, CREATE, &named, &why), &named, &why);
}

void handle_snapshot_restore(struct request *request)
{
        struct named named;
        struct fault why;

        copy(request, USERFILES_RESTORE, parse_rest(request, "/restore", &named, &why), &named, &why);
}

void handle_fork(struct request *request)
{
        struct named named;
        struct fault why;

        copy(request, USERFILES_FORK, parse(request, FORK, &named, &why), &named, &why);
}

/* ---- looking ---- */

static struct json *render(const struct snapshot *snapshot)
{
        struct json *object = json_object();
        char created[CLOCK_TEXT_BYTES];

        clock_format_utc(snapshot->created_wall_ms, created);
        put_text(&object, "name", snapshot->name);
        put_text(&object, "created_at", created);
        put_number(&object, "files", (double)snapshot->entries);
        put_number(&object, "bytes", (double)snapshot->bytes);
        return object;
}

static void add(void *arg, const struct snapshot *snapshot)
{
        put_child(arg, NULL, render(snapshot));
}

void handle_snapshot_list(struct request *request)
{
        struct json *list = json_array();
        struct json *answer;
        struct fault why;

        if (userfiles_snapshots(api_of(request)->options.userfiles, request->parameter, add, &list, &why) < 0) {
                (void)json_free(list);
                answer_fault(request, &why);
                return;
        }
        answer = json_object();
        put_child(&answer, "snapshots", list);
        answer_json(request, HTTP_OK, answer);
}

void handle_snapshot_inspect(struct request *request)
{
        struct snapshot snapshot = { 0 };
        struct named named;
        struct fault why;
        int r = parse_rest(request, "", &named, &why);

        if (r == 0)
                r = userfiles_snapshot(api_of(request)->options.userfiles, request->parameter, named.name, &snapshot,
                                       &why);
        if (r < 0)
                answer_fault(request, &why);
        else
                answer_json(request, HTTP_OK, render(&snapshot));
}

void handle_snapshot_remove(struct request *request)
{
        struct named named;
        struct json *answer;
        struct fault why;
        int r = parse_rest(request, "", &named, &why);

        if (r == 0)
                r = userfiles_snapshot_remove(api_of(request)->options.userfiles, request->parameter, named.name, &why);
        if (r < 0) {
                answer_fault(request, &why);
                return;
        }
        answer = json_object();
        put_text(&answer, "name", named.name);
        put_text(&answer, "outcome", "removed");
        answer_json(request, HTTP_OK, answer);
}
