#include "storage-report.h"

#include <errno.h>
#include <string.h>

const char *const STORAGE_VERBS[STORAGE_VERB_COUNT] = {
        [STORAGE_CLEAR] = "clear",
        [STORAGE_COPY] = "copy",
        [STORAGE_MEASURE] = "measure",
};

int storage_report_check(const struct storage_report *report)
{
        if (report->magic != STORAGE_MAGIC || report->version != STORAGE_VERSION)
                return -EPROTO;
        if (report->kind != STORAGE_PROGRESS && report->kind != STORAGE_END)
                return -EPROTO;
        if (report->fault >= FAULT_KINDS || report->err > 4095) /* MAX_ERRNO in linux/err.h */
                return -EPROTO;
        return memchr(report->message, '\0', sizeof report->message) == NULL ? -EPROTO : 0;
}
