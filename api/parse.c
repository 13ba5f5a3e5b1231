#include "parse.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "fields.h"
#include "scope.h"
#include "settings.h"
#include "str.h"

enum { MEMORY_MIN_BYTES = 1 << 20, MEMORY_TEXT_BYTES = 32, PIDS_MAX = 4194304, PATH_BYTES = 4096 };
static const uint64_t MEMORY_MAX_BYTES = UINT64_C(1) << 50;
static const double TIMEOUT_MIN_S = 0.001, TIMEOUT_MAX_S = 86400, CPUS_MIN = 0.01, CPUS_MAX = 1024;
/* The kernel's limit for one argument or environment string: MAX_ARG_STRLEN of binfmts.h, 32 pages with the NUL. */
static const size_t ARGUMENT_MAX_BYTES = 131071;

/* ---- ensure ---- */

static int read_memory(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct carrel_spec *spec = target;
        const char *text;

        if (!cJSON_IsString(value))
                return field_whole(value, name, MEMORY_MIN_BYTES, MEMORY_MAX_BYTES, &spec->memory_bytes, why);
        if (field_text(value, name, 1, MEMORY_TEXT_BYTES, &text, why) < 0 ||
            str_parse_size(text, MEMORY_MIN_BYTES, MEMORY_MAX_BYTES, &spec->memory_bytes) < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, ERANGE,
                                 "%s must be a number of bytes of at least 1048576, or a text such as \"512m\"", name);
        return 0;
}

static int read_cpus(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct carrel_spec *spec = target;
        double cpus;
        int r = field_decimal(value, name, CPUS_MIN, CPUS_MAX, &cpus, why);

        if (r == 0)
                spec->cpu_millis = (uint64_t)(cpus * 1000 + 0.5);
        return r;
}

static int read_pids(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct carrel_spec *spec = target;
        uint64_t pids;
        int r = field_whole(value, name, 1, PIDS_MAX, &pids, why);

        if (r == 0)
                spec->pids = (uint32_t)pids;
        return r;
}

static const struct field LIMITS[] = {
        { "cpus", read_cpus },
        { "memory", read_memory },
        { "pids", read_pids },
        { 0 },
};

static int read_limits(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct ensure_body *body = target;

        if (!cJSON_IsObject(value))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be an object", name);
        return fields_read(value, LIMITS, &body->spec, why);
}

static int read_image(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct ensure_body *body = target;
        const char *image;
        int r = field_text(value, name, 1, POOL_IMAGE_BYTES - 1, &image, why);

        return r < 0 ? r : str_copy(body->spec.image, sizeof body->spec.image, image);
}

static int read_policy(void *target, const cJSON *value, const char *name, struct fault *why)
{
        static const char *const CHOICES[] = { "internet", "none" };
        static const enum carrel_policy POLICIES[] = { POLICY_INTERNET, POLICY_NONE };
        struct ensure_body *body = target;
        size_t index;
        int r = field_choice(value, name, CHOICES, sizeof CHOICES / sizeof *CHOICES, &index, why);

        if (r == 0)
                body->spec.policy = POLICIES[index];
        return r;
}

static int read_profile_name(const cJSON *value, const char *name, const char **ret_profile, struct fault *why)
{
        int r = field_text(value, name, 1, POOL_PROFILE_BYTES - 1, ret_profile, why);

        if (r == 0 && settings_check_name(*ret_profile) != NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s: %s", name, settings_check_name(*ret_profile));
        return r;
}

static int read_profile(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct ensure_body *body = target;
        const char *profile;
        int r = read_profile_name(value, name, &profile, why);

        return r < 0 ? r : str_copy(body->spec.profile, sizeof body->spec.profile, profile);
}

static int read_mounts(void *target, const cJSON *value, const char *name, struct fault *why)
{
        enum { NAMES_MAX = 64 };
        struct ensure_body *body = target;
        const char *names[NAMES_MAX];
        const cJSON *item;
        size_t n = 0;

        if (!cJSON_IsArray(value))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be an array of names of mount sets",
                                 name);
        cJSON_ArrayForEach(item, value)
        {
                if (n == NAMES_MAX)
                        return fault_set(why, FAULT_REQUEST_INVALID, E2BIG, "%s has more than %d names", name,
                                         NAMES_MAX);
                if (field_text(item, name, 1, SETTINGS_NAME_BYTES - 1, &names[n++], why) < 0)
                        return -EINVAL;
        }
        return pool_mounts_join(names, n, body->spec.mounts, why);
}

static int read_on_conflict(void *target, const cJSON *value, const char *name, struct fault *why)
{
        static const char *const CHOICES[] = { "replace_idle", "replace", "fail" };
        static const enum on_conflict CONFLICTS[] = { CONFLICT_REPLACE_IDLE, CONFLICT_REPLACE, CONFLICT_FAIL };
        struct ensure_body *body = target;
        size_t index;
        int r = field_choice(value, name, CHOICES, sizeof CHOICES / sizeof *CHOICES, &index, why);

        if (r == 0)
                body->on_conflict = CONFLICTS[index];
        return r;
}

static const struct field ENSURE[] = {
        { "image", read_image },
        { "limits", read_limits },
        { "mounts", read_mounts },
        { "on_conflict", read_on_conflict },
        { "policy", read_policy },
        { "profile", read_profile },
        { 0 },
};

int parse_ensure(const char *text, size_t length, struct ensure_body *ret_body, struct fault *why)
{
        struct ensure_body body = { .on_conflict = CONFLICT_REPLACE_IDLE };
        cJSON *tree;
        int r = fields_parse(text, length, ENSURE, &body, &tree, why);

        if (r < 0)
                return r;
        cJSON_Delete(tree);
        *ret_body = body;
        return 0;
}

/* ---- exec ---- */

static int out_of_memory(struct fault *why)
{
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "carreld is out of memory");
}

static int read_argv(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;
        int n = cJSON_IsArray(value) ? cJSON_GetArraySize(value) : 0;
        const cJSON *item;
        size_t i = 0;

        if (n < 1 || n > EXEC_ARGV_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be an array of 1 to %d strings", name,
                                 EXEC_ARGV_MAX);
        body->argv = calloc((size_t)n + 1, sizeof *body->argv);
        if (body->argv == NULL)
                return out_of_memory(why);
        cJSON_ArrayForEach(item, value)
        {
                int r = field_text(item, i == 0 ? "argv[0]" : "each of argv", i == 0 ? 1 : 0, ARGUMENT_MAX_BYTES,
                                   &body->argv[i], why);

                if (r < 0)
                        return r;
                i++;
        }
        return 0;
}

/* NULL, or a description of what is wrong with an array's "NAME=value" or an object's member. */
static const char *check_variable(const char *name, const char *value)
{
        const char *equals = strchr(value, '=');

        if (name == NULL)
                return equals == NULL || equals == value ? "each of env must be \"NAME=value\"" : NULL;
        return name[0] == '\0' || strchr(name, '=') != NULL ? "a name in env must not be empty or have a \"=\"" : NULL;
}

/* "NAME=value", malloc'd; NULL with *why. */
static char *read_variable(const cJSON *item, struct fault *why)
{
        struct buffer variable = { 0 };
        const char *value, *wrong;
        char *text;

        if (field_text(item, "each of env", 0, ARGUMENT_MAX_BYTES, &value, why) < 0)
                return NULL;
        wrong = check_variable(item->string, value);
        if (item->string != NULL) {
                (void)buffer_text(&variable, item->string);
                (void)buffer_text(&variable, "=");
        }
        (void)buffer_text(&variable, value);
        if (variable.length > ARGUMENT_MAX_BYTES)
                wrong = "each of env must have less than 128 KiB";
        text = buffer_take(&variable);
        if (text == NULL)
                (void)out_of_memory(why);
        if (text == NULL || wrong == NULL)
                return text;
        (void)fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s", wrong);
        free(text);
        return NULL;
}

/* At most EXEC_ENV_MAX names, so that comparing each with each is cheap. */
static bool has_name_of(char *const *environment, size_t n, const char *variable)
{
        size_t length = strcspn(variable, "=") + 1;

        for (size_t i = 0; i < n; i++)
                if (strncmp(environment[i], variable, length) == 0)
                        return true;
        return false;
}

static int read_env(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;
        int n = cJSON_GetArraySize(value);
        const cJSON *item;
        size_t i = 0;

        if ((!cJSON_IsArray(value) && !cJSON_IsObject(value)) || n > EXEC_ENV_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "%s must be an object or an array of \"NAME=value\", of at most %d", name,
                                 EXEC_ENV_MAX);
        body->environment = calloc((size_t)n + 1, sizeof *body->environment);
        if (body->environment == NULL)
                return out_of_memory(why);
        cJSON_ArrayForEach(item, value)
        {
                body->environment[i] = read_variable(item, why);
                if (body->environment[i] == NULL)
                        return -EINVAL;
                if (has_name_of(body->environment, i, body->environment[i]))
                        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "env has a name twice");
                i++;
        }
        return 0;
}

static int read_cwd(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;
        int r = field_text(value, name, 1, PATH_BYTES - 1, &body->request.working_dir, why);

        if (r == 0 && body->request.working_dir[0] != '/')
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be an absolute path", name);
        return r;
}

static int set_input(struct exec_body *body, const void *bytes, size_t length, struct fault *why)
{
        if (body->request.input != NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "give stdin or stdin_b64, not both");
        body->request.input = bytes;
        body->request.input_length = length;
        return 0;
}

static int read_stdin(void *target, const cJSON *value, const char *name, struct fault *why)
{
        const char *text;
        int r = field_text(value, name, 0, SIZE_MAX, &text, why);

        return r < 0 ? r : set_input(target, text, strlen(text), why);
}

static int read_stdin_b64(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;
        const char *text;
        size_t length = 0;
        int r = field_text(value, name, 0, SIZE_MAX, &text, why);

        if (r < 0)
                return r;
        r = base64_decode(text, &body->input, &length);
        if (r == -ENOMEM)
                return out_of_memory(why);
        if (r < 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be base64 with padding (RFC 4648)", name);
        return set_input(body, body->input, length, why);
}

static int read_timeout(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;

        return field_decimal(value, name, TIMEOUT_MIN_S, TIMEOUT_MAX_S, &body->request.timeout_s, why);
}

static int read_drain(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;

        body->request.has_drain = true;
        return field_decimal(value, name, 0, EXEC_DRAIN_MAX_S, &body->request.drain_s, why);
}

static int read_max_output(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;

        return field_whole(value, name, 1, EXEC_OUTPUT_MAX_BYTES, &body->request.max_output_bytes, why);
}

static int read_flag(const cJSON *value, const char *name, bool *ret_flag, struct fault *why)
{
        if (!cJSON_IsBool(value))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "%s must be true or false", name);
        *ret_flag = cJSON_IsTrue(value);
        return 0;
}

static int read_detach(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return read_flag(value, name, &((struct exec_body *)target)->is_detached, why);
}

static int read_exec_id(void *target, const cJSON *value, const char *name, struct fault *why)
{
        struct exec_body *body = target;
        int r = field_text(value, name, 1, EXEC_ID_BYTES - 1, &body->request.exec_id, why);

        if (r == 0 && !exec_id_is_valid(body->request.exec_id))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "%s may hold letters, digits, '.', '_' and '-', and begins with a letter or a digit",
                                 name);
        return r;
}

static int read_exec_profile(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return read_profile_name(value, name, &((struct exec_body *)target)->profile, why);
}

static const struct field EXEC[] = {
        { "argv", read_argv },
        { "cwd", read_cwd },
        { "detach", read_detach },
        { "drain_s", read_drain },
        { "env", read_env },
        { "exec_id", read_exec_id },
        { "max_output_bytes", read_max_output },
        { "profile", read_exec_profile },
        { "stdin", read_stdin },
        { "stdin_b64", read_stdin_b64 },
        { "timeout_s", read_timeout },
        { 0 },
};

void exec_body_release(struct exec_body *body)
{
        for (size_t i = 0; body->environment != NULL && body->environment[i] != NULL; i++)
                free(body->environment[i]);
        free(body->environment);
        free(body->argv);
        free(body->input);
        cJSON_Delete(body->tree);
        *body = (struct exec_body){ 0 };
}

static int parse_program(const char *text, size_t length, const struct field *table, struct exec_body *ret_body,
                         struct fault *why)
{
        AUTO(exec_body_release)
        struct exec_body body = *ret_body;
        int r = fields_parse(text, length, table, &body, &body.tree, why);

        if (r < 0)
                return r;
        if (body.argv == NULL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "argv is missing: the program and its arguments");
        body.request.argv = body.argv;
        body.request.environment = (const char *const *)body.environment;
        *ret_body = body;
        body = (struct exec_body){ 0 };
        return 0;
}

int parse_exec(const char *text, size_t length, struct exec_body *ret_body, struct fault *why)
{
        struct exec_body body = { .request.max_output_bytes = EXEC_OUTPUT_DEFAULT_BYTES };
        int r = parse_program(text, length, EXEC, &body, why);

        if (r == 0)
                *ret_body = body;
        return r;
}

static int read_has_stdin(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return read_flag(value, name, &((struct exec_body *)target)->request.is_input_open, why);
}

static int read_tty(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return read_flag(value, name, &((struct exec_body *)target)->request.is_tty, why);
}

static int read_cells(const cJSON *value, const char *name, uint16_t *ret_cells, struct fault *why)
{
        uint64_t cells;
        int r = field_whole(value, name, 1, EXEC_CELLS_MAX, &cells, why);

        if (r == 0)
                *ret_cells = (uint16_t)cells;
        return r;
}

static int read_cols(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return read_cells(value, name, &((struct exec_body *)target)->request.cols, why);
}

static int read_rows(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return read_cells(value, name, &((struct exec_body *)target)->request.rows, why);
}

static const struct field EXEC_MESSAGE[] = {
        { "argv", read_argv },
        { "cols", read_cols },
        { "cwd", read_cwd },
        { "drain_s", read_drain },
        { "env", read_env },
        { "profile", read_exec_profile },
        { "rows", read_rows },
        { "stdin", read_has_stdin },
        { "timeout_s", read_timeout },
        { "tty", read_tty },
        { 0 },
};

int parse_exec_message(const char *text, size_t length, struct exec_body *ret_body, struct fault *why)
{
        struct exec_body body = { .request = { .is_streaming = true, .is_pulled = true, .is_input_open = true } };
        int r = parse_program(text, length, EXEC_MESSAGE, &body, why);

        if (r == 0)
                *ret_body = body;
        return r;
}

/* ---- touch, signal, reap ---- */

static int read_lease(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return field_whole(value, name, 0, LEASE_MAX_S, target, why);
}

static const struct field TOUCH[] = { { "lease_s", read_lease }, { 0 } };

int parse_touch(const char *text, size_t length, uint64_t *ret_lease_s, struct fault *why)
{
        uint64_t lease_s = 0;
        cJSON *tree;
        int r = fields_parse(text, length, TOUCH, &lease_s, &tree, why);

        if (r < 0)
                return r;
        cJSON_Delete(tree);
        *ret_lease_s = lease_s;
        return 0;
}

/* Names as in signal(7), with or without SIG. */
static int signal_by_name(const char *name)
{
        if (str_has_prefix(name, "SIG"))
                name += 3;
        for (int number = 1; number <= SIGNAL_MAX; number++)
                if (sigabbrev_np(number) != NULL && str_equal(sigabbrev_np(number), name))
                        return number;
        return 0;
}

static int read_signal(void *target, const cJSON *value, const char *name, struct fault *why)
{
        int *number = target;
        uint64_t whole;

        if (cJSON_IsString(value)) {
                *number = signal_by_name(value->valuestring);
        } else if (field_whole(value, name, 1, SIGNAL_MAX, &whole, NULL) == 0) {
                *number = (int)whole;
        }
        if (*number == 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "%s must be a number from 1 to %d or a name such as \"TERM\"", name, SIGNAL_MAX);
        return 0;
}

static const struct field SIGNAL[] = { { "signal", read_signal }, { 0 } };

int parse_signal(const char *text, size_t length, int *ret_signal, struct fault *why)
{
        int number = 0;
        cJSON *tree;
        int r = fields_parse(text, length, SIGNAL, &number, &tree, why);

        if (r < 0)
                return r;
        cJSON_Delete(tree);
        if (number == 0)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "signal is missing");
        *ret_signal = number;
        return 0;
}

static int read_idle(void *target, const cJSON *value, const char *name, struct fault *why)
{
        return field_decimal(value, name, 0, REAP_IDLE_MAX_S, target, why);
}

static const struct field REAP[] = { { "idle_s", read_idle }, { 0 } };

int parse_reap(const char *text, size_t length, double *ret_idle_s, struct fault *why)
{
        double idle_s = 0;
        cJSON *tree;
        int r = fields_parse(text, length, REAP, &idle_s, &tree, why);

        if (r < 0)
                return r;
        cJSON_Delete(tree);
        *ret_idle_s = idle_s;
        return 0;
}
