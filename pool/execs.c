#include "execs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "inside.h"
#include "user-id.h"

struct running {
        UT_hash_handle hh; /* in pool->running, by exec_id */
        struct list node;  /* in carrel->execs */
        struct pool *pool;
        struct carrel *carrel; /* NULL: forgotten meanwhile */
        struct exec *exec;
        struct exec_sink sink; /* the caller's */
        void *arg;
        char exec_id[EXEC_ID_BYTES];
        char user[USER_ID_MAX + 1];
        char container_id[CONTAINER_ID_BYTES];
};

/* Out of the pool's books; the carrel is idle from now on, if this was its last. */
static void let_go(struct running *running)
{
        struct carrel *carrel = running->carrel;

        HASH_DEL(running->pool->running, running);
        list_remove(&running->node);
        if (carrel == NULL)
                return;
        carrel->n_execs--;
        carrel_touch(carrel);
}

static void tell_end(const struct running *running, enum exec_cause cause, double duration_s, bool has_open_streams)
{
        const struct pool_event event = {
                .kind = POOL_EXEC_ENDED,
                .user = running->user,
                .container_id = running->container_id,
                .detail = exec_cause_name(cause),
                .duration_s = duration_s,
                .cause = cause,
                .has_open_streams = has_open_streams,
        };

        listeners_tell(&running->pool->listeners, &event);
}

static void on_exec_start(void *arg, const char *exec_id)
{
        const struct running *running = arg;

        if (running->sink.on_start != NULL)
                running->sink.on_start(running->arg, exec_id);
}

static void on_exec_output(void *arg, int stream, const void *bytes, size_t length)
{
        const struct running *running = arg;

        if (running->sink.on_output != NULL)
                running->sink.on_output(running->arg, stream, bytes, length);
}

static void on_exec_input_ready(void *arg)
{
        const struct running *running = arg;

        if (running->sink.on_input_ready != NULL)
                running->sink.on_input_ready(running->arg);
}

static void on_exec_readable(void *arg)
{
        const struct running *running = arg;

        if (running->sink.on_readable != NULL)
                running->sink.on_readable(running->arg);
}

static void on_exec_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct running *running = arg;

        let_go(running);
        if (result != NULL)
                tell_end(running, result->cause, result->duration_s, result->is_open);
        running->sink.on_done(running->arg, result, why);
        free(running);
}

static void on_exec_launch(void *arg)
{
        const struct running *running = arg;

        if (running->sink.on_launch != NULL)
                running->sink.on_launch(running->arg);
}

static const struct exec_sink SINK = {
        .on_start = on_exec_start,
        .on_output = on_exec_output,
        .on_done = on_exec_done,
        .on_input_ready = on_exec_input_ready,
        .on_launch = on_exec_launch,
        .on_readable = on_exec_readable,
};

/* Enters a started exec into the books. */
static int hold(struct running *running, struct carrel *carrel)
{
        struct pool *pool = carrel->pool;

        (void)snprintf(running->exec_id, sizeof running->exec_id, "%s", exec_id(running->exec));
        HASH_ADD_STR(pool->running, exec_id, running);
        if (running->hh.tbl == NULL)
                return -ENOMEM;
        list_append(&carrel->execs, &running->node);
        carrel->n_execs++;
        carrel_touch(carrel);
        return 0;
}

static struct running *running_new(struct carrel *carrel, const struct exec_sink *sink, void *arg)
{
        struct running *running = calloc(1, sizeof *running);

        if (running == NULL)
                return NULL;
        running->pool = carrel->pool;
        running->carrel = carrel;
        running->sink = *sink;
        running->arg = arg;
        list_init(&running->node);
        memcpy(running->user, carrel->user, sizeof running->user);
        memcpy(running->container_id, carrel->id, sizeof running->container_id);
        return running;
}

static int start(struct carrel *carrel, const struct exec_request *request, const struct exec_sink *sink, void *arg,
                 struct exec **ret_exec)
{
        struct running *running = running_new(carrel, sink, arg);
        int r;

        if (running == NULL)
                return -ENOMEM;
        r = exec_start(carrel->pool->execs, carrel->id, carrel->pid, request, &SINK, running, &running->exec);
        if (r == 0) {
                r = hold(running, carrel);
                if (r == 0) {
                        *ret_exec = running->exec;
                        return 0;
                }
                exec_cancel(running->exec);
        }
        free(running);
        return r;
}

/* Why exec_start refuses. */
static int refuse_start(int r, struct fault *why)
{
        static const struct {
                int err;
                enum fault_kind kind;
                const char *sentence;
        } REFUSALS[] = {
                { -E2BIG, FAULT_REQUEST_INVALID, "argv and env are too large together" },
                { -EAGAIN, FAULT_QUEUE_FULL, "too many programs run and wait in this carrel" },
                { -EEXIST, FAULT_NAME_TAKEN, "an exec with this exec_id is running" },
                { -EINVAL, FAULT_REQUEST_INVALID, "the program cannot be asked for in this way" },
                { -EOPNOTSUPP, FAULT_REQUEST_INVALID,
                  "this carrel has no agent: no terminal, and no input behind the start" },
                { -EBUSY, FAULT_CARREL_FROZEN, CARREL_FROZEN },
                { -EPIPE, FAULT_CARREL_LOST, "the carrel's agent has gone" },
        };

        for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
                if (REFUSALS[i].err == r)
                        return fault_set(why, REFUSALS[i].kind, -r, "%s", REFUSALS[i].sentence);
        return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot start an exec: %s", strerrordesc_np(-r));
}

int pool_exec(struct pool *pool, const char *user, const struct exec_request *request, const struct exec_sink *sink,
              void *arg, struct exec **ret_exec, struct fault *why)
{
        struct carrel *carrel = user_id_is_valid(user) ? table_find(&pool->table, user) : NULL;
        int r;

        if (pool->is_closing)
                return fault_set(why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        if (carrel == NULL)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "the user has no carrel: ensure it first");
        if (carrel->state != CARREL_READY)
                return fault_set(why, FAULT_CARREL_LOST, EAGAIN, "the carrel of %s is %s: ensure it first", user,
                                 carrel_state_name(carrel->state));
        r = start(carrel, request, sink, arg, ret_exec);
        return r < 0 ? refuse_start(r, why) : 0;
}

static struct running *find(const struct pool *pool, const char *id)
{
        struct running *found;

        HASH_FIND_STR(pool->running, id, found);
        return found;
}

struct exec *pool_exec_cancel(struct pool *pool, struct exec *exec)
{
        struct running *running = exec != NULL ? find(pool, exec_id(exec)) : NULL;

        if (exec != NULL)
                exec_cancel(exec);
        if (running == NULL)
                return NULL;
        let_go(running);
        tell_end(running, EXEC_CANCELLED, 0, false);
        free(running);
        return NULL;
}

const char *pool_exec_user(const struct pool *pool, const char *id)
{
        const struct running *running = find(pool, id);

        return running != NULL ? running->user : NULL;
}

void running_left_behind(void *arg, const char *container_id, enum exec_left_behind why)
{
        struct pool *pool = arg;
        const struct carrel *carrel = table_find_id(&pool->table, container_id);

        if (carrel != NULL)
                pool_retire(pool, carrel->user, exec_left_behind_name(why), NULL, NULL, NULL);
}

void running_lose(struct carrel *carrel, const char *container_id, bool is_oom)
{
        execs_container_lost(carrel->pool->execs, container_id, is_oom);
}

/* What the exec room has not ended by then has no carrel any more. */
void running_detach(struct carrel *carrel)
{
        for (struct list *node = list_pop(&carrel->execs); node != NULL; node = list_pop(&carrel->execs))
                LIST_ENTRY(node, struct running, node)->carrel = NULL;
        carrel->n_execs = 0;
}

void running_cancel_all(struct pool *pool)
{
        struct running *running;
        struct running *next;

        HASH_ITER(hh, pool->running, running, next)
        {
                exec_cancel(running->exec);
                let_go(running);
                free(running);
        }
}

struct exec_ids *running_ids(const struct carrel *carrel)
{
        struct exec_ids *ids = carrel->n_execs == 0 ? NULL : malloc(sizeof *ids + carrel->n_execs * sizeof *ids->ids);

        if (ids == NULL)
                return NULL;
        ids->n = 0;
        LIST_EACH ((struct list *)&carrel->execs, at)
                memcpy(ids->ids[ids->n++], LIST_ENTRY(at, struct running, node)->exec_id, sizeof *ids->ids);
        return ids;
}

const char *running_in_the_way(const struct carrel *carrel, char *text, size_t size)
{
        enum { ID_ROOM = 120 }; /* what the sentence leaves of a fault's message */
        char ids[ID_ROOM] = "";
        size_t length = 0;
        int64_t lease_left_ms = carrel->lease_until_ms - clock_boottime_ms();

        LIST_EACH ((struct list *)&carrel->execs, at) {
                const char *id = LIST_ENTRY(at, struct running, node)->exec_id;

                if (length + strlen(id) + sizeof ", ..." >= sizeof ids) {
                        (void)snprintf(ids + length, sizeof ids - length, ", ...");
                        break;
                }
                length += (size_t)snprintf(ids + length, sizeof ids - length, "%s%s", length > 0 ? ", " : "", id);
        }
        if (carrel->n_execs > 0)
                (void)snprintf(text, size,
                               "%u program%s in the user's carrel, which has another spec (%s); on_conflict "
                               "\"replace\" would kill %s",
                               carrel->n_execs, carrel->n_execs == 1 ? " runs" : "s run", ids,
                               carrel->n_execs == 1 ? "it" : "them");
        else if (lease_left_ms > 0)
                (void)snprintf(text, size,
                               "the user's carrel has another spec, and its lease %" PRId64
                               " s left; on_conflict \"replace\" ends it",
                               lease_left_ms / 1000 + 1);
        else
                return NULL;
        return text;
}

unsigned running_count(const struct pool *pool)
{
        return HASH_COUNT(pool->running);
}
