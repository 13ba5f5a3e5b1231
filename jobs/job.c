#include "job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "exec-id.h"
#include "utf8.h"

/* ---- memory ---- */

static void release_request(struct job *job)
{
        void (*release)(void *owner) = job->release;

        job->release = NULL;
        share_give(&job->jobs->shares[JOB_ASKED], &job->sharer->held[JOB_ASKED], job->asked_bytes);
        job->asked_bytes = 0;
        if (release != NULL)
                release(job->owner);
}

size_t job_drop_output(struct job *job)
{
        size_t bytes = job->ring.bytes + job->outputs[0].kept.length + job->outputs[1].kept.length;

        job_discharge(job, bytes);
        exec_ring_free(&job->ring);
        buffer_free(&job->outputs[0].kept);
        buffer_free(&job->outputs[1].kept);
        return bytes;
}

void job_free(struct job *job)
{
        struct jobs *jobs = job->jobs;

        job->wait = pool_leave(job->wait);
        if (job->exec != NULL)
                job->exec = pool_exec_cancel(jobs->pool, job->exec);
        job_registry_forget(jobs->registry, job->slot);
        for (struct jobs_walk *walk = jobs->walks; walk != NULL; walk = walk->next)
                if (walk->at == job)
                        walk->at = job->hh.prev;
        HASH_DEL(jobs->by_id, job);
        list_remove(&job->ended_node);
        jobs_release_output(job);
        job_drop_output(job);
        release_request(job);
        share_give(&jobs->shares[JOB_RECORDS], &job->sharer->held[JOB_RECORDS], 1);
        sharer_leave(&jobs->users, job->sharer);
        free(job->program);
        free(job->command);
        free(job);
}

int job_enter(struct job *job)
{
        struct jobs *jobs = job->jobs;

        list_init(&job->ended_node);
        list_init(&job->output_node);
        list_init(&job->own_node);
        list_init(&job->followers);
        job->sharer = sharer_join(&jobs->users, job->user);
        if (job->sharer == NULL)
                return -ENOMEM;
        HASH_ADD_STR(jobs->by_id, id, job);
        if (job->hh.tbl == NULL) {
                job->sharer = sharer_leave(&jobs->users, job->sharer);
                return -ENOMEM;
        }
        share_charge(&jobs->shares[JOB_RECORDS], &job->sharer->held[JOB_RECORDS], 1);
        return 0;
}

int job_new(struct job **ret_job, struct jobs *jobs, struct job_request *request)
{
        struct job *job = calloc(1, sizeof *job);
        int r;

        if (job == NULL) {
                if (request->release != NULL)
                        request->release(request->owner);
                return -ENOMEM;
        }
        *job = (struct job){
                .jobs = jobs,
                .is_detached = request->is_detached,
                .is_keeping_outputs = request->is_keeping_outputs,
                .request = request->exec,
                .profile = request->profile,
                .owner = request->owner,
                .release = request->release,
                .ring.limit_bytes = jobs->options.ring_bytes,
                .created_ms = clock_boottime_ms(),
                .slot = -1,
        };
        job->outputs[0].cap_bytes = job->outputs[1].cap_bytes = request->exec.max_output_bytes;
        memcpy(job->digest, request->digest, sizeof job->digest);
        job->program = strdup(request->exec.argv[0]);
        job->command = exec_command(request->exec.argv);
        r = job->program == NULL || job->command == NULL ? -ENOMEM : exec_id_choose(request->exec_id, job->id);
        if (r == 0)
                r = str_copy(job->user, sizeof job->user, request->user);
        if (r == 0)
                r = job_enter(job);
        if (r == 0) {
                job->asked_bytes = request->n_bytes + sizeof *job;
                share_charge(&jobs->shares[JOB_ASKED], &job->sharer->held[JOB_ASKED], job->asked_bytes);
                *ret_job = job;
                return 0;
        }
        if (request->release != NULL)
                request->release(request->owner);
        free(job->program);
        free(job->command);
        free(job);
        return r;
}

/* ---- events ---- */

static void tell_followers(struct job *job)
{
        LIST_EACH (&job->followers, node) {
                struct job_follower *follower = LIST_ENTRY(node, struct job_follower, node);

                follower->on_change(follower->arg);
        }
}

/* Above the bounds, drops outputs of ended jobs first, then this job's own history. */
static void push_event(struct job *job, enum exec_event_kind kind, const char *bytes, size_t length)
{
        struct jobs *jobs = job->jobs;
        size_t before = job->ring.bytes;

        if (exec_ring_push(&job->ring, kind, bytes, length) < 0)
                exec_ring_lose(&job->ring);
        job_registry_progress(jobs->registry, job->slot, job->ring.next_seq);
        job_charge(job, job->ring.bytes);
        job_discharge(job, before);
        while (!jobs_make_room(job, JOB_HISTORY, 0)) {
                before = job->ring.bytes;
                if (!exec_ring_drop(&job->ring))
                        return;
                job_discharge(job, before - job->ring.bytes);
        }
}

struct piece {
        struct job *job;
        enum exec_event_kind kind;
};

/* Splits text between characters; utf8_unfinished leaves at most 3 bytes for the next piece. */
static int push_output(void *arg, const char *bytes, size_t length)
{
        const struct piece *piece = arg;

        while (length > 0) {
                size_t n = length;

                if (n > EXEC_EVENT_MAX_BYTES) {
                        n = EXEC_EVENT_MAX_BYTES;
                        n -= utf8_unfinished(bytes, n);
                }
                push_event(piece->job, piece->kind, bytes, n);
                bytes += n;
                length -= n;
        }
        return 0;
}

static void flush_tails(struct job *job)
{
        struct piece pieces[2] = { { job, EXEC_EVENT_OUTPUT }, { job, EXEC_EVENT_ERRORS } };

        for (int i = 0; i < 2; i++)
                (void)text_tail_end(&job->tails[i], push_output, &pieces[i]);
}

static void keep_output(struct job *job, int stream, const void *bytes, size_t length)
{
        struct exec_output *output = &job->outputs[stream - 1];
        size_t before = output->kept.length;
        uint64_t room = output->cap_bytes > before ? output->cap_bytes - before : 0;
        size_t wanted = length < room ? length : (size_t)room;

        if (wanted > 0 && !jobs_make_room(job, JOB_HISTORY, wanted))
                output->cap_bytes = before; /* the rest is dropped, and flagged */
        exec_output_append(output, bytes, length);
        job_charge(job, output->kept.length - before);
}

/* ---- the life of the program ---- */

static bool is_lost(const struct exec_output *output)
{
        return output->kept.length > 0 || output->is_truncated;
}

/* Writes the end to the registry before it is reported. */
static void record_end(const struct job *job, enum job_state state)
{
        struct job_end end = { .state = state, .seq = job->ring.next_seq, .ended_ms = clock_boottime_ms() };
        const char *message;

        if (state == JOB_ENDED) {
                end.cause = job->result.cause;
                end.exit_code = job->result.exit_code;
                end.signal = job->result.signal;
                end.duration_s = job->result.duration_s;
                end.usage = job->result.usage;
                end.is_output_lost = is_lost(&job->outputs[0]);
                end.is_errors_lost = is_lost(&job->outputs[1]);
                message = job->result.message;
        } else {
                end.kind = job->why.kind;
                end.err = job->why.err;
                end.retry_after_s = job->why.retry_after_s;
                message = job->why.message;
        }
        (void)snprintf(end.message, sizeof end.message, "%s", message != NULL ? message : "");
        job_registry_end(job->jobs->registry, job->slot, &end);
}

void job_finish(struct job *job, enum job_state state)
{
        record_end(job, state);
        job->state = state;
        job->exec = NULL;
        release_request(job);
        job_registry_progress(job->jobs->registry, job->slot, job->ring.next_seq + 1);
        if (list_is_empty(&job->followers))
                jobs_keep(job);
        tell_followers(job);
}

static void fail(struct job *job, const struct fault *why)
{
        job->why = *why;
        job_finish(job, JOB_FAILED);
}

static void on_start(void *arg, const char *exec_id)
{
        struct job *job = arg;

        (void)exec_id;
        if (job->ring.next_seq > 0)
                return;
        push_event(job, EXEC_EVENT_START, NULL, 0);
        release_request(job);
        tell_followers(job);
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct job *job = arg;
        struct piece piece = { job, stream == 1 ? EXEC_EVENT_OUTPUT : EXEC_EVENT_ERRORS };

        if (stream < 1 || stream > 2 || length == 0)
                return;
        on_start(job, NULL);
        if (job->is_keeping_outputs)
                keep_output(job, stream, bytes, length);
        (void)text_tail_feed(&job->tails[stream - 1], bytes, length, push_output, &piece);
        tell_followers(job);
}

static const char *text_of(const struct exec_output *output)
{
        return output->kept.data != NULL ? output->kept.data : "";
}

static void end_output(struct job *job, int index, bool is_truncated)
{
        struct exec_output *output = &job->outputs[index];
        size_t before;

        output->is_truncated |= is_truncated;
        before = output->kept.length;
        exec_output_end(output);
        job_discharge(job, before - output->kept.length);
}

static void set_result(struct job *job, const struct exec_result *result)
{
        end_output(job, 0, result->is_output_truncated);
        end_output(job, 1, result->is_errors_truncated);
        job->result = *result;
        job->result.taken_from = NULL;
        job->result.is_text = utf8_scan_is_text(&job->outputs[0].scan) && utf8_scan_is_text(&job->outputs[1].scan);
        job->result.n_escapes = job->outputs[0].scan.n_escapes + job->outputs[1].scan.n_escapes;
        memcpy(job->result.exec_id, job->id, sizeof job->result.exec_id);
        job->result.output = text_of(&job->outputs[0]);
        job->result.output_length = job->outputs[0].kept.length;
        job->result.errors = text_of(&job->outputs[1]);
        job->result.errors_length = job->outputs[1].kept.length;
        job->result.is_output_truncated |= job->outputs[0].is_truncated;
        job->result.is_errors_truncated |= job->outputs[1].is_truncated;
}

static void set_launched(struct job *job, bool has_launched)
{
        job->has_started = has_launched;
        job_registry_launch(job->jobs->registry, job->slot, has_launched ? job->generation : 0);
}

static void on_launch(void *arg)
{
        set_launched(arg, true);
}

/* A carrel may die between its ensure and the start of the program. If nothing has started in it, the job tries once
 * more. It does not try a third time: a second carrel that dies at once is not a coincidence. */
static void fail_or_try_again(struct job *job, const struct fault *why)
{
        bool has_begun = job->ring.next_seq > 0;

        job->exec = NULL;
        if (why->kind == FAULT_CARREL_LOST && !has_begun)
                set_launched(job, false);
        if (why->kind != FAULT_CARREL_LOST || has_begun || job->is_second_try) {
                fail(job, why);
                return;
        }
        job->is_second_try = true;
        job->state = JOB_WAITING;
        job_begin(job);
}

static void on_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct job *job = arg;

        if (result == NULL) {
                fail_or_try_again(job, why);
                return;
        }
        on_start(job, NULL);
        flush_tails(job);
        set_result(job, result);
        job_finish(job, JOB_ENDED);
}

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        static const struct exec_sink SINK = {
                .on_start = on_start, .on_output = on_output, .on_done = on_done, .on_launch = on_launch
        };
        struct job *job = arg;
        struct fault refusal;

        job->wait = NULL;
        if (why != NULL) {
                fail(job, why);
                return;
        }
        job->request.is_streaming = true;
        job->request.exec_id = job->id;
        job->generation = ensured->carrel.generation;
        if (pool_exec(job->jobs->pool, ensured->carrel.user, &job->request, &SINK, job, &job->exec, &refusal) < 0) {
                /* The carrel was lost before its watcher noticed, and the program was not sent. After any other refusal
                 * that came after a launch (out of memory) the program may have run. */
                if (refusal.kind == FAULT_CARREL_LOST) {
                        pool_mark_lost(job->jobs->pool, job->user, refusal.message);
                        set_launched(job, false);
                }
                fail_or_try_again(job, &refusal);
                return;
        }
        job->state = JOB_RUNNING;
}

void job_begin(struct job *job)
{
        struct carrel_spec spec = { 0 };

        if (job->profile != NULL)
                (void)snprintf(spec.profile, sizeof spec.profile, "%s", job->profile);
        pool_ensure(job->jobs->pool, job->user, &spec, CONFLICT_REPLACE_IDLE, on_ensured, job, &job->wait);
}

/* The last holder has gone. */
static void cancel(struct job *job)
{
        struct exec_result cancelled = {
                .cause = EXEC_CANCELLED,
                .exit_code = 128 + SIGKILL,
                .duration_s = (double)(clock_boottime_ms() - job->created_ms) / 1000,
        };
        struct fault why;

        job->wait = pool_leave(job->wait);
        if (job->exec == NULL) {
                (void)fault_set(&why, FAULT_CANCELLED, ECANCELED, "the client left before the program was started");
                fail(job, &why);
                return;
        }
        job->exec = pool_exec_cancel(job->jobs->pool, job->exec);
        job->outputs[0].is_truncated = job->outputs[1].is_truncated = true;
        on_done(job, &cancelled, NULL);
}

/* ---- followers ---- */

void job_follow(struct job *job, struct job_follower *follower)
{
        list_remove(&job->ended_node);
        jobs_release_output(job);
        follower->job = job;
        follower->is_paused = false;
        list_append(&job->followers, &follower->node);
        job->n_holders += follower->is_holding;
}

void job_pause(struct job_follower *follower, bool is_paused)
{
        struct job *job = follower->job;

        if (job == NULL || job->is_detached || !follower->is_holding || follower->is_paused == is_paused)
                return;
        follower->is_paused = is_paused;
        if (is_paused)
                job->n_paused++;
        else
                job->n_paused--;
        if (job->exec != NULL && job->n_paused <= 1)
                exec_pause(job->exec, job->n_paused > 0);
}

void job_unfollow(struct job_follower *follower)
{
        struct job *job = follower->job;

        if (job == NULL)
                return;
        job_pause(follower, false);
        follower->job = NULL;
        list_remove(&follower->node);
        job->n_holders -= follower->is_holding;
        if (follower->is_holding && job->n_holders == 0 && !job->is_detached && !job->is_restored &&
            job->state < JOB_ENDED)
                cancel(job);
        if (list_is_empty(&job->followers) && job->state >= JOB_ENDED)
                jobs_keep(job);
}

/* ---- looking ---- */

void job_view(const struct job *job, struct job_view *ret_view)
{
        int64_t end_ms = clock_boottime_ms();

        *ret_view = (struct job_view){
                .exec_id = job->id,
                .user = job->user,
                .program = job->program,
                .command = job->command != NULL ? job->command : job->program,
                .state = job->state,
                .is_detached = job->is_detached,
                .is_restored = job->is_restored,
                .is_bare = job->is_restored || job->is_bare,
                .age_s = (double)(end_ms - job->created_ms) / 1000,
                .first_seq = job->ring.first_seq,
                .next_seq = job->ring.next_seq + (job->state >= JOB_ENDED),
                .result = job->state == JOB_ENDED ? &job->result : NULL,
                .why = job->state == JOB_FAILED ? &job->why : NULL,
        };
}

/* The end is not in the ring: it is kept as long as the job. */
int job_event(const struct job *job, uint64_t seq, struct exec_event *ret_event)
{
        if (job->state >= JOB_ENDED && seq == job->ring.next_seq) {
                *ret_event = (struct exec_event){ .seq = seq, .kind = EXEC_EVENT_END, .bytes = "" };
                return 0;
        }
        return exec_ring_get(&job->ring, seq, ret_event);
}
