#include <errno.h>
#include <signal.h>
#include <string.h>

#include "api-path.h"
#include "calls.h"
#include "exec-events.h"
#include "interrupt.h"
#include "scope.h"
#include "verbs.h"

struct logs_values {
        struct option_number after;
        bool is_following;
};

static const struct option_spec OPTIONS[] = {
        { 'a', "after", OPTION_NUMBER, offsetof(struct logs_values, after), 0, 9e15, .argument = "SEQ",
          .help = "only what came behind this event" },
        { 'f', "follow", OPTION_FLAG, offsetof(struct logs_values, is_following),
          .help = "go on until the program ends" },
        { .name = NULL },
};

static int build_path(struct cli *cli, const struct logs_values *chosen, const char *exec_id, struct buffer *path)
{
        int status = cli_path(cli, "/v1/execs", exec_id, "/output", path);

        if (status != STATUS_OK)
                return status;
        (void)buffer_format(path, "?follow=%d", chosen->is_following ? 1 : 0);
        if (chosen->after.is_given)
                (void)buffer_format(path, "&after=%.0f", chosen->after.value);
        return path->has_failed ? cli_no_memory(cli) : STATUS_OK;
}

static int conclude(const struct exec_events *events, const struct logs_values *chosen, int r,
                    const struct api_error *error)
{
        if (error->signal != 0)
                return 128 + error->signal;
        if (error->is_abandoned && r == -EPIPE)
                return 128 + SIGPIPE;
        if (error->is_abandoned) {
                cli_complain(events->cli, "cannot pass the output on: %s", strerror(-r));
                return STATUS_FAILED;
        }
        if (r < 0)
                return cli_fail(events->cli, error);
        if (events->is_cut) {
                cli_complain(events->cli, "we read too slowly: what came in between is not kept any more");
                return STATUS_FAILED;
        }
        if (chosen->is_following && !events->has_ended) {
                cli_complain(events->cli, "carreld ended the stream before the program's end");
                return STATUS_UNREACHABLE;
        }
        return STATUS_OK;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct logs_values *chosen = values;
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        AUTO(auto_buffer) struct buffer path = { 0 };
        struct exec_events events = {
                .cli = cli, .output_fd = fileno(cli->out), .errors_fd = fileno(cli->err), .interrupt_fd = interrupt_fd
        };
        struct api_stream_request request = {
                .method = "GET", .interrupt_fd = interrupt_fd, .on_line = exec_events_on_line, .arg = &events
        };
        struct api_error error;
        int status = build_path(cli, chosen, operands[0], &path);

        (void)n_operands;
        if (status != STATUS_OK)
                return status;
        request.path = path.data;
        int r = api_stream(cli->api, &request, &error);
        return conclude(&events, chosen, r, &error);
}

const struct verb CMD_LOGS = {
        .name = "logs",
        .operands = "EXEC_ID",
        .summary = "Show what a detached exec has written, as far as it is kept",
        .help = "An interrupt ends the looking, not the program. The exit status tells of the looking only: 0 when it\n"
                "went well; why a program was killed goes to stderr. -o json prints the events, each with its seq.",
        .examples = "  carrel logs 9b1d02c4\n  carrel logs -f $(carrel exec --detach ada -- make)",
        .options = OPTIONS,
        .values_size = sizeof(struct logs_values),
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
