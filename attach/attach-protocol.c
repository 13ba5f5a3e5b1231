#include "attach-protocol.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct attach_order) == 16 + 16 + 8, "no padding");
_Static_assert(sizeof(struct attach_answer) == 16 + 16 + 256, "no padding");
_Static_assert(sizeof(struct attach_answer) <= HELPER_MESSAGE_MAX, "fits a message");

bool attach_ids_are_valid(const struct attach_ids *ids)
{
        const uint32_t all[] = { ids->owner_uid, ids->owner_gid, ids->uid, ids->gid };

        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                if (all[i] == 0 || all[i] == UINT32_MAX)
                        return false;
        return true;
}

static int refuse(struct fault *why, const char *problem)
{
        return fault_set(why, FAULT_INTERNAL, EINVAL, "malformed request to carrel-mountd: %s", problem);
}

int attach_check_order(const struct attach_order *order, size_t length, size_t n_fds, struct fault *why)
{
        if (!helper_is_head(&order->head, length, ATTACH_MAGIC, ATTACH_VERSION))
                return -EPROTO;
        if (order->head.verb != ATTACH_MOUNT || length != sizeof *order)
                return refuse(why, "verb or size");
        if (n_fds != ATTACH_FDS)
                return refuse(why, "the number of descriptors");
        if (order->is_detached > 1)
                return refuse(why, "a flag");
        return attach_ids_are_valid(&order->ids) ? 0 : refuse(why, "an id that may not own a user's files");
}

int attach_check_answer(const struct attach_answer *answer, size_t length)
{
        if (length != sizeof *answer || !helper_is_head(&answer->head, length, ATTACH_MAGIC, ATTACH_VERSION))
                return -EPROTO;
        if (answer->head.verb < ATTACH_MOUNT || answer->head.verb > ATTACH_REPORT || answer->kind >= FAULT_KINDS ||
            answer->err > INT32_MAX || (answer->can & ~(uint32_t)ATTACH_CAN_ALL) != 0)
                return -EPROTO;
        return memchr(answer->message, '\0', sizeof answer->message) != NULL ? 0 : -EPROTO;
}
