#include "jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "job.h"

const char *job_state_name(enum job_state state)
{
        static const char *const NAMES[JOB_STATES] = { "waiting", "running", "ended", "failed" };

        return (unsigned)state < JOB_STATES ? NAMES[state] : "unknown";
}

static void on_expired(struct ev_loop *loop, ev_timer *timer, int events);

/* Accepts a request of the largest size in any case. */
enum { ASKED_LEAST_BYTES = (1 << 20) + sizeof(struct job) };

static void set_options(struct jobs *jobs, const struct jobs_options *options)
{
        jobs->options = *options;
        jobs->shares[JOB_RECORDS].bound = options->max_records;
        jobs->shares[JOB_OUTPUTS].bound = options->max_outputs;
        jobs->shares[JOB_HISTORY].bound = options->total_bytes;
        jobs->shares[JOB_ASKED].bound = options->total_bytes;
        jobs->shares[JOB_ASKED].least = ASKED_LEAST_BYTES;
}

int jobs_new(struct jobs **ret_jobs, struct ev_loop *loop, struct pool *pool, struct job_registry *registry,
             const struct jobs_options *options)
{
        struct jobs *jobs = calloc(1, sizeof *jobs);

        if (jobs == NULL)
                return -ENOMEM;
        jobs->loop = loop;
        jobs->pool = pool;
        list_init(&jobs->ended);
        list_init(&jobs->outputs);
        set_options(jobs, options);
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

/* ---- finished jobs ---- */

void job_charge(struct job *job, size_t bytes)
{
        share_charge(&job->jobs->shares[JOB_HISTORY], &job->sharer->held[JOB_HISTORY], bytes);
}

void job_discharge(struct job *job, size_t bytes)
{
        share_give(&job->jobs->shares[JOB_HISTORY], &job->sharer->held[JOB_HISTORY], bytes);
}

void jobs_release_output(struct job *job)
{
        if (list_is_empty(&job->output_node))
                return;
        list_remove(&job->output_node);
        list_remove(&job->own_node);
        share_give(&job->jobs->shares[JOB_OUTPUTS], &job->sharer->held[JOB_OUTPUTS], 1);
}

/* Drops all but the end of a job without followers. */
static void strip(struct job *job)
{
        static const char GONE[] = "its output is not kept any more (exec_history_size, exec_keep)";
        struct exec_result *result = &job->result;

        jobs_release_output(job);
        job->is_bare |= job->ring.next_seq > 0;
        result->is_output_truncated |= result->output_length > 0;
        result->is_errors_truncated |= result->errors_length > 0;
        result->output = result->errors = "";
        result->output_length = result->errors_length = 0;
        if (job_drop_output(job) > 0 && result->message == NULL)
                result->message = GONE;
        job->ring.first_seq = job->ring.next_seq;
}

static struct job *oldest_output(const struct jobs *jobs)
{
        return list_is_empty(&jobs->outputs) ? NULL : LIST_ENTRY(jobs->outputs.next, struct job, output_node);
}

/* Chooses the output to drop: the user's own if he has more than his part, or more than a little while the share is
 * used up; else the oldest. */
static struct job *choose_output(const struct jobs *jobs, const struct sharer *sharer, enum job_thing thing, int r)
{
        const struct share *share = &jobs->shares[thing];
        bool is_his_own = r == -EDQUOT || share_is_more_than_little(share, sharer->held[thing]);

        if (!is_his_own)
                return oldest_output(jobs);
        return list_is_empty(&sharer->things) ? NULL : LIST_ENTRY(sharer->things.next, struct job, own_node);
}

bool jobs_make_room(struct job *job, enum job_thing thing, size_t wanted)
{
        struct jobs *jobs = job->jobs;
        int r = share_check(&jobs->shares[thing], &job->sharer->held[thing], wanted);

        while (r < 0) {
                struct job *victim = choose_output(jobs, job->sharer, thing, r);

                if (victim == NULL)
                        return false;
                strip(victim);
                r = share_check(&jobs->shares[thing], &job->sharer->held[thing], wanted);
        }
        return true;
}

static bool has_output(const struct job *job)
{
        return job->ring.bytes > 0 || job->outputs[0].kept.length > 0 || job->outputs[1].kept.length > 0;
}

static void keep_output(struct job *job)
{
        struct jobs *jobs = job->jobs;

        if (!has_output(job))
                return;
        if (jobs->options.max_outputs == 0 || !jobs_make_room(job, JOB_OUTPUTS, 1)) {
                strip(job);
                return;
        }
        list_append(&jobs->outputs, &job->output_node);
        list_append(&job->sharer->things, &job->own_node);
        share_charge(&jobs->shares[JOB_OUTPUTS], &job->sharer->held[JOB_OUTPUTS], 1);
}

static struct job *oldest_ended(const struct jobs *jobs)
{
        return list_is_empty(&jobs->ended) ? NULL : LIST_ENTRY(jobs->ended.next, struct job, ended_node);
}

void jobs_await_expiry(struct jobs *jobs)
{
        const struct job *oldest = oldest_ended(jobs);
        double left_s;

        ev_timer_stop(jobs->loop, &jobs->expiry);
        if (oldest == NULL)
                return;
        left_s = jobs->options.keep_s - (double)(clock_boottime_ms() - oldest->kept_since_ms) / 1000;
        ev_timer_set(&jobs->expiry, left_s > 0 ? left_s + 0.001 : 0, 0);
        ev_timer_start(jobs->loop, &jobs->expiry);
}

static void on_expired(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct jobs *jobs = timer->data;
        int64_t now_ms = clock_boottime_ms();
        struct job *oldest = oldest_ended(jobs);

        (void)loop, (void)events;
        while (oldest != NULL && (double)(now_ms - oldest->kept_since_ms) >= jobs->options.keep_s * 1000) {
                job_free(oldest);
                oldest = oldest_ended(jobs);
        }
        jobs_await_expiry(jobs);
}

void jobs_keep(struct job *job)
{
        struct jobs *jobs = job->jobs;

        if (!list_is_empty(&job->ended_node))
                return;
        job->kept_since_ms = clock_boottime_ms();
        list_append(&jobs->ended, &job->ended_node);
        keep_output(job);
        /* Not freed here: our caller still uses the job. */
        if (!ev_is_active(&jobs->expiry))
                jobs_await_expiry(jobs);
}

void jobs_reconfigure(struct jobs *jobs, const struct jobs_options *options)
{
        struct job *oldest;

        set_options(jobs, options);
        while ((oldest = oldest_output(jobs)) != NULL && (jobs->shares[JOB_OUTPUTS].used > options->max_outputs ||
                                                          jobs->shares[JOB_HISTORY].used > options->total_bytes))
                strip(oldest);
        jobs_await_expiry(jobs);
}

/* ---- finding and starting ---- */

struct job *jobs_find(struct jobs *jobs, const char *exec_id)
{
        struct job *found;

        HASH_FIND_STR(jobs->by_id, exec_id, found);
        return found;
}

void jobs_walk_begin(struct jobs *jobs, struct jobs_walk *walk)
{
        *walk = (struct jobs_walk){ .next = jobs->walks, .jobs = jobs };
        if (jobs->by_id != NULL)
                walk->at = ELMT_FROM_HH(jobs->by_id->hh.tbl, jobs->by_id->hh.tbl->tail);
        jobs->walks = walk;
}

const struct job *jobs_walk_next(struct jobs_walk *walk)
{
        const struct job *job = walk->at;

        if (job != NULL)
                walk->at = job->hh.prev;
        return job;
}

void jobs_walk_end(struct jobs_walk *walk)
{
        struct jobs_walk **link = &walk->jobs->walks;

        while (*link != walk)
                link = &(*link)->next;
        *link = walk->next;
}

void jobs_count(const struct jobs *jobs, uint64_t *ret_records, uint64_t *ret_max_records)
{
        *ret_records = jobs->shares[JOB_RECORDS].used;
        *ret_max_records = jobs->shares[JOB_RECORDS].bound;
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

/* Finds only a job whose program may have started: a request without effect can be tried again. */
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

/* Enters the job in the registry before any work for it, so that a restart cannot forget it. */
static int enter(struct job *job)
{
        struct job_entry entry = { .is_detached = job->is_detached, .created_ms = job->created_ms };

        memcpy(entry.exec_id, job->id, sizeof entry.exec_id);
        memcpy(entry.user, job->user, sizeof entry.user);
        memcpy(entry.digest, job->digest, sizeof entry.digest);
        (void)snprintf(entry.program, sizeof entry.program, "%s", job->program);
        return job_registry_enter(job->jobs->registry, &entry, &job->slot);
}

static int refuse_record(const struct jobs *jobs, int r, const char *user, struct fault *why)
{
        enum { RETRY_MAX_S = 30 };
        double keep_s = jobs->options.keep_s;

        if (r == -EDQUOT)
                (void)fault_set(
                        why, FAULT_QUEUE_FULL, EDQUOT,
                        "%ju execs of %s are on record, which is what one user may have of exec_records; each is "
                        "forgotten %g s after its end (exec_keep_s)",
                        (uintmax_t)share_part(&jobs->shares[JOB_RECORDS]), user, keep_s);
        else
                (void)fault_set(why, FAULT_QUEUE_FULL, EAGAIN,
                                "%ju execs are on record (exec_records); each is forgotten %g s after its end "
                                "(exec_keep_s)",
                                (uintmax_t)jobs->shares[JOB_RECORDS].used, keep_s);
        why->retry_after_s = keep_s < RETRY_MAX_S ? 1 + (unsigned)keep_s : RETRY_MAX_S;
        return r;
}

/* Never drops a record to make room: a retry could then run the program again. A user with too many records is refused.
 */
static int check_shares(struct jobs *jobs, const struct job_request *request, struct fault *why)
{
        struct sharer *sharer = sharer_join(&jobs->users, request->user);
        int r;

        if (sharer == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = share_check(&jobs->shares[JOB_RECORDS], &sharer->held[JOB_RECORDS], 1);
        if (r < 0) {
                (void)refuse_record(jobs, r, request->user, why);
        } else {
                r = share_check(&jobs->shares[JOB_ASKED], &sharer->held[JOB_ASKED],
                                request->n_bytes + sizeof(struct job));
                if (r < 0)
                        (void)fault_set(why, FAULT_QUEUE_FULL, -r, "too many execs %s%s wait for their carrels already",
                                        r == -EDQUOT ? "of " : "", r == -EDQUOT ? request->user : "");
        }
        sharer_leave(&jobs->users, sharer);
        return r;
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
        if (check_shares(jobs, request, why) < 0) {
                release_owner(request);
                return -EAGAIN;
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
