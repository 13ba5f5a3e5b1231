#include "put.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "scope.h"
#include "str.h"
#include "utf8.h"

/* Most answers fit into the first. */
enum { FIRST_BYTES = 512 };

struct json {
        struct buffer text; /* without its end */
        char end;           /* '}' or ']' */
};

static struct json *begin_json(const char *begin, char end)
{
        struct json *json = malloc(sizeof *json);

        if (json == NULL)
                return NULL;
        *json = (struct json){ .text = { .data = malloc(FIRST_BYTES), .capacity = FIRST_BYTES }, .end = end };
        return buffer_text(&json->text, begin) == 0 ? json : json_free(json);
}

struct json *json_object(void)
{
        return begin_json("{", '}');
}

struct json *json_array(void)
{
        return begin_json("[", ']');
}

struct json *json_free(struct json *json)
{
        if (json == NULL)
                return NULL;
        buffer_free(&json->text);
        free(json);
        return NULL;
}

char *json_take(struct json *json)
{
        char *text;

        if (json == NULL)
                return NULL;
        (void)buffer_append(&json->text, &json->end, 1);
        text = buffer_take(&json->text);
        free(json);
        return text;
}

/* ---- members ---- */

/* Where the value goes; NULL: *object has failed. */
static struct buffer *begin_member(struct json **object, const char *key)
{
        struct buffer *text = *object == NULL ? NULL : &(*object)->text;
        size_t length = key == NULL ? 0 : strlen(key);
        char *at = text == NULL ? NULL : buffer_room(text, length + sizeof ",\"\":");

        if (at == NULL)
                return text;
        if (text->length > 1)
                *at++ = ',';
        if (key != NULL) {
                *at++ = '"';
                at = mempcpy(at, key, length);
                *at++ = '"';
                *at++ = ':';
        }
        text->length = (size_t)(at - text->data);
        return text;
}

static void end_member(struct json **object)
{
        if ((*object)->text.has_failed)
                *object = json_free(*object);
}

static void put_raw(struct json **object, const char *key, const char *value, size_t length)
{
        struct buffer *text = begin_member(object, key);

        if (text == NULL)
                return;
        (void)buffer_append(text, value, length);
        end_member(object);
}

void put_json(struct json **object, const char *key, const char *value)
{
        put_raw(object, key, value, strlen(value));
}

/* bytes are text. */
static void add_string(struct buffer *text, const char *bytes, size_t length)
{
        (void)buffer_append(text, "\"", 1);
        while (length > 0) {
                size_t taken, size = length + JSON_ESCAPE_MAX;
                char *at = buffer_room(text, size);

                if (at == NULL)
                        return;
                text->length += json_escape(at, size, bytes, length, &taken);
                bytes += taken;
                length -= taken;
        }
        (void)buffer_append(text, "\"", 1);
}

static void add_mended(struct buffer *text, const char *bytes, size_t length)
{
        AUTO(auto_free) char *copy = strndup(bytes, length);

        if (copy == NULL) {
                text->has_failed = true;
                return;
        }
        utf8_mend(copy);
        add_string(text, copy, strlen(copy));
}

void put_bytes(struct json **object, const char *key, const char *bytes, size_t length)
{
        struct buffer *text = begin_member(object, key);

        if (text == NULL)
                return;
        if (utf8_is_text(bytes, length))
                add_string(text, bytes, length);
        else
                add_mended(text, bytes, length);
        end_member(object);
}

void put_text(struct json **object, const char *key, const char *value)
{
        if (value == NULL)
                put_json(object, key, "null");
        else
                put_bytes(object, key, value, strlen(value));
}

void put_base64(struct json **object, const char *key, const void *bytes, size_t length)
{
        AUTO(auto_free) char *encoded = base64_encode(bytes, length);

        if (encoded == NULL)
                *object = json_free(*object);
        else
                put_text(object, key, encoded);
}

void put_bool(struct json **object, const char *key, bool value)
{
        put_json(object, key, value ? "true" : "false");
}

void put_child(struct json **object, const char *key, struct json *child)
{
        AUTO(auto_free) char *text = json_take(child);

        if (text == NULL)
                *object = json_free(*object);
        else
                put_json(object, key, text);
}

/* ---- numbers ---- */

/* 15 digits where that is the number, else 17, which always are. */
static void put_fraction(struct json **object, const char *key, double value)
{
        char text[32];

        (void)snprintf(text, sizeof text, "%.15g", value);
        if (fabs(strtod(text, NULL) - value) > fabs(value) * DBL_EPSILON)
                (void)snprintf(text, sizeof text, "%.17g", value);
        put_json(object, key, text);
}

/* Whole numbers are exact in a double up to 2^53. */
void put_number(struct json **object, const char *key, double value)
{
        char text[1 + STR_U64_BYTES] = "-";
        size_t n_sign = value < 0;

        if (!isfinite(value))
                put_json(object, key, "null");
        else if (value != floor(value) || fabs(value) > 0x1p53)
                put_fraction(object, key, value);
        else
                put_raw(object, key, text, n_sign + str_u64((uint64_t)fabs(value), text + n_sign));
}

void put_seconds(struct json **object, const char *key, double value_ms)
{
        char text[STR_U64_BYTES + 4];
        uint64_t ms;
        size_t length;

        if (!(value_ms >= 0 && value_ms <= 0x1p53)) {
                put_number(object, key, value_ms / 1000);
                return;
        }
        ms = (uint64_t)llround(value_ms);
        length = str_u64(ms / 1000, text);
        if (ms % 1000 != 0)
                text[length++] = '.';
        for (unsigned rest = (unsigned)(ms % 1000); rest != 0; rest = rest * 10 % 1000)
                text[length++] = (char)('0' + rest / 100);
        put_raw(object, key, text, length);
}
