#include "text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

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

/* at: behind an ESC. */
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

                if (point >= 0x7F && point <= 0x9F)
                        (void)buffer_format(buffer, "\\u%04x", (unsigned)point);
                else
                        (void)buffer_append(buffer, json, length);
                json += length;
        }
        return buffer->has_failed ? -ENOMEM : 0;
}
