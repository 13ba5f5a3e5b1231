#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "calls.h"
#include "environment.h"
#include "exec-events.h"
#include "input.h"
#include "inside.h"
#include "interrupt.h"
#include "scope.h"
#include "session.h"
#include "verbs.h"
#include "view.h"

/* In base64, with room for the rest, this stays below the 1 MiB that carreld takes as a body. */
enum { STDIN_LIMIT_BYTES = 512 * 1024 };

struct exec_values {
        struct option_list environment;
        const char *working_dir;
        struct option_number drain;
        struct option_number timeout;
        const char *exec_id;
        const char *profile;
        bool has_no_stdin;
        bool is_detached;
        bool is_interactive;
        bool is_tty;
};

#define AT(field) offsetof(struct exec_values, field)

static const struct option_spec OPTIONS[] = {
        { 'd', "detach", OPTION_FLAG, AT(is_detached),
          .help = "print the exec's id and leave the program running: see `carrel logs`, `carrel kill`" },
        { 0, "drain", OPTION_DECIMAL, AT(drain), 0, 86400, .argument = "S",
          .help = "seconds to show output of background programs after the program's end; default 2" },
        { 'e', "env", OPTION_LIST, AT(environment), .argument = "NAME[=VALUE]",
          .help = "set a variable, without a value to the local one; may be repeated" },
        { 0, "id", OPTION_TEXT, AT(exec_id), .argument = "ID",
          .help = "with --detach: your own id; the same command with it is started only once" },
        { 'i', "interactive", OPTION_FLAG, AT(is_interactive),
          .help = "pass stdin on, of any length; with --detach and -o json it is read first" },
        { 'n', "no-stdin", OPTION_FLAG, AT(has_no_stdin), .help = "do not read stdin, as without -i" },
        { 0, "profile", OPTION_TEXT, AT(profile), .argument = "NAME",
          .help = "ensure the carrel with this profile of carreld's settings" },
        { 0, "timeout", OPTION_DECIMAL, AT(timeout), 0.001, 86400, .argument = "S",
          .help = "seconds until everything the program started is killed; default exec_timeout_s of carrel.conf(5)" },
        { 't', "tty", OPTION_FLAG, AT(is_tty), .help = "connect this terminal to the program; implies -i" },
        { 'w', "workdir", OPTION_TEXT, AT(working_dir), .argument = "DIR",
          .help = "absolute; default " INSIDE_WORKSPACE },
        { .name = NULL },
};

static bool add_list(cJSON *body, const char *name, const char *const *texts, size_t count)
{
        cJSON *array = cJSON_AddArrayToObject(body, name);

        for (size_t i = 0; i < count && array != NULL; i++) {
                cJSON *text = cJSON_CreateString(texts[i]);

                if (text == NULL || !cJSON_AddItemToArray(array, text)) {
                        cJSON_Delete(text);
                        return false;
                }
        }
        return array != NULL;
}

/* false: out of memory. stdin goes as base64 whatever it holds: JSON text has no NUL, and would grow sixfold. */
static bool fill_body(cJSON *body, const struct exec_values *chosen, char *const *argv, int argc,
                      const struct buffer *input)
{
        AUTO(auto_free) char *encoded = NULL;

        if (!add_list(body, "argv", (const char *const *)argv, (size_t)argc))
                return false;
        if (chosen->environment.count > 0 &&
            !add_list(body, "env", chosen->environment.values, chosen->environment.count))
                return false;
        if (chosen->working_dir != NULL && cJSON_AddStringToObject(body, "cwd", chosen->working_dir) == NULL)
                return false;
        if (chosen->timeout.is_given && cJSON_AddNumberToObject(body, "timeout_s", chosen->timeout.value) == NULL)
                return false;
        if (chosen->drain.is_given && cJSON_AddNumberToObject(body, "drain_s", chosen->drain.value) == NULL)
                return false;
        if (chosen->profile != NULL && cJSON_AddStringToObject(body, "profile", chosen->profile) == NULL)
                return false;
        if (chosen->is_detached && cJSON_AddTrueToObject(body, "detach") == NULL)
                return false;
        if (chosen->exec_id != NULL && cJSON_AddStringToObject(body, "exec_id", chosen->exec_id) == NULL)
                return false;
        if (input->length == 0)
                return true;
        encoded = base64_encode(input->data, input->length);
        return encoded != NULL && cJSON_AddStringToObject(body, "stdin_b64", encoded) != NULL;
}

/* The exit status after the end of the stream. */
static int conclude(const struct exec_events *events, int r, const struct api_error *error)
{
        const struct cli *cli = events->cli;

        if (events->has_ended && r == 0)
                return events->status;
        if (error->signal != 0)
                return 128 + error->signal;
        if (error->is_abandoned && r == -EPIPE)
                return 128 + SIGPIPE; /* as a program whose reader has left */
        if (error->is_abandoned)
                cli_complain(cli, "cannot write the output: %s", strerror(-r));
        else if (r < 0)
                (void)cli_fail(cli, error);
        else
                cli_complain(cli, "carreld ended the stream before the program's end: its result is unknown");
        return STATUS_EXEC_FAILED;
}

static int stream(struct cli *cli, const char *path, const cJSON *body)
{
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        struct exec_events events = {
                .cli = cli, .output_fd = fileno(cli->out), .errors_fd = fileno(cli->err), .interrupt_fd = interrupt_fd
        };
        const struct api_stream_request request = { .method = "POST",
                                                    .path = path,
                                                    .body = body,
                                                    .interrupt_fd = interrupt_fd,
                                                    .on_line = exec_events_on_line,
                                                    .on_output = cli_is_json(cli) ? NULL : exec_events_on_output,
                                                    .on_exec_id = exec_events_on_exec_id,
                                                    .on_interrupt = exec_events_on_interrupt,
                                                    .arg = &events };
        struct api_error error;
        int r = api_stream(cli->api, &request, &error);

        return conclude(&events, r, &error);
}

static int read_stdin(const struct cli *cli, const struct exec_values *chosen, struct buffer *input)
{
        int r = chosen->is_interactive ? input_read(STDIN_FILENO, STDIN_LIMIT_BYTES, input) : 0;

        if (r == -EFBIG)
                cli_complain(cli, "stdin exceeds %d KiB, the limit of --detach and -o json", STDIN_LIMIT_BYTES / 1024);
        else if (r < 0)
                cli_complain(cli, "cannot read stdin: %s", strerror(-r));
        return r;
}

static int detach(struct cli *cli, const char *path, const cJSON *body)
{
        AUTO(auto_json) cJSON *answer = NULL;
        int status = cli_call(cli, "POST", path, body, &answer);
        int r;

        if (status != STATUS_OK)
                return STATUS_EXEC_FAILED;
        r = cli_is_json(cli) ? view_json(cli, answer) : cli_print_line(cli, view_text(answer, "exec_id"));
        return cli_shown(cli, r) == STATUS_OK ? STATUS_OK : STATUS_EXEC_FAILED;
}

static int post(struct cli *cli, const struct exec_values *chosen, char **operands, int n_operands)
{
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_buffer) struct buffer input = { 0 };

        if (cli_path(cli, "/v1/carrels", operands[0], "/exec", &path) != STATUS_OK ||
            read_stdin(cli, chosen, &input) < 0)
                return STATUS_EXEC_FAILED;
        if (body == NULL || !fill_body(body, chosen, operands + 1, n_operands - 1, &input)) {
                (void)cli_no_memory(cli);
                return STATUS_EXEC_FAILED;
        }
        return chosen->is_detached ? detach(cli, path.data, body) : stream(cli, path.data, body);
}

static int converse(struct cli *cli, const struct exec_values *chosen, char **operands)
{
        const struct session_request request = { .user = operands[0],
                                                 .argv = (const char *const *)operands + 1,
                                                 .environment = &chosen->environment,
                                                 .working_dir = chosen->working_dir,
                                                 .profile = chosen->profile,
                                                 .drain = &chosen->drain,
                                                 .timeout_s = chosen->timeout.is_given ? chosen->timeout.value : 0,
                                                 .is_tty = chosen->is_tty };

        return session_run(cli, &request);
}

/* The problem with a combination of options, or NULL. */
static const char *check(const struct cli *cli, const struct exec_values *chosen)
{
        if (chosen->is_tty && chosen->is_detached)
                return "-t cannot be combined with --detach, which has no terminal";
        if ((chosen->is_interactive || chosen->is_tty) && chosen->has_no_stdin)
                return "-n cannot be combined with -i or -t";
        if (chosen->is_tty && cli_is_json(cli))
                return "-t cannot be combined with -o json";
        if (chosen->exec_id != NULL && !chosen->is_detached)
                return "--id needs --detach";
        if (chosen->is_tty && isatty(STDIN_FILENO) != 1)
                return "-t needs a terminal as stdin; use -i for a pipe or a file";
        return NULL;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        AUTO(auto_environment) struct environment environment = { 0 };
        struct exec_values chosen = *(const struct exec_values *)values;
        const char *wrong = check(cli, &chosen);
        bool is_read_whole = chosen.is_detached || cli_is_json(cli);

        if (wrong != NULL) {
                (void)cli_fail_usage(cli, "exec", "%s", wrong);
                return STATUS_EXEC_FAILED;
        }
        if (environment_fill(&environment, &chosen.environment) < 0) {
                (void)cli_no_memory(cli);
                return STATUS_EXEC_FAILED;
        }
        chosen.environment = environment.list;
        if (chosen.is_tty || (chosen.is_interactive && !is_read_whole))
                return converse(cli, &chosen, operands);
        return post(cli, &chosen, operands, n_operands);
}

const struct verb CMD_EXEC = {
        .name = "exec",
        .operands = "USER -- PROGRAM [ARGUMENT...]",
        .summary = "Ensure the user's carrel, and run a program in it",
        .help = "Only -i reads stdin. Output is passed on unchanged, including escape sequences: send hostile\n"
                "output to `| less` or a file. The first interrupt goes to the program, the second one kills it.\n"
                "The exit status is the program's; 124 after its timeout, 128+n for signal n, 137 if it was killed\n"
                "for another cause (stderr has it), 125 if carrel itself failed.\n"
                "-o json prints the stream of events instead; -q omits the cause.",
        .examples = "  carrel exec ada -- python3 -c 'print(6 * 7)'\n"
                    "  carrel exec ada -e LANG=C.UTF-8 -w /tmp --timeout 10 -- sh -c 'env; pwd'\n"
                    "  carrel exec -it ada -- python3\n"
                    "  tar -c src | carrel exec -i ada -- tar -x\n"
                    "  carrel exec --detach --id build-42 ada -- make",
        .options = OPTIONS,
        .values_size = sizeof(struct exec_values),
        .min_operands = 2,
        .max_operands = OPERANDS_ANY,
        .failure_status = STATUS_EXEC_FAILED,
        .is_slow = true,
        .run = run,
};
