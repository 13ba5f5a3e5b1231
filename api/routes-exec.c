/* POST /v1/carrels/{user}/exec. A request without `exec_id` and `detach` runs a program of its own; any other starts a
 * job, or finds the job that an earlier request started. */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>

#include "answer.h"
#include "api.h"
#include "exec-feed.h"
#include "handlers.h"
#include "jobs.h"
#include "json.h"
#include "parse.h"
#include "render.h"

/* ---- a job ---- */

static void digest_parts(unsigned char format, size_t length, const void *bytes,
                         unsigned char ret_digest[JOB_DIGEST_BYTES])
{
        struct sha256_ctx sha;

        sha256_init(&sha);
        sha256_update(&sha, 1, &format);
        sha256_update(&sha, length, bytes);
        sha256_digest(&sha, JOB_DIGEST_BYTES, ret_digest);
}

static int digest_request(const struct exec_feed *feed, struct job_request *job_request)
{
        const struct buffer *body = &feed->request->body;
        unsigned char format = (unsigned char)feed->format->name;
        unsigned char tree[JSON_DIGEST_BYTES];
        int r = json_digest(feed->body.tree, tree);

        if (r < 0)
                return r;
        digest_parts(format, sizeof tree, tree, job_request->digest);
        digest_parts(format, body->length, body->data, job_request->former_digest);
        return 0;
}

static void release_body(void *arg)
{
        struct exec_body *body = arg;

        exec_body_release(body);
        free(body);
}

/* A fault of the start is the answer. Later faults are in the job. */
static void answer_detached(struct request *request, struct job *job)
{
        struct job_view view;
        struct fault why;

        job_view(job, &view);
        if (view.why == NULL) {
                answer_json(request, HTTP_ACCEPTED, render_job(&view));
                return;
        }
        why = *view.why;
        jobs_forget(job);
        answer_fault(request, &why);
}

static void follow(struct exec_feed *feed, struct job *job)
{
        struct job_view view;

        job_view(job, &view);
        feed->seq = view.is_bare ? view.first_seq : 0;
        feed->is_following = true;
        exec_feed_follow(feed, job, true);
}

static void start_job(struct exec_feed *feed)
{
        struct request *request = feed->request;
        struct exec_body *body = malloc(sizeof *body);
        struct job_request job_request = {
                .user = request->parameter,
                .exec_id = feed->body.request.exec_id,
                .exec = feed->body.request,
                .profile = feed->body.profile,
                .n_bytes = request->body.length,
                .is_detached = feed->body.is_detached,
                .is_keeping_outputs = feed->format == &EXEC_BUFFERED,
                .owner = body,
                .release = release_body,
        };
        struct fault why;
        struct job *job;

        if (body == NULL || digest_request(feed, &job_request) < 0) {
                free(body);
                answer_no_memory(request);
                return;
        }
        *body = feed->body;
        feed->body = (struct exec_body){ 0 };
        if (jobs_start(api_of(request)->options.jobs, &job_request, &job, &why) < 0)
                answer_fault(request, &why);
        else if (job_request.is_detached)
                answer_detached(request, job);
        else
                follow(feed, job);
}

/* ---- the handler ---- */

static int check_format(const struct exec_format *format, bool is_job, struct fault *why)
{
        if (!is_job || format->is_replayable)
                return 0;
        return fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "with exec_id the stream is %s only",
                         EXEC_NDJSON.content_type);
}

void handle_exec(struct request *request)
{
        const struct exec_format *format;
        struct exec_body body;
        struct exec_feed *feed;
        struct fault why;
        bool is_job;

        if (parse_exec(request->body.data, request->body.length, &body, &why) < 0) {
                answer_fault(request, &why);
                return;
        }
        is_job = body.is_detached || body.request.exec_id != NULL;
        format = exec_format_of(request, body.is_detached);
        feed = exec_feed_new(request, format);
        if (feed == NULL) {
                exec_body_release(&body);
                return;
        }
        feed->body = body;
        if (check_format(format, is_job, &why) < 0)
                answer_fault(request, &why);
        else if (is_job)
                start_job(feed);
        else
                exec_feed_run(feed);
}
