#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "calls.h"
#include "exec-status.h"
#include "input.h"
#include "interrupt.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

/* In base64, with room for the rest, this stays below the 1 MiB that carreld takes as a body. */
enum { STDIN_LIMIT_BYTES = 512 * 1024 };

struct exec_values {
        struct option_list environment;
        const char *working_dir;
        struct option_number timeout;
        bool has_no_stdin;
};

#define AT(field) offsetof(struct exec_values, field)

static const struct option_spec OPTIONS[] = {
        { 'e', "env", OPTION_LIST, AT(environment), .argument = "NAME=VALUE",
          .help = "set a variable; may be repeated" },
        { 'n', "no-stdin", OPTION_FLAG, AT(has_no_stdin), .help = "do not read stdin, as in a loop over a file" },
        { 't', "timeout", OPTION_DECIMAL, AT(timeout), 0.001, 86400, .argument = "S",
          .help = "seconds until everything the program started is killed" },
        { 'w', "workdir", OPTION_TEXT, AT(working_dir), .argument = "DIR", .help = "absolute; default /workspace" },
        { .name = NULL },
};

/* A program under way. */
struct running {
        const struct cli *cli;
        int output_fd, errors_fd, interrupt_fd;
        bool has_ended;
        int status;
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
        if (input->length == 0)
                return true;
        encoded = base64_encode(input->data, input->length);
        return encoded != NULL && cJSON_AddStringToObject(body, "stdin_b64", encoded) != NULL;
}

static int write_output(struct running *running, const cJSON *line, int fd)
{
        const char *data = view_text(line, "data");
        AUTO(auto_free) char *bytes = NULL;
        size_t length = 0;

        if (!str_equal(view_text(line, "encoding"), "base64"))
                return interrupt_write(fd, data, strlen(data), running->interrupt_fd);
        int r = base64_decode(data, &bytes, &length);
        return r < 0 ? r : interrupt_write(fd, bytes, length, running->interrupt_fd);
}

static void note_end(struct running *running, const cJSON *line)
{
        const char *cause = view_text(line, "cause");
        const char *sentence = exec_cause_sentence(cause);

        running->has_ended = true;
        running->status = exec_status(cause, (int)view_number(line, "exit_code", STATUS_EXEC_FAILED),
                                      (int)view_number(line, "signal", 0));
        if (sentence != NULL && !running->cli->is_quiet)
                cli_complain(running->cli, "%s (%s)", sentence, cause);
}

static int on_line(void *arg, const cJSON *line)
{
        struct running *running = arg;
        const char *event = view_text(line, "event");

        if (str_equal(event, "exit"))
                note_end(running, line);
        if (cli_is_json(running->cli))
                return view_json(running->cli, line) < 0 ? -ENOMEM : fflush(running->cli->out) != 0 ? -EPIPE : 0;
        if (str_equal(event, "stdout"))
                return write_output(running, line, running->output_fd);
        if (str_equal(event, "stderr"))
                return write_output(running, line, running->errors_fd);
        return 0;
}

/* What the end of the stream means for our exit status. */
static int conclude(const struct running *running, int r, const struct api_error *error)
{
        const struct cli *cli = running->cli;

        if (running->has_ended && r == 0)
                return running->status;
        if (error->signal != 0)
                return 128 + error->signal;
        if (error->is_abandoned && r == -EPIPE)
                return 128 + SIGPIPE; /* as a program whose reader has left */
        if (error->is_abandoned)
                cli_complain(cli, "cannot pass the output on: %s", strerror(-r));
        else if (r < 0)
                (void)cli_fail(cli, error);
        else
                cli_complain(cli, "carreld ended the stream before the program's end: how it ended is not known");
        return STATUS_EXEC_FAILED;
}

static int stream(struct cli *cli, const char *path, const cJSON *body)
{
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        struct running running = {
                .cli = cli, .output_fd = fileno(cli->out), .errors_fd = fileno(cli->err), .interrupt_fd = interrupt_fd
        };
        const struct api_stream_request request = { .method = "POST",
                                                    .path = path,
                                                    .body = body,
                                                    .interrupt_fd = interrupt_fd,
                                                    .on_line = on_line,
                                                    .arg = &running };
        struct api_error error;
        int r = api_stream(cli->api, &request, &error);

        return conclude(&running, r, &error);
}

static int read_stdin(const struct cli *cli, const struct exec_values *chosen, struct buffer *input)
{
        int r = chosen->has_no_stdin ? 0 : input_read(STDIN_FILENO, STDIN_LIMIT_BYTES, input);

        if (r == -EFBIG)
                cli_complain(cli,
                             "stdin has more than %d KiB, the most that one exec takes: put it into a file in the "
                             "carrel in pieces",
                             STDIN_LIMIT_BYTES / 1024);
        else if (r < 0)
                cli_complain(cli, "cannot read stdin: %s", strerror(-r));
        return r;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct exec_values *chosen = values;
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
        return stream(cli, path.data, body);
}

const struct verb CMD_EXEC = {
        .name = "exec",
        .operands = "USER -- PROGRAM [ARGUMENT...]",
        .summary = "Run a program in the user's carrel, which is ensured first",
        .help = "stdin is read to its end first (at most 512 KiB) unless it is a terminal. Output comes as it is "
                "written.\n"
                "An interrupt kills the program. The exit status is the program's; 124 when its time was over, 128+n "
                "for\n"
                "signal n, 137 when it was killed for another cause (told on stderr), 125 when carrel itself failed.\n"
                "-o json prints the stream of events instead, -q leaves the cause out.",
        .examples = "  carrel exec ada -- python3 -c 'print(6 * 7)'\n"
                    "  carrel exec ada -e LANG=C.UTF-8 -w /tmp --timeout 10 -- sh -c 'env; pwd'\n"
                    "  tar -c src | carrel exec ada -- tar -x",
        .options = OPTIONS,
        .values_size = sizeof(struct exec_values),
        .min_operands = 2,
        .max_operands = OPERANDS_ANY,
        .failure_status = STATUS_EXEC_FAILED,
        .run = run,
};
