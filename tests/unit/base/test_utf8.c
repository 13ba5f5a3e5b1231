/* UTF-8 and base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "utf8.h"

#define BYTES(text) text, sizeof text - 1

static void encode(unsigned code, unsigned char target[4], int length)
{
        static const unsigned char LEADS[] = { 0, 0, 0xC0, 0xE0, 0xF0 };

        for (int i = length - 1; i > 0; i--) {
                target[i] = (unsigned char)(0x80 | (code & 0x3F));
                code >>= 6;
        }
        target[0] = (unsigned char)(length == 1 ? code : LEADS[length] | code);
}

/* Every code point in every length: taken only in its shortest form, and never when it is a surrogate. */
static void test_every_code_point(void **state)
{
        static const unsigned LIMITS[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };

        (void)state;
        for (unsigned code = 0; code < 0x1FFFFF; code++) {
                for (int length = 1; length <= 4; length++) {
                        unsigned char bytes[4];
                        bool is_right = code < LIMITS[length] && code >= LIMITS[length - 1] && code <= 0x10FFFF &&
                                        (code < 0xD800 || code > 0xDFFF);

                        if (code >= LIMITS[length])
                                continue;
                        encode(code, bytes, length);
                        if ((utf8_step(bytes, (size_t)length) == length) != is_right)
                                fail_msg("U+%X in %d bytes", code, length);
                }
        }
}

static const struct {
        const char *bytes;
        size_t length, unfinished;
        bool is_text;
} TEXTS[] = {
        { "", 0, 0, true },
        { "a", 1, 0, true },
        { "a\0", 2, 0, false },
        { "\xc3\xa9", 2, 0, true },
        { "\xc3", 1, 1, false },
        { "a\xe2\x82", 3, 2, false },
        { "a\xf0\x9f\x98", 4, 3, false },
        { "\xf0\x9f\x98\x80", 4, 0, true },
        { "\x80", 1, 0, false },
        { "\xe2\x28", 2, 0, false },
        { "\xff", 1, 0, false },
        { "\xed\xa0", 2, 0, false },
};

static void test_texts(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
                assert_int_equal(utf8_is_text(TEXTS[i].bytes, TEXTS[i].length), TEXTS[i].is_text);
                assert_int_equal(utf8_unfinished(TEXTS[i].bytes, TEXTS[i].length), TEXTS[i].unfinished);
        }
}

/* In every way of cutting it in pieces. */
static void test_scans(void **state)
{
        static const struct {
                const char *bytes;
                size_t length;
                uint64_t n_escapes;
                bool is_text;
        } SCANS[] = {
                { BYTES(""), 0, true },
                { BYTES("plain text of more than a word"), 0, true },
                { BYTES("a\nb\tc\"d\\e\rf\bg\fh"), 7, true },
                { BYTES("\x01\x1f\x7f"), 10, true },
                { BYTES("12345678\n12345678\x0b"), 6, true },
                { BYTES("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\n"), 1, true },
                { BYTES("12345678\0"), 0, false },
                { BYTES("1234567\xc3"), 0, false },
                { BYTES("\xc3\x28 and more of it"), 0, false },
                { BYTES("\xf0\x9f\x98"), 0, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof SCANS / sizeof *SCANS; i++) {
                for (size_t piece = 1; piece <= SCANS[i].length + 1; piece++) {
                        struct utf8_scan scan = { 0 };

                        for (size_t at = 0; at < SCANS[i].length; at += piece)
                                utf8_scan(&scan, SCANS[i].bytes + at,
                                          SCANS[i].length - at < piece ? SCANS[i].length - at : piece);
                        assert_int_equal(utf8_scan_is_text(&scan), SCANS[i].is_text);
                        if (SCANS[i].is_text)
                                assert_int_equal(scan.n_escapes, SCANS[i].n_escapes);
                }
        }
}

/* Every character that is one byte, and some that are more: as long as the scan has said, and what cJSON reads back. */
static void test_escapes(void **state)
{
        char text[300] = "", escaped[2000];

        (void)state;
        for (int i = 1; i < 128; i++)
                text[i - 1] = (char)i;
        memcpy(text + 127, "12345678gr\xc3\xbc\xc3\x9f\xf0\x9f\x98\x80", 19);
        for (size_t room = JSON_ESCAPE_MAX; room < 40; room++) {
                struct utf8_scan scan = { 0 };
                size_t length = strlen(text), n = 1;
                cJSON *tree;

                utf8_scan(&scan, text, length);
                escaped[0] = '"';
                for (size_t at = 0; at < length;) {
                        size_t taken;

                        n += json_escape(escaped + n, room, text + at, length - at, &taken);
                        assert_true(taken > 0);
                        at += taken;
                }
                assert_int_equal(n - 1, length + scan.n_escapes);
                escaped[n] = '"';
                tree = cJSON_ParseWithLength(escaped, n + 1);
                assert_non_null(tree);
                assert_string_equal(cJSON_GetStringValue(tree), text);
                cJSON_Delete(tree);
        }
}

/* ---- against a reference that works byte by byte ---- */

enum { RANDOM_TEXTS = 20000, RANDOM_BYTES = 100, ESCAPED_BYTES = JSON_ESCAPE_MAX * RANDOM_BYTES };

/* The same numbers in every run (xorshift). */
static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* From few and from many kinds of characters, so that there are long runs and dense escapes; at times not UTF-8. */
static size_t make_text(uint64_t *seed, char text[static RANDOM_BYTES])
{
        static const char *const CHARACTERS[] = {
                "a",       "plain text", "\n",           "\"", "\\", "\x01",         "\x1f",
                "\x7f",    "\xc3\xbc",   "\xe2\x82\xac", "/",  "\t", "\xed\x9f\xbf", "\xf0\x9f\x98\x80",
                "\xe2\x82"
        };
        size_t n_kinds = 1 + next_random(seed) % (sizeof CHARACTERS / sizeof *CHARACTERS);
        size_t wanted = next_random(seed) % RANDOM_BYTES, length = 0;

        for (;;) {
                const char *character = CHARACTERS[next_random(seed) % n_kinds];

                if (length + strlen(character) > wanted)
                        return length;
                memcpy(text + length, character, strlen(character));
                length += strlen(character);
        }
}

static size_t escape_slowly(char *target, unsigned char byte)
{
        static const char *const SHORT[256] = { ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f",
                                                ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\" };

        if (SHORT[byte] != NULL)
                return (size_t)sprintf(target, "%s", SHORT[byte]);
        return (size_t)sprintf(target, byte < 0x20 ? "\\u%04x" : "%c", byte);
}

static bool is_text_slowly(const char *text, size_t length)
{
        while (length > 0) {
                int step = utf8_step(text, length);

                if (step <= 0 || *text == '\0')
                        return false;
                text += step;
                length -= (size_t)step;
        }
        return true;
}

static void scan_in_pieces(uint64_t *seed, struct utf8_scan *scan, const char *text, size_t length)
{
        while (length > 0) {
                size_t piece = 1 + next_random(seed) % length;

                utf8_scan(scan, text, piece);
                text += piece;
                length -= piece;
        }
}

/* Each call writes as much as fits, and nothing beyond. */
static void check_escapes(uint64_t *seed, const char *text, size_t length, size_t n_escapes)
{
        char escaped[ESCAPED_BYTES + 1], slow[ESCAPED_BYTES + 1];
        size_t n_slow = 0, n = 0;

        for (size_t i = 0; i < length; i++)
                n_slow += escape_slowly(slow + n_slow, (unsigned char)text[i]);
        assert_int_equal(n_slow, length + n_escapes);
        for (size_t at = 0; at < length;) {
                size_t left = n_slow - n;
                size_t room = left < JSON_ESCAPE_MAX ? left : JSON_ESCAPE_MAX + next_random(seed) % (left + 1);
                size_t taken, written;

                room = room < left ? room : left;
                memset(escaped, '#', sizeof escaped);
                written = json_escape(escaped, room, text + at, length - at, &taken);
                assert_true(written <= room && escaped[room] == '#');
                assert_memory_equal(escaped, slow + n, written);
                at += taken;
                n += written;
                if (at < length)
                        assert_true(written + escape_slowly(escaped, (unsigned char)text[at]) > room);
        }
        assert_int_equal(n, n_slow);
}

static void test_scans_and_escapes_as_the_reference(void **state)
{
        uint64_t seed = 1;
        unsigned n_texts = 0;

        (void)state;
        for (int i = 0; i < RANDOM_TEXTS; i++) {
                char text[RANDOM_BYTES];
                size_t length = make_text(&seed, text);
                struct utf8_scan scan = { 0 };

                if (next_random(&seed) % 8 == 0 && length > 0)
                        text[next_random(&seed) % length] = (char)next_random(&seed);
                scan_in_pieces(&seed, &scan, text, length);
                assert_int_equal(utf8_scan_is_text(&scan), is_text_slowly(text, length));
                assert_int_equal(utf8_is_text(text, length), is_text_slowly(text, length));
                if (utf8_scan_is_text(&scan))
                        check_escapes(&seed, text, length, scan.n_escapes);
                n_texts += utf8_scan_is_text(&scan);
        }
        assert_in_range(n_texts, RANDOM_TEXTS / 20, RANDOM_TEXTS - RANDOM_TEXTS / 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_code_point),
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_scans),
                cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_scans_and_escapes_as_the_reference),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
