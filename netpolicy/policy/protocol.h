/* The messages between carreld and carrel-netd: verbs and bodies. How they travel is in helper-frame.h. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "helper-frame.h"
#include "policy.h"

enum {
        PROTOCOL_MAGIC = 0x6c637263,
        PROTOCOL_VERSION = 3,
        PROTOCOL_ID_BYTES = 132, /* of a container's id: 12 to 128 of [A-Za-z0-9_.-] */
        PROTOCOL_ID_LEAST = 12,
        PROTOCOL_INTERVAL_LEAST_MS = 50,
        PROTOCOL_INTERVAL_MOST_MS = 60000,
};

enum protocol_verb {
        PROTOCOL_APPLY = 1, /* puts a policy in force and keeps it in force */
        PROTOCOL_CONFIRM,   /* compares the rules with the kernel now */
        PROTOCOL_PLUG,      /* connects a process's network namespace */
        PROTOCOL_OPEN,      /* opens a link that was plugged closed */
        PROTOCOL_REPORT,    /* not a request: sent after every check */
};

struct protocol_apply {
        struct policy policy;
        uint32_t check_interval_ms;
        uint32_t was_in_force; /* 0 or 1: this policy has been in force, so missing rules were removed by others */
};

struct protocol_plug {
        int32_t pid;
        char container_id[PROTOCOL_ID_BYTES];
        uint32_t is_closed; /* 0 or 1 */
};

struct protocol_open {
        int32_t pid;
        char interface[16];
};

struct protocol_request {
        struct helper_head head;
        union {
                struct protocol_apply apply;
                struct protocol_plug plug;
                struct protocol_open open;
        };
};

/* The state of the policy, in every reply. */
struct protocol_state {
        int64_t checked_ms; /* CLOCK_BOOTTIME of the last comparison with the kernel */
        uint64_t heals;     /* since the helper started */
        uint64_t dropped_packets, refused_packets;
        uint32_t is_in_force;
        uint32_t flows, table_size, flows_max; /* as in struct enforcer_state */
        char detail[192];
};

struct protocol_reply {
        struct helper_head head;
        uint32_t kind; /* enum fault_kind; FAULT_NONE: done */
        uint32_t err;
        char message[256];
        char interface[16]; /* of a successful PLUG */
        char address[16];
        struct protocol_state state;
};

/* The size of a request with this verb; 0 for any other verb. */
size_t protocol_request_size(uint16_t verb);

/* Both check every field of a message from the socket, and that texts are terminated. 0 or -EPROTO with why. */
__attribute__((warn_unused_result)) int protocol_check_request(const struct protocol_request *request, size_t length,
                                                               struct fault *why);
__attribute__((warn_unused_result)) int protocol_check_reply(const struct protocol_reply *reply, size_t length);
