#include "carreld.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "enclosure.h"
#include "process.h"
#include "request.h"
#include "test-engine.h"

enum { SETTINGS_MAX = 48 };

struct carreld {
        pid_t pid;
        bool has_ended;
        long log_from; /* where its records begin in CARRELD_LOG */
};

static const char *program_of(const char *variable, const char *relative)
{
        static char path[512];
        const char *build = getenv(variable);

        if (build == NULL) {
                fail_msg("%s is not set: run this with ./dev test", variable);
                return "";
        }
        assert_true(snprintf(path, sizeof path, "%s/%s", build, relative) < (int)sizeof path);
        return path;
}

const char *built_program(const char *relative)
{
        return program_of("TESTBED_BUILD_DIR", relative);
}

/* Each helper is built in its own folder. Installed, they share one directory. */
static void install_helpers(const char *build)
{
        /* The previous version may have built it in image/. */
        const char *init =
                access(program_of(build, "init/carrel-init"), F_OK) == 0 ? "init/carrel-init" : "image/carrel-init";
        const struct {
                const char *mode, *source, *target;
        } HELPERS[] = {
                { "-m711", init, CARREL_HELPERS "/carrel-init" },
                { "-m755", init, CARREL_HELPERS "/carrel-init-readable" },
                { "-m755", "importer/carrel-image", CARREL_HELPERS "/carrel-image" },
                { "-m755", "netpolicy/carrel-netd", CARREL_HELPERS "/carrel-netd" },
                { "-m755", "attach/carrel-mountd", CARREL_HELPERS "/carrel-mountd" },
                /* The previous version has neither of these. */
                { "-m755", "disk/carrel-diskd", CARREL_HELPERS "/carrel-diskd" },
                { "-m755", "storage/carrel-storage", CARREL_HELPERS "/carrel-storage" },
        };
        size_t n = sizeof HELPERS / sizeof *HELPERS;

        if (access(program_of(build, HELPERS[n - 1].source), F_OK) != 0)
                n -= 2;
        for (size_t i = 0; i < n; i++)
                MUST_RUN("install", "-D", HELPERS[i].mode, program_of(build, HELPERS[i].source), HELPERS[i].target);
}

/* Later entries win over the defaults, because settings of the same name are left out of those. */
static bool is_set(const char *const *settings, const char *entry)
{
        size_t name_length = strcspn(entry, "=") + 1;

        for (; settings != NULL && *settings != NULL; settings++)
                if (strncmp(*settings, entry, name_length) == 0)
                        return true;
        return false;
}

static const char *const DEFAULTS[] = {
        "CARREL_HELPER_DIR=" CARREL_HELPERS,
        "CARREL_LOG_LEVEL=debug",
        "CARREL_RUNTIME_DIR=" CARREL_RUNTIME,
        "CARREL_SOCKET=" CARREL_SOCKET,
        "CARREL_SOCKET_GROUP=",
        "CARREL_USERS_DIR=" CARREL_USERS,
        "CARREL_IMAGE_DIR=" CARREL_IMAGES,
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
};
/* The same ids inside and outside on every engine, whichever accounts this machine has. */
static const char *const OWNER[] = { "CARREL_UID=1000", "CARREL_GID=1000", "CARREL_UID_IS_SHARED=yes", NULL };
static const char *const INHERITED[] = { "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS" };

static size_t add_defaults(const char *const *settings, const char *const *defaults, size_t n_defaults,
                           const char *ret_environment[SETTINGS_MAX], size_t count)
{
        for (size_t i = 0; i < n_defaults && defaults[i] != NULL; i++) {
                assert_true(count < SETTINGS_MAX - 4);
                if (!is_set(settings, defaults[i]))
                        ret_environment[count++] = defaults[i];
        }
        return count;
}

static void compose_environment(const char *const *settings, const char *ret_environment[SETTINGS_MAX],
                                char inherited[3][512])
{
        size_t count = 0;

        count = add_defaults(settings, DEFAULTS, sizeof DEFAULTS / sizeof *DEFAULTS, ret_environment, count);
        count = add_defaults(settings, OWNER, SETTINGS_MAX, ret_environment, count);
        count = add_defaults(settings, engine_settings(), SETTINGS_MAX, ret_environment, count);
        for (; settings != NULL && *settings != NULL; settings++) {
                assert_true(count < SETTINGS_MAX - 4);
                ret_environment[count++] = *settings;
        }
        for (size_t i = 0; i < 3; i++) {
                if (getenv(INHERITED[i]) == NULL)
                        continue;
                snprintf(inherited[i], 512, "%s=%s", INHERITED[i], getenv(INHERITED[i]));
                ret_environment[count++] = inherited[i];
        }
        ret_environment[count] = NULL;
}

static struct carreld *start(const char *build, const char *const *settings)
{
        struct carreld *carreld = calloc(1, sizeof *carreld);
        const char *environment[SETTINGS_MAX];
        char inherited[3][512];
        char program[512];
        const char *argv[] = { program, "--config", "/run/testbed/carrel.conf", NULL };
        FILE *empty = fopen(argv[2], "we");
        struct stat log;
        mode_t mask;

        assert_true(carreld != NULL && empty != NULL);
        fclose(empty);
        install_helpers(build);
        snprintf(program, sizeof program, "%s", program_of(build, "daemon/carreld"));
        compose_environment(settings, environment, inherited);
        /* Stricter than the umask of any service manager: files that others must reach may not depend on it. */
        mask = umask(077);
        carreld->log_from = stat(CARRELD_LOG, &log) == 0 ? (long)log.st_size : 0;
        carreld->pid = process_spawn(argv, environment, CARRELD_LOG);
        (void)umask(mask);
        return carreld;
}

struct carreld *carreld_new(const char *const *settings)
{
        return start("TESTBED_BUILD_DIR", settings);
}

struct carreld *carreld_new_previous(const char *const *settings)
{
        return start("TESTBED_PREVIOUS_DIR", settings);
}

/* carrel-netd writes into the same log, and its exit status is not checked elsewhere. */
static bool has_sanitizer_report(void)
{
        char line[1024];
        FILE *log = fopen(CARRELD_LOG, "re");
        bool is_found = false;

        assert_non_null(log);
        while (!is_found && fgets(line, sizeof line, log) != NULL)
                is_found = strstr(line, "Sanitizer:") != NULL || strstr(line, "runtime error:") != NULL;
        fclose(log);
        return is_found;
}

struct carreld *carreld_free(struct carreld *carreld)
{
        int status;

        if (carreld == NULL)
                return NULL;
        status = carreld->has_ended ? 0 : process_end(carreld->pid, SIGTERM, PATIENCE_S);
        free(carreld);
        if (status != 0 || has_sanitizer_report())
                fail_msg("carreld ended with %d; see %s", status, CARRELD_LOG);
        return NULL;
}

struct carreld *carreld_kill(struct carreld *carreld)
{
        if (carreld == NULL)
                return NULL;
        if (!carreld->has_ended)
                process_end(carreld->pid, SIGKILL, 10.0);
        free(carreld);
        return NULL;
}

struct carreld *carreld_abandon(struct carreld *carreld)
{
        if (carreld != NULL)
                enclosure_print_log(CARRELD_LOG, carreld->log_from);
        return carreld_kill(carreld);
}

static bool is_ready_or_dead(void *arg)
{
        struct carreld *carreld = arg;
        struct answer answer = request_within(CARREL_SOCKET, "GET", "/readyz", NULL, 2.0);
        bool is_ready = answer.status == 200;

        answer_release(&answer);
        return is_ready || !process_is_running(carreld->pid);
}

/* cmocka runs no teardown after a setup that failed, so a carreld that did not become ready is ended here. */
void carreld_await_ready(struct carreld *carreld, double deadline_s)
{
        bool is_in_time = wait_until(is_ready_or_dead, carreld, deadline_s);
        bool has_ended = !process_is_running(carreld->pid);
        int status;

        if (is_in_time && !has_ended)
                return;
        status = process_end(carreld->pid, has_ended ? 0 : SIGKILL, 5.0);
        carreld->has_ended = true;
        if (has_ended)
                fail_msg("carreld has ended with %d instead of being ready; see %s", status, CARRELD_LOG);
        fail_msg("carreld is not ready after %.0f s; see %s", deadline_s, CARRELD_LOG);
}

static bool has_died(void *arg)
{
        const struct carreld *carreld = arg;

        return !process_is_running(carreld->pid);
}

bool carreld_await_death(struct carreld *carreld, double deadline_s)
{
        if (!wait_until(has_died, carreld, deadline_s))
                return false;
        carreld->has_ended = true;
        return process_end(carreld->pid, 0, 1.0) == 128 + SIGKILL;
}

pid_t carreld_pid(const struct carreld *carreld)
{
        return carreld->pid;
}

static void carrel_path(const char *user, const char *rest, char ret_path[static 256])
{
        assert_true(snprintf(ret_path, 256, "/v1/carrels/%s%s", user, rest) < 256);
}

static bool is_momentary(const struct answer *answer)
{
        return answer->status == 503 && strcmp(answer_text(answer, "error.code"), "policy_not_in_force") == 0;
}

struct answer carreld_request(const char *method, const char *path, const char *body, double deadline_s)
{
        struct answer answer = request_within(CARREL_SOCKET, method, path, body, deadline_s);
        double end_s = now_s() + PATIENCE_S;

        while (is_momentary(&answer) && now_s() < end_s) {
                print_message("# asked again: %s\n", answer_text(&answer, "error.message"));
                answer_release(&answer);
                poll(NULL, 0, 200);
                answer = request_within(CARREL_SOCKET, method, path, body, deadline_s);
        }
        return answer;
}

struct answer carreld_ensure(const char *user)
{
        struct answer answer;
        char path[256];

        carrel_path(user, "", path);
        answer = carreld_request("PUT", path, "{}", 300.0);
        if (answer.status != 200)
                fail_msg("ensure of %s answered %d: %s", user, answer.status, answer.body);
        return answer;
}

void carreld_must_ensure(const char *user)
{
        struct answer answer = carreld_ensure(user);

        answer_release(&answer);
}

struct answer carreld_exec(const char *user, const char *script, double timeout_s)
{
        const char *const argv[] = { "sh", "-c", script };
        cJSON *body = cJSON_CreateObject();
        struct answer answer;
        char path[256];
        char *text;

        cJSON_AddItemToObject(body, "argv", cJSON_CreateStringArray(argv, 3));
        if (timeout_s > 0.0)
                cJSON_AddNumberToObject(body, "timeout_s", timeout_s);
        text = cJSON_PrintUnformatted(body);
        assert_non_null(text);
        carrel_path(user, "/exec", path);
        answer = carreld_request("POST", path, text, 120.0);
        free(text);
        cJSON_Delete(body);
        return answer;
}

void carreld_must_exec(const char *user, const char *script, char *ret_text, size_t size)
{
        struct answer answer = carreld_exec(user, script, 100.0);

        if (answer.status != 200 || answer_number(&answer, "exit_code") != 0)
                fail_msg("%s in the carrel of %s: %d %s", script, user, answer.status, answer.body);
        snprintf(ret_text, size, "%s", answer_text(&answer, "stdout"));
        for (size_t length = strlen(ret_text); length > 0 && ret_text[length - 1] == '\n'; length--)
                ret_text[length - 1] = '\0';
        answer_release(&answer);
}

bool carreld_has_state(const char *user, const char *state)
{
        struct answer answer;
        bool is_so;
        char path[256];

        carrel_path(user, "", path);
        answer = request(CARREL_SOCKET, "GET", path, NULL);
        is_so = answer.status == 200 ? strcmp(answer_text(&answer, "state"), state) == 0
                                     : answer.status == 404 && state[0] == '\0';
        answer_release(&answer);
        return is_so;
}

struct expected_state {
        const char *user, *state;
};

static bool is_expected(void *arg)
{
        const struct expected_state *expected = arg;

        return carreld_has_state(expected->user, expected->state);
}

bool carreld_await_state(const char *user, const char *state, double deadline_s)
{
        struct expected_state expected = { user, state };

        return wait_until(is_expected, &expected, deadline_s);
}

double carreld_metric(const char *series)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/metrics", NULL);
        double value = -1.0;

        assert_int_equal(answer.status, 200);
        for (char *line = strtok(answer.body, "\n"); line != NULL; line = strtok(NULL, "\n"))
                if (strncmp(line, series, strlen(series)) == 0 && line[strlen(series)] == ' ')
                        value = strtod(line + strlen(series) + 1, NULL);
        answer_release(&answer);
        return value;
}
