#include "utf8.h"

#include <endian.h>
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

/* In each byte of a word: 1, and the bit that ASCII leaves clear. */
static const uint64_t ONES = UINT64_C(0x0101010101010101);
static const uint64_t HIGHS = UINT64_C(0x8080808080808080);

/* The number of leading bytes that are ASCII and not NUL, in whole words. Most output is only that. */
static size_t count_plain_words(const char *at, size_t length)
{
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

/* The first byte is the lowest one. */
static uint64_t load_word(const char *at)
{
        uint64_t word;

        memcpy(&word, at, sizeof word);
        return le64toh(word);
}

/* Sets the high bit of bytes that need an escape: of those below 0x20, and of those equal to '"' or '\\'. The
 * subtractions borrow from the bytes above such a byte, so only the lowest bit that is set is sure. */
static uint64_t flag_escapes(uint64_t word)
{
        uint64_t quotes = word ^ ONES * '"', slashes = word ^ ONES * '\\';

        return ((word - ONES * 0x20) | (quotes - ONES) | (slashes - ONES)) & ~word & HIGHS;
}

static size_t first_flagged(uint64_t flags)
{
        return (size_t)__builtin_ctzll(flags) / 8;
}

/* The number of leading bytes that are ASCII and need no escape. */
static size_t count_bare(const char *at, size_t length)
{
        size_t n = 0;

        for (; length - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
                uint64_t word = load_word(at + n);
                uint64_t flags = flag_escapes(word) | (word & HIGHS);

                if (flags != 0)
                        return n + first_flagged(flags);
        }
        while (n < length && (unsigned char)at[n] < 0x80 && escapes_of((unsigned char)at[n]) == 0)
                n++;
        return n;
}

/* Copies the leading bytes that need no escape, and returns their number. Other bytes of the target may change too:
 * whole words are copied before they are judged. */
static size_t copy_bare(char *target, const char *at, size_t length)
{
        size_t n = 0;

        for (; length - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
                uint64_t flags = flag_escapes(load_word(at + n));

                memcpy(target + n, at + n, sizeof flags);
                if (flags != 0)
                        return n + first_flagged(flags);
        }
        for (; n < length && escapes_of((unsigned char)at[n]) == 0; n++)
                target[n] = at[n];
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

/* Where one byte needs an escape, others follow soon: a word of ASCII, byte by byte. */
static size_t scan_ascii(struct utf8_scan *scan, const char *at, size_t length)
{
        size_t n = 0;

        for (; n < length && n < sizeof(uint64_t) && (unsigned char)at[n] < 0x80; n++) {
                scan->is_broken |= at[n] == '\0';
                scan->n_escapes += escapes_of((unsigned char)at[n]);
        }
        return n;
}

/* The characters up to the next of ASCII. */
static size_t scan_characters(struct utf8_scan *scan, const char *at, size_t length)
{
        size_t n = 0;

        while (n < length && (unsigned char)at[n] >= 0x80 && !scan->is_broken) {
                int step = utf8_step(at + n, length - n);

                if (step < 0) {
                        scan->n_tail = length - n;
                        memcpy(scan->tail, at + n, scan->n_tail);
                        return length;
                }
                scan->is_broken = step == 0;
                n += (size_t)step;
        }
        return n;
}

void utf8_scan(struct utf8_scan *scan, const void *bytes, size_t length)
{
        const char *at = bytes, *end = at + length;

        if (scan->n_tail > 0 && !scan->is_broken)
                at += finish_tail(scan, at, length);
        while (at < end && !scan->is_broken) {
                at += count_bare(at, (size_t)(end - at));
                at += scan_ascii(scan, at, (size_t)(end - at));
                at += scan_characters(scan, at, (size_t)(end - at));
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

        for (;;) {
                size_t room = size - written < length - taken ? size - written : length - taken;
                size_t bare = copy_bare(target + written, bytes + taken, room);
                unsigned char byte;

                taken += bare;
                written += bare;
                if (bare == room)
                        break;
                byte = (unsigned char)bytes[taken];
                if (size - written < 1 + escapes_of(byte))
                        break;
                written += escape_byte(target + written, byte);
                taken++;
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
