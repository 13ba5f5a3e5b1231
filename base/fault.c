#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
        const char *code;
        bool is_retryable;
} KINDS[FAULT_KINDS] = {
        [FAULT_NONE] = { "none", false },
        [FAULT_CANCELLED] = { "cancelled", true },
        [FAULT_CARREL_BUSY] = { "carrel_busy", false },
        [FAULT_CARREL_FROZEN] = { "carrel_frozen", true },
        [FAULT_CARREL_LOST] = { "carrel_lost", true },
        [FAULT_DEADLINE] = { "deadline_exceeded", true },
        [FAULT_ENGINE_REFUSED] = { "engine_refused", false },
        [FAULT_ENGINE_UNAVAILABLE] = { "engine_unavailable", true },
        [FAULT_EXEC_ID_TAKEN] = { "exec_id_taken", false },
        [FAULT_FILE_REFUSED] = { "file_refused", false },
        [FAULT_FORBIDDEN] = { "forbidden", false },
        [FAULT_HARDENING_MISSING] = { "hardening_missing", false },
        [FAULT_HISTORY_GONE] = { "history_gone", false },
        [FAULT_IMAGE_IN_USE] = { "image_in_use", false },
        [FAULT_IMAGE_MISSING] = { "image_missing", false },
        [FAULT_IMAGE_REFUSED] = { "image_refused", false },
        [FAULT_INTERNAL] = { "internal", false },
        [FAULT_METHOD_NOT_ALLOWED] = { "method_not_allowed", false },
        [FAULT_NAME_TAKEN] = { "name_taken", false },
        [FAULT_NOT_FOUND] = { "not_found", false },
        [FAULT_POLICY_NOT_IN_FORCE] = { "policy_not_in_force", true },
        [FAULT_POOL_FULL] = { "pool_full", true },
        [FAULT_QUEUE_FULL] = { "queue_full", true },
        [FAULT_REQUEST_INVALID] = { "request_invalid", false },
        [FAULT_REQUEST_TOO_LARGE] = { "request_too_large", false },
        [FAULT_RESOURCE_EXHAUSTED] = { "resource_exhausted", true },
        [FAULT_SETTING_INVALID] = { "setting_invalid", false },
        [FAULT_SPEC_CONFLICT] = { "spec_conflict", false },
        [FAULT_STORAGE_FULL] = { "storage_full", false },
        [FAULT_USER_ID_INVALID] = { "user_id_invalid", false },
};

int fault_set(struct fault *why, enum fault_kind kind, int err, const char *format, ...)
{
        if (why != NULL) {
                va_list args;

                *why = (struct fault){ .kind = kind, .err = err };
                va_start(args, format);
                (void)vsnprintf(why->message, sizeof why->message, format, args);
                va_end(args);
        }
        return err > 0 ? -err : -EIO;
}

int fault_pass(struct fault *to, const struct fault *from)
{
        int r = from->err > 0 ? -from->err : -EIO;

        if (to != NULL && to != from)
                *to = *from;
        return r;
}

const char *fault_code(enum fault_kind kind)
{
        return kind < FAULT_KINDS ? KINDS[kind].code : KINDS[FAULT_INTERNAL].code;
}

bool fault_is_retryable(enum fault_kind kind)
{
        return kind < FAULT_KINDS && KINDS[kind].is_retryable;
}
