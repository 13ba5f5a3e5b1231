#include <stdbool.h>
#include <string.h>

#include "exec.h"
#include "str.h"
#include "utf8.h"

static bool is_plain(const char *word)
{
        static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";

        return *word != '\0' && word[strspn(word, PLAIN)] == '\0';
}

static void append_quoted(struct buffer *text, const char *word)
{
        (void)buffer_text(text, "'");
        for (; *word != '\0' && text->length <= EXEC_COMMAND_BYTES; word++)
                (void)(*word == '\'' ? buffer_text(text, "'\\''") : buffer_append(text, word, 1));
        (void)buffer_text(text, "'");
}

char *exec_command(const char *const *argv)
{
        struct buffer text = { 0 };

        for (size_t i = 0; argv[i] != NULL && text.length <= EXEC_COMMAND_BYTES; i++) {
                if (i > 0)
                        (void)buffer_text(&text, " ");
                if (is_plain(argv[i]))
                        (void)buffer_append(&text, argv[i], strnlen(argv[i], EXEC_COMMAND_BYTES + 1));
                else
                        append_quoted(&text, argv[i]);
        }
        if (text.length > EXEC_COMMAND_BYTES && !text.has_failed) {
                size_t kept = EXEC_COMMAND_BYTES - strlen("\xE2\x80\xA6");

                text.length = kept - utf8_unfinished(text.data, kept);
                (void)buffer_text(&text, "\xE2\x80\xA6");
        }
        return buffer_take(&text);
}
