/* A container as exec sees it, made without an engine: an init in a pid namespace and a cgroup of its own,
 * and programs that enter it from outside as an engine's exec does. Needs root and a writable cgroup hierarchy. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { CELL_ID_BYTES = 65, CELL_PATH_BYTES = 640 };

enum { CELL_JOINS = 2 };

struct cell {
        char id[CELL_ID_BYTES];
        char directory[CELL_PATH_BYTES]; /* of the cgroup */
        pid_t init;
        pid_t parent;          /* init's parent, our child */
        int joins[CELL_JOINS]; /* files that each exec's root writes "0" into first, in order; 0: none */
};

/* 0, or a negative errno where this machine does not allow it. */
int cell_make(struct cell *ret_cell);
/* Limits the number of processes. 0 or a negative errno. */
int cell_limit_pids(const struct cell *cell, int most);
/* Kills everything inside. */
void cell_destroy(struct cell *cell);

/* The behaviour of an exec's root process. Every process of the exec holds the write end of one pipe. */
enum cell_shape {
        SHAPE_PLAIN,       /* waits */
        SHAPE_FAMILY,      /* a child and a grandchild */
        SHAPE_SETSID,      /* a child that left the session, with a child of its own */
        SHAPE_DOUBLE_FORK, /* an orphan in the root's session */
        SHAPE_DAEMON,      /* an orphan in a session of its own */
        SHAPE_STUBBORN,    /* a family that ignores every signal it can */
        SHAPE_LEADERLESS,  /* its first thread has ended, another goes on: a zombie by its state */
        SHAPE_FORKING,     /* forks and waits, again and again */
        SHAPE_GREEDY,      /* forks until it is refused */
        SHAPES
};

struct cell_exec {
        pid_t shim; /* the root's parent, our child, outside */
        pid_t root;
        int alive_fd; /* reaches its end when every process of the exec is gone */
};

/* Returns when all processes of the shape stand. */
int cell_run(const struct cell *cell, enum cell_shape shape, struct cell_exec *ret_exec);
/* Whether all processes of it are gone; waits for that for at most wait_ms. */
bool cell_exec_is_gone(const struct cell_exec *exec, int wait_ms);
/* Kills the root if it still lives, and closes the pipe. */
void cell_exec_end(struct cell_exec *exec);
