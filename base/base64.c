#include "base64.h"

#include <errno.h>
#include <nettle/base64.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

char *base64_encode(const void *bytes, size_t length)
{
        char *text;

        if (length > SIZE_MAX / 2)
                return NULL;
        text = malloc(BASE64_ENCODE_RAW_LENGTH(length) + 1);
        if (text == NULL)
                return NULL;
        base64_encode_raw(text, length, bytes);
        text[BASE64_ENCODE_RAW_LENGTH(length)] = '\0';
        return text;
}

size_t base64_encode_to(char *target, const void *bytes, size_t length)
{
        base64_encode_raw(target, length, bytes);
        return BASE64_ENCODE_RAW_LENGTH(length);
}

/* The library ignores white space and stray bits. Each sequence of bytes must have only one text, so the result is
 * encoded again and compared. */
int base64_decode(const char *text, char **ret_bytes, size_t *ret_length)
{
        struct base64_decode_ctx context;
        size_t length = BASE64_DECODE_LENGTH(strlen(text));
        AUTO(auto_free) char *bytes = malloc(length + 1);
        AUTO(auto_free) char *again = NULL;

        if (bytes == NULL)
                return -ENOMEM;
        base64_decode_init(&context);
        if (base64_decode_update(&context, &length, (uint8_t *)bytes, strlen(text), text) == 0 ||
            base64_decode_final(&context) == 0)
                return -EINVAL;
        again = base64_encode(bytes, length);
        if (again == NULL)
                return -ENOMEM;
        if (strcmp(again, text) != 0)
                return -EINVAL;
        bytes[length] = '\0';
        *ret_bytes = TAKE(bytes);
        *ret_length = length;
        return 0;
}
