/* The messages between carreld and carrel-mountd: verbs and bodies. How they travel is in helper-frame.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "helper-frame.h"

enum { ATTACH_MAGIC = 0x746d7263, ATTACH_VERSION = 2 };

enum attach_verb {
        ATTACH_MOUNT = 1, /* comes with two descriptors: enum attach_fds */
        ATTACH_REPORT,    /* not a request: sent once, at the start */
};

enum attach_fds { ATTACH_PIDFD, ATTACH_DIRECTORY, ATTACH_FDS };

/* As in struct attach_request. */
struct attach_ids {
        uint32_t owner_uid, owner_gid;
        uint32_t uid, gid;
};

struct attach_order {
        struct helper_head head;
        struct attach_ids ids;
        uint32_t is_detached; /* 0 or 1 */
        uint32_t unused;
};

/* The parts of a REPORT. */
enum { ATTACH_CAN_MOUNT = 1, ATTACH_CAN_MAP = 2, ATTACH_CAN_ALL = ATTACH_CAN_MOUNT | ATTACH_CAN_MAP };

struct attach_answer {
        struct helper_head head;
        uint32_t kind; /* enum fault_kind; FAULT_NONE: done, or all is possible */
        uint32_t err;
        uint32_t can; /* of a REPORT, else 0 */
        uint32_t unused;
        char message[256];
};

/* Ids that may own a user's directory: neither root nor "no id" (-1, chown(2)). */
bool attach_ids_are_valid(const struct attach_ids *ids);

/* Both check every field of a message from the socket. order: 0; -EINVAL with why: it can be answered; -EPROTO: it has
 * not even our head. answer: 0 or -EPROTO. */
__attribute__((warn_unused_result)) int attach_check_order(const struct attach_order *order, size_t length,
                                                           size_t n_fds, struct fault *why);
__attribute__((warn_unused_result)) int attach_check_answer(const struct attach_answer *answer, size_t length);
