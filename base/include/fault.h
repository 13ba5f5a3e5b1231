/* The one error object: the kind of failure, the errno, and a sentence for a person that says what to do. fault_set
 * fills it and is the return expression:
 *
 *   return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "user id %s is too long", id);
 *
 * `why` may be NULL in every function that takes one. docs/errors.md explains every kind. */
#pragma once

#include <stdbool.h>

enum fault_kind {
        FAULT_NONE,
        FAULT_CANCELLED,           /* the caller gave up, or carreld is being stopped */
        FAULT_CARREL_BUSY,         /* it cannot be frozen: something uses it, or its state is another */
        FAULT_CARREL_FROZEN,       /* an admin has frozen it: nothing in it runs */
        FAULT_CARREL_LOST,         /* the container died under a running exec */
        FAULT_DEADLINE,            /* no answer in time */
        FAULT_ENGINE_REFUSED,      /* the engine answered with a refusal */
        FAULT_ENGINE_UNAVAILABLE,  /* the engine does not answer */
        FAULT_EXEC_ID_TAKEN,       /* another request has the client's exec id */
        FAULT_FILE_REFUSED,        /* the system inside the carrel refused a file operation */
        FAULT_FORBIDDEN,           /* the peer's role does not allow this */
        FAULT_HARDENING_MISSING,   /* a started container lacks hardening that the template promises */
        FAULT_HISTORY_GONE,        /* the requested events of an exec are no longer kept */
        FAULT_IMAGE_IN_USE,        /* a container uses the image */
        FAULT_IMAGE_MISSING,       /* the engine does not have the image */
        FAULT_IMAGE_REFUSED,       /* an image archive is malformed or hostile */
        FAULT_INTERNAL,            /* a bug, or the kernel refused what it should not */
        FAULT_METHOD_NOT_ALLOWED,  /* the path exists, but not with this method */
        FAULT_NAME_TAKEN,          /* a foreign container has the carrel's name */
        FAULT_NOT_FOUND,           /* no such carrel, exec, container or path */
        FAULT_POLICY_NOT_IN_FORCE, /* the egress rules are not in the kernel: fail closed */
        FAULT_POOL_FULL,           /* max_carrels is reached */
        FAULT_QUEUE_FULL,          /* too many starts or execs wait already */
        FAULT_REQUEST_INVALID,     /* malformed request */
        FAULT_REQUEST_TOO_LARGE,   /* the body exceeds its bound */
        FAULT_RESOURCE_EXHAUSTED,  /* out of addresses, descriptors, disk, memory */
        FAULT_SETTING_INVALID,     /* a setting is unknown or out of range */
        FAULT_SPEC_CONFLICT,       /* the carrel has another spec, and is in use or on_conflict is fail */
        FAULT_STORAGE_FULL,        /* a file system has no room, or no inodes */
        FAULT_USER_ID_INVALID,     /* the id does not match the grammar */
        FAULT_KINDS                /* the number of kinds */
};

struct fault {
        enum fault_kind kind;
        int err;                /* positive errno, or 0 */
        unsigned retry_after_s; /* a hint for the client; 0: none */
        char message[256];      /* one sentence, UTF-8, no newline */
};

/* Receives every failure of a check that goes on after the first. NULL: the check ends with the first. */
struct fault_listener {
        void (*on_fault)(void *arg, const struct fault *why);
        void *arg;
};

/* Fills *why and returns -err, or -EIO if err is 0, so that a fault never looks like success. */
int fault_set(struct fault *why, enum fault_kind kind, int err, const char *format, ...)
        __attribute__((format(printf, 4, 5), cold));

/* Copies `from` to `to` and returns from's negative errno, or -EIO if it has no errno. */
int fault_pass(struct fault *to, const struct fault *from);

/* The stable snake_case code of a kind, as in the API's "code" ("user_id_invalid"). Never NULL. */
const char *fault_code(enum fault_kind kind);

/* Whether the same request may succeed later without a change. */
bool fault_is_retryable(enum fault_kind kind);
