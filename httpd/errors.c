#include "errors.h"

#include "put.h"

enum { DEFAULT_RETRY_AFTER_S = 1 };

/* image_missing is 502 and not 503: a retry does not help until somebody makes the image. */
static const struct {
        unsigned short status;
        bool closes_connection;
} RULES[FAULT_KINDS] = {
        [FAULT_NONE] = { 500, false },
        [FAULT_CANCELLED] = { 503, false },
        [FAULT_CARREL_BUSY] = { 409, false },
        [FAULT_CARREL_FROZEN] = { 503, false },
        [FAULT_CARREL_LOST] = { 502, false },
        [FAULT_DEADLINE] = { 504, false },
        [FAULT_ENGINE_REFUSED] = { 502, false },
        [FAULT_ENGINE_UNAVAILABLE] = { 503, false },
        [FAULT_EXEC_ID_TAKEN] = { 409, false },
        [FAULT_FILE_REFUSED] = { 409, false },
        [FAULT_FORBIDDEN] = { 403, false },
        [FAULT_HARDENING_MISSING] = { 500, false },
        [FAULT_HISTORY_GONE] = { 410, false },
        [FAULT_IMAGE_IN_USE] = { 409, false },
        [FAULT_IMAGE_MISSING] = { 502, false },
        [FAULT_IMAGE_REFUSED] = { 422, false },
        [FAULT_INTERNAL] = { 500, false },
        [FAULT_METHOD_NOT_ALLOWED] = { 405, false },
        [FAULT_NAME_TAKEN] = { 409, false },
        [FAULT_NOT_FOUND] = { 404, false },
        [FAULT_POLICY_NOT_IN_FORCE] = { 503, false },
        [FAULT_POOL_FULL] = { 503, false },
        [FAULT_QUEUE_FULL] = { 429, false },
        [FAULT_REQUEST_INVALID] = { 400, true },
        [FAULT_REQUEST_TOO_LARGE] = { 413, true },
        [FAULT_RESOURCE_EXHAUSTED] = { 503, false },
        [FAULT_SETTING_INVALID] = { 500, false },
        [FAULT_SPEC_CONFLICT] = { 409, false },
        [FAULT_STORAGE_FULL] = { 507, false },
        [FAULT_USER_ID_INVALID] = { 400, true },
};

unsigned error_status(enum fault_kind kind)
{
        return kind < FAULT_KINDS ? RULES[kind].status : RULES[FAULT_INTERNAL].status;
}

bool error_closes_connection(enum fault_kind kind)
{
        return kind < FAULT_KINDS && RULES[kind].closes_connection;
}

unsigned error_retry_after_s(const struct fault *why, unsigned status)
{
        if (why->retry_after_s > 0)
                return why->retry_after_s;
        return status == 429 || status == 503 ? DEFAULT_RETRY_AFTER_S : 0;
}

struct json *error_object(const struct fault *why)
{
        struct json *error = json_object();

        put_text(&error, "code", fault_code(why->kind));
        put_text(&error, "message", why->message);
        put_bool(&error, "retryable", fault_is_retryable(why->kind));
        return error;
}

struct json *error_render(const struct fault *why)
{
        struct json *body = json_object();

        put_child(&body, "error", error_object(why));
        return body;
}
