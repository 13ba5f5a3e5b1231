/* Reads a hostile tree, one entry at a time: directories before their content (WALK_ENTER) and again after it
 * (WALK_LEAVE). Memory grows with the depth only, descriptors are bounded (trail.h). A tree that changes meanwhile is
 * never left; what vanishes is skipped and counted. */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

enum walk_kind { WALK_ENTRY, WALK_ENTER, WALK_LEAVE, WALK_END };

struct walk_step {
        enum walk_kind kind;
        int directory_fd;   /* that name is in, borrowed; of ENTER and LEAVE: the directory itself */
        const char *name;   /* valid until the next step; "": the root */
        struct stat status; /* never of a link's target; of LEAVE as at ENTER */
};

struct walk;

/* root_fd: open for reading; borrowed. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int walk_new(struct walk **ret_walk, int root_fd);
struct walk *walk_free(struct walk *walk);

/* The first step enters the root, and the one before WALK_END leaves it. 0 or a negative errno (as those of trail.h),
 * with which the walk is over. */
__attribute__((warn_unused_result)) int walk_next(struct walk *walk, struct walk_step *ret_step);

/* The entries that vanished or became something else between two looks. */
uint64_t walk_changed(const struct walk *walk);
