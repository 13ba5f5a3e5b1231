/* Restores the jobs of an earlier carreld from the registry. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "job.h"

static const char LOST[] = "carreld was restarted while it ran: it was killed, and what it had done by then stays";
static const char SILENT[] = "carreld has been restarted since: its output is not kept";

struct restore {
        struct jobs *jobs;
        int64_t now_ms;
        bool has_failed; /* out of memory */
};

/* ---- one ---- */

/* why holds the message. */
static void set_result(struct job *job, const struct job_end *end)
{
        job->result = (struct exec_result){
                .cause = end->cause,
                .exit_code = end->exit_code,
                .signal = end->signal,
                .output = "",
                .errors = "",
                .is_output_truncated = end->is_output_lost,
                .is_errors_truncated = end->is_errors_lost,
                .duration_s = end->duration_s,
                .usage = end->usage,
                .message = end->message[0] != '\0' ? job->why.message : SILENT,
        };
        memcpy(job->result.exec_id, job->id, sizeof job->result.exec_id);
}

/* The end is an event again, with its number; those before it are gone. */
static void restore_end(struct job *job, const struct job_end *end)
{
        job->state = end->state;
        job->kept_since_ms = end->ended_ms;
        job->ring.first_seq = job->ring.next_seq = end->seq;
        (void)fault_set(&job->why, end->kind, end->err, "%s", end->message);
        job->why.retry_after_s = end->retry_after_s;
        if (end->state == JOB_ENDED)
                set_result(job, end);
}

/* Nothing was started, and nothing will be: the request ended with the earlier carreld. */
static void end_unstarted(struct jobs *jobs, int slot, struct job_entry *entry, int64_t now_ms)
{
        entry->has_end = true;
        entry->end = (struct job_end){
                .state = JOB_FAILED,
                .seq = entry->next_seq,
                .ended_ms = now_ms,
                .kind = FAULT_CANCELLED,
                .err = ECANCELED,
                .message = "carreld was restarted before the program was started: ask for it again",
        };
        job_registry_end(jobs->registry, slot, &entry->end);
}

static int restore(struct jobs *jobs, int slot, const struct job_entry *entry)
{
        struct job *job = calloc(1, sizeof *job);

        if (job == NULL)
                return -ENOMEM;
        *job = (struct job){
                .jobs = jobs,
                .state = JOB_RUNNING,
                .is_detached = entry->is_detached,
                .has_started = entry->launched_in != 0,
                .is_restored = true,
                .slot = slot,
                .ring = { .limit_bytes = jobs->options.ring_bytes,
                          .first_seq = entry->next_seq,
                          .next_seq = entry->next_seq },
                .created_ms = entry->created_ms,
                .kept_since_ms = INT64_MAX,
        };
        memcpy(job->id, entry->exec_id, sizeof job->id);
        memcpy(job->user, entry->user, sizeof job->user);
        memcpy(job->digest, entry->digest, sizeof job->digest);
        job->program = strdup(entry->program);
        if (job->program == NULL || job_enter(job) < 0) {
                free(job->program);
                free(job);
                return -ENOMEM;
        }
        if (entry->has_end)
                restore_end(job, &entry->end);
        return 0;
}

/* Keeps the entries when out of memory, for the next start. */
static bool keep(void *arg, int slot, const struct job_entry *entry)
{
        struct restore *all = arg;
        struct job_entry whole = *entry;

        if (jobs_find(all->jobs, entry->exec_id) != NULL)
                return false;
        if (!whole.has_end && whole.launched_in == 0)
                end_unstarted(all->jobs, slot, &whole, all->now_ms);
        if (!all->has_failed && restore(all->jobs, slot, &whole) < 0)
                all->has_failed = true;
        return true;
}

/* ---- all ---- */

static int compare_ends(const struct job *a, const struct job *b)
{
        return (a->kept_since_ms > b->kept_since_ms) - (a->kept_since_ms < b->kept_since_ms);
}

int jobs_restore(struct jobs *jobs)
{
        struct restore all = { .jobs = jobs, .now_ms = clock_boottime_ms() };

        job_registry_recall(jobs->registry, all.now_ms, keep, &all);
        if (all.has_failed)
                return -ENOMEM;
        HASH_SORT(jobs->by_id, compare_ends);
        for (struct job *job = jobs->by_id; job != NULL && job->state >= JOB_ENDED; job = job->hh.next)
                list_append(&jobs->ended, &job->ended_node);
        jobs_await_expiry(jobs);
        return 0;
}

/* ---- what ran ---- */

static void tell_lost(const struct job *job)
{
        const struct pool_event event = {
                .kind = POOL_EXEC_ENDED,
                .user = job->user,
                .container_id = "",
                .detail = "carreld was restarted",
                .duration_s = job->result.duration_s,
                .cause = EXEC_CARREL_LOST,
        };

        pool_announce(job->jobs->pool, &event);
}

static void end_lost(struct job *job)
{
        struct job_end end = {
                .cause = EXEC_CARREL_LOST,
                .exit_code = 128 + SIGKILL,
                .duration_s = (double)(clock_boottime_ms() - job->created_ms) / 1000,
                .is_output_lost = true,
                .is_errors_lost = true,
        };

        (void)snprintf(end.message, sizeof end.message, "%s", LOST);
        memcpy(job->why.message, end.message, sizeof end.message);
        job->outputs[0].is_truncated = job->outputs[1].is_truncated = true;
        set_result(job, &end);
        tell_lost(job);
        job_finish(job, JOB_ENDED);
}

void jobs_settle(struct jobs *jobs)
{
        struct job *job;
        struct job *next;

        HASH_ITER(hh, jobs->by_id, job, next)
        {
                if (job->is_restored && job->state == JOB_RUNNING)
                        end_lost(job);
        }
}
