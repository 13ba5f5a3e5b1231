#include "protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "str.h"

_Static_assert(sizeof(struct protocol_request) == 16 + sizeof(struct protocol_apply), "no padding");
_Static_assert(sizeof(struct protocol_reply) == 24 + 256 + 32 + sizeof(struct protocol_state), "no padding");
_Static_assert(sizeof(struct protocol_state) == 32 + 208, "no padding");
_Static_assert(sizeof(struct protocol_request) <= HELPER_MESSAGE_MAX, "fits a message");
_Static_assert(sizeof(struct protocol_reply) <= HELPER_MESSAGE_MAX, "fits a message");

static const char ID_CHARACTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

static int refuse(struct fault *why, const char *problem)
{
        return fault_set(why, FAULT_INTERNAL, EPROTO, "malformed request to carrel-netd: %s", problem);
}

static int check_apply(const struct protocol_apply *apply, struct fault *why)
{
        if (apply->check_interval_ms < PROTOCOL_INTERVAL_LEAST_MS ||
            apply->check_interval_ms > PROTOCOL_INTERVAL_MOST_MS)
                return refuse(why, "check_interval_ms");
        if (apply->was_in_force > 1)
                return refuse(why, "was_in_force");
        return policy_validate(&apply->policy, why) < 0 ? -EPROTO : 0;
}

static int check_plug(const struct protocol_plug *plug, struct fault *why)
{
        size_t length = strnlen(plug->container_id, sizeof plug->container_id);

        if (plug->pid <= 1)
                return refuse(why, "pid");
        if (plug->is_closed > 1)
                return refuse(why, "is_closed");
        if (length < PROTOCOL_ID_LEAST || length == sizeof plug->container_id ||
            strspn(plug->container_id, ID_CHARACTERS) != length)
                return refuse(why, "the container id must be 12 to 128 letters, digits, _, . or -");
        return 0;
}

static int check_open(const struct protocol_open *request, struct fault *why)
{
        size_t length = strnlen(request->interface, sizeof request->interface);

        if (request->pid <= 1)
                return refuse(why, "pid");
        if (length == 0 || length == sizeof request->interface || strspn(request->interface, ID_CHARACTERS) != length)
                return refuse(why, "interface");
        return 0;
}

size_t protocol_request_size(uint16_t verb)
{
        static const size_t BODIES[] = {
                [PROTOCOL_APPLY] = sizeof(struct protocol_apply),
                [PROTOCOL_CONFIRM] = 0,
                [PROTOCOL_PLUG] = sizeof(struct protocol_plug),
                [PROTOCOL_OPEN] = sizeof(struct protocol_open),
        };

        if (verb < PROTOCOL_APPLY || verb > PROTOCOL_OPEN)
                return 0;
        return offsetof(struct protocol_request, apply) + BODIES[verb];
}

int protocol_check_request(const struct protocol_request *request, size_t length, struct fault *why)
{
        if (!helper_is_head(&request->head, length, PROTOCOL_MAGIC, PROTOCOL_VERSION) ||
            length != protocol_request_size(request->head.verb))
                return refuse(why, "magic, version, verb or size");
        switch (request->head.verb) {
        case PROTOCOL_APPLY:
                return check_apply(&request->apply, why);
        case PROTOCOL_CONFIRM:
                return 0;
        case PROTOCOL_OPEN:
                return check_open(&request->open, why);
        default:
                return check_plug(&request->plug, why);
        }
}

static bool has_end(const char *text, size_t size)
{
        return memchr(text, '\0', size) != NULL;
}

int protocol_check_reply(const struct protocol_reply *reply, size_t length)
{
        if (length != sizeof *reply || !helper_is_head(&reply->head, length, PROTOCOL_MAGIC, PROTOCOL_VERSION))
                return -EPROTO;
        if (reply->head.verb < PROTOCOL_APPLY || reply->head.verb > PROTOCOL_REPORT || reply->kind >= FAULT_KINDS)
                return -EPROTO;
        if (!has_end(reply->message, sizeof reply->message) || !has_end(reply->interface, sizeof reply->interface) ||
            !has_end(reply->address, sizeof reply->address) ||
            !has_end(reply->state.detail, sizeof reply->state.detail))
                return -EPROTO;
        return 0;
}
