#include "str.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

int str_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
        uint64_t value = 0;

        if (text == NULL || *text == '\0')
                return -EINVAL;
        for (; *text != '\0'; text++) {
                if (*text < '0' || *text > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(value, 10U, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
                        return -ERANGE;
        }
        if (value < min || value > max)
                return -ERANGE;
        *ret_value = value;
        return 0;
}

int str_parse_decimal(const char *text, double min, double max, double *ret_value)
{
        char digits[32];
        uint64_t whole = 0;
        uint64_t fraction = 0;
        double scale = 1;
        char *point;
        int r;

        if (text == NULL || str_copy(digits, sizeof digits, text) < 0)
                return -EINVAL;
        point = strchr(digits, '.');
        if (point != NULL) {
                *point++ = '\0';
                if (strlen(point) > 6)
                        return -EINVAL;
                r = str_parse_u64(point, 0, 999999, &fraction);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < strlen(point); i++)
                        scale *= 10;
        }
        r = str_parse_u64(digits, 0, 1000000000, &whole);
        if (r < 0)
                return r;
        double value = (double)whole + (double)fraction / scale;
        if (value < min || value > max)
                return -ERANGE;
        *ret_value = value;
        return 0;
}

/* The power of two of a suffix; -1: it is not a suffix. */
/* The power of two of "k", "kb" or "kib" and so on, in either case; 0 for "b" and ""; -1: anything else. */
static int suffix_shift(const char *suffix)
{
        static const char UNITS[] = "kmgt";
        const char *unit = *suffix != '\0' ? strchr(UNITS, tolower((unsigned char)*suffix)) : NULL;
        const char *rest = unit != NULL ? suffix + 1 : suffix;

        if (*rest != '\0' && strcasecmp(rest, "b") != 0 && (unit == NULL || strcasecmp(rest, "ib") != 0))
                return -1;
        return unit != NULL ? 10 * (int)(unit - UNITS + 1) : 0;
}

int str_parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *ret_bytes)
{
        char digits[32];
        uint64_t value = 0;
        int shift;
        int r;

        if (text == NULL || str_copy(digits, sizeof digits, text) < 0)
                return -EINVAL;
        shift = suffix_shift(digits + strspn(digits, "0123456789"));
        if (shift < 0)
                return -EINVAL;
        digits[strspn(digits, "0123456789")] = '\0';
        r = str_parse_u64(digits, 0, UINT64_MAX >> shift, &value);
        if (r < 0)
                return r;
        value <<= shift;
        if (value < min || value > max)
                return -ERANGE;
        *ret_bytes = value;
        return 0;
}

size_t str_u64(uint64_t number, char text[static STR_U64_BYTES])
{
        char digits[STR_U64_BYTES];
        size_t at = sizeof digits;

        digits[--at] = '\0';
        do {
                digits[--at] = (char)('0' + number % 10);
                number /= 10;
        } while (number > 0);
        memcpy(text, digits + at, sizeof digits - at);
        return sizeof digits - at - 1;
}

const char *str_size(uint64_t bytes, char ret_text[static STR_SIZE_BYTES])
{
        static const char UNITS[] = "\0kmgtpe";
        double value = (double)bytes;
        size_t unit = 0;

        /* 1024 of one unit is shown as 1 of the next. */
        while (unit < sizeof UNITS - 2 && value >= 1023.5) {
                value /= 1024;
                unit++;
        }
        bool has_fraction = value < 9.95 && (uint64_t)(value * 10 + 0.5) % 10 != 0;
        (void)snprintf(ret_text, STR_SIZE_BYTES, "%.*f%.1s", has_fraction ? 1 : 0, value, UNITS + unit);
        return ret_text;
}

bool str_equal(const char *a, const char *b)
{
        return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool str_has_prefix(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

int str_copy(char *target, size_t size, const char *text)
{
        size_t length = strlen(text);

        if (length >= size) {
                target[0] = '\0';
                return -ENAMETOOLONG;
        }
        memcpy(target, text, length + 1);
        return 0;
}

size_t str_decode_utf8(const char *text, uint32_t *ret_code)
{
        static const unsigned char PAYLOAD[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 }; /* of the first byte, by length */
        int length = utf8_step(text, text[0] == '\0' ? 1 : strnlen(text, 4));
        uint32_t code;

        if (length <= 0)
                return 0;
        code = (unsigned char)text[0] & PAYLOAD[length];
        for (int i = 1; i < length; i++)
                code = code << 6 | ((unsigned char)text[i] & 0x3f);
        *ret_code = code;
        return (size_t)length;
}

bool str_is_unprintable(uint32_t code)
{
        static const struct {
                uint32_t first;
                uint32_t last;
        } RANGES[] = {
                { 0x0, 0x1f }, { 0x7f, 0x9f }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 },
        };

        for (size_t i = 0; i < sizeof RANGES / sizeof RANGES[0]; i++)
                if (code >= RANGES[i].first && code <= RANGES[i].last)
                        return true;
        return false;
}

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
        unsigned least = a < b ? a : b;

        return least < c ? least : c;
}

/* Levenshtein's distance, one row of the matrix at a time. */
unsigned str_distance(const char *a, const char *b)
{
        enum { LONGEST = 63 };
        unsigned row[LONGEST + 1];
        size_t a_length = strlen(a);
        size_t b_length = strlen(b);

        if (a_length > LONGEST || b_length > LONGEST)
                return UINT_MAX;
        for (size_t j = 0; j <= b_length; j++)
                row[j] = (unsigned)j;
        for (size_t i = 1; i <= a_length; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= b_length; j++) {
                        unsigned above = row[j];
                        bool is_same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);

                        row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + !is_same);
                        diagonal = above;
                }
        }
        return row[b_length];
}

static int buffer_reserve(struct buffer *buffer, size_t extra)
{
        size_t needed;
        size_t capacity = buffer->capacity > 0 ? buffer->capacity : 128;

        if (buffer->has_failed || __builtin_add_overflow(buffer->length, extra, &needed) ||
            __builtin_add_overflow(needed, 1U, &needed))
                goto failed;
        if (buffer->data != NULL && needed <= buffer->capacity)
                return 0;
        while (capacity < needed)
                if (__builtin_mul_overflow(capacity, 2U, &capacity))
                        goto failed;
        char *data = realloc(buffer->data, capacity);
        if (data == NULL)
                goto failed;
        buffer->data = data;
        buffer->capacity = capacity;
        return 0;
failed:
        buffer->has_failed = true;
        return -ENOMEM;
}

char *buffer_room(struct buffer *buffer, size_t extra)
{
        return buffer_reserve(buffer, extra) < 0 ? NULL : buffer->data + buffer->length;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
        int r = buffer_reserve(buffer, length);

        if (r < 0)
                return r;
        if (length > 0)
                memcpy(buffer->data + buffer->length, bytes, length);
        buffer->length += length;
        buffer->data[buffer->length] = '\0';
        return 0;
}

int buffer_text(struct buffer *buffer, const char *text)
{
        return buffer_append(buffer, text, strlen(text));
}

int buffer_format(struct buffer *buffer, const char *format, ...)
{
        va_list args;
        int length;
        int r;

        va_start(args, format);
        length = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (length < 0) {
                buffer->has_failed = true;
                return -EINVAL;
        }
        r = buffer_reserve(buffer, (size_t)length);
        if (r < 0)
                return r;
        va_start(args, format);
        (void)vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, args);
        va_end(args);
        buffer->length += (size_t)length;
        return 0;
}

char *buffer_take(struct buffer *buffer)
{
        char *data;

        if (buffer->has_failed || (buffer->data == NULL && buffer_append(buffer, "", 0) < 0))
                return NULL;
        data = buffer->data;
        *buffer = (struct buffer){ 0 };
        return data;
}

void buffer_free(struct buffer *buffer)
{
        free(buffer->data);
        *buffer = (struct buffer){ 0 };
}

void buffer_consume(struct buffer *buffer, size_t count)
{
        if (count > buffer->length)
                count = buffer->length;
        if (count == 0)
                return;
        buffer->length -= count;
        memmove(buffer->data, buffer->data + count, buffer->length + 1);
}
