#include "url.h"

#include <errno.h>
#include <stdbool.h>

static int hex_value(char digit)
{
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        if (digit >= 'a' && digit <= 'f')
                return digit - 'a' + 10;
        if (digit >= 'A' && digit <= 'F')
                return digit - 'A' + 10;
        return -1;
}

/* The byte that the escape at text[0] == '%' stands for, or -1. */
static int escaped_byte(const char *text, size_t length)
{
        int high = length >= 3 ? hex_value(text[1]) : -1;
        int low = length >= 3 ? hex_value(text[2]) : -1;

        return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int url_decode(const char *text, size_t length, char *target, size_t size, size_t *ret_length)
{
        size_t written = 0;

        for (size_t i = 0; i < length; i++) {
                bool is_escaped = text[i] == '%';
                int value = is_escaped ? escaped_byte(text + i, length - i) : (unsigned char)text[i];

                if (value < 0)
                        return -EINVAL;
                if (written + 1 >= size)
                        return -ENAMETOOLONG;
                target[written++] = (char)value;
                i += is_escaped ? 2 : 0;
        }
        if (written >= size)
                return -ENAMETOOLONG;
        target[written] = '\0';
        *ret_length = written;
        return 0;
}
