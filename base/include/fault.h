/* The one error object: what kind of failure, the errno, and a sentence for a person that says
 * what to do next. Its maker is the return expression:
 *
 *   return fault_set(why, FAULT_USER_ID_INVALID, EINVAL, "user id %s is too long", id);
 *
 * `why` may be NULL wherever a function takes one. docs/errors.md explains every kind. */
#pragma once

#include <stdbool.h>

enum fault_kind {
        FAULT_NONE,
        FAULT_CANCELLED,           /* the caller gave up, or carreld is being stopped */
        FAULT_CARREL_FROZEN,       /* an admin has frozen it: nothing in it runs */
        FAULT_CARREL_LOST,         /* the container died under a running exec */
        FAULT_DEADLINE,            /* no answer in time */
        FAULT_ENGINE_REFUSED,      /* the engine answered, and its answer was no */
        FAULT_ENGINE_UNAVAILABLE,  /* the engine does not answer */
        FAULT_EXEC_ID_TAKEN,       /* the client's exec id is that of another request */
        FAULT_FILE_REFUSED,        /* the carrel's own system refused a file operation */
        FAULT_FORBIDDEN,           /* the peer's role does not allow this */
        FAULT_HARDENING_MISSING,   /* a started container lacks a promise of the template */
        FAULT_HISTORY_GONE,        /* events of an exec that are not kept any more */
        FAULT_IMAGE_IN_USE,        /* a container uses the image */
        FAULT_IMAGE_MISSING,       /* the engine does not have the image */
        FAULT_IMAGE_REFUSED,       /* an image archive is malformed or hostile */
        FAULT_INTERNAL,            /* a bug, or the kernel refused what it should not */
        FAULT_METHOD_NOT_ALLOWED,  /* the path exists, with other methods */
        FAULT_NAME_TAKEN,          /* a foreign container has the carrel's name */
        FAULT_NOT_FOUND,           /* no such carrel, exec, container or path */
        FAULT_POLICY_NOT_IN_FORCE, /* the egress rules are not in the kernel: fail closed */
        FAULT_POOL_FULL,           /* max_carrels is reached */
        FAULT_QUEUE_FULL,          /* too many starts wait already */
        FAULT_REQUEST_INVALID,     /* malformed request */
        FAULT_REQUEST_TOO_LARGE,   /* body over its bound */
        FAULT_RESOURCE_EXHAUSTED,  /* out of addresses, descriptors, disk, memory */
        FAULT_SETTING_INVALID,     /* a setting is unknown or out of range */
        FAULT_SPEC_CONFLICT,       /* running with another spec, and on_conflict=fail or it is in use */
        FAULT_STORAGE_FULL,        /* a file system has no room, or no inodes */
        FAULT_USER_ID_INVALID,     /* the id is outside the grammar */
        FAULT_KINDS                /* their number, not a kind */
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

/* Fills *why (if not NULL) and returns -err; an err of 0 returns -EIO so that a fault is never a success. */
int fault_set(struct fault *why, enum fault_kind kind, int err, const char *format, ...)
        __attribute__((format(printf, 4, 5), cold));

/* Copies `from` to `to` (if not NULL) and returns from's negative errno (-EIO when it has none). */
int fault_pass(struct fault *to, const struct fault *from);

/* The stable snake_case code of a kind, as in the API's "code" ("user_id_invalid"). Never NULL. */
const char *fault_code(enum fault_kind kind);

/* Whether the same request may succeed later without being changed. */
bool fault_is_retryable(enum fault_kind kind);
