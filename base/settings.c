#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"
#include "str.h"

#define PREFIX "CARREL_"

enum { LONGEST_NAME_BYTES = 72 }; /* of a key or a variable, with its NUL */

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

static const struct {
        int (*parse)(const struct setting *setting, void *field, const char *value);
        void (*format)(const struct setting *setting, const void *field, struct buffer *text);
        void (*describe)(const struct setting *setting, struct buffer *text); /* the range, for people */
} TYPES[] = {
        [SETTING_TEXT] = { parse_text, format_text, describe_text },
        [SETTING_NUMBER] = { parse_number, format_number, describe_number },
        [SETTING_SIZE] = { parse_size, format_size, describe_size },
        [SETTING_DECIMAL] = { parse_decimal, format_decimal, describe_decimal },
        [SETTING_CHOICE] = { parse_choice, format_choice, describe_choice },
};

/* The place of a value, for the messages. */
struct place {
        const char *file; /* or "environment", "default" */
        unsigned line;    /* 0: no line */
};

/* The problems so far, and their listener. */
struct problems {
        int first; /* errno of the first failure; 0: no failure */
        const struct fault_listener *listener;
        struct fault *why; /* gets the first failure */
};

/* Reports a failure. 0: reading goes on. */
__attribute__((format(printf, 4, 5))) static int refuse(struct problems *problems, int err, const struct place *place,
                                                        const char *format, ...)
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

/* name: the key or the variable, as it was written. */
static int set_value(const struct setting *setting, void *values, const char *value, const char *name,
                     const struct place *place, struct problems *problems)
{
        struct buffer range = { 0 };
        int r;

        if (holds_control_character(value))
                return refuse(problems, EINVAL, place, "%s holds a control character", name);
        r = TYPES[setting->type].parse(setting, (char *)values + setting->offset, value);
        if (r == 0)
                return 0;
        if (r == -ENOMEM)
                return refuse(problems, ENOMEM, place, "%s: out of memory", name);
        if (r == -EINVAL && setting->type == SETTING_TEXT)
                return refuse(problems, EINVAL, place, "%s %s", name, setting->check(value));
        TYPES[setting->type].describe(setting, &range);
        r = refuse(problems, -r, place, "%s %s", name, range.has_failed ? "is out of range" : range.data);
        buffer_free(&range);
        return r;
}

int settings_defaults(const struct setting *table, void *values, struct fault *why)
{
        const struct place place = { .file = "default" };
        struct problems problems = { .why = why };
        int r = 0;

        for (; table->key != NULL && r == 0; table++)
                r = set_value(table, values, table->fallback, table->key, &place, &problems);
        return r;
}

static const struct setting *find_setting(const struct setting *table, const char *key)
{
        for (; table->key != NULL; table++)
                if (strcmp(table->key, key) == 0)
                        return table;
        return NULL;
}

/* The variable of a key: CARREL_IDLE_TTL_S of idle_ttl_s. */
static void name_variable(const char *key, char ret_name[static LONGEST_NAME_BYTES])
{
        size_t length = strlen(PREFIX);

        memcpy(ret_name, PREFIX, length + 1);
        for (; *key != '\0' && length + 1 < LONGEST_NAME_BYTES; key++) {
                ret_name[length++] = (char)toupper((unsigned char)*key);
                ret_name[length] = '\0';
        }
}

/* written: a key, or the whole name of a variable. */
static int refuse_unknown(const struct setting *table, const char *written, bool is_variable, const struct place *place,
                          struct problems *problems)
{
        const char *kind = is_variable ? "variable" : "key";
        const char *key = written + (is_variable ? strlen(PREFIX) : 0);
        const char *nearest = NULL;
        unsigned least = 4; /* more than three edits would be a guess */
        char shown[LONGEST_NAME_BYTES] = "";
        char suggestion[LONGEST_NAME_BYTES];

        for (size_t i = 0; written[i] != '\0' && i + 1 < sizeof shown; i++)
                shown[i] = written[i] > ' ' && written[i] <= '~' ? written[i] : '?';
        for (; table->key != NULL; table++) {
                unsigned distance = str_distance(key, table->key);

                if (distance < least && distance < strlen(table->key)) {
                        least = distance;
                        nearest = table->key;
                }
        }
        if (nearest == NULL)
                return refuse(problems, EINVAL, place, "unknown %s %s", kind, shown);
        if (is_variable)
                name_variable(nearest, suggestion);
        return refuse(problems, EINVAL, place, "unknown %s %s; did you mean %s?", kind, shown,
                      is_variable ? suggestion : nearest);
}

/* State shared by the reader and the handler of libinih while one file is read. */
struct reading {
        FILE *file;
        const struct setting *table;
        void *values;
        bool *seen;                  /* by index into the table */
        const struct setting *entry; /* whose value is being collected; NULL: of no setting */
        struct buffer value;
        struct place entry_place;
        struct place place; /* of the line read last */
        bool is_below_key;  /* a key has come since the section began */
        bool is_continued;  /* that line is indented below a key, and continues its value */
        int result;
        struct problems *problems;
};

/* inih's reader: returns one whole line with its newline, so that inih never gets a part of one. */
static char *read_line(char *line, int size, void *stream)
{
        struct reading *reading = stream;
        int length = 0;
        int c;

        if (reading->result < 0)
                return NULL;
        reading->place.line++;
        for (c = getc_unlocked(reading->file); c != EOF && c != '\n'; c = getc_unlocked(reading->file)) {
                if (c == '\0') {
                        reading->result =
                                refuse(reading->problems, EINVAL, &reading->place, "the line holds a NUL byte");
                        return NULL;
                }
                if (length + 2 >= size) {
                        reading->result = refuse(reading->problems, EINVAL, &reading->place,
                                                 "the line is longer than %d bytes; go on with the value on the next "
                                                 "line, indented",
                                                 size - 2);
                        return NULL;
                }
                line[length++] = (char)c;
        }
        if (ferror(reading->file)) {
                reading->result =
                        refuse(reading->problems, EIO, &reading->place, "cannot be read: %s", strerror(errno));
                return NULL;
        }
        if (c == EOF && length == 0)
                return NULL;
        line[length] = '\n';
        line[length + 1] = '\0';
        if (line[0] == '[')
                reading->is_below_key = false;
        reading->is_continued = reading->is_below_key && isspace((unsigned char)line[0]);
        return line;
}

/* Stores the value that was collected. */
static int finish_entry(struct reading *reading)
{
        const struct setting *entry = reading->entry;

        reading->entry = NULL;
        if (entry == NULL)
                return 0;
        if (reading->value.has_failed)
                return refuse(reading->problems, ENOMEM, &reading->entry_place, "%s: out of memory", entry->key);
        return set_value(entry, reading->values, reading->value.data, entry->key, &reading->entry_place,
                         reading->problems);
}

static int begin_entry(struct reading *reading, const char *section, const char *key)
{
        const struct setting *entry = find_setting(reading->table, key);
        int r = finish_entry(reading);

        if (r < 0)
                return r;
        if (section[0] != '\0' && strcmp(section, "carrel") != 0)
                return refuse(reading->problems, EINVAL, &reading->place,
                              "only the section [carrel] has settings, or none at all");
        if (entry == NULL)
                return refuse_unknown(reading->table, key, false, &reading->place, reading->problems);
        if (reading->seen[entry - reading->table])
                return refuse(reading->problems, EINVAL, &reading->place, "%s is set a second time", entry->key);
        reading->seen[entry - reading->table] = true;
        reading->is_below_key = true;
        reading->entry = entry;
        reading->entry_place = reading->place;
        buffer_consume(&reading->value, reading->value.length);
        return 0;
}

/* inih's handler: nonzero means success. */
static int on_entry(void *user, const char *section, const char *key, const char *value)
{
        struct reading *reading = user;

        if (reading->result < 0)
                return 0;
        if (reading->is_continued)
                (void)buffer_text(&reading->value, " ");
        else
                reading->result = begin_entry(reading, section, key);
        if (reading->result == 0)
                (void)buffer_text(&reading->value, value);
        return reading->result == 0;
}

static int read_entries(struct reading *reading)
{
        int wrong_line = ini_parse_stream(read_line, reading, on_entry, reading);
        int r;

        if (reading->result < 0)
                return reading->result;
        if (wrong_line < 0)
                return refuse(reading->problems, ENOMEM, &reading->place, "out of memory");
        if (wrong_line > 0) {
                reading->place.line = (unsigned)wrong_line;
                r = refuse(reading->problems, EINVAL, &reading->place, "expected key = value");
                if (r < 0)
                        return r;
        }
        return finish_entry(reading);
}

int settings_read_file(const struct setting *table, void *values, const char *path,
                       const struct fault_listener *listener, struct fault *why)
{
        struct problems problems = { .listener = listener, .why = why };
        struct reading reading = { .table = table, .values = values, .place = { .file = path }, .problems = &problems };
        size_t settings = 0;
        int r;

        while (table[settings].key != NULL)
                settings++;
        AUTO(auto_fclose) FILE *file = fopen(path, "re");
        AUTO(auto_free) bool *seen = calloc(settings + 1, sizeof *seen);
        if (file == NULL) {
                r = errno;
                (void)refuse(&problems, r, &reading.place, "cannot be opened: %s", strerror(r));
                return problems.first;
        }
        if (seen == NULL)
                return fault_set(why, FAULT_SETTING_INVALID, ENOMEM, "%s: out of memory", path);
        reading.file = file;
        reading.seen = seen;
        r = read_entries(&reading);
        buffer_free(&reading.value);
        return r < 0 ? r : problems.first;
}

static const struct setting *find_variable(const struct setting *table, const char *name)
{
        for (; table->key != NULL; table++) {
                char variable[LONGEST_NAME_BYTES];

                name_variable(table->key, variable);
                if (strcmp(variable, name) == 0)
                        return table;
        }
        return NULL;
}

static bool is_listed(const char *word, const char *const *list)
{
        for (; list != NULL && *list != NULL; list++)
                if (strcmp(*list, word) == 0)
                        return true;
        return false;
}

static int read_variable(const struct setting *table, void *values, const char *variable, const char *const *ignored,
                         struct problems *problems)
{
        static const struct place PLACE = { .file = "environment" };
        const char *equals = strchr(variable, '=');
        size_t length = equals != NULL ? (size_t)(equals - variable) : strlen(variable);
        char name[LONGEST_NAME_BYTES]; /* a longer name is cut, and matches no setting */
        const struct setting *setting;

        (void)snprintf(name, sizeof name, "%.*s", (int)length, variable);
        if (equals == NULL || is_listed(name + strlen(PREFIX), ignored))
                return 0;
        setting = find_variable(table, name);
        if (setting == NULL)
                return refuse_unknown(table, name, true, &PLACE, problems);
        return set_value(setting, values, equals + 1, name, &PLACE, problems);
}

int settings_read_environment(const struct setting *table, void *values, char *const *environment,
                              const char *const *ignored, const struct fault_listener *listener, struct fault *why)
{
        struct problems problems = { .listener = listener, .why = why };
        int r = 0;

        for (; *environment != NULL && r == 0; environment++)
                if (str_has_prefix(*environment, PREFIX))
                        r = read_variable(table, values, *environment, ignored, &problems);
        return r < 0 ? r : problems.first;
}

void settings_release(const struct setting *table, void *values)
{
        for (; table->key != NULL; table++) {
                char **text = (char **)(void *)((char *)values + table->offset);

                if (table->type == SETTING_TEXT)
                        free(TAKE(*text));
        }
}

char *settings_format(const struct setting *setting, const void *values)
{
        struct buffer text = { 0 };
        char *result;

        TYPES[setting->type].format(setting, (const char *)values + setting->offset, &text);
        result = buffer_take(&text);
        buffer_free(&text);
        return result;
}
