#include <cjson/cJSON.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "answer.h"
#include "api.h"
#include "errors.h"
#include "exec-answer.h"
#include "handlers.h"
#include "job-reader.h"
#include "job-requests.h"
#include "jobs.h"
#include "json.h"
#include "list-query.h"
#include "pieces.h"
#include "put.h"
#include "render.h"
#include "routes.h"
#include "stream.h"

/* ---- rendering ---- */

static cJSON *render_job(const struct job_view *view)
{
        cJSON *object = cJSON_CreateObject();
        cJSON *error;

        put_text(&object, "exec_id", view->exec_id);
        put_text(&object, "user", view->user);
        put_text(&object, "program", view->program);
        put_text(&object, "command", view->command);
        put_text(&object, "state", job_state_name(view->state));
        put_bool(&object, "detached", view->is_detached);
        put_seconds(&object, "age_s", view->age_s * 1000);
        put_number(&object, "first_seq", (double)view->first_seq);
        put_number(&object, "next_seq", (double)view->next_seq);
        if (view->result != NULL)
                render_exec_outcome(&object, view->result);
        if (view->why == NULL)
                return object;
        error = error_render(view->why);
        put_child(&object, "error", cJSON_DetachItemFromObject(error, "error"));
        cJSON_Delete(error);
        return object;
}

static void answer_job(struct request *request, unsigned status, const struct job *job)
{
        struct job_view view;

        job_view(job, &view);
        answer_json(request, status, render_job(&view));
}

/* ---- starting one ---- */

struct job_work {
        struct job_reader reader;
        bool is_streaming;
};

static void release_work(void *arg)
{
        struct job_work *work = arg;

        job_unfollow(&work->reader.follower);
        free(work);
}

static void on_change(void *arg)
{
        struct job_work *work = arg;
        struct request *request = work->reader.request;
        struct job_view view;

        job_view(work->reader.follower.job, &view);
        if (request->stream != NULL && work->is_streaming)
                job_reader_pump(&work->reader);
        else if (request_is_answered(request))
                return;
        else if (view.state == JOB_FAILED)
                answer_fault(request, view.why);
        else if (work->is_streaming && view.next_seq > 0)
                job_reader_begin(&work->reader);
        else if (view.state == JOB_ENDED)
                answer_exec_result(request, view.result, work->reader.follower.job);
}

/* The answer comes with the job: the program lives as long as somebody waits for it. */
static void hold(struct request *request, struct job *job, bool is_streaming)
{
        struct job_work *work = calloc(1, sizeof *work);
        struct job_view view;

        if (work == NULL) {
                answer_no_memory(request);
                return;
        }
        job_view(job, &view);
        *work = (struct job_work){
                .reader = { .request = request,
                            .follower = { .on_change = on_change, .arg = work, .is_holding = true },
                            .next_seq = view.is_bare ? view.first_seq : 0,
                            .is_following = true },
                .is_streaming = is_streaming,
        };
        request->work = work;
        request->release = release_work;
        job_follow(job, &work->reader.follower);
        on_change(work);
}

static void digest_parts(unsigned char mode, size_t length, const void *bytes,
                         unsigned char ret_digest[JOB_DIGEST_BYTES])
{
        struct sha256_ctx sha;

        sha256_init(&sha);
        sha256_update(&sha, 1, &mode);
        sha256_update(&sha, length, bytes);
        sha256_digest(&sha, JOB_DIGEST_BYTES, ret_digest);
}

static int digest_request(const struct request *request, const struct exec_body *body, struct job_request *job_request)
{
        unsigned char mode = (unsigned char)(body->is_detached ? 'd' : body->request.is_streaming ? 's' : 'b');
        unsigned char said[JSON_DIGEST_BYTES];
        int r = json_digest(body->tree, said);

        if (r < 0)
                return r;
        digest_parts(mode, sizeof said, said, job_request->digest);
        digest_parts(mode, request->body.length, request->body.data, job_request->former_digest);
        return 0;
}

static void release_body(void *arg)
{
        struct exec_body *body = arg;

        exec_body_release(body);
        free(body);
}

/* An immediate failure is the answer; a later one is in the job. */
static void answer_detached(struct request *request, struct job *job)
{
        struct job_view view;
        struct fault why;

        job_view(job, &view);
        if (view.why == NULL) {
                answer_job(request, HTTP_ACCEPTED, job);
                return;
        }
        why = *view.why;
        jobs_forget(job);
        answer_fault(request, &why);
}

void job_begin_request(struct request *request, struct exec_body *body)
{
        struct exec_body *owned = malloc(sizeof *owned);
        struct job_request job_request = {
                .user = request->parameter,
                .exec_id = body->request.exec_id,
                .exec = body->request,
                .n_bytes = request->body.length,
                .is_detached = body->is_detached,
                .is_keeping_outputs = !body->is_detached && !body->request.is_streaming,
                .owner = owned,
                .release = release_body,
        };
        struct fault why;
        struct job *job;

        if (owned == NULL || digest_request(request, body, &job_request) < 0) {
                free(owned);
                exec_body_release(body);
                answer_no_memory(request);
                return;
        }
        *owned = *body;
        if (jobs_start(api_of(request)->options.jobs, &job_request, &job, &why) < 0)
                answer_fault(request, &why);
        else if (job_request.is_detached)
                answer_detached(request, job);
        else
                hold(request, job, job_request.exec.is_streaming);
}

/* ---- looking ---- */

struct exec_search {
        struct request *request;
        cJSON *found;
};

static void look_at_exec(void *arg, const struct exec_view *view)
{
        struct exec_search *search = arg;
        struct request *request = search->request;
        cJSON *object;

        if (search->found != NULL || !str_equal(view->exec_id, request->parameter))
                return;
        object = render_exec(view, pool_exec_user(api_of(request)->pool, view->exec_id));
        search->found = cJSON_Duplicate(object, true);
        cJSON_Delete(object);
}

static void answer_unknown(struct request *request)
{
        struct fault why;

        (void)fault_set(&why, FAULT_NOT_FOUND, ENOENT, "there is no such exec, or it is over and not kept");
        answer_fault(request, &why);
}

void handle_exec_inspect(struct request *request)
{
        const struct api_options *options = &api_of(request)->options;
        const struct job *job = options->jobs == NULL ? NULL : jobs_find(options->jobs, request->parameter);
        struct exec_search search = { .request = request };

        if (job != NULL) {
                answer_job(request, HTTP_OK, job);
                return;
        }
        if (options->execs != NULL)
                execs_each(options->execs, NULL, look_at_exec, &search);
        if (search.found == NULL)
                answer_unknown(request);
        else
                answer_json(request, HTTP_OK, search.found);
}

/* ---- all of them ---- */

/* A job that has been listed with the execs that run, so that it is not listed again when it is over by then. */
struct shown_job {
        UT_hash_handle hh;
        char id[EXEC_ID_BYTES];
};

/* Execs, then jobs, each as it is when its turn comes. */
struct exec_listing {
        struct request *request;
        struct list_query query;
        struct piece_list list;
        struct execs_walk execs;
        struct jobs_walk jobs;
        bool has_begun, is_among_execs, has_execs, has_jobs;
        struct shown_job *shown;
        size_t n_jobs;
        unsigned n_added; /* to this piece */
        bool is_truncated, has_failed;
};

/* The number of entries visited for one piece, many of which may not match. */
enum { LOOKS_MOST = 8 * PIECE_ITEMS };

static void release_listing(void *arg)
{
        struct exec_listing *listing = arg;
        struct shown_job *shown, *next;

        HASH_ITER(hh, listing->shown, shown, next)
        {
                HASH_DEL(listing->shown, shown);
                free(shown);
        }
        if (listing->has_execs)
                execs_walk_end(&listing->execs);
        if (listing->has_jobs)
                jobs_walk_end(&listing->jobs);
        free(listing);
}

static bool is_asked_for(const struct exec_listing *listing, enum job_state state, const char *user)
{
        const struct list_query *query = &listing->query;

        return (query->exec_state == JOB_STATES || query->exec_state == (int)state) &&
               (query->user[0] == '\0' || str_equal(query->user, user));
}

static void note_shown(struct exec_listing *listing, const char *exec_id)
{
        struct shown_job *shown;

        if (!listing->has_jobs || jobs_find(listing->jobs.jobs, exec_id) == NULL)
                return;
        shown = calloc(1, sizeof *shown);
        if (shown != NULL) {
                (void)snprintf(shown->id, sizeof shown->id, "%s", exec_id);
                HASH_ADD_STR(listing->shown, id, shown);
        }
        if (shown != NULL && shown->hh.tbl != NULL)
                return;
        free(shown);
        listing->has_failed = true;
}

static void add_exec(struct exec_listing *listing, struct buffer *text, const struct exec_view *view)
{
        const char *user = pool_exec_user(api_of(listing->request)->pool, view->exec_id);

        if (!is_asked_for(listing, JOB_RUNNING, user))
                return;
        note_shown(listing, view->exec_id);
        piece_list_add(&listing->list, text, render_exec(view, user));
        listing->n_added++;
}

/* False: there are more than a list has. */
static bool add_job(struct exec_listing *listing, struct buffer *text, const struct job *job)
{
        const struct shown_job *shown;
        struct job_view view;

        job_view(job, &view);
        HASH_FIND_STR(listing->shown, view.exec_id, shown);
        if (shown != NULL || !is_asked_for(listing, view.state, view.user))
                return true;
        listing->is_truncated = listing->n_jobs == LIST_LIMIT_MAX;
        if (listing->is_truncated)
                return false;
        piece_list_add(&listing->list, text, render_job(&view));
        listing->n_jobs++;
        listing->n_added++;
        return true;
}

/* Looks at the next one. False: that is all. */
static bool add_next(struct exec_listing *listing, struct buffer *text)
{
        struct exec_view view;
        const struct job *job;

        if (listing->is_among_execs) {
                listing->is_among_execs = execs_walk_next(&listing->execs, &view);
                if (listing->is_among_execs)
                        add_exec(listing, text, &view);
                return true;
        }
        job = listing->has_jobs ? jobs_walk_next(&listing->jobs) : NULL;
        return job != NULL && add_job(listing, text, job);
}

static int add_execs(void *arg, struct buffer *text)
{
        struct exec_listing *listing = arg;
        cJSON *tail;

        if (!listing->has_begun)
                piece_list_begin(&listing->list, text, cJSON_CreateObject(), "execs");
        listing->has_begun = true;
        listing->n_added = 0;
        for (unsigned n = 0; n < LOOKS_MOST && listing->n_added < PIECE_ITEMS; n++) {
                if (add_next(listing, text))
                        continue;
                tail = cJSON_CreateObject();
                put_bool(&tail, "truncated", listing->is_truncated);
                piece_list_end(text, tail);
                return listing->has_failed ? -ENOMEM : 0;
        }
        return listing->has_failed ? -ENOMEM : 1;
}

static void begin_walks(struct exec_listing *listing)
{
        const struct api_options *options = &api_of(listing->request)->options;

        listing->has_jobs = options->jobs != NULL;
        if (listing->has_jobs)
                jobs_walk_begin(options->jobs, &listing->jobs);
        listing->has_execs = options->execs != NULL &&
                             (listing->query.exec_state == JOB_STATES || listing->query.exec_state == (int)JOB_RUNNING);
        listing->is_among_execs = listing->has_execs;
        if (listing->has_execs)
                execs_walk_begin(options->execs, &listing->execs);
}

void handle_exec_list(struct request *request)
{
        struct exec_listing *listing = calloc(1, sizeof *listing);
        struct fault why;

        if (listing == NULL) {
                answer_no_memory(request);
                return;
        }
        listing->request = request;
        if (list_query_parse(request->query, request->route->query, &listing->query, &why) < 0) {
                release_listing(listing);
                answer_fault(request, &why);
                return;
        }
        begin_walks(listing);
        if (answer_pieces(request, ANSWER_SIZE_UNKNOWN, &(struct pieces){ add_execs, release_listing, listing }) < 0)
                answer_no_memory(request);
}

/* ---- reading along ---- */

static void on_news(void *arg)
{
        struct job_reader *reader = arg;

        if (reader->request->stream != NULL)
                job_reader_pump(reader);
}

static void release_reader(void *arg)
{
        struct job_reader *reader = arg;

        job_unfollow(&reader->follower);
        free(reader);
}

/* The number of the first event to send. Without `after` it is the oldest there is. */
static int choose_seq(const struct job *job, const struct list_query *query, uint64_t *ret_seq, struct fault *why)
{
        struct job_view view;

        job_view(job, &view);
        *ret_seq = query->has_seq ? query->after_seq + 1 : view.is_bare ? 0 : view.first_seq;
        if (*ret_seq < view.first_seq && view.is_restored)
                return fault_set(why, FAULT_HISTORY_GONE, ESTALE,
                                 "carreld has been restarted since, and kept no output: GET /v1/execs/%s says how it "
                                 "ended, and so does after=%jd",
                                 view.exec_id, (intmax_t)view.first_seq - 1);
        if (*ret_seq < view.first_seq && view.is_bare)
                return fault_set(
                        why, FAULT_HISTORY_GONE, ESTALE,
                        "its output is not kept any more (exec_history_size, exec_keep): GET /v1/execs/%s says "
                        "how it ended, and so does after=%jd",
                        view.exec_id, (intmax_t)view.first_seq - 1);
        if (*ret_seq < view.first_seq)
                return fault_set(why, FAULT_HISTORY_GONE, ESTALE,
                                 "events up to seq %ju are not kept any more: leave `after` out, or keep up",
                                 (uintmax_t)view.first_seq - 1);
        if (*ret_seq > view.next_seq)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "after is beyond the last event, seq %jd",
                                 (intmax_t)view.next_seq - 1);
        return 0;
}

void handle_exec_output(struct request *request)
{
        struct jobs *jobs = api_of(request)->options.jobs;
        struct job *job = jobs == NULL ? NULL : jobs_find(jobs, request->parameter);
        struct job_reader *reader;
        struct job_view view;
        struct list_query query;
        struct fault why;
        uint64_t seq;

        if (job == NULL) {
                answer_unknown(request);
                return;
        }
        if (list_query_parse(request->query, request->route->query, &query, &why) < 0 ||
            choose_seq(job, &query, &seq, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        job_view(job, &view);
        if (query.is_following && request_occupy(request, view.user, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        reader = calloc(1, sizeof *reader);
        if (reader == NULL) {
                answer_no_memory(request);
                return;
        }
        *reader = (struct job_reader){ .request = request,
                                       .follower = { .on_change = on_news, .arg = reader },
                                       .next_seq = seq,
                                       .is_following = query.is_following };
        request->work = reader;
        request->release = release_reader;
        job_follow(job, &reader->follower);
        job_reader_begin(reader);
}
