/* References of images in the image store. Pure. */
#pragma once

#include <stdbool.h>

#include "fault.h"

/* The format of an archive: a tar with layers and their manifest, or the root tree itself. */
enum image_format { IMAGE_AUTO, IMAGE_DOCKER, IMAGE_OCI, IMAGE_ROOTFS };
/* "auto", ...: NULL-terminated, in the order of the enum. */
extern const char *const IMAGE_FORMATS[];
/* 0 or -EINVAL. */
__attribute__((warn_unused_result)) int image_format_parse(const char *text, enum image_format *ret_format);

enum {
        IMAGE_REFERENCE_BYTES = 256,
        IMAGE_ID_BYTES = 72, /* "sha256:" and 64 hexadecimal digits */
        IMAGE_FILE_BYTES = 256
};

/* Whether text is "sha256:" and 64 lower-case hexadecimal digits. */
bool image_is_id(const char *text);

/* Resolves a reference: NAME becomes NAME:latest; an id, or NAME@id, becomes the id. -EINVAL with FAULT_REQUEST_INVALID
 * when it is outside the grammar: letters, digits and ._-/:@, no segment that is empty or only dots, at most 200
 * characters with the added tag. */
__attribute__((warn_unused_result)) int image_reference_resolve(const char *text,
                                                                char ret_reference[static IMAGE_REFERENCE_BYTES],
                                                                struct fault *why);

/* Converts a resolved reference to a file name ('/' and '%' escaped as in URLs), and back. The way back fails for names
 * that image_reference_to_file does not write. */
void image_reference_to_file(const char *reference, char ret_file[static IMAGE_FILE_BYTES]);
bool image_reference_from_file(const char *file, char ret_reference[static IMAGE_REFERENCE_BYTES]);
