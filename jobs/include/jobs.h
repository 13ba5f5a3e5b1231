/* Jobs: execs that can be found again by their id. A job is what runs detached, or under an id that its client chose;
 * its events are kept in a ring, for whoever asks, while it runs and for some time after its end. All of it is bounded:
 * bytes a job, bytes in total, jobs, and the time they are kept; and of each bound one user has his part (share.h).
 * When there is too much, output goes; that there was a job, and how it ended, is known for keep_s, so that a retry
 * does not run it again. It outlives carreld, too (job-registry.h); events are carreld's memory. */
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
        size_t ring_bytes;    /* of a job's events */
        size_t total_bytes;   /* of all jobs; beyond it the output of the oldest ended jobs goes, then the oldest
                               * events. And, as many again, of the requests that have not begun: beyond it there is no
                               * further job */
        unsigned max_outputs; /* ended jobs whose output is kept */
        unsigned max_records; /* jobs: beyond it there is no further one. None is forgotten before its time */
        double keep_s;        /* that an ended job is known */
};

enum job_state {
        JOB_WAITING, /* for its carrel */
        JOB_RUNNING,
        JOB_ENDED,  /* it has a result */
        JOB_FAILED, /* nothing was started, or how it ended is not known: it has a fault */
        JOB_STATES
};
const char *job_state_name(enum job_state state); /* "waiting", ... */

/* Valid until the next turn of the loop. */
struct job_view {
        const char *exec_id;
        const char *user;
        const char *program;
        const char *command; /* of exec_command; one that is restored has its program alone */
        enum job_state state;
        bool is_detached;
        bool is_restored; /* of an earlier carreld: what came before first_seq is not kept */
        bool is_bare;     /* the same: is_restored, or its output had to go */
        double age_s;
        uint64_t first_seq, next_seq;     /* of the events that are kept, and of the next one */
        const struct exec_result *result; /* JOB_ENDED; its outputs are there when they were asked for */
        const struct fault *why;          /* JOB_FAILED */
};

/* The program to run. exec's texts live in `owner`, which the job takes, on failure too, and gives to `release`. */
struct job_request {
        const char *user;
        const char *exec_id; /* the client's, or NULL: one is made */
        /* Of all that makes the request what it is: the same id with another digest is another request. */
        unsigned char digest[JOB_DIGEST_BYTES];
        /* As carreld up to 0.1 made it, of the body's bytes: what it left in the registry is found by that. */
        unsigned char former_digest[JOB_DIGEST_BYTES];
        struct exec_request exec;
        size_t n_bytes;          /* what `owner` holds in memory, about */
        bool is_detached;        /* else it lives as long as somebody holds it */
        bool is_keeping_outputs; /* for a buffered answer, up to exec.max_output_bytes a stream */
        void *owner;
        void (*release)(void *owner);
};

/* One who reads along. Zero-initialise, set the callback. */
struct job_follower {
        struct list node;
        struct job *job;
        /* There are new events, or the job is over. May let go of this follower only. */
        void (*on_change)(void *arg);
        void *arg;
        bool is_holding; /* keeps a job alive that is not detached, and its pauses pause the program */
        bool is_paused;
};

/* Borrows loop, pool and registry (NULL: nothing outlives this); copies options. Takes up what an earlier carreld left
 * in the registry, under the bounds of options. A job that ran then is JOB_RUNNING until jobs_settle. */
__attribute__((warn_unused_result)) int jobs_new(struct jobs **ret_jobs, struct ev_loop *loop, struct pool *pool,
                                                 struct job_registry *registry, const struct jobs_options *options);
/* The pool has reconciled: what ran under an earlier carreld is dead by now, and ends with EXEC_CARREL_LOST. */
void jobs_settle(struct jobs *jobs);
/* Before the pool goes. Cancels running jobs; followers get no event. Those are EXEC_CARREL_LOST for the next carreld.
 */
struct jobs *jobs_free(struct jobs *jobs);
void jobs_reconfigure(struct jobs *jobs, const struct jobs_options *options);

/* Ensures the user's carrel and runs the program, or finds the job that did so already. FAULT_EXEC_ID_TAKEN: the id is
 * another request's; FAULT_QUEUE_FULL: too many; FAULT_RESOURCE_EXHAUSTED. Later failures are reported as the job's
 * fault. Never calls back. */
int jobs_start(struct jobs *jobs, struct job_request *request, struct job **ret_job, struct fault *why);
struct job *jobs_find(struct jobs *jobs, const char *exec_id);
/* How many there are, whatever their state, and max_records. */
void jobs_count(const struct jobs *jobs, uint64_t *ret_records, uint64_t *ret_max_records);
/* A walk over the jobs, the latest first, over as many turns of the loop as it takes: without those that are forgotten
 * meanwhile and those that come after it has begun. Its memory is the caller's, and stays where it is until
 * jobs_walk_end, which comes before jobs_free. */
struct jobs_walk {
        struct jobs_walk *next;
        struct jobs *jobs;
        const struct job *at;
};
void jobs_walk_begin(struct jobs *jobs, struct jobs_walk *walk);
/* NULL: there is no further one. */
const struct job *jobs_walk_next(struct jobs_walk *walk);
void jobs_walk_end(struct jobs_walk *walk);
/* Forgets a job that nobody follows, if it is over and nothing has been started for it, nor may have been. */
void jobs_forget(struct job *job);

void job_view(const struct job *job, struct job_view *ret_view);
/* exec_ring_get on the job's events. */
int job_event(const struct job *job, uint64_t seq, struct exec_event *ret_event);

void job_follow(struct job *job, struct job_follower *follower);
/* Idempotent. When the last holder of a job that is not detached goes, the program is killed. */
void job_unfollow(struct job_follower *follower);
/* A holder that cannot keep up pauses the program. */
void job_pause(struct job_follower *follower, bool is_paused);
