#include "carrel-execs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "inside.h"
#include "pool-inside.h"
#include "profiles.h"
#include "scope.h"
#include "user-id.h"

struct carrel_exec {
        UT_hash_handle hh; /* in pool->execs_by_id */
        struct list node;  /* in carrel->execs */
        struct pool *pool;
        struct carrel *carrel; /* NULL: the pool has forgotten it */
        struct exec *exec;
        char exec_id[EXEC_ID_BYTES];
        char user[USER_ID_MAX + 1];
        char container_id[CONTAINER_ID_BYTES];
};

/* The carrel becomes idle with its last exec. */
static void remove_entry(struct carrel_exec *entry)
{
        struct carrel *carrel = entry->carrel;

        HASH_DEL(entry->pool->execs_by_id, entry);
        list_remove(&entry->node);
        if (carrel == NULL)
                return;
        carrel->n_execs--;
        carrel_touch(carrel);
}

static void report_end(const struct carrel_exec *entry, enum exec_cause cause, double duration_s, bool has_open_streams)
{
        const struct pool_event event = {
                .kind = POOL_EXEC_ENDED,
                .user = entry->user,
                .container_id = entry->container_id,
                .detail = exec_cause_name(cause),
                .duration_s = duration_s,
                .cause = cause,
                .has_open_streams = has_open_streams,
        };

        listeners_tell(&entry->pool->listeners, &event);
}

static void on_end(void *arg, const struct exec_result *result)
{
        struct carrel_exec *entry = arg;

        remove_entry(entry);
        if (result != NULL)
                report_end(entry, result->cause, result->duration_s, result->is_open);
        free(entry);
}

static int add_entry(struct carrel_exec *entry, struct carrel *carrel)
{
        struct pool *pool = carrel->pool;

        (void)snprintf(entry->exec_id, sizeof entry->exec_id, "%s", exec_id(entry->exec));
        HASH_ADD_STR(pool->execs_by_id, exec_id, entry);
        if (entry->hh.tbl == NULL)
                return -ENOMEM;
        list_append(&carrel->execs, &entry->node);
        carrel->n_execs++;
        carrel_touch(carrel);
        return 0;
}

static struct carrel_exec *entry_new(struct carrel *carrel)
{
        struct carrel_exec *entry = calloc(1, sizeof *entry);

        if (entry == NULL)
                return NULL;
        entry->pool = carrel->pool;
        entry->carrel = carrel;
        list_init(&entry->node);
        memcpy(entry->user, carrel->user, sizeof entry->user);
        memcpy(entry->container_id, carrel->id, sizeof entry->container_id);
        return entry;
}

/* USER and LOGNAME are the name in the carrel's passwd (names.c). The container's own environment has none of these: it
 * may exist before its user, and a reload may change its profile. */
static int start_in_environment(struct carrel *carrel, const struct exec_request *request, const struct exec_sink *sink,
                                void *arg, struct exec **ret_exec)
{
        enum { N_OWN = 5 };
        const struct pool_profile *profile = profiles_find(&carrel->pool->options, carrel->spec.profile);
        AUTO(auto_free) char *environment = strdup(profile != NULL ? profile->environment : "");
        char user_variable[sizeof "CARREL_USER=" + USER_ID_MAX];
        const char *defaults[N_OWN + PROFILE_VARIABLES_MAX + 1] = {
                "HOME=" INSIDE_WORKSPACE, "USER=user", "LOGNAME=user", "TMPDIR=" INSIDE_TMP, user_variable,
        };
        struct exec_request complete = *request;

        if (environment == NULL)
                return -ENOMEM;
        (void)profiles_split(environment, defaults + N_OWN); /* the rest of the array stays NULL */
        (void)snprintf(user_variable, sizeof user_variable, "CARREL_USER=%s", carrel->user);
        complete.defaults = defaults;
        return exec_start(carrel->pool->execs, carrel->id, carrel->pid, &complete, sink, arg, ret_exec);
}

static int start(struct carrel *carrel, const struct exec_request *request, const struct exec_sink *sink, void *arg,
                 struct exec **ret_exec)
{
        struct carrel_exec *entry = entry_new(carrel);
        struct exec_sink noted = *sink;
        int r;

        if (entry == NULL)
                return -ENOMEM;
        noted.on_end = on_end;
        noted.end_arg = entry;
        r = start_in_environment(carrel, request, &noted, arg, &entry->exec);
        if (r == 0) {
                r = add_entry(entry, carrel);
                if (r == 0) {
                        *ret_exec = entry->exec;
                        return 0;
                }
                exec_cancel(entry->exec);
        }
        free(entry);
        return r;
}

/* Translates an error of exec_start. */
static int refuse_start(int r, struct fault *why)
{
        static const struct {
                int err;
                enum fault_kind kind;
                const char *sentence;
        } REFUSALS[] = {
                { -E2BIG, FAULT_REQUEST_INVALID, "argv and env are too large together" },
                { -EAGAIN, FAULT_QUEUE_FULL, "too many programs run or wait in this carrel" },
                { -EEXIST, FAULT_NAME_TAKEN, "an exec with this exec_id is running" },
                { -EINVAL, FAULT_REQUEST_INVALID, "the engine does not accept this program request" },
                { -EOPNOTSUPP, FAULT_REQUEST_INVALID,
                  "this carrel has no agent: it has no terminal, and takes no input after the start" },
                { -EBUSY, FAULT_CARREL_FROZEN, CARREL_FROZEN_OUTSIDE },
                { -EPIPE, FAULT_CARREL_LOST, "the carrel's agent has disconnected" },
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
        struct exec_request limited = *request;
        int r;

        if (pool->is_closing)
                return fault_set(why, FAULT_CANCELLED, ECANCELED, "carreld is being stopped");
        if (carrel == NULL)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "the user has no carrel: ensure it first");
        if (carrel->state != CARREL_READY)
                return fault_set(why, FAULT_CARREL_LOST, EAGAIN, "the carrel of %s is %s: ensure it first", user,
                                 carrel_state_name(carrel->state));
        if (limited.timeout_s == 0)
                limited.timeout_s = pool->options.exec_timeout_s;
        r = start(carrel, &limited, sink, arg, ret_exec);
        return r < 0 ? refuse_start(r, why) : 0;
}

static struct carrel_exec *find(const struct pool *pool, const char *id)
{
        struct carrel_exec *found;

        HASH_FIND_STR(pool->execs_by_id, id, found);
        return found;
}

struct exec *pool_exec_cancel(struct pool *pool, struct exec *exec)
{
        struct carrel_exec *entry = exec != NULL ? find(pool, exec_id(exec)) : NULL;

        if (exec != NULL)
                exec_cancel(exec);
        if (entry == NULL)
                return NULL;
        remove_entry(entry);
        report_end(entry, EXEC_CANCELLED, 0, false);
        free(entry);
        return NULL;
}

const char *pool_exec_user(const struct pool *pool, const char *id)
{
        const struct carrel_exec *entry = find(pool, id);

        return entry != NULL ? entry->user : NULL;
}

void carrel_execs_detach(struct carrel *carrel)
{
        for (struct list *node = list_pop(&carrel->execs); node != NULL; node = list_pop(&carrel->execs))
                LIST_ENTRY(node, struct carrel_exec, node)->carrel = NULL;
        carrel->n_execs = 0;
}

void carrel_execs_cancel_all(struct pool *pool)
{
        struct carrel_exec *entry;
        struct carrel_exec *next;

        HASH_ITER(hh, pool->execs_by_id, entry, next)
        {
                exec_cancel(entry->exec);
                remove_entry(entry);
                free(entry);
        }
}

struct exec_ids *carrel_execs_ids(const struct carrel *carrel)
{
        struct exec_ids *ids = carrel->n_execs == 0 ? NULL : malloc(sizeof *ids + carrel->n_execs * sizeof *ids->ids);

        if (ids == NULL)
                return NULL;
        ids->n = 0;
        LIST_EACH ((struct list *)&carrel->execs, at)
                memcpy(ids->ids[ids->n++], LIST_ENTRY(at, struct carrel_exec, node)->exec_id, sizeof *ids->ids);
        return ids;
}

const char *carrel_in_use(const struct carrel *carrel, char *text, size_t size)
{
        enum { ID_ROOM = 120 }; /* the bytes that the sentence leaves free in a fault's message */
        char ids[ID_ROOM] = "";
        size_t length = 0;
        int64_t lease_left_ms = carrel->lease_until_ms - clock_boottime_ms();

        LIST_EACH ((struct list *)&carrel->execs, at) {
                const char *id = LIST_ENTRY(at, struct carrel_exec, node)->exec_id;

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

unsigned carrel_execs_count(const struct pool *pool)
{
        return HASH_COUNT(pool->execs_by_id);
}
