#include "status-line.h"

#include <stdio.h>

#include "errors.h"
#include "put.h"
#include "render.h"

static struct json *begin(const char *status)
{
        struct json *object = json_object();

        put_child(&object, "metadata", json_object());
        put_text(&object, "status", status);
        return object;
}

/* {"causes":[{"reason":"ExitCode","message":"3"}]}: where clients of Kubernetes find the exit code. */
static struct json *exit_code_details(int exit_code)
{
        struct json *details = json_object();
        struct json *causes = json_array();
        struct json *cause = json_object();
        char text[16];

        (void)snprintf(text, sizeof text, "%d", exit_code);
        put_text(&cause, "reason", "ExitCode");
        put_text(&cause, "message", text);
        put_child(&causes, NULL, cause);
        put_child(&details, "causes", causes);
        return details;
}

struct json *status_line_result(const struct exec_result *result)
{
        bool is_success = result->cause == EXEC_EXIT && result->exit_code == 0;
        struct json *object = begin(is_success ? "Success" : "Failure");

        if (!is_success) {
                put_text(&object, "reason", "NonZeroExitCode");
                put_text(&object, "message", "the program did not end with exit code 0");
                put_child(&object, "details", exit_code_details(result->exit_code));
        }
        render_exec_end(&object, result);
        return object;
}

struct json *status_line_fault(const struct fault *why)
{
        struct json *object = begin("Failure");

        put_text(&object, "reason", "InternalError");
        put_text(&object, "message", why->message);
        put_child(&object, "error", error_object(why));
        return object;
}
