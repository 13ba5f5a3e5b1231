#include "jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "job.h"

static void on_expired(struct ev_loop *loop, ev_timer *timer, int events);

int jobs_new(struct jobs **ret_jobs, struct ev_loop *loop, struct pool *pool, struct job_registry *registry,
             const struct jobs_options *options)
{
        struct jobs *jobs = calloc(1, sizeof *jobs);

        if (jobs == NULL)
                return -ENOMEM;
        jobs->loop = loop;
        jobs->pool = pool;
        jobs->options = *options;
        list_init(&jobs->ended);
        ev_init(&jobs->expiry, on_expired);
        jobs->expiry.data = jobs;
        jobs->registry = registry;
        if (jobs_restore(jobs) < 0) {
                jobs_free(jobs);
                return -ENOMEM;
        }
        *ret_jobs = jobs;
        return 0;
}

struct jobs *jobs_free(struct jobs *jobs)
{
        struct job *job;
        struct job *next;

        if (jobs == NULL)
                return NULL;
        ev_timer_stop(jobs->loop, &jobs->expiry);
        jobs->registry = NULL; /* its entries are for the next */
        HASH_ITER(hh, jobs->by_id, job, next)
        {
                while (!list_is_empty(&job->followers))
                        LIST_ENTRY(list_pop(&job->followers), struct job_follower, node)->job = NULL;
                job_free(job);
        }
        free(jobs);
        return NULL;
}

/* ---- what is kept behind the end ---- */

static struct job *oldest_ended(const struct jobs *jobs)
{
        return list_is_empty(&jobs->ended) ? NULL : LIST_ENTRY(jobs->ended.next, struct job, ended_node);
}

static bool is_expired(const struct jobs *jobs, const struct job *job)
{
        return (double)(clock_boottime_ms() - job->kept_since_ms) >= jobs->options.keep_s * 1000;
}

void jobs_await_expiry(struct jobs *jobs)
{
        const struct job *oldest = oldest_ended(jobs);
        double left_s;

        ev_timer_stop(jobs->loop, &jobs->expiry);
        if (oldest == NULL)
                return;
        left_s = jobs->options.keep_s - (double)(clock_boottime_ms() - oldest->kept_since_ms) / 1000;
        if (jobs->n_ended > jobs->options.max_ended)
                left_s = 0;
        ev_timer_set(&jobs->expiry, left_s > 0 ? left_s + 0.001 : 0, 0);
        ev_timer_start(jobs->loop, &jobs->expiry);
}

static void on_expired(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct jobs *jobs = timer->data;

        (void)loop, (void)events;
        jobs_trim(jobs);
        jobs_await_expiry(jobs);
}

void jobs_trim(struct jobs *jobs)
{
        struct job *oldest = oldest_ended(jobs);

        while (oldest != NULL && (jobs->n_ended > jobs->options.max_ended || jobs->bytes > jobs->options.total_bytes ||
                                  is_expired(jobs, oldest))) {
                job_free(oldest);
                oldest = oldest_ended(jobs);
        }
}

void jobs_keep(struct job *job)
{
        struct jobs *jobs = job->jobs;

        if (!list_is_empty(&job->ended_node))
                return;
        job->kept_since_ms = clock_boottime_ms();
        list_append(&jobs->ended, &job->ended_node);
        jobs->n_ended++;
        /* Not trimmed here, as our caller still holds the job. */
        if (!ev_is_active(&jobs->expiry) || jobs->n_ended > jobs->options.max_ended)
                jobs_await_expiry(jobs);
}

void jobs_reconfigure(struct jobs *jobs, const struct jobs_options *options)
{
        jobs->options = *options;
        jobs_trim(jobs);
        jobs_await_expiry(jobs);
}

/* ---- finding and starting ---- */

struct job *jobs_find(struct jobs *jobs, const char *exec_id)
{
        struct job *found;

        HASH_FIND_STR(jobs->by_id, exec_id, found);
        return found;
}

void jobs_each(const struct jobs *jobs, bool (*visit)(void *arg, const struct job *job), void *arg)
{
        const struct job *job = NULL;

        if (jobs->by_id != NULL)
                job = ELMT_FROM_HH(jobs->by_id->hh.tbl, jobs->by_id->hh.tbl->tail);
        while (job != NULL && visit(arg, job))
                job = job->hh.prev;
}

void jobs_forget(struct job *job)
{
        if (job->state >= JOB_ENDED && !job->has_started && list_is_empty(&job->followers))
                job_free(job);
}

static void release_owner(struct job_request *request)
{
        if (request->release != NULL)
                request->release(request->owner);
}

/* Only what has started, or may have, is found again: a request of which nothing came is free to be tried anew. */
static bool is_worth_finding(struct job *job)
{
        return job != NULL && (job->state != JOB_FAILED || job->has_started || !list_is_empty(&job->followers));
}

static bool is_same(const struct job *job, const struct job_request *request)
{
        if (!str_equal(job->user, request->user))
                return false;
        return memcmp(job->digest, request->digest, JOB_DIGEST_BYTES) == 0 ||
               (job->is_restored && memcmp(job->digest, request->former_digest, JOB_DIGEST_BYTES) == 0);
}

/* Nothing is done for an exec that a restart would forget. */
static int enter(struct job *job)
{
        struct job_entry entry = { .is_detached = job->is_detached, .created_ms = job->created_ms };

        memcpy(entry.exec_id, job->id, sizeof entry.exec_id);
        memcpy(entry.user, job->user, sizeof entry.user);
        memcpy(entry.digest, job->digest, sizeof entry.digest);
        (void)snprintf(entry.program, sizeof entry.program, "%s", job->program);
        return job_registry_enter(job->jobs->registry, &entry, &job->slot);
}

int jobs_start(struct jobs *jobs, struct job_request *request, struct job **ret_job, struct fault *why)
{
        struct job *job = request->exec_id == NULL ? NULL : jobs_find(jobs, request->exec_id);
        int r;

        if (is_worth_finding(job)) {
                release_owner(request);
                if (!is_same(job, request))
                        return fault_set(why, FAULT_EXEC_ID_TAKEN, EEXIST,
                                         "the exec id %s is that of another request: choose another", job->id);
                *ret_job = job;
                return 0;
        }
        if (job != NULL)
                job_free(job);
        if (jobs->asked_bytes + request->n_bytes > jobs->options.total_bytes) {
                release_owner(request);
                return fault_set(why, FAULT_QUEUE_FULL, EAGAIN, "too many execs wait for their carrels already");
        }
        r = job_new(&job, jobs, request);
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot start an exec: %s", strerrordesc_np(-r));
        r = enter(job);
        if (r < 0) {
                job_free(job);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot record an exec in runtime_dir: %s",
                                 strerrordesc_np(-r));
        }
        job_begin(job);
        *ret_job = job;
        return 0;
}
