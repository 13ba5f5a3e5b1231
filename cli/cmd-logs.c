#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "api-path.h"
#include "calls.h"
#include "exec-events.h"
#include "interrupt.h"
#include "logs-tail.h"
#include "scope.h"
#include "verbs.h"

struct logs_values {
        struct option_number after;
        bool is_following;
        bool is_raw;
        struct option_number tail;
};

#define AT(field) offsetof(struct logs_values, field)

static const struct option_spec OPTIONS[] = {
        { 'a', "after", OPTION_NUMBER, AT(after), 0, 9e15, .argument = "SEQ", .help = "only events after this one" },
        { 'f', "follow", OPTION_FLAG, AT(is_following), .help = "follow until the program ends" },
        { 0, "raw", OPTION_FLAG, AT(is_raw), .help = "pass escape sequences on to a terminal too" },
        { 'n', "tail", OPTION_NUMBER, AT(tail), 0, 1e9, .argument = "N", .help = "only the last N lines" },
        { .name = NULL },
};

/* The id is that of GET /v1/execs/{id}/output. */
static int build_path(struct cli *cli, const char *exec_id, bool is_following, double after, struct buffer *path)
{
        int status = cli_path(cli, "/v1/execs", exec_id, "/output", path);

        if (status != STATUS_OK)
                return status;
        (void)buffer_format(path, "?follow=%d", is_following ? 1 : 0);
        if (after >= 0)
                (void)buffer_format(path, "&after=%.0f", after);
        return path->has_failed ? cli_no_memory(cli) : STATUS_OK;
}

static int conclude(const struct exec_events *events, bool is_following, int r, const struct api_error *error)
{
        if (error->signal != 0)
                return 128 + error->signal;
        if (error->is_abandoned && r == -EPIPE)
                return 128 + SIGPIPE;
        if (error->is_abandoned) {
                cli_complain(events->cli, "cannot write the output: %s", strerror(-r));
                return STATUS_FAILED;
        }
        if (r < 0)
                return cli_fail(events->cli, error);
        if (events->is_cut) {
                cli_complain(events->cli, "the output was read too slowly, and carreld no longer keeps a part of it");
                return STATUS_FAILED;
        }
        if (is_following && !events->has_ended) {
                cli_complain(events->cli, "carreld ended the stream before the program's end");
                return STATUS_UNREACHABLE;
        }
        return STATUS_OK;
}

/* Reads the stream once; the exit status. */
static int read_along(struct exec_events *events, struct cli *cli, const char *exec_id, bool is_following, double after,
                      struct logs_tail *tail)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_buffer) struct buffer whole = { 0 };
        struct api_stream_request request = { .method = "GET",
                                              .interrupt_fd = events->interrupt_fd,
                                              .on_line = tail != NULL ? logs_tail_on_line : exec_events_on_line,
                                              .arg = tail != NULL ? (void *)tail : (void *)events };
        struct api_error error;
        int status = build_path(cli, exec_id, is_following, after, &path);
        int r;

        if (status != STATUS_OK)
                return status;
        request.path = path.data;
        r = api_stream(cli->api, &request, &error);
        if (r < 0 && str_equal(error.code, "not_found")) {
                int found = cli_resolve_exec(cli, exec_id, &whole);

                /* An exec without output to read is found too, by its whole id. */
                if (found == 0 && !str_equal(whole.data, exec_id))
                        return read_along(events, cli, whole.data, is_following, after, tail);
                if (found < 0 && found != -ENOENT)
                        return STATUS_FAILED;
        }
        if (r == 0 && tail != NULL) {
                r = logs_tail_flush(tail);
                error.is_abandoned = r < 0;
        }
        return conclude(events, is_following, r, &error);
}

static int show(struct exec_events *events, struct cli *cli, const struct logs_values *chosen, const char *exec_id)
{
        struct logs_tail tail = { .events = events, .lines = (size_t)chosen->tail.value, .seq = -1 };
        double after = chosen->after.is_given ? chosen->after.value : -1;
        int status = STATUS_OK;

        if (chosen->tail.is_given) {
                status = read_along(events, cli, exec_id, false, after, &tail);
                after = tail.seq >= 0 ? tail.seq : after;
        }
        logs_tail_free(&tail);
        if (status != STATUS_OK || events->has_ended || (chosen->tail.is_given && !chosen->is_following))
                return status;
        return read_along(events, cli, exec_id, chosen->is_following, after, NULL);
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct logs_values *chosen = values;
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        struct text_filter filters[2] = { { 0 } };
        struct exec_events events = {
                .cli = cli, .output_fd = fileno(cli->out), .errors_fd = fileno(cli->err), .interrupt_fd = interrupt_fd
        };

        (void)n_operands;
        if (chosen->tail.is_given && cli_is_json(cli))
                return cli_fail_usage(cli, "logs", "--tail cannot be combined with -o json; use --after");
        /* Logs may be read later by another person, who does not expect them to control the terminal. */
        if (!chosen->is_raw && isatty(events.output_fd) == 1)
                events.filters[0] = &filters[0];
        if (!chosen->is_raw && isatty(events.errors_fd) == 1)
                events.filters[1] = &filters[1];
        return show(&events, cli, chosen, operands[0]);
}

const struct verb CMD_LOGS = {
        .name = "logs",
        .operands = "EXEC_ID",
        .summary = "Show the output of a detached exec",
        .help = "The beginning of the id is enough if it is unique. Ctrl-C stops following; the program goes on.\n"
                "On a terminal escape sequences and control characters are removed unless --raw is given. The exit\n"
                "status does not depend on the program: it is 0 when its output was shown. stderr says why a program\n"
                "was killed. -o json prints the events, each with its seq.",
        .examples = "  carrel logs 9b1d02c4\n  carrel logs --tail 20 build-42\n"
                    "  carrel logs -f $(carrel exec --detach ada -- make)",
        .options = OPTIONS,
        .values_size = sizeof(struct logs_values),
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
