/* The freezer of a control group: what is in the group, and in groups below, does not run until it is thawed.
 *
 * cgroup v1: freezer.state (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst). cgroup v2: cgroup.freeze, and
 * the line "frozen" in cgroup.events (cgroup-v2.rst). A write takes microseconds and does not wait. On v1 the group is
 * mostly frozen when the write returns, on v2 about a millisecond later. */
#pragma once

#include <stdbool.h>

#include "cgroup.h"

enum freezer_kind { FREEZER_NONE, FREEZER_V1, FREEZER_V2 };

struct freezer {
        enum freezer_kind kind;
        int directory; /* the group; -1 with NONE */
        int state;     /* the file that says whether it is frozen; -1: not open */
};
#define FREEZER_CLOSED ((struct freezer){ .kind = FREEZER_NONE, .directory = -1, .state = -1 })

/* Opens the group at path; *ret_freezer is FREEZER_CLOSED if it cannot be opened. */
void freezer_open_at(struct freezer *ret_freezer, enum freezer_kind kind, const char *path);
/* Finds the group of a container by its init, in v1's freezer hierarchy, else in v2's. FREEZER_CLOSED: not found. */
void freezer_open(struct freezer *ret_freezer, const struct cgroup_mounts *mounts, pid_t init,
                  const char *container_id);
void freezer_close(struct freezer *freezer);

/* Whether the whole group is frozen, by itself or by a group above it. Some microseconds: the file stays open. */
bool freezer_is_frozen(const struct freezer *freezer);
/* Freezes or thaws the group, without waiting. A frozen group above it keeps it frozen. 0 or a negative errno;
 * -EOPNOTSUPP with NONE. */
int freezer_set(const struct freezer *freezer, bool is_frozen);

/* The same for a group whose directory is open. */
int freezer_set_at(enum freezer_kind kind, int directory, bool is_frozen);
/* Looks at the state until it is frozen, for a bounded number of times. */
void freezer_await_at(enum freezer_kind kind, int directory);

/* cgroup v1: keeps one empty group of the host frozen. When the first group is frozen and when the last one is thawed,
 * the kernel switches a slow path for all processes (freezer_active in kernel/cgroup/legacy_freezer.c), and the caller
 * waits 0.7 to 4.5 ms. While another group is frozen, a freeze takes 0.01 ms. All carrelds of the host share the group;
 * the first that ends removes it, and the others wait again. */
void freezer_pin(const struct cgroup_mounts *mounts);
void freezer_unpin(const struct cgroup_mounts *mounts);
