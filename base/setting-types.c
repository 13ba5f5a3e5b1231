#include "settings-parts.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"
#include "str.h"

static uint64_t to_u64(double bound)
{
        return bound >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)bound; /* beyond it the cast is undefined */
}

static int parse_text(const struct setting *setting, void *field, const char *value)
{
        char **text = field;
        size_t length = strlen(value);
        char *copy;

        if ((double)length < setting->min || (double)length > setting->max)
                return -ERANGE;
        if (setting->check != NULL && setting->check(value) != NULL)
                return -EINVAL;
        copy = strdup(value);
        if (copy == NULL)
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}

/* Adds one more value to the field's. */
static int parse_line(const struct setting *setting, void *field, const char *value)
{
        char **text = field;
        struct buffer lines = { 0 };

        if (*text != NULL)
                (void)buffer_text(&lines, *text);
        (void)buffer_format(&lines, "%s\n", value);
        AUTO(auto_free) char *joined = buffer_take(&lines);
        buffer_free(&lines);
        if (joined == NULL)
                return -ENOMEM;
        if ((double)strlen(joined) < setting->min || (double)strlen(joined) > setting->max)
                return -ERANGE;
        if (setting->check != NULL && setting->check(value) != NULL)
                return -EINVAL;
        free(*text);
        *text = TAKE(joined);
        return 0;
}

static int parse_number(const struct setting *setting, void *field, const char *value)
{
        return str_parse_u64(value, to_u64(setting->min), to_u64(setting->max), field);
}

static int parse_size(const struct setting *setting, void *field, const char *value)
{
        return str_parse_size(value, to_u64(setting->min), to_u64(setting->max), field);
}

static int parse_decimal(const struct setting *setting, void *field, const char *value)
{
        return str_parse_decimal(value, setting->min, setting->max, field);
}

static int parse_choice(const struct setting *setting, void *field, const char *value)
{
        for (int i = 0; setting->choices[i] != NULL; i++) {
                if (strcmp(setting->choices[i], value) == 0) {
                        *(int *)field = i;
                        return 0;
                }
        }
        return -EINVAL;
}

static void format_text(const struct setting *setting, const void *field, struct buffer *text)
{
        const char *value = *(char *const *)field;

        (void)buffer_text(text, value != NULL ? value : "");
}

static void format_number(const struct setting *setting, const void *field, struct buffer *text)
{
        (void)buffer_format(text, "%" PRIu64, *(const uint64_t *)field);
}

/* Uses the largest suffix that is exact. */
static void format_bytes(uint64_t bytes, struct buffer *text)
{
        static const char SUFFIXES[] = { '\0', 'k', 'm', 'g' };
        size_t suffix = 0;

        while (suffix + 1 < sizeof SUFFIXES && bytes > 0 && bytes % 1024 == 0) {
                bytes /= 1024;
                suffix++;
        }
        (void)buffer_format(text, "%" PRIu64 "%.*s", bytes, suffix > 0, &SUFFIXES[suffix]);
}

static void format_size(const struct setting *setting, const void *field, struct buffer *text)
{
        format_bytes(*(const uint64_t *)field, text);
}

static void format_fraction(double value, struct buffer *text)
{
        char digits[64];
        size_t length;

        (void)snprintf(digits, sizeof digits, "%.6f", value); /* as many digits as the parser takes */
        length = strlen(digits);
        while (length > 0 && digits[length - 1] == '0')
                length--;
        if (length > 0 && digits[length - 1] == '.')
                length--;
        (void)buffer_append(text, digits, length);
}

static void format_decimal(const struct setting *setting, const void *field, struct buffer *text)
{
        format_fraction(*(const double *)field, text);
}

static void format_choice(const struct setting *setting, const void *field, struct buffer *text)
{
        (void)buffer_text(text, setting->choices[*(const int *)field]);
}

static void describe_text(const struct setting *setting, struct buffer *text)
{
        (void)buffer_format(text, "must be %.0f to %.0f bytes long", setting->min, setting->max);
}

static void describe_number(const struct setting *setting, struct buffer *text)
{
        (void)buffer_format(text, "must be a whole number from %.0f to %.0f", setting->min, setting->max);
}

static void describe_size(const struct setting *setting, struct buffer *text)
{
        (void)buffer_text(text, "must be a size such as 512m, from ");
        format_bytes(to_u64(setting->min), text);
        (void)buffer_text(text, " to ");
        format_bytes(to_u64(setting->max), text);
}

static void describe_decimal(const struct setting *setting, struct buffer *text)
{
        (void)buffer_text(text, "must be a number from ");
        format_fraction(setting->min, text);
        (void)buffer_text(text, " to ");
        format_fraction(setting->max, text);
        (void)buffer_text(text, ", with at most 6 decimals");
}

static void describe_choice(const struct setting *setting, struct buffer *text)
{
        (void)buffer_text(text, "must be one of ");
        for (size_t i = 0; setting->choices[i] != NULL; i++)
                (void)buffer_format(text, "%s%s", i > 0 ? ", " : "", setting->choices[i]);
}

static bool is_text_set(const void *field)
{
        return *(char *const *)field != NULL;
}

static bool is_number_set(const void *field)
{
        return *(const uint64_t *)field != 0;
}

static bool is_decimal_set(const void *field)
{
        return *(const double *)field > 0;
}

static bool is_choice_set(const void *field)
{
        return *(const int *)field >= 0;
}

static const struct {
        int (*parse)(const struct setting *setting, void *field, const char *value);
        void (*format)(const struct setting *setting, const void *field, struct buffer *text);
        void (*describe)(const struct setting *setting, struct buffer *text); /* the range, for people */
        bool (*is_set)(const void *field);
} TYPES[] = {
        [SETTING_TEXT] = { parse_text, format_text, describe_text, is_text_set },
        [SETTING_NUMBER] = { parse_number, format_number, describe_number, is_number_set },
        [SETTING_SIZE] = { parse_size, format_size, describe_size, is_number_set },
        [SETTING_DECIMAL] = { parse_decimal, format_decimal, describe_decimal, is_decimal_set },
        [SETTING_CHOICE] = { parse_choice, format_choice, describe_choice, is_choice_set },
        [SETTING_LINES] = { parse_line, format_text, describe_text, is_text_set },
};

int settings_refuse(struct problems *problems, int err, const struct place *place, const char *format, ...)
{
        enum { LONGEST_FILE_BYTES = 80 }; /* leaves room for the sentence: a longer path loses its beginning */
        size_t length = strlen(place->file);
        const char *file = length > LONGEST_FILE_BYTES ? place->file + length - LONGEST_FILE_BYTES : place->file;
        char sentence[256];
        struct fault why = { 0 };
        va_list args;
        int r;

        va_start(args, format);
        (void)vsnprintf(sentence, sizeof sentence, format, args);
        va_end(args);
        r = place->line == 0 ? fault_set(&why, FAULT_SETTING_INVALID, err, "%s: %s", file, sentence)
                             : fault_set(&why, FAULT_SETTING_INVALID, err, "%s:%u: %s", file, place->line, sentence);
        if (problems->first == 0) {
                problems->first = r;
                (void)fault_pass(problems->why, &why);
        }
        if (problems->listener == NULL)
                return r;
        problems->listener->on_fault(problems->listener->arg, &why);
        return 0;
}

static bool holds_control_character(const char *value)
{
        for (; *value != '\0'; value++)
                if ((unsigned char)*value < ' ' || *value == 0x7f)
                        return true;
        return false;
}

int settings_set(const struct setting *setting, void *values, const char *value, const char *name,
                 const struct place *place, struct problems *problems)
{
        struct buffer range = { 0 };
        int r;

        if (holds_control_character(value))
                return settings_refuse(problems, EINVAL, place, "%s holds a control character", name);
        r = TYPES[setting->type].parse(setting, (char *)values + setting->offset, value);
        if (r == 0)
                return 0;
        if (r == -ENOMEM)
                return settings_refuse(problems, ENOMEM, place, "%s: out of memory", name);
        if (r == -EINVAL && setting->check != NULL)
                return settings_refuse(problems, EINVAL, place, "%s %s", name, setting->check(value));
        TYPES[setting->type].describe(setting, &range);
        r = settings_refuse(problems, -r, place, "%s %s", name, range.has_failed ? "is out of range" : range.data);
        buffer_free(&range);
        return r;
}

int settings_set_defaults(const struct setting *table, void *values, struct problems *problems)
{
        const struct place place = { .file = "default" };
        int r = 0;

        for (; table->key != NULL && r == 0; table++) {
                if (table->fallback != NULL)
                        r = settings_set(table, values, table->fallback, table->key, &place, problems);
                else if (table->type == SETTING_CHOICE)
                        *(int *)(void *)((char *)values + table->offset) = -1;
        }
        return r;
}

const struct setting *settings_find_key(const struct setting *table, const char *key)
{
        for (; table->key != NULL; table++)
                if (strcmp(table->key, key) == 0)
                        return table;
        return NULL;
}

void settings_name_variable(const char *key, char ret_name[static LONGEST_NAME_BYTES])
{
        size_t length = strlen(SETTINGS_PREFIX);

        memcpy(ret_name, SETTINGS_PREFIX, length + 1);
        for (; *key != '\0' && length + 1 < LONGEST_NAME_BYTES; key++) {
                ret_name[length++] = (char)toupper((unsigned char)*key);
                ret_name[length] = '\0';
        }
}

const char *settings_show(const char *written, char ret_shown[static LONGEST_NAME_BYTES])
{
        size_t i = 0;

        for (; written[i] != '\0' && i + 1 < LONGEST_NAME_BYTES; i++)
                ret_shown[i] = written[i] >= ' ' && written[i] <= '~' ? written[i] : '?';
        ret_shown[i] = '\0';
        return ret_shown;
}

int settings_refuse_unknown(const struct setting *table, const char *written, bool is_variable,
                            const struct place *place, struct problems *problems)
{
        const char *kind = is_variable ? "variable" : "key";
        const char *key = written + (is_variable ? strlen(SETTINGS_PREFIX) : 0);
        const char *nearest = NULL;
        unsigned least = 4; /* more than three edits would be a guess */
        char shown[LONGEST_NAME_BYTES];
        char suggestion[LONGEST_NAME_BYTES];

        settings_show(written, shown);
        for (; table->key != NULL; table++) {
                unsigned distance = str_distance(key, table->key);

                if (distance < least && distance < strlen(table->key)) {
                        least = distance;
                        nearest = table->key;
                }
        }
        if (nearest == NULL)
                return settings_refuse(problems, EINVAL, place, "unknown %s %s", kind, shown);
        if (is_variable)
                settings_name_variable(nearest, suggestion);
        return settings_refuse(problems, EINVAL, place, "unknown %s %s; did you mean %s?", kind, shown,
                               is_variable ? suggestion : nearest);
}

bool settings_is_set(const struct setting *setting, const void *values)
{
        return setting->fallback != NULL || TYPES[setting->type].is_set((const char *)values + setting->offset);
}

char *settings_format(const struct setting *setting, const void *values)
{
        struct buffer text = { 0 };
        char *result;

        if (settings_is_set(setting, values))
                TYPES[setting->type].format(setting, (const char *)values + setting->offset, &text);
        result = buffer_take(&text);
        buffer_free(&text);
        return result;
}
