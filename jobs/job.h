/* One job, and the state of all. */
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

/* The shares of the users. */
enum job_thing {
        JOB_RECORDS, /* jobs, whatever their state */
        JOB_ASKED,   /* bytes of the waiting jobs and their requests */
        JOB_HISTORY, /* bytes of all rings and kept outputs */
        JOB_OUTPUTS, /* ended jobs with output and without followers */
        JOB_THINGS
};

_Static_assert((int)JOB_THINGS <= (int)SHARER_THINGS, "room for all of them");

struct jobs {
        struct ev_loop *loop;
        struct pool *pool;
        struct job_registry *registry; /* NULL: there is no registry, or it was released */
        struct jobs_options options;
        struct job *by_id;
        struct jobs_walk *walks; /* that are under way */
        struct list ended;       /* without followers, the oldest first */
        struct list outputs;     /* those of `ended` that have output, the oldest first */
        struct share shares[JOB_THINGS];
        struct sharers users; /* sharer->things: the user's jobs in `outputs`, the oldest first */
        ev_timer expiry;      /* of the oldest in `ended` */
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
        bool is_bare;        /* it has ended, and its output was dropped */
        int slot;            /* in the registry; -1: it has no slot */
        uint64_t generation; /* of its carrel */
        bool is_second_try;  /* its first carrel was lost before the program started */

        struct exec_request request; /* until it has started */
        const char *profile;         /* the same */
        void *owner;                 /* of the request's texts */
        size_t asked_bytes;          /* its part of JOB_ASKED */
        void (*release)(void *owner);
        struct pool_wait *wait;
        struct exec *exec; /* NULL: not started, or ended */

        struct exec_ring ring;
        struct text_tail tails[2];     /* of stdout, stderr */
        struct exec_output outputs[2]; /* with is_keeping_outputs */
        struct list followers;
        unsigned n_holders, n_paused;
        struct exec_result result;
        struct fault why;
        int64_t created_ms;
        int64_t kept_since_ms; /* when it ended, or lost its last follower if that was later */
};

/* Makes a job and enters it; job_begin starts it. Takes request->owner, also on failure. */
int job_new(struct job **ret_job, struct jobs *jobs, struct job_request *request);
void job_begin(struct job *job);
/* Cancels its exec without an event. */
void job_free(struct job *job);
/* Adds it to the table and the shares. Its id, user and jobs must be set. 0 or -ENOMEM. */
int job_enter(struct job *job);
/* Drops its events and outputs. Returns the bytes that this freed. */
size_t job_drop_output(struct job *job);
/* Ends the job and writes its last event. job->result or job->why must be set. */
void job_finish(struct job *job, enum job_state state);
/* Restores the jobs of an earlier process (job-restore.c). 0 or -ENOMEM. */
int jobs_restore(struct jobs *jobs);

/* Keeps an ended job without followers, for keep_s from now. */
void jobs_keep(struct job *job);
/* Adds to, or subtracts from, the job's part of JOB_HISTORY. */
void job_charge(struct job *job, size_t bytes);
void job_discharge(struct job *job, size_t bytes);
/* Makes room for what has been charged: drops outputs of ended jobs, the user's own if he has more than his part.
 * False: that was not enough. */
bool jobs_make_room(struct job *job, enum job_thing thing, size_t wanted);
/* Removes the job from the lists of jobs with output. */
void jobs_release_output(struct job *job);
/* Sets the expiry timer for the oldest ended job. */
void jobs_await_expiry(struct jobs *jobs);
