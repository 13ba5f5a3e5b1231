#include "base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t length)
{
        const unsigned char *from = bytes;
        char *text, *to;

        if (length > SIZE_MAX / 2)
                return NULL;
        text = to = malloc((length + 2) / 3 * 4 + 1);
        if (text == NULL)
                return NULL;
        for (size_t i = 0; i < length; i += 3) {
                size_t left = length - i;
                unsigned group = (unsigned)from[i] << 16 | (left > 1 ? (unsigned)from[i + 1] << 8 : 0) |
                                 (left > 2 ? from[i + 2] : 0);

                *to++ = ALPHABET[group >> 18];
                *to++ = ALPHABET[group >> 12 & 63];
                *to++ = left > 1 ? ALPHABET[group >> 6 & 63] : '=';
                *to++ = left > 2 ? ALPHABET[group & 63] : '=';
        }
        *to = '\0';
        return text;
}

static int sextet(char letter)
{
        const char *at = letter == '\0' ? NULL : strchr(ALPHABET, letter);

        return at == NULL ? -1 : (int)(at - ALPHABET);
}

/* Decodes `digits` (2 to 4) characters of one group into at most 3 bytes; their number, or -EINVAL. */
static int decode_group(const char *text, int digits, char target[3])
{
        unsigned group = 0;

        for (int i = 0; i < 4; i++) {
                int value = i < digits ? sextet(text[i]) : 0;

                if (value < 0)
                        return -EINVAL;
                group = group << 6 | (unsigned)value;
        }
        for (int i = 0; i < 3; i++)
                target[i] = (char)(group >> (16 - 8 * i) & 0xFF);
        /* Bits behind the last whole byte say nothing; two texts for the same bytes would be one too many. */
        return (group & (0xFFFFFFU >> (8 * (digits - 1)))) == 0 ? digits - 1 : -EINVAL;
}

int base64_decode(const char *text, char **ret_bytes, size_t *ret_length)
{
        size_t length = strlen(text), written = 0;
        char *bytes;

        if (length % 4 != 0)
                return -EINVAL;
        bytes = malloc(length / 4 * 3 + 1);
        if (bytes == NULL)
                return -ENOMEM;
        for (size_t at = 0; at < length; at += 4) {
                int padding =
                        at + 4 < length ? 0 : (text[at + 3] == '=') + (text[at + 3] == '=' && text[at + 2] == '=');
                int n = decode_group(text + at, 4 - padding, bytes + written);

                if (n < 0) {
                        free(bytes);
                        return -EINVAL;
                }
                written += (size_t)n;
        }
        bytes[written] = '\0';
        *ret_bytes = bytes;
        *ret_length = written;
        return 0;
}
