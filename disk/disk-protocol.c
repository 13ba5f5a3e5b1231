#include "disk-protocol.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "disk.h"

_Static_assert(sizeof(struct disk_order) == 16 + 8 + 16 + 72, "no padding");
_Static_assert(sizeof(struct disk_answer) == 16 + 8 + 256, "no padding");
_Static_assert(sizeof(struct disk_answer) <= HELPER_MESSAGE_MAX, "fits a message");

static int refuse(struct fault *why, const char *problem)
{
        return fault_set(why, FAULT_INTERNAL, EINVAL, "malformed request to carrel-diskd: %s", problem);
}

/* A user id becomes a part of file names. */
static bool is_user(const char *user)
{
        size_t length = strnlen(user, DISK_USER_BYTES);

        return length > 0 && length < DISK_USER_BYTES && user[0] != '.' && memchr(user, '/', length) == NULL;
}

static bool is_id(uint32_t id)
{
        return id != 0 && id != UINT32_MAX;
}

int disk_check_order(const struct disk_order *order, size_t length, size_t n_fds, struct fault *why)
{
        if (!helper_is_head(&order->head, length, DISK_MAGIC, DISK_VERSION))
                return -EPROTO;
        if (order->head.verb != DISK_MOUNT || length != sizeof *order)
                return refuse(why, "verb or size");
        if (n_fds != 1)
                return refuse(why, "the number of descriptors");
        if (!is_user(order->user))
                return refuse(why, "the user");
        if (!is_id(order->owner_uid) || !is_id(order->owner_gid))
                return refuse(why, "an id that may not own a user's files");
        if (order->size_bytes < DISK_SIZE_MIN || order->size_bytes > DISK_SIZE_MAX || order->files < DISK_FILES_MIN ||
            order->files > DISK_FILES_MAX)
                return refuse(why, "the size");
        return 0;
}

int disk_check_answer(const struct disk_answer *answer, size_t length)
{
        if (length != sizeof *answer || !helper_is_head(&answer->head, length, DISK_MAGIC, DISK_VERSION))
                return -EPROTO;
        if (answer->head.verb < DISK_MOUNT || answer->head.verb > DISK_REPORT || answer->kind >= FAULT_KINDS ||
            answer->err > INT32_MAX)
                return -EPROTO;
        return memchr(answer->message, '\0', sizeof answer->message) != NULL ? 0 : -EPROTO;
}
