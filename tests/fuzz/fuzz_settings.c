/* Any bytes as a settings file, and as a variable: what is taken lies within the table's bounds, what settings_format
 * writes of it is taken again, and so is what settings_write writes, with the same named sections. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scope.h"
#include "settings.h"
#include "str.h"

struct values {
        char *text;
        uint64_t number;
        uint64_t size_bytes;
        double decimal;
        int choice;
        struct settings_list groups;
};

struct group {
        char *name;
        char *lines;
        uint64_t number;
        int choice;
};

static const char *check_text(const char *value)
{
        return strchr(value, '!') == NULL ? NULL : "must not shout";
}

static const char *const CHOICES[] = { "auto", "docker", NULL };

static const struct setting TABLE[] = {
        { "choice", SETTING_CHOICE, offsetof(struct values, choice), "auto", 0, 0, CHOICES, "", NULL },
        { "decimal", SETTING_DECIMAL, offsetof(struct values, decimal), "1.5", 0.5, 100, NULL, "", NULL },
        { "number", SETTING_NUMBER, offsetof(struct values, number), "7", 1, 4294967294.0, NULL, "", NULL },
        { "size", SETTING_SIZE, offsetof(struct values, size_bytes), "2g", 1024, 1099511627776.0, NULL, "", NULL },
        { "text", SETTING_TEXT, offsetof(struct values, text), "", 0, 1000, NULL, "", check_text },
        { 0 },
};

enum { GROUPS_MAX = 3 };

static const struct setting GROUP[] = {
        { "choice", SETTING_CHOICE, offsetof(struct group, choice), NULL, 0, 0, CHOICES, "", NULL },
        { "lines", SETTING_LINES, offsetof(struct group, lines), NULL, 2, 100, NULL, "", check_text },
        { "number", SETTING_NUMBER, offsetof(struct group, number), NULL, 1, 9, NULL, "", NULL },
        { 0 },
};

static const struct settings_kind KINDS[] = {
        { "group", GROUP, offsetof(struct values, groups), sizeof(struct group), GROUPS_MAX },
        { 0 },
};

static void require(bool is_true)
{
        if (!is_true)
                abort();
}

static void require_bounds(const struct values *values)
{
        require(values->choice == 0 || values->choice == 1);
        require(values->decimal >= 0.5 && values->decimal <= 100);
        require(values->number >= 1 && values->number <= 4294967294U);
        require(values->size_bytes >= 1024 && values->size_bytes <= 1099511627776U);
        require(values->text != NULL && strlen(values->text) <= 1000 && check_text(values->text) == NULL);
        for (const char *at = values->text; *at != '\0'; at++)
                require((unsigned char)*at >= ' ' && *at != 0x7f);
}

/* Of a section, whether or not the file was refused after it. */
static void require_group(const struct values *values, const struct group *group)
{
        require(settings_check_name(group->name) == NULL);
        require(settings_find(&KINDS[0], values, group->name) == group); /* no other has its name */
        require(group->choice >= -1 && group->choice <= 1 && group->number <= 9);
        require(group->lines == NULL ||
                (strlen(group->lines) >= 2 && strlen(group->lines) <= 100 && check_text(group->lines) == NULL &&
                 group->lines[strlen(group->lines) - 1] == '\n'));
}

static int read_bytes(struct values *values, const void *bytes, size_t length, struct fault *why)
{
        AUTO(auto_close) int fd = memfd_create("settings", MFD_CLOEXEC);
        char path[64];

        require(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return settings_read_file(TABLE, KINDS, values, path, NULL, why);
}

static void require_round_trip(const struct values *values)
{
        for (const struct setting *setting = TABLE; setting->key != NULL; setting++) {
                AUTO(auto_free) char *formatted = settings_format(setting, values);
                struct values again = { 0 };
                struct buffer variable = { 0 };
                struct fault why;

                require(formatted != NULL && settings_defaults(TABLE, &again, &why) == 0);
                (void)buffer_text(&variable, "CARREL_");
                for (const char *at = setting->key; *at != '\0'; at++)
                        (void)buffer_format(&variable, "%c", *at - 'a' + 'A');
                (void)buffer_format(&variable, "=%s", formatted);
                require(settings_read_environment(TABLE, &again, (char *const[]){ variable.data, NULL }, NULL, NULL,
                                                  &why) == 0);
                AUTO(auto_free) char *formatted_again = settings_format(setting, &again);
                require(formatted_again != NULL && strcmp(formatted, formatted_again) == 0);
                buffer_free(&variable);
                settings_release(TABLE, KINDS, &again);
        }
}

/* Only the main table's text can be too long for one line of a file, or hold what a comment begins with. */
static void require_same_groups(const struct values *values)
{
        struct values written = { .groups = values->groups }, again = { 0 };
        struct buffer text = { 0 }, text_again = { 0 };
        struct fault why;

        settings_write(&TABLE[sizeof TABLE / sizeof *TABLE - 1], KINDS, &written, &text);
        require(!text.has_failed && settings_defaults(TABLE, &again, &why) == 0);
        if (text.data != NULL) {
                require(read_bytes(&again, text.data, text.length, &why) == 0);
                settings_write(&TABLE[sizeof TABLE / sizeof *TABLE - 1], KINDS, &again, &text_again);
                require(text_again.data != NULL && strcmp(text.data, text_again.data) == 0);
        }
        buffer_free(&text);
        buffer_free(&text_again);
        settings_release(TABLE, KINDS, &again);
}

static void require_sentence(const struct fault *why)
{
        require(why->kind == FAULT_SETTING_INVALID && why->err > 0 && why->message[0] != '\0');
        for (const char *at = why->message; *at != '\0'; at++)
                require(*at >= ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        struct values values = { 0 };
        struct fault why = { 0 };
        struct buffer variable = { 0 };

        require(settings_defaults(TABLE, &values, &why) == 0);
        if (read_bytes(&values, bytes, length, &why) < 0)
                require_sentence(&why);
        require_bounds(&values);
        require_round_trip(&values);
        require(values.groups.count <= GROUPS_MAX);
        for (size_t i = 0; i < values.groups.count; i++)
                require_group(&values, (const struct group *)values.groups.items + i);
        require_same_groups(&values);
        (void)buffer_text(&variable, "CARREL_");
        (void)buffer_append(&variable, bytes, length);
        why = (struct fault){ 0 };
        if (settings_read_environment(TABLE, &values, (char *const[]){ variable.data, NULL }, NULL, NULL, &why) < 0)
                require_sentence(&why);
        require_bounds(&values);
        buffer_free(&variable);
        settings_release(TABLE, KINDS, &values);
        return 0;
}
