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

/* A signal is passed on quickly or not at all, because its sender waits. */
static const double SIGNAL_DEADLINE_S = 2;

static int pass_on(const struct exec_events *events, int stream, const char *bytes, size_t length)
{
        int fd = stream == 1 ? events->output_fd : events->errors_fd;
        struct text_filter *filter = events->filters[stream - 1];
        struct buffer clean = { 0 };

        if (filter == NULL)
                return interrupt_write(fd, bytes, length, events->interrupt_fd);
        int r = text_filter(filter, bytes, length, &clean);
        if (r == 0 && clean.length > 0)
                r = interrupt_write(fd, clean.data, clean.length, events->interrupt_fd);
        buffer_free(&clean);
        return r;
}

int exec_events_output(const struct exec_events *events, const cJSON *line)
{
        const char *data = view_text(line, "data");
        int stream = str_equal(view_text(line, "event"), "stdout") ? 1 : 2;
        AUTO(auto_free) char *bytes = NULL;
        size_t length = 0;

        if (!str_equal(view_text(line, "encoding"), "base64"))
                return pass_on(events, stream, data, strlen(data));
        int r = base64_decode(data, &bytes, &length);
        return r < 0 ? r : pass_on(events, stream, bytes, length);
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
        return str_equal(event, "stdout") || str_equal(event, "stderr") ? exec_events_output(events, line) : 0;
}

int exec_events_on_output(void *arg, int stream, const void *bytes, size_t length)
{
        return pass_on(arg, stream == 1 ? 1 : 2, bytes, length);
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
        /* The caller's client is in the middle of a call, so this needs another one. */
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
