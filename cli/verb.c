#include "verb.h"

#include <stdarg.h>

#include "text.h"

const char *const OUTPUT_NAMES[] = { "table", "json", NULL };

/* Advice for those of the API's codes whose message has none. Alphabetical. */
static const struct {
        const char *code;
        const char *advice;
} ADVICE[] = {
        { "engine_unavailable", "check `carrel info`, and that the engine runs" },
        { "forbidden", "this needs root or the admin group" },
        { "hardening_missing", "see `carrel doctor`" },
        { "not_found", "`carrel ls` and `carrel ps` list carrels and programs" },
        { "policy_not_in_force", "see `carrel policy`" },
        { "pool_full", "remove carrels (`carrel rm`, `carrel reap`) or raise max_carrels" },
        { "spec_conflict", "`carrel ps USER` lists the programs; --on-conflict replace ends them" },
};

bool cli_is_json(const struct cli *cli)
{
        return str_equal(cli->output, "json");
}

static void print_clean(FILE *out, const char *text)
{
        struct buffer clean = { 0 };

        if (text_clean(&clean, text) == 0)
                (void)fputs(clean.data, out);
        buffer_free(&clean);
}

__attribute__((format(printf, 2, 0))) static void complain(const struct cli *cli, const char *format, va_list args)
{
        char message[1024];

        (void)vsnprintf(message, sizeof message, format, args);
        (void)fputs("carrel: ", cli->err);
        print_clean(cli->err, message);
        (void)fputc('\n', cli->err);
}

void cli_complain(const struct cli *cli, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        complain(cli, format, args);
        va_end(args);
}

int cli_fail(const struct cli *cli, const struct api_error *error)
{
        if (error->signal != 0)
                return 128 + error->signal;
        cli_complain(cli, "%s%s%s%s%s%s", cli->about != NULL ? cli->about : "", cli->about != NULL ? ": " : "",
                     error->message, error->code[0] != '\0' ? " (" : "", error->code,
                     error->code[0] != '\0' ? ")" : "");
        for (size_t i = 0; i < sizeof ADVICE / sizeof *ADVICE; i++)
                if (str_equal(ADVICE[i].code, error->code) && *cli->advised != ADVICE[i].code) {
                        cli_complain(cli, "%s", ADVICE[i].advice);
                        *cli->advised = ADVICE[i].code; /* once is enough for several operands */
                }
        return error->status;
}

int cli_fail_usage(const struct cli *cli, const char *verb, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        complain(cli, format, args);
        va_end(args);
        cli_complain(cli, "see `carrel %s%s--help`", verb != NULL ? verb : "", verb != NULL ? " " : "");
        return STATUS_USAGE;
}
