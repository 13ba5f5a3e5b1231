#include "double.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "list.h"
#include "str.h"

static struct carrel_view view_of(const char *user)
{
        static const struct carrel_spec SPEC = {
                .image = "carrel-sandbox:latest",
                .policy = POLICY_INTERNET,
                .memory_bytes = UINT64_C(2) << 30,
                .cpu_millis = 1500,
                .pids = 256,
                .profile = "large",
        };

        return (struct carrel_view){
                .user = user,
                .container = "carrel-x",
                .container_id = "c0ffee",
                .spec_hash = "1234",
                .spec = &SPEC,
                .state = CARREL_READY,
                .step = "",
                .generation = 3,
                .started_wall_ms = INT64_C(1769860800000),
                .idle_ms = 1250,
                .address = "10.90.0.2",
                .interface = "carrel7",
                .last_fault = "",
                .reason = "created",
        };
}

static void answer_ensure(struct pool *pool, const char *user, pool_on_ensured on_ensured, void *arg)
{
        struct pool_ensured ensured = { .carrel = view_of(user), .outcome = OUTCOME_CREATED };

        if (pool->fault.kind != FAULT_NONE)
                on_ensured(arg, NULL, &pool->fault);
        else
                on_ensured(arg, &ensured, NULL);
}

static struct pool_wait *free_wait(struct pool *pool)
{
        for (int i = 0; i < DOUBLE_WAITS; i++)
                if (pool->waits[i].arg == NULL)
                        return &pool->waits[i];
        return NULL;
}

unsigned double_waiting(const struct pool *pool)
{
        unsigned n = 0;

        for (int i = 0; i < DOUBLE_WAITS; i++)
                n += pool->waits[i].arg != NULL;
        return n;
}

void double_answer_all(struct pool *pool)
{
        for (int i = 0; i < DOUBLE_WAITS; i++) {
                struct pool_wait wait = pool->waits[i];

                pool->waits[i].arg = NULL;
                if (wait.arg == NULL)
                        continue;
                if (wait.on_ensured != NULL)
                        answer_ensure(pool, wait.user, wait.on_ensured, wait.arg);
                else
                        wait.on_done(wait.arg, pool->fault.kind == FAULT_NONE ? NULL : &pool->fault);
        }
}

void pool_ensure(struct pool *pool, const char *user, const struct carrel_spec *spec, enum on_conflict on_conflict,
                 pool_on_ensured on_ensured, void *arg, struct pool_wait **ret_wait)
{
        pool->ensures++;
        pool->spec = *spec;
        pool->on_conflict = on_conflict;
        (void)snprintf(pool->user, sizeof pool->user, "%s", user);
        *ret_wait = NULL;
        if (pool->answer == ANSWER_AT_ONCE) {
                answer_ensure(pool, user, on_ensured, arg);
                return;
        }
        *ret_wait = free_wait(pool);
        **ret_wait = (struct pool_wait){ .on_ensured = on_ensured, .arg = arg };
        (void)snprintf((*ret_wait)->user, sizeof(*ret_wait)->user, "%s", user);
}

void pool_retire(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait)
{
        pool->retires++;
        (void)user;
        (void)reason;
        *ret_wait = NULL;
        if (pool->answer == ANSWER_AT_ONCE) {
                on_done(arg, pool->fault.kind == FAULT_NONE ? NULL : &pool->fault);
                return;
        }
        *ret_wait = free_wait(pool);
        **ret_wait = (struct pool_wait){ .on_done = on_done, .arg = arg };
}

void pool_freeze(struct pool *pool, const char *user, const char *reason, pool_on_done on_done, void *arg,
                 struct pool_wait **ret_wait)
{
        pool->freezes++;
        pool_retire(pool, user, reason, on_done, arg, ret_wait);
}

void pool_thaw(struct pool *pool, const char *user, pool_on_done on_done, void *arg, struct pool_wait **ret_wait)
{
        pool->thaws++;
        pool_retire(pool, user, "", on_done, arg, ret_wait);
}

int reaper_may_freeze(const struct reaper *reaper, const char *user, struct fault *why)
{
        (void)reaper;
        return user[0] != 'q' ? 0
                              : fault_set(why, FAULT_CARREL_BUSY, EBUSY, "1 task runs in the background, which counts");
}

/* There is one erasure at a time, and the pool is that of the test. */
void userfiles_erase(struct userfiles *files, const char *user, userfiles_on_erased on_erased, void *arg,
                     struct userfiles_wait **ret_wait)
{
        const struct fault *fault = &files->pool->fault;

        (void)snprintf(files->erased, sizeof files->erased, "%s", user);
        *ret_wait = NULL;
        if (files->pool->answer == ANSWER_AT_ONCE) {
                on_erased(arg, 3, fault->kind == FAULT_NONE ? NULL : fault);
                return;
        }
        files->wait = (struct userfiles_wait){ on_erased, arg };
        *ret_wait = &files->wait;
}

void userfiles_copy(struct userfiles *files, enum userfiles_copy what, const char *user, const char *name,
                    userfiles_on_copied on_copied, void *arg, struct userfiles_operation **ret_operation)
{
        static const struct storage_tally TALLY = { .entries = 7, .bytes = 4096, .sockets = 1 };
        const struct fault *fault = &files->pool->fault;

        (void)snprintf(files->copied, sizeof files->copied, "%d %s %s", (int)what, user, name);
        *ret_operation = NULL;
        on_copied(arg, &TALLY, fault->kind == FAULT_NONE ? NULL : fault);
}

struct userfiles_operation *userfiles_forget(struct userfiles_operation *operation)
{
        (void)operation;
        return NULL;
}

int snapshot_name_check(const char *name, struct fault *why)
{
        return user_id_check(name, strlen(name), NULL) == 0
                       ? 0
                       : fault_set(why, FAULT_REQUEST_INVALID, EINVAL, "the snapshot's name is not valid");
}

static const struct snapshot SNAPSHOT = { "before", 1000, 7, 4096 };

int userfiles_snapshots(const struct userfiles *files, const char *user,
                        void (*visit)(void *arg, const struct snapshot *snapshot), void *arg, struct fault *why)
{
        (void)files, (void)user, (void)why;
        visit(arg, &SNAPSHOT);
        return 0;
}

int userfiles_snapshot(const struct userfiles *files, const char *user, const char *name, struct snapshot *ret_snapshot,
                       struct fault *why)
{
        (void)files;
        if (strcmp(name, SNAPSHOT.name) != 0)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "user %s has no snapshot %s", user, name);
        *ret_snapshot = SNAPSHOT;
        return 0;
}

int userfiles_snapshot_remove(struct userfiles *files, const char *user, const char *name, struct fault *why)
{
        struct snapshot snapshot;

        return userfiles_snapshot(files, user, name, &snapshot, why);
}

struct userfiles_wait *userfiles_leave(struct userfiles_wait *wait)
{
        if (wait != NULL)
                wait->on_erased = NULL;
        return NULL;
}

struct pool_wait *pool_leave(struct pool_wait *wait)
{
        if (wait != NULL)
                wait->arg = NULL;
        return NULL;
}

void pool_mark_lost(struct pool *pool, const char *user, const char *reason)
{
        (void)pool, (void)user, (void)reason;
}

int pool_touch(struct pool *pool, const char *user, uint64_t lease_s, struct fault *why)
{
        pool->touches++;
        pool->lease_s = lease_s;
        if (pool->fault.kind != FAULT_NONE)
                return fault_pass(why, &pool->fault);
        (void)user;
        return 0;
}

int pool_exec(struct pool *pool, const char *user, const struct exec_request *request, const struct exec_sink *sink,
              void *arg, struct exec **ret_exec, struct fault *why)
{
        (void)user;
        if (pool->exec_fault.kind != FAULT_NONE)
                return fault_pass(why, &pool->exec_fault);
        pool->execs++;
        pool->is_streaming = request->is_streaming;
        pool->is_pulled = request->is_pulled;
        (void)snprintf(pool->exec_id, sizeof pool->exec_id, "%s", request->exec_id == NULL ? "" : request->exec_id);
        (void)snprintf(pool->program, sizeof pool->program, "%s", request->argv[0]);
        pool->arguments[0] = '\0';
        pool->n_arguments = 0;
        for (const char *const *at = request->argv; *at != NULL; at++) {
                size_t length = strlen(pool->arguments);

                (void)snprintf(pool->arguments + length, sizeof pool->arguments - length, "%s|", *at);
                pool->n_arguments++;
        }
        memset(pool->given, 0, sizeof pool->given);
        if (request->input != NULL)
                memcpy(pool->given, request->input,
                       request->input_length < sizeof pool->given ? request->input_length : sizeof pool->given);
        pool->is_tty = request->is_tty;
        pool->is_input_open = request->is_input_open;
        pool->exec = (struct exec){ .sink = *sink,
                                    .arg = arg,
                                    .is_running = true,
                                    .input_room = pool->input_room > 0 ? pool->input_room : sizeof pool->exec.input,
                                    .rows = request->rows,
                                    .cols = request->cols };
        if (sink->on_launch != NULL && !pool->is_queueing)
                sink->on_launch(arg);
        *ret_exec = &pool->exec;
        return 0;
}

struct exec *pool_exec_cancel(struct pool *pool, struct exec *exec)
{
        pool->exec_cancels++;
        exec->is_running = false;
        return NULL;
}

/* As the room has it: what is taken is the taker's. */
bool exec_result_take(const struct exec_result *result, struct exec_outputs *ret_outputs)
{
        struct exec *exec = result->taken_from;

        if (exec == NULL)
                return false;
        *ret_outputs = (struct exec_outputs){ .output = exec->kept[0], .errors = exec->kept[1] };
        exec->kept[0] = exec->kept[1] = (struct buffer){ 0 };
        exec->n_taken++;
        return true;
}

void exec_outputs_release(struct exec_outputs *outputs)
{
        buffer_free(&outputs->output);
        buffer_free(&outputs->errors);
}

void exec_pause(struct exec *exec, bool is_paused)
{
        exec->is_paused = is_paused;
}

const char *exec_id(const struct exec *exec)
{
        (void)exec;
        return "e1";
}

char double_letter(size_t n)
{
        return (char)('a' + n % 26);
}

ssize_t exec_read(struct exec *exec, int *ret_stream, void *bytes, size_t size)
{
        const struct exec_result *end = exec->end;

        for (int i = 0; i < 2; i++) {
                size_t n = exec->readable[i] < size ? exec->readable[i] : size;

                if (n == 0)
                        continue;
                for (size_t at = 0; at < n; at++)
                        ((char *)bytes)[at] = double_letter(exec->given[i] + at);
                exec->readable[i] -= n;
                exec->given[i] += n;
                *ret_stream = i + 1;
                return (ssize_t)n;
        }
        if (end != NULL) {
                exec->is_running = false;
                exec->end = NULL;
                exec->sink.on_done(exec->arg, end, NULL);
        }
        return 0;
}

ssize_t exec_write(struct exec *exec, const void *bytes, size_t length)
{
        size_t room = exec->input_room - exec->input_length;
        size_t n = length < room ? length : room;

        memcpy(exec->input + exec->input_length, bytes, n);
        exec->input_length += n;
        return (ssize_t)n;
}

int exec_close_input(struct exec *exec)
{
        exec->is_input_closed = true;
        return 0;
}

int exec_resize(struct exec *exec, uint16_t rows, uint16_t cols)
{
        exec->rows = rows;
        exec->cols = cols;
        return 0;
}

const char *pool_exec_user(const struct pool *pool, const char *exec_id)
{
        (void)pool;
        return str_equal(exec_id, "e1") ? "ada" : "bob";
}

const struct pool_past *pool_recall(const struct pool *pool, const char *user)
{
        static const struct pool_past PAST = {
                .user = "zoe", .kind = POOL_ENSURE_FAILED, .wall_ms = 1, .detail = "no \"image\""
        };

        return str_equal(user, PAST.user) ? &PAST : NULL;
}

bool pool_inspect(const struct pool *pool, const char *user, void (*visit)(void *arg, const struct carrel_view *view),
                  void *arg)
{
        for (const char *const *at = pool->users; at != NULL && *at != NULL; at++) {
                struct carrel_view view = view_of(user);

                if (!str_equal(*at, user))
                        continue;
                visit(arg, &view);
                return true;
        }
        return false;
}

/* The user's name is lent for the visit only, as the contract says. */
void pool_each(const struct pool *pool, const char *after, size_t limit,
               bool (*visit)(void *arg, const struct carrel_view *view), void *arg)
{
        char user[USER_ID_MAX + 1];

        for (const char *const *at = pool->users; at != NULL && *at != NULL && limit > 0; at++) {
                struct carrel_view view = view_of(user);

                if (strcmp(*at, after) <= 0)
                        continue;
                limit--;
                (void)snprintf(user, sizeof user, "%s", *at);
                view.state = user[0] == 'q' ? CARREL_QUEUED : CARREL_READY;
                if (!visit(arg, &view))
                        return;
        }
}

void pool_stats(const struct pool *pool, struct pool_stats *ret_stats)
{
        *ret_stats = pool->stats;
}

int pool_listen(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        pool->on_event = on_event;
        pool->listener = arg;
        return 0;
}

void pool_unlisten(struct pool *pool, void (*on_event)(void *arg, const struct pool_event *event), void *arg)
{
        (void)on_event;
        (void)arg;
        pool->on_event = NULL;
}

void pool_announce(struct pool *pool, const struct pool_event *event)
{
        (void)snprintf(pool->announced, sizeof pool->announced, "%s %s", event->user, event->detail);
        pool->announcements++;
}

/* ---- words ---- */

const char *carrel_policy_name(enum carrel_policy policy)
{
        static const char *const NAMES[] = { "", "internet", "none" };

        return NAMES[policy];
}

const char *carrel_state_name(enum carrel_state state)
{
        static const char *const NAMES[] = { "queued", "starting", "ready", "retiring", "lost", "warm", "frozen" };

        return NAMES[state];
}

const char *ensure_outcome_name(enum ensure_outcome outcome)
{
        static const char *const NAMES[] = { "created", "reused", "replaced", "claimed", "resumed" };

        return NAMES[outcome];
}

const char *pool_event_name(enum pool_event_kind kind)
{
        return kind == POOL_EXEC_ENDED ? "exec_ended" : kind == POOL_RETIRED ? "carrel_retired" : "carrel_created";
}

/* ---- the reaper and the programs ---- */

unsigned reaper_reap(struct reaper *reaper, double idle_s)
{
        reaper->reaps++;
        reaper->idle_s = idle_s;
        return 4;
}

int reaper_sweep(struct reaper *reaper, reaper_on_swept on_swept, void *arg)
{
        if (reaper->sweep_result < 0)
                return reaper->sweep_result;
        reaper->on_swept = on_swept;
        reaper->arg = arg;
        return 0;
}

void reaper_sweep_forget(struct reaper *reaper, void *arg)
{
        (void)arg;
        reaper->forgets++;
        reaper->on_swept = NULL;
}

bool carrel_is_frozen(const struct carrel_view *view)
{
        (void)view;
        return false;
}

void carrel_usage(const struct carrel_view *view, struct usage *ret_usage)
{
        (void)view;
        for (size_t i = 0; i < USAGE_NUMBERS; i++)
                ret_usage->of[i] = i < USAGE_IO_READ_BYTES ? i + 1 : USAGE_UNCOUNTED;
        ret_usage->of[USAGE_PIDS_PEAK] = USAGE_UNCOUNTED;
}

int carrel_background(const struct carrel_view *view, unsigned *ret_tasks)
{
        if (view->execs > 0)
                return -ENODATA;
        *ret_tasks = 3;
        return 0;
}

void reaper_explain(const struct reaper *reaper, const struct carrel_view *view, char *ret_text, size_t size)
{
        (void)reaper;
        (void)snprintf(ret_text, size, "keeps %s", view->user);
}

int execs_signal(struct execs *execs, const char *exec_id, int signal)
{
        (void)exec_id;
        execs->signal = signal;
        return execs->signal_result;
}

void execs_each(const struct execs *execs, const char *container_id,
                void (*visit)(void *arg, const struct exec_view *view), void *arg)
{
        (void)container_id;
        for (unsigned i = 1; i <= execs->running; i++) {
                char container[8] = "c1";
                struct exec_view view = {
                        .container_id = container, .program = "sleep", .command = "sleep 60", .running_s = 1.5
                };

                (void)snprintf(view.exec_id, sizeof view.exec_id, "e%u", i);
                visit(arg, &view);
                memset(container, 'x', sizeof container - 1);
        }
}

void execs_walk_begin(struct execs *execs, struct execs_walk *walk)
{
        *walk = (struct execs_walk){ .execs = execs };
        execs->n_walked = 0;
}

bool execs_walk_next(struct execs_walk *walk, struct exec_view *ret_view)
{
        struct execs *execs = walk->execs;

        if (execs->n_walked == execs->running)
                return false;
        (void)snprintf(execs->container, sizeof execs->container, "c1");
        *ret_view = (struct exec_view){
                .container_id = execs->container, .program = "sleep", .command = "sleep 60", .running_s = 1.5
        };
        (void)snprintf(ret_view->exec_id, sizeof ret_view->exec_id, "e%u", ++execs->n_walked);
        return true;
}

void execs_walk_end(struct execs_walk *walk)
{
        walk->execs = NULL;
}

/* ---- images ---- */

static int begin_image_work(struct pool *pool, const char *reference, pool_on_images on_images, void *arg,
                            struct image_work **ret_work, struct fault *why)
{
        if (pool->fault.kind != FAULT_NONE)
                return fault_pass(why, &pool->fault);
        (void)snprintf(pool->image_reference, sizeof pool->image_reference, "%s", reference);
        pool->image_work = (struct image_work){ on_images, arg };
        *ret_work = &pool->image_work;
        return 0;
}

bool double_has_image_work(void *arg)
{
        const struct pool *pool = arg;

        return pool->image_work.on_images != NULL;
}

void double_answer_image(struct pool *pool, const struct fault *why)
{
        const struct pool_image image = { .id = "sha256:c0ffee", .reference = "box:1", .bytes = 7 };
        struct image_work work = pool->image_work;

        pool->image_work = (struct image_work){ 0 };
        work.on_images(work.arg, &image, why == NULL ? 1 : 0, why);
}

int pool_images_list(struct pool *pool, pool_on_images on_images, void *arg, struct image_work **ret_work,
                     struct fault *why)
{
        return begin_image_work(pool, "", on_images, arg, ret_work, why);
}

int pool_images_inspect(struct pool *pool, const char *reference, pool_on_images on_images, void *arg,
                        struct image_work **ret_work, struct fault *why)
{
        return begin_image_work(pool, reference, on_images, arg, ret_work, why);
}

int pool_images_load(struct pool *pool, int fd, const char *reference, const char *format, pool_on_images on_images,
                     void *arg, struct image_work **ret_work, struct fault *why)
{
        ssize_t n = read(fd, pool->image_bytes, sizeof pool->image_bytes - 1);

        pool->image_bytes[n > 0 ? n : 0] = '\0';
        (void)snprintf(pool->image_format, sizeof pool->image_format, "%s", format);
        return begin_image_work(pool, reference, on_images, arg, ret_work, why);
}

int pool_images_remove(struct pool *pool, const char *reference, pool_on_images on_images, void *arg,
                       struct image_work **ret_work, struct fault *why)
{
        return begin_image_work(pool, reference, on_images, arg, ret_work, why);
}

struct image_work *pool_images_leave(struct image_work *work)
{
        struct pool *pool;

        if (work == NULL)
                return NULL;
        pool = LIST_ENTRY(work, struct pool, image_work);
        pool->image_work = (struct image_work){ 0 };
        pool->image_leaves++;
        return NULL;
}
