#include "file-answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "put.h"
#include "str.h"
#include "utf8.h"

enum { ERRNO_MAX = 4095 };

/* The fault of an errno from inside the carrel. */
static enum fault_kind kind_of(int err)
{
        if (err == ENOENT)
                return FAULT_NOT_FOUND;
        return err == EFBIG ? FAULT_REQUEST_TOO_LARGE : FAULT_FILE_REFUSED;
}

static int parse_error(const char *text, struct file_answer *answer)
{
        char *end;
        long err = strtol(text, &end, 10);

        if (err < 1 || err > ERRNO_MAX || *end != ' ')
                return -EPROTO;
        (void)fault_set(&answer->why, kind_of((int)err), (int)err, "%.200s", end + 1);
        utf8_mend(answer->why.message);
        answer->kind = FILE_ERROR;
        return 0;
}

static void parse_numbers(const char *text, struct file_answer *answer)
{
        for (size_t i = 0; i < FILE_NUMBERS_MAX && *text != '\0'; i++) {
                size_t length = strcspn(text, " ");
                char digits[24] = "";
                uint64_t number;

                if (length < sizeof digits)
                        memcpy(digits, text, length);
                if (str_parse_u64(digits, 0, INT64_MAX, &number) == 0)
                        answer->numbers[i] = (int64_t)number;
                text += length + (text[length] == ' ' ? 1 : 0);
        }
}

int file_answer_parse(const char *line, size_t length, struct file_answer *ret_answer)
{
        char text[FILE_LINE_MAX_BYTES];
        struct file_answer answer = { .kind = FILE_OK };
        int r = 0;

        if (length >= sizeof text || memchr(line, '\0', length) != NULL)
                return -EPROTO;
        memcpy(text, line, length);
        text[length] = '\0';
        if (str_equal(text, "ok")) {
                *ret_answer = answer;
                return 0;
        }
        if (str_equal(text, "on")) {
                answer.kind = FILE_AT_WORK;
        } else if (str_has_prefix(text, "ok ")) {
                parse_numbers(text + 3, &answer);
        } else if (str_has_prefix(text, "range ")) {
                answer.kind = FILE_RANGE;
                parse_numbers(text + 6, &answer);
        } else if (str_has_prefix(text, "error ")) {
                r = parse_error(text + 6, &answer);
        } else {
                r = -EPROTO;
        }
        if (r == 0)
                *ret_answer = answer;
        return r;
}

static const char *kind_name(char kind)
{
        static const struct {
                char letter;
                const char *name;
        } KINDS[] = { { 'd', "directory" }, { 'f', "file" }, { 'l', "link" }, { 'o', "other" } };

        for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
                if (KINDS[i].letter == kind)
                        return KINDS[i].name;
        return NULL;
}

static void put_name(struct json **entry, const char *name)
{
        size_t length = strlen(name);

        if (utf8_is_text(name, length))
                put_bytes(entry, "name", name, length);
        else
                put_base64(entry, "name_b64", name, length);
}

/* record ends with a NUL. */
static struct json *render_entry(const char *record, int *ret_problem)
{
        char kind;
        unsigned mode;
        long long size, mtime;
        int head = 0;
        char text[8];
        struct json *entry;

        *ret_problem = -EPROTO;
        if (sscanf(record, "%c %5o %19lld %19lld %n", &kind, &mode, &size, &mtime, &head) != 4 || head == 0 ||
            kind_name(kind) == NULL || mode > 07777)
                return NULL;
        *ret_problem = -ENOMEM;
        /* sscanf skips all spaces, but a name may begin with spaces. */
        while (head >= 2 && record[head - 2] == ' ')
                head--;
        (void)snprintf(text, sizeof text, "%04o", mode);
        entry = json_object();
        put_name(&entry, record + head);
        put_text(&entry, "kind", kind_name(kind));
        put_text(&entry, "mode", text);
        put_number(&entry, "size", (double)size);
        put_number(&entry, "mtime", (double)mtime);
        return entry;
}

struct json *file_list_next(const char **records, const char *end, int *ret_problem)
{
        const char *record = *records, *stop = memchr(record, '\0', (size_t)(end - record));

        *ret_problem = -EPROTO;
        if (stop == NULL)
                return NULL;
        *records = stop + 1;
        return render_entry(record, ret_problem);
}
