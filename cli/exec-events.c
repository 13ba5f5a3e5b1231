#include "exec-events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api-path.h"
#include "base64.h"
#include "calls.h"
#include "exec-status.h"
#include "interrupt.h"
#include "scope.h"
#include "view.h"

/* A signal is passed on quickly or not at all: whoever sent it waits. */
static const double SIGNAL_DEADLINE_S = 2;

static int write_output(struct exec_events *events, const cJSON *line, int fd)
{
        const char *data = view_text(line, "data");
        AUTO(auto_free) char *bytes = NULL;
        size_t length = 0;

        if (!str_equal(view_text(line, "encoding"), "base64"))
                return interrupt_write(fd, data, strlen(data), events->interrupt_fd);
        int r = base64_decode(data, &bytes, &length);
        return r < 0 ? r : interrupt_write(fd, bytes, length, events->interrupt_fd);
}

void exec_events_end(struct exec_events *events, const cJSON *end)
{
        const char *cause = view_text(end, "cause");
        const char *sentence = exec_cause_sentence(cause);

        events->has_ended = true;
        events->status = exec_status(cause, (int)view_number(end, "exit_code", STATUS_EXEC_FAILED),
                                     (int)view_number(end, "signal", 0));
        if (sentence != NULL && !events->cli->is_quiet)
                cli_complain(events->cli, "%s (%s)", sentence, cause);
}

void exec_events_fail(struct exec_events *events, const cJSON *error)
{
        events->has_ended = true;
        events->status = STATUS_EXEC_FAILED;
        cli_complain(events->cli, "%s (%s)", view_text(error, "message"), view_text(error, "code"));
}

static void note(struct exec_events *events, const char *event, const cJSON *line)
{
        if (str_equal(event, "start"))
                (void)snprintf(events->exec_id, sizeof events->exec_id, "%s", view_text(line, "exec_id"));
        else if (str_equal(event, "exit"))
                exec_events_end(events, line);
        else if (str_equal(event, "error"))
                exec_events_fail(events, view_find(line, "error"));
        else if (str_equal(event, "cut"))
                events->is_cut = true;
}

int exec_events_on_line(void *arg, const cJSON *line)
{
        struct exec_events *events = arg;
        const char *event = view_text(line, "event");

        note(events, event, line);
        if (cli_is_json(events->cli))
                return view_json(events->cli, line) < 0 ? -ENOMEM : fflush(events->cli->out) != 0 ? -EPIPE : 0;
        if (str_equal(event, "stdout"))
                return write_output(events, line, events->output_fd);
        if (str_equal(event, "stderr"))
                return write_output(events, line, events->errors_fd);
        return 0;
}

int exec_events_on_output(void *arg, int stream, const void *bytes, size_t length)
{
        const struct exec_events *events = arg;

        return interrupt_write(stream == 1 ? events->output_fd : events->errors_fd, bytes, length,
                               events->interrupt_fd);
}

void exec_events_on_exec_id(void *arg, const char *exec_id)
{
        struct exec_events *events = arg;

        (void)snprintf(events->exec_id, sizeof events->exec_id, "%s", exec_id);
}

int exec_signal(const struct cli *cli, const char *exec_id, int signal)
{
        AUTO(auto_json) cJSON *body = cJSON_CreateObject();
        AUTO(auto_json) cJSON *answer = NULL;
        AUTO(auto_buffer) struct buffer path = { 0 };
        struct api_client *client = NULL;
        struct api_error error;

        (void)buffer_text(&path, "/v1/execs");
        if (api_path_append(&path, exec_id) < 0 || buffer_text(&path, "/signal") < 0 ||
            cJSON_AddNumberToObject(body, "signal", signal) == NULL)
                return -ENOMEM;
        /* A client of its own: the caller's is in the middle of a call. */
        int r = api_client_new(&client, cli->socket_path, SIGNAL_DEADLINE_S);
        if (r == 0)
                r = api_call(client, "POST", path.data, body, &answer, &error);
        api_client_free(client);
        return r;
}

int exec_events_on_interrupt(void *arg, int signal)
{
        struct exec_events *events = arg;
        unsigned bit = 1U << (signal & 31);

        if (events->exec_id[0] == '\0' || (events->passed_on & bit) != 0)
                return -EINTR;
        events->passed_on |= bit;
        return exec_signal(events->cli, events->exec_id, signal) < 0 ? -EINTR : 0;
}
