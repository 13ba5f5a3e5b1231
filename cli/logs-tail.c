#include "logs-tail.h"

#include <errno.h>
#include <string.h>

#include "base64.h"
#include "scope.h"
#include "view.h"

/* Where bytes of one stream end in logs_tail.bytes; they begin where the piece before them ends. */
struct piece {
        int stream;
        size_t end;
};

static int keep(struct logs_tail *tail, int stream, const char *bytes, size_t length)
{
        (void)buffer_append(&tail->bytes, bytes, length);
        const struct piece piece = { stream, tail->bytes.length };
        (void)buffer_append(&tail->pieces, &piece, sizeof piece);
        return tail->bytes.has_failed || tail->pieces.has_failed ? -ENOMEM : 0;
}

int logs_tail_on_line(void *arg, const cJSON *line)
{
        struct logs_tail *tail = arg;
        const char *event = view_text(line, "event");
        const char *data = view_text(line, "data");
        AUTO(auto_free) char *bytes = NULL;
        size_t length = strlen(data);

        tail->seq = view_number(line, "seq", tail->seq);
        if (!str_equal(event, "stdout") && !str_equal(event, "stderr"))
                return exec_events_on_line(tail->events, line);
        if (str_equal(view_text(line, "encoding"), "base64")) {
                int r = base64_decode(data, &bytes, &length);

                if (r < 0)
                        return r;
                data = bytes;
        }
        return keep(tail, str_equal(event, "stdout") ? 1 : 2, data, length);
}

/* Where the last lines begin. The newline at the very end ends the last of them. */
static size_t find_start(const struct logs_tail *tail)
{
        size_t start = tail->bytes.length, left = tail->lines;

        if (left == 0)
                return start;
        if (start > 0 && tail->bytes.data[start - 1] == '\n')
                start--;
        while (start > 0 && (tail->bytes.data[start - 1] != '\n' || --left > 0))
                start--;
        return start;
}

int logs_tail_flush(struct logs_tail *tail)
{
        const struct piece *pieces = (const void *)tail->pieces.data;
        size_t at = find_start(tail);
        int r = 0;

        for (size_t i = 0; i < tail->pieces.length / sizeof *pieces && r == 0; i++) {
                if (pieces[i].end <= at)
                        continue;
                r = exec_events_on_output(tail->events, pieces[i].stream, tail->bytes.data + at, pieces[i].end - at);
                at = pieces[i].end;
        }
        return r;
}

void logs_tail_free(struct logs_tail *tail)
{
        buffer_free(&tail->bytes);
        buffer_free(&tail->pieces);
}
