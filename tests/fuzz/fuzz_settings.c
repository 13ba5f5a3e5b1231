/* Any bytes as a settings file, and as a variable: what is taken lies within the table's bounds, and what
 * settings_format writes of it is taken again. */
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

static int read_bytes(struct values *values, const void *bytes, size_t length, struct fault *why)
{
        AUTO(auto_close) int fd = memfd_create("settings", MFD_CLOEXEC);
        char path[64];

        require(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return settings_read_file(TABLE, values, path, NULL, why);
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
                settings_release(TABLE, &again);
        }
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
        (void)buffer_text(&variable, "CARREL_");
        (void)buffer_append(&variable, bytes, length);
        why = (struct fault){ 0 };
        if (settings_read_environment(TABLE, &values, (char *const[]){ variable.data, NULL }, NULL, NULL, &why) < 0)
                require_sentence(&why);
        require_bounds(&values);
        buffer_free(&variable);
        settings_release(TABLE, &values);
        return 0;
}
