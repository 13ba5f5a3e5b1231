/* The output of carrel-storage: reports of fixed size, each by one write(2), some of progress and one at
 * the end. Its reader does not trust them, because their writer has walked a hostile tree. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "storage.h"

enum { STORAGE_MAGIC = 0x6f747363, STORAGE_VERSION = 1 };

enum storage_report_kind { STORAGE_PROGRESS = 1, STORAGE_END };

struct storage_report {
        uint32_t magic;
        uint16_t version;
        uint16_t kind;
        uint32_t fault; /* enum fault_kind; of END: FAULT_NONE, it has done all */
        uint32_t err;
        struct storage_tally tally;
        char message[256];
};

/* Checks every field. 0 or -EPROTO. */
__attribute__((warn_unused_result)) int storage_report_check(const struct storage_report *report);

/* The descriptors of the process. */
enum { STORAGE_SOURCE_FD = 3, STORAGE_TARGET_FD = 4 };

/* The names of the verbs, as its first argument. */
extern const char *const STORAGE_VERBS[STORAGE_VERB_COUNT];
