#include "storage.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "list.h"
#include "scope.h"
#include "share.h"
#include "storage-report.h"
#include "str.h"
#include "utf8.h"

/* The process also has an hour of processor time (confine.h). */
#define DEADLINE_S 7200.0

/* OUTPUT_MAX_BYTES: more than the reports of a job until its deadline, five a second (walker/progress.c). One that is
 * taken over would otherwise keep the loop busy. */
enum { WAITING_MAX = 64, ERRORS_MAX_BYTES = 256, OUTPUT_MAX_BYTES = 16 << 20 };
enum { RUNNING, WAITING }; /* of sharer.held */

struct storage {
        struct ev_loop *loop;
        char *helper_path;
        struct share places; /* of running jobs */
        struct share queue;  /* of waiting jobs */
        struct sharers users;
        struct list running, waiting;
        ev_timer starter; /* starts what waits, never from inside a callback. An ev_idle would not run on a busy loop */
        struct storage_stats stats;
};

struct storage_job {
        struct list node; /* in running or waiting */
        struct storage *storage;
        struct storage_order order;
        int source_fd, target_fd;
        struct sharer *sharer; /* NULL: the operator's */
        const struct storage_events *events;
        void *arg;
        struct child *child; /* NULL while it waits */
        double started_s;
        size_t n_output; /* bytes of both streams */
        size_t n_read;   /* of report */
        struct storage_report report;
        struct storage_report last; /* the last whole one; kind 0: none */
        bool is_malformed;
};

static uint64_t *held_by(const struct storage_job *job, int thing)
{
        return job->sharer != NULL ? &job->sharer->held[thing] : NULL;
}

static void job_free(struct storage_job *job)
{
        struct storage *storage = job->storage;
        bool is_running = job->child != NULL;

        list_remove(&job->node);
        share_give(is_running ? &storage->places : &storage->queue, held_by(job, is_running ? RUNNING : WAITING), 1);
        job->sharer = sharer_leave(&storage->users, job->sharer);
        auto_close(&job->source_fd);
        auto_close(&job->target_fd);
        free(job);
        if (is_running && !list_is_empty(&storage->waiting))
                ev_timer_start(storage->loop, &storage->starter);
}

/* ---- its reports ---- */

static void refuse(struct storage_job *job)
{
        job->is_malformed = true;
        child_kill(job->child);
}

static void take_report(struct storage_job *job)
{
        if (storage_report_check(&job->report) < 0 || job->last.kind == STORAGE_END) {
                refuse(job);
                return;
        }
        job->last = job->report;
        utf8_mend(job->last.message);
}

static void on_output(void *arg, int fd, const char *bytes, size_t length)
{
        struct storage_job *job = arg;
        bool has_progress = false;

        job->n_output += length;
        if (job->n_output > OUTPUT_MAX_BYTES && !job->is_malformed)
                refuse(job);
        while (fd == 1 && length > 0 && !job->is_malformed) {
                size_t room = sizeof job->report - job->n_read;
                size_t n = length < room ? length : room;

                memcpy((char *)&job->report + job->n_read, bytes, n);
                bytes += n;
                length -= n;
                job->n_read += n;
                if (job->n_read < sizeof job->report)
                        break;
                job->n_read = 0;
                take_report(job);
                has_progress = true;
        }
        if (has_progress && !job->is_malformed && job->last.kind == STORAGE_PROGRESS &&
            job->events->on_progress != NULL)
                job->events->on_progress(job->arg, &job->last.tally);
}

static int judge_end(const struct storage_job *job, const struct child_result *result, struct fault *why)
{
        int status = result->wait_status;

        if (job->is_malformed)
                return fault_set(why, FAULT_INTERNAL, EBADMSG, "carrel-storage sent a malformed report and was ended");
        if (result->is_late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
                return fault_set(why, FAULT_DEADLINE, ETIMEDOUT, "carrel-storage took too long and was ended");
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM,
                                 "carrel-storage was killed: this machine may be short of memory");
        if (WIFSIGNALED(status))
                return fault_set(why, FAULT_INTERNAL, EIO, "carrel-storage crashed (signal %d)", WTERMSIG(status));
        if (job->n_read != 0 || job->last.kind != STORAGE_END)
                return fault_set(why, FAULT_INTERNAL, EBADMSG, "carrel-storage ended without a report");
        if (job->last.fault != FAULT_NONE)
                return fault_set(why, (enum fault_kind)job->last.fault, (int)job->last.err, "%s", job->last.message);
        if (WEXITSTATUS(status) != 0)
                return fault_set(why, FAULT_INTERNAL, EIO, "carrel-storage failed after its report");
        return 0;
}

static void end_job(struct storage_job *job, const struct fault *why)
{
        const struct storage_events *events = job->events;
        const struct storage_end end = { job->last.tally, clock_boottime_s() - job->started_s };
        void *arg = job->arg;

        if (why == NULL)
                job->storage->stats.done[job->order.verb]++;
        else
                job->storage->stats.failed[job->order.verb]++;
        job_free(job);
        events->done(arg, &end, why);
}

static void on_done(void *arg, const struct child_result *result)
{
        struct storage_job *job = arg;
        struct fault why = { 0 };

        end_job(job, judge_end(job, result, &why) < 0 ? &why : NULL);
}

/* ---- the start ---- */

static int run(struct storage_job *job)
{
        const struct storage_order *order = &job->order;
        char numbers[4][STR_U64_BYTES];
        const char *const argv[] = {
                "carrel-storage", STORAGE_VERBS[order->verb], numbers[0], numbers[1], numbers[2], numbers[3], NULL
        };
        const struct child_fd fds[] = { { job->source_fd, STORAGE_SOURCE_FD }, { job->target_fd, STORAGE_TARGET_FD } };
        const struct child_plan plan = {
                .path = job->storage->helper_path,
                .argv = argv,
                .fds = fds,
                .n_fds = job->target_fd >= 0 ? 2 : 1,
                .stdin_fd = -1,
                .mount_namespace_fd = -1,
                .streams = CHILD_COLLECT,
                .output_max = ERRORS_MAX_BYTES,
                .deadline_s = DEADLINE_S,
                .dies_with_us = true,
                .on_output = on_output,
                .done = on_done,
                .arg = job,
        };

        (void)str_u64(order->owner_uid, numbers[0]);
        (void)str_u64(order->owner_gid, numbers[1]);
        (void)str_u64(order->max_bytes, numbers[2]);
        (void)str_u64(order->max_entries, numbers[3]);
        return child_start(&job->child, job->storage->loop, &plan);
}

/* Moves a waiting job to a place, if one is free for it. */
static void try_to_start(struct storage_job *job)
{
        struct storage *storage = job->storage;
        struct fault why = { 0 };
        int r;

        if (share_take(&storage->places, held_by(job, RUNNING), 1) < 0)
                return;
        job->started_s = clock_boottime_s();
        r = run(job);
        if (r < 0) {
                share_give(&storage->places, held_by(job, RUNNING), 1);
                (void)fault_set(&why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot start %s: %s", storage->helper_path,
                                strerrordesc_np(-r));
                end_job(job, &why);
                return;
        }
        share_give(&storage->queue, held_by(job, WAITING), 1);
        list_remove(&job->node);
        list_append(&storage->running, &job->node);
        auto_close(&job->source_fd);
        auto_close(&job->target_fd);
        job->source_fd = job->target_fd = -1;
}

/* One job a turn: a start is a vfork. */
static void on_turn(struct ev_loop *loop, ev_timer *starter, int events)
{
        struct storage *storage = starter->data;

        ev_timer_stop(loop, starter);
        LIST_EACH (&storage->waiting, at) {
                struct storage_job *job = LIST_ENTRY(at, struct storage_job, node);

                if (share_check(&storage->places, held_by(job, RUNNING), 1) < 0)
                        continue;
                ev_timer_start(loop, starter);
                try_to_start(job);
                return;
        }
}

static int take_descriptors(struct storage_job *job, const struct storage_order *order)
{
        job->source_fd = fcntl(order->source_fd, F_DUPFD_CLOEXEC, 0);
        if (job->source_fd < 0)
                return -errno;
        if (order->verb != STORAGE_COPY)
                return 0;
        job->target_fd = fcntl(order->target_fd, F_DUPFD_CLOEXEC, 0);
        return job->target_fd < 0 ? -errno : 0;
}

static int enqueue(struct storage_job *job, const struct storage_order *order, struct fault *why)
{
        struct storage *storage = job->storage;
        int r = take_descriptors(job, order);

        if (r == 0 && order->user[0] != '\0') {
                job->sharer = sharer_join(&storage->users, order->user);
                r = job->sharer == NULL ? -ENOMEM : 0;
        }
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot start work on files: %s",
                                 strerrordesc_np(-r));
        if (share_take(&storage->queue, held_by(job, WAITING), 1) < 0) {
                if (why != NULL)
                        why->retry_after_s = 1;
                return fault_set(why, FAULT_QUEUE_FULL, EAGAIN,
                                 "too much work on files waits already: try again when it is done");
        }
        list_append(&storage->waiting, &job->node);
        ev_timer_start(storage->loop, &storage->starter);
        return 0;
}

int storage_start(struct storage *storage, const struct storage_order *order, const struct storage_events *events,
                  void *arg, struct storage_job **ret_job, struct fault *why)
{
        struct storage_job *job = calloc(1, sizeof *job);
        int r;

        if (job == NULL)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        *job = (struct storage_job){
                .storage = storage, .order = *order, .source_fd = -1, .target_fd = -1, .events = events, .arg = arg
        };
        job->order.user = NULL;
        list_init(&job->node);
        r = enqueue(job, order, why);
        if (r < 0) {
                (void)sharer_leave(&storage->users, job->sharer);
                auto_close(&job->source_fd);
                auto_close(&job->target_fd);
                free(job);
                return r;
        }
        *ret_job = job;
        return 0;
}

struct storage_job *storage_cancel(struct storage_job *job)
{
        struct child *child = job != NULL ? job->child : NULL;

        if (job == NULL)
                return NULL;
        job_free(job);
        (void)child_cancel(child);
        return NULL;
}

/* ---- life ---- */

int storage_new(struct storage **ret_storage, struct ev_loop *loop, const char *helper_path, unsigned max_jobs)
{
        struct storage *storage = calloc(1, sizeof *storage);

        if (storage == NULL)
                return -ENOMEM;
        storage->helper_path = strdup(helper_path);
        if (storage->helper_path == NULL) {
                free(storage);
                return -ENOMEM;
        }
        storage->loop = loop;
        storage->places.bound = max_jobs;
        storage->queue.bound = WAITING_MAX;
        list_init(&storage->running);
        list_init(&storage->waiting);
        ev_timer_init(&storage->starter, on_turn, 0.0, 0.0);
        storage->starter.data = storage;
        *ret_storage = storage;
        return 0;
}

static void cancel_all(struct list *jobs)
{
        LIST_EACH (jobs, at)
                (void)storage_cancel(LIST_ENTRY(at, struct storage_job, node));
}

struct storage *storage_free(struct storage *storage)
{
        if (storage == NULL)
                return NULL;
        cancel_all(&storage->waiting);
        cancel_all(&storage->running);
        ev_timer_stop(storage->loop, &storage->starter);
        free(storage->helper_path);
        free(storage);
        return NULL;
}

static unsigned count(const struct list *jobs)
{
        unsigned n = 0;

        LIST_EACH (jobs, at)
                n++;
        return n;
}

void storage_stats(const struct storage *storage, struct storage_stats *ret_stats)
{
        *ret_stats = storage->stats;
        ret_stats->running = count(&storage->running);
        ret_stats->waiting = count(&storage->waiting);
}
