#include "image-reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

#define LETTERS_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define DEFAULT_TAG ":latest"

enum { HEX_DIGITS = 64, REFERENCE_MAX = 200 };
/* A slash takes three bytes in a file name, which has at most 255 (NAME_MAX). */
enum { SLASHES_MAX = 20 };

const char *const IMAGE_FORMATS[] = { "auto", "docker", "oci", "rootfs", NULL };

int image_format_parse(const char *text, enum image_format *ret_format)
{
        for (int i = 0; IMAGE_FORMATS[i] != NULL; i++) {
                if (str_equal(IMAGE_FORMATS[i], text)) {
                        *ret_format = (enum image_format)i;
                        return 0;
                }
        }
        return -EINVAL;
}

bool image_is_id(const char *text)
{
        const char *digits;

        if (!str_has_prefix(text, "sha256:"))
                return false;
        digits = text + strlen("sha256:");
        return strlen(digits) == HEX_DIGITS && strspn(digits, "0123456789abcdef") == HEX_DIGITS;
}

static unsigned count_slashes(const char *text)
{
        unsigned count = 0;

        for (; *text != '\0'; text++)
                count += *text == '/';
        return count;
}

static bool is_reference(const char *text)
{
        size_t length = strlen(text);

        return length > 0 && length <= REFERENCE_MAX && count_slashes(text) <= SLASHES_MAX &&
               strspn(text, LETTERS_DIGITS "_.-/:@") == length && strchr("/.:@-", text[0]) == NULL &&
               strchr("/:@", text[length - 1]) == NULL && strstr(text, "//") == NULL && strstr(text, "/.") == NULL &&
               strstr(text, "..") == NULL;
}

int image_reference_resolve(const char *text, char ret_reference[static IMAGE_REFERENCE_BYTES], struct fault *why)
{
        const char *at = strchr(text, '@');
        const char *slash = strrchr(text, '/');
        bool is_tagged = strchr(slash != NULL ? slash : text, ':') != NULL;

        if (!is_reference(text) || (at != NULL && !image_is_id(at + 1)))
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "an image is named NAME, NAME:TAG or sha256:DIGEST, with letters, digits and ._-/");
        /* A reference that is too long with its tag could be written to the store but not read. */
        if (at == NULL && !is_tagged && strlen(text) + strlen(DEFAULT_TAG) > REFERENCE_MAX)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL,
                                 "an image's name has at most %d characters, its tag included", REFERENCE_MAX);
        (void)snprintf(ret_reference, IMAGE_REFERENCE_BYTES, "%s%s", at != NULL ? at + 1 : text,
                       at != NULL || is_tagged ? "" : DEFAULT_TAG);
        return 0;
}

void image_reference_to_file(const char *reference, char ret_file[static IMAGE_FILE_BYTES])
{
        size_t length = 0;

        for (; *reference != '\0' && length + 3 < IMAGE_FILE_BYTES; reference++) {
                if (*reference == '/') {
                        memcpy(ret_file + length, "%2F", 3);
                        length += 3;
                } else {
                        ret_file[length++] = *reference;
                }
        }
        ret_file[length] = '\0';
}

bool image_reference_from_file(const char *file, char ret_reference[static IMAGE_REFERENCE_BYTES])
{
        char reference[IMAGE_REFERENCE_BYTES];
        char resolved[IMAGE_REFERENCE_BYTES];
        size_t length = 0;

        for (; *file != '\0' && length + 1 < sizeof reference; length++) {
                bool is_escape = strncmp(file, "%2F", 3) == 0;

                reference[length] = is_escape ? '/' : *file;
                file += is_escape ? 3 : 1;
        }
        reference[length] = '\0';
        if (*file != '\0' || image_reference_resolve(reference, resolved, NULL) < 0 || !str_equal(reference, resolved))
                return false;
        (void)snprintf(ret_reference, IMAGE_REFERENCE_BYTES, "%s", reference);
        return true;
}
