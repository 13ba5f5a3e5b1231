#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* RFC 3629, section 4: the lead byte decides the length and the range of the second byte. */
static const struct {
        unsigned char lead_least, lead_most, second_least, second_most, length;
} FORMS[] = {
        { 0x00, 0x7F, 0x00, 0x00, 1 }, { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
        { 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 },
        { 0xF0, 0xF0, 0x90, 0xBF, 4 }, { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
};
enum { N_FORMS = sizeof FORMS / sizeof *FORMS };

static int check_rest(const unsigned char *at, size_t length, size_t form)
{
        for (size_t i = 1; i < FORMS[form].length; i++) {
                unsigned char least = i == 1 ? FORMS[form].second_least : 0x80;
                unsigned char most = i == 1 ? FORMS[form].second_most : 0xBF;

                if (i == length)
                        return -1;
                if (at[i] < least || at[i] > most)
                        return 0;
        }
        return FORMS[form].length;
}

int utf8_step(const void *text, size_t length)
{
        const unsigned char *at = text;

        for (size_t i = 0; i < N_FORMS; i++)
                if (*at >= FORMS[i].lead_least && *at <= FORMS[i].lead_most)
                        return check_rest(at, length, i);
        return 0;
}

/* The number of leading bytes that are ASCII and not NUL, in whole words. Most output is only that. */
static size_t count_plain_words(const char *at, size_t length)
{
        const uint64_t ONES = UINT64_C(0x0101010101010101);
        const uint64_t HIGHS = UINT64_C(0x8080808080808080);
        size_t n = 0;

        for (; length - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
                uint64_t word;

                memcpy(&word, at + n, sizeof word);
                /* The subtraction sets the high bit of a byte that is 0; a byte above ASCII has it already. */
                if ((((word - ONES) | word) & HIGHS) != 0)
                        break;
        }
        return n;
}

bool utf8_is_text(const void *bytes, size_t length)
{
        const char *at = bytes;

        for (size_t left = length; left > 0;) {
                size_t plain = count_plain_words(at, left);
                int step;

                at += plain;
                left -= plain;
                if (left == 0)
                        break;
                step = utf8_step(at, left);

                if (step <= 0 || *at == '\0')
                        return false;
                at += step;
                left -= (size_t)step;
        }
        return true;
}

size_t utf8_unfinished(const void *bytes, size_t length)
{
        const char *end = (const char *)bytes + length;

        for (size_t tail = 1; tail <= 3 && tail <= length; tail++)
                if (utf8_step(end - tail, tail) == -1)
                        return tail;
        return 0;
}

/* The two-character escapes of RFC 8259, section 7. */
static const char LETTERS[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'
};

static char letter_of(unsigned char byte)
{
        return byte < sizeof LETTERS ? LETTERS[byte] : '\0';
}

/* The bytes that JSON adds to a byte. */
static unsigned escapes_of(unsigned char byte)
{
        if (letter_of(byte) != '\0')
                return 1;
        return byte < 0x20 ? JSON_ESCAPE_MAX - 1 : 0;
}

/* The number of leading bytes that JSON takes unescaped, in whole words of ASCII. */
static size_t count_bare_words(const char *at, size_t length)
{
        const uint64_t ONES = UINT64_C(0x0101010101010101);
        const uint64_t HIGHS = UINT64_C(0x8080808080808080);
        size_t n = 0;

        for (; length - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
                uint64_t word, quotes, slashes;

                memcpy(&word, at + n, sizeof word);
                quotes = word ^ ONES * '"';
                slashes = word ^ ONES * '\\';
                /* The subtraction sets the high bit of a byte below 0x20, and of one equal to '"' or '\\'. */
                if ((((word - ONES * 0x20) | (quotes - ONES) | (slashes - ONES) | word) & HIGHS) != 0)
                        break;
        }
        return n;
}

/* Completes the character at the end of the last piece. Returns the number of bytes that it took. */
static size_t finish_tail(struct utf8_scan *scan, const char *at, size_t length)
{
        size_t taken = 0;
        int step = -1;

        while (step < 0 && taken < length) {
                scan->tail[scan->n_tail++] = at[taken++];
                step = utf8_step(scan->tail, scan->n_tail);
        }
        if (step >= 0)
                scan->n_tail = 0;
        scan->is_broken |= step == 0;
        return taken;
}

/* Handles a few bytes of ASCII of which at least one needs an escape, as in a flood of such bytes. */
static size_t scan_ascii(struct utf8_scan *scan, const char *at, size_t length)
{
        size_t n = 0;

        for (; n < length && n < 4 * sizeof(uint64_t); n++) {
                unsigned char byte = (unsigned char)at[n];

                if (byte == 0 || byte >= 0x80)
                        break;
                scan->n_escapes += escapes_of(byte);
        }
        return n;
}

void utf8_scan(struct utf8_scan *scan, const void *bytes, size_t length)
{
        const char *at = bytes, *end = at + length;

        if (scan->n_tail > 0 && !scan->is_broken)
                at += finish_tail(scan, at, length);
        while (at < end && !scan->is_broken) {
                size_t bare = count_bare_words(at, (size_t)(end - at));
                int step;

                at += bare;
                at += scan_ascii(scan, at, (size_t)(end - at));
                if (at == end)
                        break;
                step = utf8_step(at, (size_t)(end - at));
                if (step < 0) {
                        scan->n_tail = (size_t)(end - at);
                        memcpy(scan->tail, at, scan->n_tail);
                        break;
                }
                scan->is_broken = step == 0 || *at == '\0';
                scan->n_escapes += escapes_of((unsigned char)*at);
                at += step;
        }
}

bool utf8_scan_is_text(const struct utf8_scan *scan)
{
        return !scan->is_broken && scan->n_tail == 0;
}

static size_t escape_byte(char *target, unsigned char byte)
{
        static const char HEX[] = "0123456789abcdef";
        char letter = letter_of(byte);

        target[0] = '\\';
        target[1] = letter != '\0' ? letter : 'u';
        if (letter != '\0')
                return 2;
        target[2] = target[3] = '0';
        target[4] = HEX[byte >> 4];
        target[5] = HEX[byte & 0xF];
        return JSON_ESCAPE_MAX;
}

size_t json_escape(char *target, size_t size, const char *bytes, size_t length, size_t *ret_taken)
{
        size_t taken = 0, written = 0;

        while (taken < length && size - written >= JSON_ESCAPE_MAX) {
                size_t room = size - written < length - taken ? size - written : length - taken;
                size_t bare = count_bare_words(bytes + taken, room);

                memcpy(target + written, bytes + taken, bare);
                taken += bare;
                written += bare;
                if (taken == length || size - written < JSON_ESCAPE_MAX)
                        break;
                if (escapes_of((unsigned char)bytes[taken]) == 0)
                        target[written++] = bytes[taken++];
                else
                        written += escape_byte(target + written, (unsigned char)bytes[taken++]);
        }
        *ret_taken = taken;
        return written;
}

void utf8_mend(char *text)
{
        for (size_t left = strlen(text); left > 0;) {
                int step = utf8_step(text, left);

                if (step <= 0) {
                        *text = '?';
                        step = 1;
                }
                text += step;
                left -= (size_t)step;
        }
}
