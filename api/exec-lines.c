#include "exec-lines.h"

#include <string.h>

#include "base64.h"
#include "errors.h"
#include "put.h"
#include "render.h"
#include "utf8.h"

enum { LONG_TEXT_BYTES = 16 << 10 };

static struct json *begin_report(const char *name)
{
        struct json *report = json_object();

        put_text(&report, "event", name);
        return report;
}

static struct json *begin_line(const char *name, uint64_t seq)
{
        struct json *line = begin_report(name);

        put_number(&line, "seq", (double)seq);
        return line;
}

struct json *exec_line_start(uint64_t seq, const char *exec_id)
{
        struct json *line = begin_line("start", seq);

        put_text(&line, "exec_id", exec_id);
        return line;
}

/* Long text becomes base64 where that is shorter: escaped control characters take six bytes each. */
static bool is_shown_as_text(const char *bytes, size_t length)
{
        struct utf8_scan scan = { 0 };

        utf8_scan(&scan, bytes, length);
        return utf8_scan_is_text(&scan) && (length <= LONG_TEXT_BYTES || scan.n_escapes <= length / 3);
}

struct json *exec_line_output(uint64_t seq, int stream, const char *bytes, size_t length)
{
        bool is_text = is_shown_as_text(bytes, length);
        struct json *line = begin_line(stream == 1 ? "stdout" : "stderr", seq);

        render_output(&line, "data", bytes, length, is_text);
        put_text(&line, "encoding", is_text ? "utf-8" : "base64");
        return line;
}

static void put_error(struct json **line, const char *exec_id, const struct fault *why)
{
        put_text(line, "exec_id", exec_id);
        put_child(line, "error", error_object(why));
}

struct json *exec_line_exit(uint64_t seq, const struct exec_result *result)
{
        struct json *line = begin_line("exit", seq);

        render_exec_end(&line, result);
        return line;
}

struct json *exec_line_error(uint64_t seq, const char *exec_id, const struct fault *why)
{
        struct json *line = begin_line("error", seq);

        put_error(&line, exec_id, why);
        return line;
}

struct json *exec_report_exit(const struct exec_result *result)
{
        struct json *report = begin_report("exit");

        render_exec_end(&report, result);
        return report;
}

struct json *exec_report_error(const char *exec_id, const struct fault *why)
{
        struct json *report = begin_report("error");

        put_error(&report, exec_id, why);
        return report;
}

struct json *exec_line_cut(uint64_t seq, const char *reason)
{
        struct json *line = begin_line("cut", seq);

        put_text(&line, "reason", reason);
        return line;
}
