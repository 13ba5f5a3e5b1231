/* /v1/execs: running execs, and execs that are kept as jobs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "answer.h"
#include "api.h"
#include "exec-feed.h"
#include "handlers.h"
#include "jobs.h"
#include "list-query.h"
#include "parse.h"
#include "pieces.h"
#include "put.h"
#include "render.h"
#include "stream.h"

/* ---- looking ---- */

struct exec_search {
        struct request *request;
        struct json *found;
};

static void look_at_exec(void *arg, const struct exec_view *view)
{
        struct exec_search *search = arg;
        struct request *request = search->request;

        if (search->found != NULL || !str_equal(view->exec_id, request->parameter))
                return;
        search->found = render_exec(view, pool_exec_user(api_of(request)->pool, view->exec_id));
}

static void answer_unknown(struct request *request)
{
        struct fault why;

        (void)fault_set(&why, FAULT_NOT_FOUND, ENOENT, "there is no such exec, or it has ended and is not kept");
        answer_fault(request, &why);
}

static struct job *find_job(const struct request *request)
{
        struct jobs *jobs = api_of(request)->options.jobs;

        return jobs == NULL ? NULL : jobs_find(jobs, request->parameter);
}

void handle_exec_inspect(struct request *request)
{
        const struct execs *execs = api_of(request)->options.execs;
        const struct job *job = find_job(request);
        struct exec_search search = { .request = request };

        if (job != NULL) {
                struct job_view view;

                job_view(job, &view);
                answer_json(request, HTTP_OK, render_job(&view));
                return;
        }
        if (execs != NULL)
                execs_each(execs, NULL, look_at_exec, &search);
        if (search.found == NULL)
                answer_unknown(request);
        else
                answer_json(request, HTTP_OK, search.found);
}

/* ---- all of them ---- */

/* A job that was listed as a running exec. If it has ended when the jobs are listed, it must not be listed again. */
struct shown_job {
        UT_hash_handle hh;
        char id[EXEC_ID_BYTES];
};

/* Lists running execs, then jobs; each in its state at that moment. */
struct exec_listing {
        struct request *request;
        struct list_query query;
        struct piece_list list;
        struct execs_walk execs;
        struct jobs_walk jobs;
        bool is_among_execs, has_execs, has_jobs;
        struct shown_job *shown;
        size_t n_jobs;
        unsigned n_added; /* in this piece */
        bool is_truncated, has_failed;
};

/* How many execs and jobs are looked at for one piece; the filter may skip most of them. */
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

/* False: the list has reached its limit. */
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

/* Looks at the next exec or job. False: there are no more. */
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
        struct json *tail;

        if (!listing->list.has_begun)
                piece_list_begin(&listing->list, text, json_object(), "execs");
        listing->n_added = 0;
        for (unsigned n = 0; n < LOOKS_MOST && listing->n_added < PIECE_ITEMS; n++) {
                if (add_next(listing, text))
                        continue;
                tail = json_object();
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

/* ---- output ---- */

/* Chooses the first event to send: the one after `after`, or the oldest that is kept. */
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
        struct job *job = find_job(request);
        struct exec_feed *feed;
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
        feed = exec_feed_new(request, &EXEC_NDJSON);
        if (feed == NULL)
                return;
        feed->seq = seq;
        feed->is_following = query.is_following;
        exec_feed_follow(feed, job, false);
}

/* ---- signals ---- */

static int signal_exec(struct request *request, int signal, struct fault *why)
{
        struct execs *execs = api_of(request)->options.execs;
        int r = execs == NULL ? -ENOENT : execs_signal(execs, request->parameter, signal);

        if (r == -EINVAL)
                return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "signal %d cannot be sent", signal);
        if (r == -ENOENT)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no such exec, or it has ended");
        if (r < 0)
                return fault_set(why, FAULT_NOT_FOUND, -r, "the exec has no process to signal");
        return 0;
}

void handle_exec_signal(struct request *request)
{
        struct fault why;
        struct json *answer;
        int signal;

        if (parse_signal(request->body.data, request->body.length, &signal, &why) < 0 ||
            signal_exec(request, signal, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        answer = json_object();
        put_text(&answer, "exec_id", request->parameter);
        put_number(&answer, "signal", signal);
        answer_json(request, HTTP_OK, answer);
}
