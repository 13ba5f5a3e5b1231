/* One job from within; inside the pool room only. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "exec-output.h"
#include "job-registry.h"
#include "jobs.h"
#include "pool.h"
#include "text-tail.h"

struct jobs {
        struct ev_loop *loop;
        struct pool *pool;
        struct job_registry *registry; /* NULL: none, or let go of */
        struct jobs_options options;
        struct job *by_id;
        struct list ended;  /* that nobody follows, the oldest first */
        unsigned n_ended;   /* in that list */
        size_t bytes;       /* of all rings and kept outputs */
        size_t asked_bytes; /* of what has not begun: requests, and their jobs */
        ev_timer expiry;    /* of the oldest */
};

struct job {
        UT_hash_handle hh;
        struct list ended_node; /* in jobs->ended */
        struct jobs *jobs;
        char id[EXEC_ID_BYTES];
        char user[USER_ID_MAX + 1];
        unsigned char digest[JOB_DIGEST_BYTES];
        char *program, *command;
        enum job_state state;
        bool is_detached;
        bool is_keeping_outputs;
        bool has_started;    /* a program may have run */
        bool is_restored;    /* from the registry */
        int slot;            /* in the registry; -1: none */
        uint64_t generation; /* of its carrel */
        bool is_second_try;  /* its first carrel was lost before anything had started */

        struct exec_request request; /* until it has started */
        void *owner;                 /* of its texts */
        size_t asked_bytes;          /* what it counts for in jobs->asked_bytes */
        void (*release)(void *owner);
        struct pool_wait *wait;
        struct exec *exec; /* NULL: not started, or over */

        struct exec_ring ring;
        struct text_tail tails[2];     /* of stdout, stderr */
        struct exec_output outputs[2]; /* with is_keeping_outputs */
        struct list followers;
        unsigned n_holders, n_paused;
        struct exec_result result;
        struct fault why;
        int64_t created_ms;
        int64_t kept_since_ms; /* its end, or the going of its last follower */
};

/* In the table, and nothing done yet. Takes request's owner, on failure too. */
int job_new(struct job **ret_job, struct jobs *jobs, struct job_request *request);
void job_begin(struct job *job);
/* Cancels silently what runs. */
void job_free(struct job *job);
/* Its last event, for all to see. result and why are in it. */
void job_finish(struct job *job, enum job_state state);
/* Takes up what an earlier process left (job-restore.c). 0 or -ENOMEM. */
int jobs_restore(struct jobs *jobs);

/* An ended job that nobody follows is kept from now on. */
void jobs_keep(struct job *job);
/* Lets go of ended jobs, the oldest first, until all bounds hold or none is left. */
void jobs_trim(struct jobs *jobs);
/* Sets the timer to when the oldest is due. */
void jobs_await_expiry(struct jobs *jobs);
