/* The messages between carreld and carrel-diskd: verbs and bodies. How they travel is in helper-frame.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "helper-frame.h"

enum { DISK_MAGIC = 0x6b736463, DISK_VERSION = 1, DISK_USER_BYTES = 72 };

enum disk_verb {
        DISK_MOUNT = 1, /* comes with the descriptor of users_dir; a good answer has that of the mount */
        DISK_REPORT,    /* not a request: sent once, at the start */
};

struct disk_order {
        struct helper_head head;
        uint32_t owner_uid, owner_gid; /* of the files; never 0 */
        uint64_t size_bytes;
        uint64_t files; /* inodes */
        char user[DISK_USER_BYTES];
};

struct disk_answer {
        struct helper_head head;
        uint32_t kind; /* enum fault_kind; FAULT_NONE: done, or all is possible */
        uint32_t err;
        char message[256];
};

/* Both check every field of a message from the socket. order: 0; -EINVAL with why: it can be answered; -EPROTO: it has
 * not even our head. answer: 0 or -EPROTO. */
__attribute__((warn_unused_result)) int disk_check_order(const struct disk_order *order, size_t length, size_t n_fds,
                                                         struct fault *why);
__attribute__((warn_unused_result)) int disk_check_answer(const struct disk_answer *answer, size_t length);
