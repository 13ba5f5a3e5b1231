#include "status-line.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "errors.h"
#include "put.h"
#include "render.h"

static cJSON *begin(const char *status)
{
        cJSON *object = cJSON_CreateObject();

        put_child(&object, "metadata", cJSON_CreateObject());
        put_text(&object, "status", status);
        return object;
}

/* {"causes":[{"reason":"ExitCode","message":"3"}]}: where clients of Kubernetes find the exit code. */
static cJSON *exit_code_details(int exit_code)
{
        cJSON *details = cJSON_CreateObject();
        cJSON *causes = cJSON_CreateArray();
        cJSON *cause = cJSON_CreateObject();
        char text[16];

        (void)snprintf(text, sizeof text, "%d", exit_code);
        put_text(&cause, "reason", "ExitCode");
        put_child(&cause, "message", cJSON_CreateString(text));
        put_child(&causes, NULL, cause);
        put_child(&details, "causes", causes);
        return details;
}

cJSON *status_line_result(const struct exec_result *result)
{
        bool is_success = result->cause == EXEC_EXIT && result->exit_code == 0;
        cJSON *object = begin(is_success ? "Success" : "Failure");

        if (!is_success) {
                put_text(&object, "reason", "NonZeroExitCode");
                put_text(&object, "message", "the program did not end with exit code 0");
                put_child(&object, "details", exit_code_details(result->exit_code));
        }
        render_exec_end(&object, result);
        return object;
}

cJSON *status_line_fault(const struct fault *why)
{
        cJSON *object = begin("Failure");
        cJSON *body = error_render(why);

        put_text(&object, "reason", "InternalError");
        put_text(&object, "message", why->message);
        put_child(&object, "error", cJSON_DetachItemFromObject(body, "error"));
        cJSON_Delete(body);
        return object;
}
