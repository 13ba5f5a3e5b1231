/* Jobs: execs that can be found again by their id. An exec is a job if it is detached or its client chose its id. A
 * ring keeps the job's events while it runs and for some time after its end. Everything is bounded: bytes per job,
 * bytes in total, the number of jobs, and the time they are kept. One user has a part of each bound (share.h). Above a
 * bound, output is dropped. The job's record and its end are kept for keep_s, so that a retry does not run it again.
 * They outlive carreld (job-registry.h); events do not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exec-ring.h"
#include "exec.h"
#include "fault.h"
#include "list.h"

struct ev_loop;
struct job;
struct job_registry;
struct jobs;
struct pool;

enum { JOB_DIGEST_BYTES = 32 };

struct jobs_options {
        size_t ring_bytes;    /* of one job's events */
        size_t total_bytes;   /* of all jobs' events and outputs. Above it the output of the oldest ended jobs is
                               * dropped, then the oldest events. The requests of waiting jobs have as much again; above
                               * that a new job is refused */
        unsigned max_outputs; /* ended jobs that keep their output */
        unsigned max_records; /* jobs; above it a new job is refused. No job is forgotten before keep_s */
        double keep_s;        /* how long an ended job is kept */
};

enum job_state {
        JOB_WAITING, /* for its carrel */
        JOB_RUNNING,
        JOB_ENDED,  /* it has a result */
        JOB_FAILED, /* it has a fault: nothing was started, or its end is not known */
        JOB_STATES
};
const char *job_state_name(enum job_state state); /* "waiting", ... */

/* Valid until the next turn of the loop. */
struct job_view {
        const char *exec_id;
        const char *user;
        const char *program;
        const char *command; /* of exec_command; only the program if the job is restored */
        enum job_state state;
        bool is_detached;
        bool is_restored; /* from an earlier carreld: events before first_seq are not kept */
        bool is_bare;     /* it has no output: it is restored, or its output was dropped */
        double age_s;
        uint64_t first_seq, next_seq;     /* of the oldest kept event, and of the next one */
        const struct exec_result *result; /* JOB_ENDED; has the outputs if the request kept them */
        const struct fault *why;          /* JOB_FAILED */
};

/* The program to run. `owner` has the texts of exec and profile; the job takes it, also on failure, and passes it to
 * `release`. */
struct job_request {
        const char *user;
        const char *exec_id; /* the client's; NULL: the job gets a new one */
        /* A digest of the whole request: the same id with another digest is another request. */
        unsigned char digest[JOB_DIGEST_BYTES];
        /* The digest of carreld up to 0.1, over the body's bytes: its entries in the registry have that one. */
        unsigned char former_digest[JOB_DIGEST_BYTES];
        struct exec_request exec;
        const char *profile;     /* of its carrel, as pool_ensure takes it; NULL: any */
        size_t n_bytes;          /* approximate memory of `owner` */
        bool is_detached;        /* else it lives only while a follower holds it */
        bool is_keeping_outputs; /* for a buffered answer, up to exec.max_output_bytes per stream */
        void *owner;
        void (*release)(void *owner);
};

/* A reader of a job's events. Zero-initialise and set the callback. */
struct job_follower {
        struct list node;
        struct job *job;
        /* There are new events, or the job has ended. May unfollow this follower only. */
        void (*on_change)(void *arg);
        void *arg;
        bool is_holding; /* keeps a job that is not detached alive; its pauses pause the program */
        bool is_paused;
};

/* Borrows loop, pool and registry (NULL: no job outlives this process); copies options. Restores the jobs of an earlier
 * carreld from the registry, within the bounds of options. A job that ran then is JOB_RUNNING until jobs_settle. */
__attribute__((warn_unused_result)) int jobs_new(struct jobs **ret_jobs, struct ev_loop *loop, struct pool *pool,
                                                 struct job_registry *registry, const struct jobs_options *options);
/* The pool has reconciled: the programs of an earlier carreld are dead, and their jobs end with EXEC_CARREL_LOST. */
void jobs_settle(struct jobs *jobs);
/* Call it before pool_free. Cancels running jobs without an event; for the next carreld they are EXEC_CARREL_LOST. */
struct jobs *jobs_free(struct jobs *jobs);
void jobs_reconfigure(struct jobs *jobs, const struct jobs_options *options);

/* Ensures the user's carrel and runs the program, or finds the job of an earlier try. FAULT_EXEC_ID_TAKEN: another
 * request has the id. FAULT_QUEUE_FULL: there are too many jobs. FAULT_RESOURCE_EXHAUSTED. A later failure becomes the
 * job's fault. Never calls back. */
int jobs_start(struct jobs *jobs, struct job_request *request, struct job **ret_job, struct fault *why);
struct job *jobs_find(struct jobs *jobs, const char *exec_id);
/* The number of jobs in any state, and max_records. */
void jobs_count(const struct jobs *jobs, uint64_t *ret_records, uint64_t *ret_max_records);
/* A walk over the jobs, the latest first, which may take several turns of the loop. It leaves out jobs that are
 * forgotten during the walk or begin after its start. The caller owns the memory and must not move it until
 * jobs_walk_end, which must come before jobs_free. */
struct jobs_walk {
        struct jobs_walk *next;
        struct jobs *jobs;
        const struct job *at;
};
void jobs_walk_begin(struct jobs *jobs, struct jobs_walk *walk);
/* NULL: the walk has reached the end. */
const struct job *jobs_walk_next(struct jobs_walk *walk);
void jobs_walk_end(struct jobs_walk *walk);
/* Forgets an ended job without followers, if no program can have been started for it. */
void jobs_forget(struct job *job);

void job_view(const struct job *job, struct job_view *ret_view);
/* exec_ring_get on the job's events. */
int job_event(const struct job *job, uint64_t seq, struct exec_event *ret_event);

void job_follow(struct job *job, struct job_follower *follower);
/* Idempotent. A job that is not detached is killed when its last holder unfollows. */
void job_unfollow(struct job_follower *follower);
/* A holder that cannot keep up pauses the program. */
void job_pause(struct job_follower *follower, bool is_paused);
