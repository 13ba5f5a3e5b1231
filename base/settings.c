#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"
#include "settings-parts.h"
#include "str.h"

int settings_defaults(const struct setting *table, void *values, struct fault *why)
{
        struct problems problems = { .why = why };

        return settings_set_defaults(table, values, &problems);
}

/* ---- named sections ---- */

const char *settings_check_name(const char *name)
{
        static const char WRONG[] = "a name has 1 to 32 letters, digits, '.', '_' and '-', and begins with a letter or "
                                    "a digit";
        size_t length = strlen(name);

        if (length >= SETTINGS_NAME_BYTES || !isalnum((unsigned char)name[0]))
                return WRONG;
        for (; *name != '\0'; name++)
                if (!isalnum((unsigned char)*name) && strchr("._-", *name) == NULL)
                        return WRONG;
        return NULL;
}

struct settings_list *settings_list_of(const struct settings_kind *kind, void *values)
{
        return (void *)((char *)values + kind->offset);
}

const struct settings_list *settings_list_in(const struct settings_kind *kind, const void *values)
{
        return (const void *)((const char *)values + kind->offset);
}

void *settings_item_at(const struct settings_kind *kind, const struct settings_list *list, size_t index)
{
        return (char *)list->items + index * kind->item_bytes;
}

char **settings_name_of(void *item)
{
        return item;
}

const void *settings_find(const struct settings_kind *kind, const void *values, const char *name)
{
        const struct settings_list *list = settings_list_in(kind, values);

        for (size_t i = 0; i < list->count; i++)
                if (strcmp(*settings_name_of(settings_item_at(kind, list, i)), name) == 0)
                        return settings_item_at(kind, list, i);
        return NULL;
}

const char *settings_check_variable(const char *variable)
{
        size_t length = strspn(variable, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

        if (variable[length] != '=' || length == 0 || isdigit((unsigned char)variable[0]))
                return "must be NAME=value, with a name of letters, digits and '_'";
        return str_has_prefix(variable, "CARREL_") ? "must not set a variable CARREL_*, which carreld sets" : NULL;
}

/* ---- the environment ---- */

static const struct setting *find_variable(const struct setting *table, const char *name)
{
        for (; table->key != NULL; table++) {
                char variable[LONGEST_NAME_BYTES];

                settings_name_variable(table->key, variable);
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
        if (equals == NULL || is_listed(name + strlen(SETTINGS_PREFIX), ignored))
                return 0;
        setting = find_variable(table, name);
        if (setting == NULL)
                return settings_refuse_unknown(table, name, true, &PLACE, problems);
        return settings_set(setting, values, equals + 1, name, &PLACE, problems);
}

int settings_read_environment(const struct setting *table, void *values, char *const *environment,
                              const char *const *ignored, const struct fault_listener *listener, struct fault *why)
{
        struct problems problems = { .listener = listener, .why = why };
        int r = 0;

        for (; *environment != NULL && r == 0; environment++)
                if (str_has_prefix(*environment, SETTINGS_PREFIX))
                        r = read_variable(table, values, *environment, ignored, &problems);
        return r < 0 ? r : problems.first;
}

static void release_texts(const struct setting *table, void *values)
{
        for (; table->key != NULL; table++) {
                char **text = (char **)(void *)((char *)values + table->offset);

                if (table->type == SETTING_TEXT || table->type == SETTING_LINES)
                        free(TAKE(*text));
        }
}

void settings_release(const struct setting *table, const struct settings_kind *kinds, void *values)
{
        release_texts(table, values);
        for (; kinds != NULL && kinds->kind != NULL; kinds++) {
                struct settings_list *list = settings_list_of(kinds, values);

                for (size_t i = 0; i < list->count; i++) {
                        free(*settings_name_of(settings_item_at(kinds, list, i)));
                        release_texts(kinds->table, settings_item_at(kinds, list, i));
                }
                free(list->items);
                *list = (struct settings_list){ 0 };
        }
}

/* ---- as text ---- */

/* A value that begins with ';' would be a comment after a space. */
static void write_line(const char *key, const char *value, size_t length, struct buffer *text)
{
        (void)buffer_format(text, "%s =%s%.*s\n", key, value[0] == ';' ? "" : " ", (int)length, value);
}

static void write_table(const struct setting *table, const void *values, struct buffer *text)
{
        for (; table->key != NULL; table++) {
                AUTO(auto_free) char *value = settings_format(table, values);
                const char *line = value;

                if (value == NULL)
                        text->has_failed = true;
                else if (table->type != SETTING_LINES && settings_is_set(table, values))
                        write_line(table->key, value, strlen(value), text);
                for (const char *end;
                     table->type == SETTING_LINES && line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1)
                        write_line(table->key, line, (size_t)(end - line), text);
        }
}

void settings_write(const struct setting *table, const struct settings_kind *kinds, const void *values,
                    struct buffer *text)
{
        write_table(table, values, text);
        for (; kinds != NULL && kinds->kind != NULL; kinds++) {
                const struct settings_list *list = settings_list_in(kinds, values);

                for (size_t i = 0; i < list->count; i++) {
                        void *item = settings_item_at(kinds, list, i);

                        (void)buffer_format(text, "\n[%s %s]\n", kinds->kind, *settings_name_of(item));
                        write_table(kinds->table, item, text);
                }
        }
}
