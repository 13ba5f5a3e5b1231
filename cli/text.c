#include "text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "utf8.h"

struct range {
        uint32_t first, last;
};

enum { REPLACEMENT = 0xFFFD, ESCAPE = 0x1B };

/* Each table is in rising order. */
static const struct range BLANK[] = { { 0x00, 0x1F }, { 0x7F, 0x9F }, { 0x2028, 0x2029 } };
static const struct range INVISIBLE[] = { { 0x061C, 0x061C },  { 0x180E, 0x180E }, { 0x200B, 0x200F },
                                          { 0x202A, 0x202E },  { 0x2060, 0x206F }, { 0xFEFF, 0xFEFF },
                                          { 0xE0000, 0xE007F } };
static const struct range COMBINING[] = { { 0x0300, 0x036F }, { 0x0483, 0x0489 }, { 0x0591, 0x05BD },
                                          { 0x0610, 0x061A }, { 0x064B, 0x065F }, { 0x0E31, 0x0E31 },
                                          { 0x0E34, 0x0E3A }, { 0x1AB0, 0x1AFF }, { 0x1DC0, 0x1DFF },
                                          { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F }, { 0xFE20, 0xFE2F } };
static const struct range WIDE[] = { { 0x1100, 0x115F },   { 0x231A, 0x231B },   { 0x2E80, 0x303E },
                                     { 0x3041, 0xA4CF },   { 0xA960, 0xA97C },   { 0xAC00, 0xD7A3 },
                                     { 0xF900, 0xFAFF },   { 0xFE30, 0xFE6F },   { 0xFF00, 0xFF60 },
                                     { 0xFFE0, 0xFFE6 },   { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF },
                                     { 0x1F900, 0x1FAFF }, { 0x20000, 0x3FFFD } };

static bool is_in(uint32_t point, const struct range *ranges, size_t count)
{
        for (size_t i = 0; i < count && ranges[i].first <= point; i++)
                if (point <= ranges[i].last)
                        return true;
        return false;
}

#define IS_IN(point, ranges) is_in(point, ranges, sizeof(ranges) / sizeof *(ranges))

/* One code point of a NUL-terminated text; malformed, overlong and surrogate forms are one byte of U+FFFD.
 * Returns the bytes taken, at least 1. */
static size_t decode(const char *text, uint32_t *ret_point)
{
        static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const unsigned char *bytes = (const unsigned char *)text;
        size_t length = bytes[0] < 0x80 ? 1 : bytes[0] >> 5 == 0x6 ? 2 : bytes[0] >> 4 == 0xE ? 3 : 4;
        uint32_t point = length == 1 ? bytes[0] : bytes[0] & (0xFFU >> (length + 1));

        *ret_point = REPLACEMENT;
        if (length == 4 && bytes[0] >> 3 != 0x1E)
                return 1;
        for (size_t i = 1; i < length; i++) {
                if (bytes[i] >> 6 != 0x2)
                        return 1;
                point = point << 6 | (bytes[i] & 0x3FU);
        }
        if (point < LEAST[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
                return 1;
        *ret_point = point;
        return length;
}

/* The end of a string sequence (OSC, DCS, APC, PM, SOS): BEL or ESC \. */
static const char *skip_string(const char *at)
{
        for (; *at != '\0'; at++) {
                if (*at == '\a')
                        return at + 1;
                if (*at == ESCAPE && at[1] == '\\')
                        return at + 2;
        }
        return at;
}

/* at: after an ESC. */
static const char *skip_escape(const char *at)
{
        if (*at == '[') {
                at++;
                while (*at >= 0x20 && *at <= 0x3F)
                        at++;
                return *at >= 0x40 && *at <= 0x7E ? at + 1 : at;
        }
        if (*at == ']' || *at == 'P' || *at == '_' || *at == '^' || *at == 'X')
                return skip_string(at + 1);
        while (*at >= 0x20 && *at <= 0x2F)
                at++;
        return *at >= 0x30 && *at <= 0x7E ? at + 1 : at;
}

int text_clean(struct buffer *buffer, const char *text)
{
        while (*text != '\0' && !buffer->has_failed) {
                uint32_t point;
                size_t length = decode(text, &point);

                if (point == ESCAPE) {
                        text = skip_escape(text + 1);
                        continue;
                }
                if (IS_IN(point, BLANK))
                        (void)buffer_text(buffer, " ");
                else if (point == REPLACEMENT)
                        (void)buffer_text(buffer, "\xEF\xBF\xBD");
                else if (!IS_IN(point, INVISIBLE))
                        (void)buffer_append(buffer, text, length);
                text += length;
        }
        /* An empty text is still a string. */
        return buffer_append(buffer, "", 0);
}

/* ---- a stream ---- */

/* One code point outside an escape sequence. */
static void filter_point(struct text_filter *filter, const char *bytes, size_t length, uint32_t point,
                         struct buffer *clean)
{
        bool is_return = filter->has_return;

        filter->has_return = point == '\r';
        if (is_return && point != '\n' && point != '\r')
                (void)buffer_text(clean, "\n"); /* the next text would cover the line */
        if (point == ESCAPE)
                filter->state = FILTER_ESCAPE;
        else if (point == 0x2028 || point == 0x2029)
                (void)buffer_text(clean, "\n");
        else if (point == REPLACEMENT)
                (void)buffer_text(clean, "\xEF\xBF\xBD");
        else if (point == '\n' || point == '\t' || (!IS_IN(point, BLANK) && !IS_IN(point, INVISIBLE)))
                (void)buffer_append(clean, bytes, length);
}

/* One code point after an ESC: whether it belongs to the sequence. */
static bool filter_escape(struct text_filter *filter, uint32_t point)
{
        bool is_final = point >= 0x30 && point <= 0x7E;

        switch (filter->state) {
        case FILTER_TEXT:
                return false;
        case FILTER_ESCAPE:
                if (point == '[')
                        filter->state = FILTER_CSI;
                else if (point < 0x80 && point != 0 && strchr("]P_^X", (int)point) != NULL)
                        filter->state = FILTER_STRING;
                else if (point < 0x20 || point > 0x2F)
                        filter->state = FILTER_TEXT;
                return filter->state != FILTER_TEXT || is_final;
        case FILTER_CSI:
                if (point >= 0x20 && point <= 0x3F)
                        return true;
                filter->state = FILTER_TEXT;
                return point >= 0x40 && point <= 0x7E;
        case FILTER_STRING:
        case FILTER_STRING_ESCAPE:
                /* A line's end ends it too: a terminal without support for such strings shows the rest. */
                if (point == '\a' || point == '\n' || (point == '\\' && filter->state == FILTER_STRING_ESCAPE))
                        filter->state = FILTER_TEXT;
                else
                        filter->state = point == ESCAPE ? FILTER_STRING_ESCAPE : FILTER_STRING;
                return point != '\n';
        }
        return false;
}

int text_filter(struct text_filter *filter, const char *bytes, size_t length, struct buffer *clean)
{
        struct buffer whole = { 0 };
        size_t end, at = 0;

        if (length == 0)
                return 0;
        (void)buffer_append(&whole, filter->tail, filter->n_tail);
        (void)buffer_append(&whole, bytes, length);
        end = whole.has_failed ? 0 : whole.length - utf8_unfinished(whole.data, whole.length);
        filter->n_tail = whole.has_failed ? 0 : whole.length - end;
        if (filter->n_tail > 0)
                memcpy(filter->tail, whole.data + end, filter->n_tail);
        while (at < end) {
                uint32_t point;
                /* The NUL after the buffer's end is not part of a character. */
                size_t taken = decode(whole.data + at, &point);

                if (!filter_escape(filter, point))
                        filter_point(filter, whole.data + at, taken, point, clean);
                at += taken;
        }
        bool has_failed = whole.has_failed || clean->has_failed;
        buffer_free(&whole);
        return has_failed ? -ENOMEM : 0;
}

/* ---- widths ---- */

static size_t point_columns(uint32_t point)
{
        if (IS_IN(point, COMBINING) || IS_IN(point, INVISIBLE))
                return 0;
        return IS_IN(point, WIDE) ? 2 : 1;
}

size_t text_columns(const char *text)
{
        size_t columns = 0;

        while (*text != '\0') {
                uint32_t point;

                text += decode(text, &point);
                columns += point_columns(point);
        }
        return columns;
}

size_t text_fit(const char *text, size_t columns)
{
        const char *at = text;
        size_t used = 0;

        while (*at != '\0') {
                uint32_t point;
                size_t length = decode(at, &point);

                used += point_columns(point);
                if (used > columns)
                        break;
                at += length;
        }
        return (size_t)(at - text);
}

int text_append_json(struct buffer *buffer, const char *json)
{
        while (*json != '\0' && !buffer->has_failed) {
                uint32_t point;
                size_t length = decode(json, &point);

                /* A control below 0x20 is outside a string: cJSON has escaped the others. */
                if (point > 0xFFFF && IS_IN(point, INVISIBLE))
                        (void)buffer_format(buffer, "\\u%04x\\u%04x", 0xD7C0U + (unsigned)(point >> 10),
                                            0xDC00U + (unsigned)(point & 0x3FF));
                else if (point >= 0x7F && (IS_IN(point, BLANK) || IS_IN(point, INVISIBLE)))
                        (void)buffer_format(buffer, "\\u%04x", (unsigned)point);
                else
                        (void)buffer_append(buffer, json, length);
                json += length;
        }
        return buffer->has_failed ? -ENOMEM : 0;
}
