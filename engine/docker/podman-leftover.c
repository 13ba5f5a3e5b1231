#include "podman-leftover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "docker-query.h"
#include "wire.h"

enum { ID_DIGITS = 64, MESSAGE_BYTES = 512 };

static void fail_taken(struct docker_call *call)
{
        struct fault why;

        (void)fault_set(&why, FAULT_NAME_TAKEN, EEXIST, "the engine has given the name to %s",
                        (const char *)call->extra);
        docker_call_fail(call, &why);
}

static void on_cleared(struct docker_call *call, const struct http_response *response)
{
        fail_taken(call);
}

static bool on_not_cleared(struct docker_call *call, const struct http_response *response)
{
        fail_taken(call);
        return true;
}

static const struct docker_step CLEAR = { "DELETE",
                                          "clear what a create has left",
                                          FAULT_NOT_FOUND,
                                          FAULT_ENGINE_REFUSED,
                                          .on_success = on_cleared,
                                          .on_refusal = on_not_cleared };

static void on_known(struct docker_call *call, const struct http_response *response)
{
        fail_taken(call);
}

static bool on_unknown(struct docker_call *call, const struct http_response *response)
{
        if (response->status != 404)
                return false;
        docker_call_continue(
                call, &CLEAR,
                docker_text("/libpod/containers/%s?force=true&v=true&timeout=0", (const char *)call->extra), NULL);
        return true;
}

static const struct docker_step LOOK = { "GET",
                                         "look for a container",
                                         FAULT_NOT_FOUND,
                                         FAULT_ENGINE_REFUSED,
                                         .on_success = on_known,
                                         .on_refusal = on_unknown };

/* The first whole word of 64 hexadecimal digits, or NULL. */
static char *find_id(const char *text)
{
        static const char DIGITS[] = "0123456789abcdef";

        for (text += strcspn(text, DIGITS); *text != '\0'; text += strcspn(text, DIGITS)) {
                size_t length = strspn(text, DIGITS);

                if (length == ID_DIGITS)
                        return strndup(text, length);
                text += length;
        }
        return NULL;
}

bool podman_clear_leftover(struct docker_call *call, const struct http_response *response)
{
        static const char WORDS[] = "is already in use by ";
        char message[MESSAGE_BYTES];
        const char *behind;

        wire_decode_message(response->body, response->body_length, message, sizeof message);
        behind = strstr(message, WORDS);
        call->extra = behind != NULL ? find_id(behind + sizeof WORDS - 1) : NULL;
        call->free_extra = free;
        if (call->extra == NULL)
                return false;
        docker_call_continue(call, &LOOK, docker_text("/libpod/containers/%s/exists", (const char *)call->extra), NULL);
        return true;
}
