/* libarchive, opened on a file. Only compressions that libarchive itself implements are
 * enabled, none for which it would run a program. */
#pragma once

#include "fault.h"

struct archive;

enum reader_kind { READER_TAR, READER_RAW };

/* Reads from the beginning of a regular file, by pread(2). */
__attribute__((warn_unused_result)) int reader_open(struct archive **ret_archive, int fd, enum reader_kind kind,
                                                    struct fault *why);
/* For AUTO. */
void reader_free(struct archive **archive);
/* libarchive's error message as FAULT_IMAGE_REFUSED about `where`. */
int reader_fault(struct archive *archive, const char *where, struct fault *why);
