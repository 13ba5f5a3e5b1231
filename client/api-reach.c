#include "api-reach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "api-client.h"
#include "fault.h"
#include "scope.h"
#include "str.h"

/* 0 or the negative errno of connect(2). */
static int probe(const char *socket_path)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (str_copy(address.sun_path, sizeof address.sun_path, socket_path) < 0)
                return -ENAMETOOLONG;
        AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
                return 0;
        int r = errno;
        struct stat status;
        /* To connect(2) a file is a socket that nobody listens at. */
        if (r == ECONNREFUSED && stat(socket_path, &status) == 0 && !S_ISSOCK(status.st_mode))
                return -ENOTSOCK;
        return -r;
}

void api_reach_explain(struct api_error *error, const char *socket_path, const struct fault *why)
{
        int r = why->kind == FAULT_DEADLINE ? 0 : probe(socket_path);
        const size_t size = sizeof error->message;

        error->status = STATUS_UNREACHABLE;
        error->is_retryable = true;
        if (why->kind == FAULT_DEADLINE)
                (void)snprintf(error->message, size, "carreld at %s accepted the request but did not answer in time",
                               socket_path);
        else if (r == -EACCES || r == -EPERM)
                (void)snprintf(error->message, size,
                               "you may not open %s: become root or a member of the group `carrel` (usermod -aG carrel "
                               "NAME, then log in again)",
                               socket_path);
        else if (r == -ENAMETOOLONG)
                (void)snprintf(error->message, size, "the socket's path is longer than %zu bytes: %s",
                               sizeof((struct sockaddr_un *)0)->sun_path - 1, socket_path);
        else if (r == -ENOTSOCK)
                (void)snprintf(error->message, size,
                               "%s is not a socket: name carreld's with --socket (usually /run/carrel/carrel.sock)",
                               socket_path);
        else if (r < 0)
                (void)snprintf(error->message, size,
                               "carreld does not answer at %s (%s): start it (systemctl start carreld, or ./dev up) or "
                               "name its socket with --socket",
                               socket_path, r == -ENOENT ? "no such socket" : strerror(-r));
        else
                (void)snprintf(error->message, size, "the connection to carreld at %s was lost: %s", socket_path,
                               why->message);
}

void api_error_read(struct api_error *error, const cJSON *object)
{
        const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "code"));
        const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "message"));

        error->status = STATUS_FAILED;
        error->is_retryable = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "retryable"));
        (void)snprintf(error->code, sizeof error->code, "%s", code != NULL ? code : "");
        (void)snprintf(error->message, sizeof error->message, "%s", message != NULL ? message : "");
}

void api_error_parse(struct api_error *error, int http_status, const char *body)
{
        cJSON *json = cJSON_Parse(body);

        api_error_read(error, cJSON_GetObjectItemCaseSensitive(json, "error"));
        cJSON_Delete(json);
        error->http_status = http_status;
        if (error->message[0] == '\0')
                (void)snprintf(error->message, sizeof error->message,
                               "HTTP status %d without a reason: is this carreld's socket?", http_status);
}
