/* Image references as the image store takes them. Pure. */
#pragma once

#include <stdbool.h>

#include "fault.h"

/* The content of an archive: one tar with the layers and their manifest, or the root tree itself. */
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

/* The whole form of a reference: NAME becomes NAME:latest; an id, or NAME@id, becomes the id. -EINVAL with
 * FAULT_REQUEST_INVALID when it is outside the grammar: letters, digits, and ._-/:@, no empty or dotted segment, at
 * most 200 characters, the tag that was added included. */
__attribute__((warn_unused_result)) int image_reference_resolve(const char *text,
                                                                char ret_reference[static IMAGE_REFERENCE_BYTES],
                                                                struct fault *why);

/* A resolved reference as a file name ('/' and '%' escaped as in URLs), and back. The way back is false for what the
 * way there does not write. */
void image_reference_to_file(const char *reference, char ret_file[static IMAGE_FILE_BYTES]);
bool image_reference_from_file(const char *file, char ret_reference[static IMAGE_REFERENCE_BYTES]);
