/* Inside the importer room only: libarchive, opened on a file. Only compressions that libarchive itself knows are
 * enabled; what it would hand to a program is unknown here. */
#pragma once

#include "fault.h"

struct archive;

enum reader_kind { READER_TAR, READER_RAW };

/* Reads from the beginning of a regular file, by pread(2). */
__attribute__((warn_unused_result)) int reader_open(struct archive **ret_archive, int fd, enum reader_kind kind,
                                                    struct fault *why);
/* For AUTO. */
void reader_free(struct archive **archive);
/* The error of libarchive, as FAULT_IMAGE_REFUSED about `where`. */
int reader_fault(struct archive *archive, const char *where, struct fault *why);
