#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"
#include "settings-parts.h"
#include "str.h"

/* Appends a zeroed item with this name. Returns NULL when out of memory. */
static void *add_item(const struct settings_kind *kind, void *values, const char *name)
{
        struct settings_list *list = settings_list_of(kind, values);
        AUTO(auto_free) char *copy = strdup(name);
        void *items = copy != NULL ? realloc(list->items, (list->count + 1) * kind->item_bytes) : NULL;
        void *item;

        if (items == NULL)
                return NULL;
        list->items = items;
        item = settings_item_at(kind, list, list->count++);
        memset(item, 0, kind->item_bytes);
        *settings_name_of(item) = TAKE(copy);
        return item;
}

/* The kind of the section "kind name", whose name begins at *ret_name; NULL: no such kind. */
static const struct settings_kind *find_kind(const struct settings_kind *kinds, const char *section,
                                             const char **ret_name)
{
        size_t length = strcspn(section, " ");

        for (; kinds != NULL && kinds->kind != NULL; kinds++) {
                if (strlen(kinds->kind) == length && strncmp(kinds->kind, section, length) == 0) {
                        *ret_name = section + length + strspn(section + length, " ");
                        return kinds;
                }
        }
        return NULL;
}

static int refuse_section(const struct settings_kind *kinds, const char *section, const struct place *place,
                          struct problems *problems)
{
        struct buffer known = { 0 };
        char shown[LONGEST_NAME_BYTES];
        int r;

        for (; kinds != NULL && kinds->kind != NULL; kinds++)
                (void)buffer_format(&known, " or [%s NAME]", kinds->kind);
        r = settings_refuse(problems, EINVAL, place, "unknown section [%s]; a section is [carrel]%s",
                            settings_show(section, shown), known.data != NULL ? known.data : "");
        buffer_free(&known);
        return r;
}

/* ---- the file ---- */

/* A section of the file, whose keys are being read. */
struct section {
        const struct setting *table; /* NULL: a refused one, whose keys are skipped */
        void *values;
        bool *seen; /* by index into the table */
};

/* State shared by the reader and the handler of libinih while one file is read. */
struct reading {
        FILE *file;
        const struct setting *table;
        const struct settings_kind *kinds;
        void *values;
        bool *seen;       /* of the section [carrel], which may be left and entered again */
        bool *named_seen; /* of a named section */
        struct section section;
        const struct setting *entry; /* whose value is being collected; NULL: of no setting */
        struct buffer value;
        struct place entry_place;
        struct place place; /* of the line read last */
        bool is_below_key;  /* a key has come since the section began */
        bool is_continued;  /* that line is indented below a key, and continues its value */
        int result;
        struct problems *problems;
};

/* Stores the value that was collected. */
static int finish_entry(struct reading *reading)
{
        const struct setting *entry = reading->entry;

        reading->entry = NULL;
        if (entry == NULL)
                return 0;
        if (reading->value.has_failed)
                return settings_refuse(reading->problems, ENOMEM, &reading->entry_place, "%s: out of memory",
                                       entry->key);
        return settings_set(entry, reading->section.values, reading->value.data, entry->key, &reading->entry_place,
                            reading->problems);
}

static size_t count_settings(const struct setting *table)
{
        size_t count = 0;

        while (table[count].key != NULL)
                count++;
        return count;
}

static int begin_named_section(struct reading *reading, const struct settings_kind *kind, const char *name)
{
        const char *wrong = settings_check_name(name);
        void *item;
        int r;

        if (wrong != NULL)
                return settings_refuse(reading->problems, EINVAL, &reading->place, "[%s NAME]: %s", kind->kind, wrong);
        if (settings_find(kind, reading->values, name) != NULL)
                return settings_refuse(reading->problems, EINVAL, &reading->place, "[%s %s] is there a second time",
                                       kind->kind, name);
        if (settings_list_of(kind, reading->values)->count >= kind->max)
                return settings_refuse(reading->problems, E2BIG, &reading->place, "more than %zu sections [%s NAME]",
                                       kind->max, kind->kind);
        item = add_item(kind, reading->values, name);
        if (item == NULL)
                return settings_refuse(reading->problems, ENOMEM, &reading->place, "[%s %s]: out of memory", kind->kind,
                                       name);
        r = settings_set_defaults(kind->table, item, reading->problems);
        memset(reading->named_seen, 0, count_settings(kind->table) * sizeof *reading->named_seen);
        reading->section = (struct section){ kind->table, item, reading->named_seen };
        return r;
}

static int begin_section(struct reading *reading, const char *section)
{
        const struct settings_kind *kind;
        const char *name = NULL;
        int r = finish_entry(reading);

        reading->section = (struct section){ 0 };
        if (r < 0)
                return r;
        if (section[0] == '\0' || strcmp(section, "carrel") == 0) {
                reading->section = (struct section){ reading->table, reading->values, reading->seen };
                return 0;
        }
        kind = find_kind(reading->kinds, section, &name);
        if (kind == NULL)
                return refuse_section(reading->kinds, section, &reading->place, reading->problems);
        return begin_named_section(reading, kind, name);
}

/* inih reports a section only with its first key, but a section may have none. */
static int look_for_section(struct reading *reading, const char *line)
{
        static const char MARK[] = "\xef\xbb\xbf"; /* of UTF-8, which inih skips */
        const char *begin = line + (reading->place.line == 1 && str_has_prefix(line, MARK) ? strlen(MARK) : 0);
        char section[LONGEST_NAME_BYTES];

        begin += strspn(begin, " \t\r\v\f");
        if (reading->is_continued || begin[0] != '[' || strchr(begin, ']') == NULL)
                return 0;
        (void)snprintf(section, sizeof section, "%.*s", (int)strcspn(begin + 1, "]"), begin + 1);
        return begin_section(reading, section);
}

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
                        reading->result = settings_refuse(reading->problems, EINVAL, &reading->place,
                                                          "the line holds a NUL byte");
                        return NULL;
                }
                if (length + 2 >= size) {
                        reading->result =
                                settings_refuse(reading->problems, EINVAL, &reading->place,
                                                "the line is longer than %d bytes; go on with the value on the next "
                                                "line, indented",
                                                size - 2);
                        return NULL;
                }
                line[length++] = (char)c;
        }
        if (ferror(reading->file)) {
                reading->result =
                        settings_refuse(reading->problems, EIO, &reading->place, "cannot be read: %s", strerror(errno));
                return NULL;
        }
        if (c == EOF && length == 0)
                return NULL;
        line[length] = '\n';
        line[length + 1] = '\0';
        if (line[0] == '[')
                reading->is_below_key = false;
        reading->is_continued = reading->is_below_key && isspace((unsigned char)line[0]);
        reading->result = look_for_section(reading, line);
        return reading->result < 0 ? NULL : line;
}

static int begin_entry(struct reading *reading, const char *key)
{
        const struct section *section = &reading->section;
        const struct setting *entry;
        int r = finish_entry(reading);

        if (r < 0 || section->table == NULL)
                return r;
        entry = settings_find_key(section->table, key);
        if (entry == NULL && settings_find_key(reading->table, key) != NULL)
                return settings_refuse(
                        reading->problems, EINVAL, &reading->place,
                        "%s is not a setting of this section: put it below [carrel], or before the first "
                        "section",
                        key);
        if (entry == NULL)
                return settings_refuse_unknown(section->table, key, false, &reading->place, reading->problems);
        if (section->seen[entry - section->table] && entry->type != SETTING_LINES)
                return settings_refuse(reading->problems, EINVAL, &reading->place, "%s is set a second time",
                                       entry->key);
        section->seen[entry - section->table] = true;
        reading->is_below_key = true;
        reading->entry = entry;
        reading->entry_place = reading->place;
        buffer_consume(&reading->value, reading->value.length);
        return 0;
}

/* inih leaves the comment after a value that continues another. */
static size_t length_of_value(const char *value)
{
        const char *end = value;

        while (*end != '\0' && !(*end == ';' && end > value && isspace((unsigned char)end[-1])))
                end++;
        while (end > value && isspace((unsigned char)end[-1]))
                end--;
        return (size_t)(end - value);
}

/* inih's handler: nonzero means success. */
static int on_entry(void *user, const char *section, const char *key, const char *value)
{
        struct reading *reading = user;

        (void)section;
        if (reading->result < 0)
                return 0;
        if (!reading->is_continued)
                reading->result = begin_entry(reading, key);
        else if (reading->value.length > 0)
                (void)buffer_text(&reading->value, " ");
        if (reading->result == 0)
                (void)buffer_append(&reading->value, value, length_of_value(value));
        return reading->result == 0;
}

static int read_entries(struct reading *reading)
{
        int wrong_line = ini_parse_stream(read_line, reading, on_entry, reading);
        int r;

        if (reading->result < 0)
                return reading->result;
        if (wrong_line < 0)
                return settings_refuse(reading->problems, ENOMEM, &reading->place, "out of memory");
        if (wrong_line > 0) {
                reading->place.line = (unsigned)wrong_line;
                r = settings_refuse(reading->problems, EINVAL, &reading->place, "expected key = value");
                if (r < 0)
                        return r;
        }
        return finish_entry(reading);
}

/* Of the largest table of a section. */
static size_t count_most(const struct settings_kind *kinds)
{
        size_t most = 0;

        for (; kinds != NULL && kinds->kind != NULL; kinds++)
                if (count_settings(kinds->table) > most)
                        most = count_settings(kinds->table);
        return most;
}

int settings_read_file(const struct setting *table, const struct settings_kind *kinds, void *values, const char *path,
                       const struct fault_listener *listener, struct fault *why)
{
        struct problems problems = { .listener = listener, .why = why };
        struct reading reading = {
                .table = table, .kinds = kinds, .values = values, .place = { .file = path }, .problems = &problems
        };
        int r;

        AUTO(auto_fclose) FILE *file = fopen(path, "re");
        AUTO(auto_free) bool *seen = calloc(count_settings(table) + 1, sizeof *seen);
        AUTO(auto_free) bool *named_seen = calloc(count_most(kinds) + 1, sizeof *named_seen);
        if (file == NULL) {
                r = errno;
                (void)settings_refuse(&problems, r, &reading.place, "cannot be opened: %s", strerror(r));
                return problems.first;
        }
        if (seen == NULL || named_seen == NULL)
                return fault_set(why, FAULT_SETTING_INVALID, ENOMEM, "%s: out of memory", path);
        reading.file = file;
        reading.seen = seen;
        reading.named_seen = named_seen;
        reading.section = (struct section){ table, values, seen };
        r = read_entries(&reading);
        buffer_free(&reading.value);
        return r < 0 ? r : problems.first;
}
