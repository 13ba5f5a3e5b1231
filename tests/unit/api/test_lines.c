/* The lines of output in NDJSON, byte by byte as cJSON prints them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base64.h"
#include "exec-lines.h"
#include "put.h"
#include "str.h"

enum { LONG_BYTES = 100000 };

static char *print_by_cjson(uint64_t seq, int stream, const char *bytes, size_t length, bool is_text)
{
        char *data = is_text ? strndup(bytes, length) : base64_encode(bytes, length);
        cJSON *tree = cJSON_CreateObject();
        char *text;

        cJSON_AddStringToObject(tree, "event", stream == 1 ? "stdout" : "stderr");
        cJSON_AddNumberToObject(tree, "seq", (double)seq);
        cJSON_AddStringToObject(tree, "data", data);
        cJSON_AddStringToObject(tree, "encoding", is_text ? "utf-8" : "base64");
        text = cJSON_PrintUnformatted(tree);
        assert_non_null(text);
        cJSON_Delete(tree);
        free(data);
        return text;
}

static void check_line(uint64_t seq, int stream, const char *bytes, size_t length, bool is_text)
{
        char *line = json_take(exec_line_output(seq, stream, bytes, length));
        char *expected = print_by_cjson(seq, stream, bytes, length, is_text);

        assert_non_null(line);
        assert_string_equal(line, expected);
        free(line);
        free(expected);
}

static void lines_are_as_cjson_prints_them(void **state)
{
        static const struct {
                const char *bytes;
                bool is_text;
        } OUTPUTS[] = {
                { "a", true },
                { "a line of text, as programs write it\nand half a", true },
                { "\b\t\n\v\f\r\"\\/\x01\x1b\x1f\x7f", true },
                { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\n", true },
                { "not UTF-8: \xff\n", false },
                { "half a character: \xe2\x82", false },
        };
        static const uint64_t SEQS[] = { 0, 1, 2147483647 };

        (void)state;
        for (size_t i = 0; i < sizeof OUTPUTS / sizeof *OUTPUTS; i++)
                for (size_t j = 0; j < sizeof SEQS / sizeof *SEQS; j++)
                        check_line(SEQS[j], 1 + (int)(j & 1), OUTPUTS[i].bytes, strlen(OUTPUTS[i].bytes),
                                   OUTPUTS[i].is_text);
        check_line(1, 1, "a NUL: \0.", 9, false);
}

/* Every byte of ASCII at every place of a word. */
static void every_byte_is_as_cjson_prints_it(void **state)
{
        (void)state;
        for (size_t at = 0; at < 17; at++) {
                char text[] = "a text of some words";

                for (int byte = 1; byte < 128; byte++) {
                        text[at] = (char)byte;
                        check_line(1, 1, text, sizeof text - 1, true);
                }
        }
}

/* Text that is long and mostly escapes is shorter as base64. */
static void long_output_is_text_where_that_is_short(void **state)
{
        static const struct {
                const char *unit;
                bool is_text;
        } LONG[] = { { "a line of text\n", true }, { "ab\n", true }, { "a\n", false }, { "\x01", false } };

        (void)state;
        for (size_t i = 0; i < sizeof LONG / sizeof *LONG; i++) {
                struct buffer output = { 0 };

                while (output.length < LONG_BYTES)
                        assert_int_equal(buffer_text(&output, LONG[i].unit), 0);
                check_line(7, 2, output.data, output.length, LONG[i].is_text);
                buffer_free(&output);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_as_cjson_prints_them),
                cmocka_unit_test(every_byte_is_as_cjson_prints_it),
                cmocka_unit_test(long_output_is_text_where_that_is_short),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
