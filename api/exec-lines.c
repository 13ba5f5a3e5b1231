#include "exec-lines.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base64.h"
#include "errors.h"
#include "put.h"
#include "render.h"
#include "utf8.h"

enum { LONG_TEXT_BYTES = 16 << 10 };

static cJSON *begin_report(const char *name)
{
        cJSON *report = cJSON_CreateObject();

        put_text(&report, "event", name);
        return report;
}

static cJSON *begin_line(const char *name, uint64_t seq)
{
        cJSON *line = begin_report(name);

        put_number(&line, "seq", (double)seq);
        return line;
}

cJSON *exec_line_start(uint64_t seq, const char *exec_id)
{
        cJSON *line = begin_line("start", seq);

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

cJSON *exec_line_output(uint64_t seq, int stream, const char *bytes, size_t length, char **ret_data)
{
        bool is_text = is_shown_as_text(bytes, length);
        cJSON *line = begin_line(stream == 1 ? "stdout" : "stderr", seq);

        *ret_data = is_text ? strndup(bytes, length) : base64_encode(bytes, length);
        if (*ret_data == NULL)
                put_child(&line, "data", NULL);
        put_text(&line, "data", *ret_data);
        put_text(&line, "encoding", is_text ? "utf-8" : "base64");
        return line;
}

static void put_error(cJSON **line, const char *exec_id, const struct fault *why)
{
        cJSON *body = error_render(why);

        put_text(line, "exec_id", exec_id);
        put_child(line, "error", cJSON_DetachItemFromObject(body, "error"));
        cJSON_Delete(body);
}

cJSON *exec_line_exit(uint64_t seq, const struct exec_result *result)
{
        cJSON *line = begin_line("exit", seq);

        render_exec_end(&line, result);
        return line;
}

cJSON *exec_line_error(uint64_t seq, const char *exec_id, const struct fault *why)
{
        cJSON *line = begin_line("error", seq);

        put_error(&line, exec_id, why);
        return line;
}

cJSON *exec_report_exit(const struct exec_result *result)
{
        cJSON *report = begin_report("exit");

        render_exec_end(&report, result);
        return report;
}

cJSON *exec_report_error(const char *exec_id, const struct fault *why)
{
        cJSON *report = begin_report("error");

        put_error(&report, exec_id, why);
        return report;
}

cJSON *exec_line_cut(uint64_t seq, const char *reason)
{
        cJSON *line = begin_line("cut", seq);

        put_text(&line, "reason", reason);
        return line;
}
