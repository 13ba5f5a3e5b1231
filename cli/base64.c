#include "base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buffer *buffer, const void *bytes, size_t length)
{
        const unsigned char *at = bytes;

        for (size_t left = length; left > 0; left -= left < 3 ? left : 3, at += 3) {
                uint32_t bits = (uint32_t)at[0] << 16;
                char group[4];

                if (left > 1)
                        bits |= (uint32_t)at[1] << 8;
                if (left > 2)
                        bits |= at[2];
                group[0] = DIGITS[bits >> 18];
                group[1] = DIGITS[bits >> 12 & 63];
                group[2] = '=';
                group[3] = '=';
                if (left > 1)
                        group[2] = DIGITS[bits >> 6 & 63];
                if (left > 2)
                        group[3] = DIGITS[bits & 63];
                int r = buffer_append(buffer, group, sizeof group);
                if (r < 0)
                        return r;
        }
        return buffer_append(buffer, "", 0);
}

/* The value of a digit; -1: none. */
static int digit_value(char digit)
{
        if (digit >= 'A' && digit <= 'Z')
                return digit - 'A';
        if (digit >= 'a' && digit <= 'z')
                return digit - 'a' + 26;
        if (digit >= '0' && digit <= '9')
                return digit - '0' + 52;
        return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* Returns the bytes of one group of four (1 to 3), or -EINVAL. */
static int decode_group(const char *group, bool is_last, unsigned char *ret_bytes)
{
        int padding = is_last && group[3] == '=' ? (group[2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;

        for (int i = 0; i < 4; i++) {
                int value = i < 4 - padding ? digit_value(group[i]) : 0;

                if (value < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)value;
        }
        ret_bytes[0] = (unsigned char)(bits >> 16);
        ret_bytes[1] = (unsigned char)(bits >> 8);
        ret_bytes[2] = (unsigned char)bits;
        return 3 - padding;
}

int base64_decode(struct buffer *buffer, const char *text)
{
        size_t length = strlen(text);

        if (length % 4 != 0)
                return -EINVAL;
        for (size_t i = 0; i < length; i += 4) {
                unsigned char bytes[3];
                int count = decode_group(text + i, i + 4 == length, bytes);

                if (count < 0)
                        return count;
                int r = buffer_append(buffer, bytes, (size_t)count);
                if (r < 0)
                        return r;
        }
        return buffer_append(buffer, "", 0);
}
