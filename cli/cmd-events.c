#include <errno.h>

#include "calls.h"
#include "interrupt.h"
#include "scope.h"
#include "verbs.h"
#include "view.h"

struct events_values {
        struct option_number count;
        const char *user;
};

static const struct option_spec OPTIONS[] = {
        { 'n', "count", OPTION_NUMBER, offsetof(struct events_values, count), 1, 1e9, .argument = "N",
          .help = "end after N events" },
        { 'u', "user", OPTION_TEXT, offsetof(struct events_values, user), .argument = "USER",
          .help = "only events of USER" },
        { .name = NULL },
};

/* Lines come one by one, so the columns have fixed widths. */
static const struct {
        struct field field;
        int width;
} COLUMNS[] = {
        { { "TIME", "time", FIELD_TEXT }, 24 },
        { { "EVENT", "event", FIELD_TEXT }, 20 },
        { { "USER", "user", FIELD_TEXT }, 16 },
        { { "DETAIL", "detail", FIELD_TEXT }, 0 },
};

/* The state of a stream of events. */
struct watching {
        const struct cli *cli;
        const struct events_values *chosen;
        double shown;
        bool is_cut;
};

static int print_columns(const struct cli *cli, const cJSON *event)
{
        AUTO(auto_buffer) struct buffer line = { 0 };

        for (size_t i = 0; i < sizeof COLUMNS / sizeof *COLUMNS; i++) {
                AUTO(auto_free) char *cell = view_format(&COLUMNS[i].field, event);

                if (cell == NULL)
                        return -ENOMEM;
                (void)buffer_format(&line, "%s%-*s", i > 0 ? "  " : "", COLUMNS[i].width, cell);
        }
        (void)buffer_format(&line, "%s%s", *view_text(event, "cause") != '\0' ? "  cause " : "",
                            view_text(event, "cause"));
        return line.has_failed ? -ENOMEM : cli_print_line(cli, line.data);
}

static int print_event(const struct cli *cli, const cJSON *event)
{
        if (cli_is_json(cli))
                return view_json(cli, event);
        return cli->is_quiet ? cli_print_line(cli, view_text(event, "event")) : print_columns(cli, event);
}

static int on_event(void *arg, const cJSON *event)
{
        struct watching *watching = arg;
        const char *name = view_text(event, "event");
        const char *user = watching->chosen->user;

        if (str_equal(name, "cut"))
                watching->is_cut = true;
        if (str_equal(name, "listening") || (user != NULL && !str_equal(user, view_text(event, "user"))))
                return 0;
        int r = print_event(watching->cli, event);
        if (r < 0)
                return r;
        if (fflush(watching->cli->out) != 0)
                return -EPIPE;
        watching->shown++;
        return watching->chosen->count.is_given && watching->shown >= watching->chosen->count.value ? -ECANCELED : 0;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        struct watching watching = { .cli = cli, .chosen = values };
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        const struct api_stream_request request = { .method = "GET",
                                                    .path = "/v1/events",
                                                    .interrupt_fd = interrupt_fd,
                                                    .on_line = on_event,
                                                    .arg = &watching };
        struct api_error error;
        int r = api_stream(cli->api, &request, &error);

        if (r == -ECANCELED && error.is_abandoned)
                return STATUS_OK;
        if (r == -ENOMEM && error.is_abandoned)
                return cli_no_memory(cli);
        if (error.is_abandoned)
                return STATUS_FAILED;
        if (r < 0)
                return cli_fail(cli, &error);
        cli_complain(cli, watching.is_cut ? "carreld cut the stream, because it was read too slowly"
                                          : "carreld ended the stream");
        return STATUS_UNREACHABLE;
}

const struct verb CMD_EVENTS = {
        .name = "events",
        .operands = "",
        .summary = "Follow events from now on",
        .help = "Runs until it is interrupted (130) or carreld ends (3). -o json prints a JSON document a line; -q\n"
                "only the names of the events.",
        .examples = "  carrel events\n  carrel events --user ada -n 1 -o json",
        .options = OPTIONS,
        .values_size = sizeof(struct events_values),
        .run = run,
};
