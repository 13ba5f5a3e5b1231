/* The state of userfiles, as its parts see it. */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "list.h"
#include "pool.h"
#include "storage.h"
#include "userfiles.h"

enum { TREE_NAME_BYTES = 40 };

struct userfiles {
        struct ev_loop *loop;
        struct pool *pool;
        struct storage *storage;
        struct userfiles_options options;
        int erased_fd;
        int snapshots_fd;
        struct list operations; /* of snapshots.c */
        struct list waits;      /* that wait for the end of a carrel */
        struct list pending;    /* struct erasure: to be removed */
        unsigned n_running;
        ev_timer retry;
        struct userfiles_stats stats;
};

/* 0 or -EIO. */
__attribute__((warn_unused_result)) int userfiles_random_name(char ret_name[static TREE_NAME_BYTES]);
/* Makes a directory (0700) if it is absent, and opens it. 0 or a negative errno. */
__attribute__((warn_unused_result)) int userfiles_open_directory(int users_fd, const char *name, int *ret_fd);
/* Moves a directory away, to be removed. Its owner must be that of the files in it. */
void userfiles_discard(struct userfiles *files, int from_fd, const char *name);

/* snapshots.c: opens its directory, and discards what a killed carreld has left. 0 or a negative errno. */
__attribute__((warn_unused_result)) int snapshots_begin(struct userfiles *files);
void snapshots_end(struct userfiles *files);
/* FAULT_CARREL_BUSY: a copy of the user's files runs. */
int snapshots_check_quiet(const struct userfiles *files, const char *user, struct fault *why);
/* Whether the user had some. */
bool snapshots_discard_all(struct userfiles *files, const char *user);
