#include "file-work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "api.h"
#include "ensure-then.h"
#include "inside.h"
#include "spool.h"
#include "stream.h"

/* The longest that an operation may take, even if it makes progress. */
static const double TIMEOUT_S = 86400;
/* The slowest disk that we wait for after the last byte has been written. */
static const double FLUSH_BYTES_PER_S = 4 << 20;
enum { PIECE_BYTES = 64 << 10, EXTRA_ARGUMENTS = 3 };

static void on_standstill(struct ev_loop *loop, ev_timer *timer, int events);

static void cancel_program(struct file_work *work)
{
        if (work->exec != NULL)
                work->exec = pool_exec_cancel(api_of(work->request)->pool, work->exec);
}

static void release_work(void *arg)
{
        struct file_work *work = arg;

        ev_timer_stop(api_of(work->request)->loop, &work->patience);
        cancel_program(work);
        buffer_free(&work->listing);
        free(work);
}

/* ---- progress ---- */

static double patience_s(const struct file_work *work)
{
        return work->operation->patience_s > 0 ? work->operation->patience_s
                                               : api_of(work->request)->options.progress_deadline_s;
}

static void wait_for_progress(struct file_work *work, double extra_s)
{
        if (!work->is_launched)
                return;
        work->moved_bytes = 0;
        work->patience.repeat = patience_s(work) + extra_s;
        ev_timer_again(api_of(work->request)->loop, &work->patience);
}

static void note_progress(struct file_work *work, size_t length)
{
        work->moved_bytes += length;
        if (work->moved_bytes >= FILE_PROGRESS_BYTES)
                wait_for_progress(work, 0);
}

static void fail_late(struct file_work *work)
{
        struct fault why;

        (void)fault_set(&why, FAULT_DEADLINE, ETIMEDOUT,
                        "the file operation inside the carrel made no progress for %g s and was killed: check whether "
                        "the user's programs stop it, or use all of the carrel's CPU and disk",
                        work->patience.repeat);
        file_work_fail(work, &why);
}

static void on_standstill(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)events;
        ev_timer_stop(loop, timer);
        fail_late(timer->data);
}

struct file_work *file_work_new(struct request *request, const struct file_operation *operation)
{
        struct file_work *work = calloc(1, sizeof *work);

        if (work == NULL) {
                answer_no_memory(request);
                return NULL;
        }
        work->request = request;
        work->operation = operation;
        ev_init(&work->patience, on_standstill);
        work->patience.data = work;
        request->work = work;
        request->release = release_work;
        return work;
}

void file_work_fail(struct file_work *work, const struct fault *why)
{
        ev_timer_stop(api_of(work->request)->loop, &work->patience);
        cancel_program(work);
        if (work->request->stream != NULL)
                stream_break(work->request->stream);
        else
                answer_fault(work->request, why);
}

void file_work_pause(struct file_work *work, bool is_paused)
{
        if (work->exec == NULL)
                return;
        exec_pause(work->exec, is_paused);
        if (is_paused)
                ev_timer_stop(api_of(work->request)->loop, &work->patience);
        else
                wait_for_progress(work, 0);
}

/* Reports which file system is full, and who can make room. */
static void fail_full(struct file_work *work, int err)
{
        static const char *const OWN[] = { INSIDE_TMP, INSIDE_SHM };
        struct fault why;

        for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
                size_t length = strlen(OWN[i]);

                if (strncmp(work->path, OWN[i], length) != 0 ||
                    (work->path[length] != '/' && work->path[length] != '\0'))
                        continue;
                (void)fault_set(&why, FAULT_STORAGE_FULL, err, "the carrel's own %s is full: remove files there",
                                OWN[i]);
                file_work_fail(work, &why);
                return;
        }
        (void)fault_set(&why, FAULT_STORAGE_FULL, err,
                        "there is no room on the disk that all users share (users_dir): remove files that the user "
                        "does not need, or have the operator make room");
        file_work_fail(work, &why);
}

static void fail_protocol(struct file_work *work)
{
        struct fault why;

        (void)fault_set(&why, FAULT_FILE_REFUSED, EPROTO, "the operation inside the carrel gave no answer");
        file_work_fail(work, &why);
}

/* ---- its output ---- */

static void take_line(struct file_work *work)
{
        const struct fault *why = &work->answer.why;

        work->has_line = true;
        if (file_answer_parse(work->line, work->line_length, &work->answer) < 0) {
                fail_protocol(work);
        } else if (work->answer.kind == FILE_AT_WORK) {
                work->has_line = false;
                work->line_length = 0;
                wait_for_progress(work, 0);
        } else if (work->answer.kind == FILE_ERROR && (why->err == ENOSPC || why->err == EDQUOT)) {
                fail_full(work, why->err);
        } else if (work->answer.kind == FILE_ERROR) {
                file_work_fail(work, why);
        } else if (work->operation->on_end != NULL) {
                work->operation->on_ok(work, &work->answer);
        }
}

/* Returns how many of the bytes belong to the first line. */
static size_t read_line(struct file_work *work, const char *bytes, size_t length)
{
        const char *newline = memchr(bytes, '\n', length);
        size_t n = newline == NULL ? length : (size_t)(newline - bytes);

        if (work->line_length + n >= sizeof work->line) {
                fail_protocol(work);
                return length;
        }
        memcpy(work->line + work->line_length, bytes, n);
        work->line_length += n;
        if (newline == NULL)
                return n;
        take_line(work);
        return n + 1;
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct file_work *work = arg;
        const char *at = bytes;

        if (stream != 1)
                return;
        note_progress(work, length);
        while (!work->has_line && length > 0 && work->exec != NULL) {
                size_t n = read_line(work, at, length);

                at += n;
                length -= n;
        }
        if (length > 0 && work->exec != NULL && work->operation->on_bytes != NULL)
                work->operation->on_bytes(work, at, length);
}

static void on_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct file_work *work = arg;
        bool is_success = result != NULL && result->cause == EXEC_EXIT && result->exit_code == 0;
        struct fault killed;

        work->exec = NULL;
        ev_timer_stop(api_of(work->request)->loop, &work->patience);
        if (result != NULL && !work->has_line) {
                (void)fault_set(&killed, result->cause == EXEC_CARREL_LOST ? FAULT_CARREL_LOST : FAULT_FILE_REFUSED,
                                EIO, "the operation inside the carrel ended with %s", exec_cause_name(result->cause));
                why = &killed;
        }
        if (why != NULL)
                file_work_fail(work, why);
        else if (work->operation->on_end != NULL)
                work->operation->on_end(work, is_success);
        else if (is_success)
                work->operation->on_ok(work, &work->answer);
        else
                fail_protocol(work);
}

/* ---- its input ---- */

/* The spool is our own file on a disk, so reading it does not block on anybody. */
static void feed(void *arg)
{
        static const char FAILED[] = "the body cannot be read again";
        struct file_work *work = arg;
        int fd = work->request->spool->fd;
        char bytes[PIECE_BYTES];
        struct fault why;

        while (work->exec != NULL) {
                ssize_t n = read(fd, bytes, sizeof bytes);
                ssize_t taken;

                if (n < 0) {
                        (void)fault_set(&why, FAULT_INTERNAL, errno, "%s: %s", FAILED, strerror(errno));
                        file_work_fail(work, &why);
                        return;
                }
                if (n == 0) {
                        (void)exec_close_input(work->exec);
                        wait_for_progress(work, (double)work->request->spool->length / FLUSH_BYTES_PER_S);
                        return;
                }
                taken = exec_write(work->exec, bytes, (size_t)n);
                if (taken < 0)
                        return; /* the operation has closed its stdin; its answer says why */
                note_progress(work, (size_t)taken);
                if (taken < n) {
                        (void)lseek(fd, taken - n, SEEK_CUR);
                        return;
                }
        }
}

/* A body in memory is passed with the request, which every engine supports. */
static void prepare_input(struct file_work *work, struct exec_request *request)
{
        const struct spool *spool = work->request->spool;

        if (!work->operation->has_body || spool == NULL)
                return;
        request->is_input_open = spool->fd >= 0;
        if (spool->fd >= 0)
                return;
        request->input = spool->head.data;
        request->input_length = spool->length;
}

/* ---- start ---- */

/* The time before does not count: the operation may have to wait for the user's other programs. */
static void on_launch(void *arg)
{
        struct file_work *work = arg;

        work->is_launched = true;
        wait_for_progress(work, 0);
}

static void on_ready(struct request *request, const struct pool_ensured *ensured)
{
        static const struct exec_sink SINK = {
                .on_output = on_output, .on_done = on_done, .on_input_ready = feed, .on_launch = on_launch
        };
        struct file_work *work = request->work;
        const char *argv[FILE_ARGUMENTS_MAX + EXTRA_ARGUMENTS] = { INSIDE_INIT, "file" };
        struct exec_request program = { .argv = argv, .is_streaming = true, .timeout_s = TIMEOUT_S };

        (void)ensured;
        for (size_t i = 0; work->arguments[i] != NULL; i++)
                argv[i + 2] = work->arguments[i];
        prepare_input(work, &program);
        if (carrel_run(request, &program, &SINK, work, &work->exec) && program.is_input_open)
                feed(work);
}

void file_work_begin(struct file_work *work)
{
        ensure_then_any(work->request, on_ready);
}
