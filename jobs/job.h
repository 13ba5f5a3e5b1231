/* One job from within; inside the pool room only. */
#pragma once

#include <ev.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "exec-output.h"
#include "job-registry.h"
#include "jobs.h"
#include "pool.h"
#include "share.h"
#include "text-tail.h"

/* The state that users share. */
enum job_thing {
        JOB_RECORDS, /* jobs, whatever their state */
        JOB_ASKED,   /* bytes of what has not begun: requests, and their jobs */
        JOB_HISTORY, /* bytes of all rings and kept outputs */
        JOB_OUTPUTS, /* ended jobs that have output and are followed by nobody */
        JOB_THINGS
};

_Static_assert((int)JOB_THINGS <= (int)SHARER_THINGS, "room for all of them");

struct jobs {
        struct ev_loop *loop;
        struct pool *pool;
        struct job_registry *registry; /* NULL: none, or let go of */
        struct jobs_options options;
        struct job *by_id;
        struct jobs_walk *walks; /* over them */
        struct list ended;       /* that nobody follows, the oldest first */
        struct list outputs;     /* those of them that have output, the oldest first */
        struct share shares[JOB_THINGS];
        struct sharers users; /* whose `things` are their own in `outputs`, the oldest first */
        ev_timer expiry;      /* of the oldest */
};

struct job {
        UT_hash_handle hh;
        struct list ended_node;  /* in jobs->ended */
        struct list output_node; /* in jobs->outputs */
        struct list own_node;    /* in sharer->things */
        struct sharer *sharer;
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
        bool is_bare;        /* it has ended, and its output had to go */
        int slot;            /* in the registry; -1: none */
        uint64_t generation; /* of its carrel */
        bool is_second_try;  /* its first carrel was lost before anything had started */

        struct exec_request request; /* until it has started */
        void *owner;                 /* of its texts */
        size_t asked_bytes;          /* what it counts for of JOB_ASKED */
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
/* Into the table and the shares; its id, user and jobs are there. 0 or -ENOMEM. */
int job_enter(struct job *job);
/* Its events and outputs, and their memory; how many bytes that was. */
size_t job_drop_output(struct job *job);
/* Its last event, for all to see. result and why are in it. */
void job_finish(struct job *job, enum job_state state);
/* Takes up what an earlier process left (job-restore.c). 0 or -ENOMEM. */
int jobs_restore(struct jobs *jobs);

/* An ended job that nobody follows is kept from now on. */
void jobs_keep(struct job *job);
/* Counts so much more, or less, of the job's history. */
void job_charge(struct job *job, size_t bytes);
void job_discharge(struct job *job, size_t bytes);
/* Makes room for what has been charged: outputs of ended jobs go, the user's own where he has more than his part.
 * false: that was not enough. */
bool jobs_make_room(struct job *job, enum job_thing thing, size_t wanted);
/* Out of the lists of those whose output is kept. */
void jobs_release_output(struct job *job);
/* Sets the timer to when the oldest is due. */
void jobs_await_expiry(struct jobs *jobs);
