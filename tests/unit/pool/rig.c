#include "rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent-listener.h"
#include "engine-execs.h"
#include "virtual-time.h"

enum { LONGEST_S = 200 }; /* of virtual time: every deadline of a start and of its undo, one after the other */

void rig_need_root(void)
{
        if (geteuid() == 0)
                return;
        if (getenv("CARREL_MUST_RUN") != NULL)
                fail_msg("these tests need root: users_dir must be root's");
        skip();
}

struct pool_options rig_options(void)
{
        return (struct pool_options){
                .pool = RIG_POOL,
                .prefix = RIG_PREFIX,
                .init_path = "/usr/libexec/carrel/carrel-init",
                .defaults = { .image = RIG_IMAGE,
                              .policy = POLICY_INTERNET,
                              .memory_bytes = 2147483648,
                              .cpu_millis = 1000,
                              .pids = 256 },
                .tmp_bytes = 536870912,
                .shm_bytes = 67108864,
                .owner = { 1000, 1000 },
                .nofile = 1024,
                .max_carrels = 1000,
                .max_concurrent_starts = 8,
                .max_queued_starts = 1000,
                .max_execs = 64,
                .ensure_timeout_s = 60,
        };
}

static void on_step(void *arg, const char *flow, const char *step, double duration_s, bool has_succeeded)
{
        struct rig *rig = arg;

        if (rig->on_step != NULL)
                rig->on_step(rig, flow, step);
}

static void on_event(void *arg, const struct pool_event *event)
{
        struct rig *rig = arg;

        rig->events[event->kind]++;
}

static void open_pool(struct rig *rig)
{
        struct fault why = { 0 };

        assert_int_equal(execs_new(&rig->execs, rig->loop), 0);
        assert_int_equal(agents_register(rig->execs), 0);
        assert_int_equal(engine_execs_register(rig->execs, rig->engine), 0);
        if (pool_new(&rig->pool, rig->loop, rig->engine, rig->netpolicy, rig->execs, &rig->options, &rig->observer,
                     &why) < 0)
                fail_msg("pool_new: %s", why.message);
        assert_int_equal(pool_listen(rig->pool, on_event, rig), 0);
}

void rig_open(struct rig *rig, const struct pool_options *options)
{
        *rig = (struct rig){ .directory = "/run/carrel-unit-XXXXXX" };
        assert_non_null(mkdtemp(rig->directory));
        rig->loop = ev_loop_new(EVBACKEND_EPOLL);
        assert_non_null(rig->loop);
        assert_int_equal(fake_new(&rig->engine, rig->loop), 0);
        assert_int_equal(netpolicy_new_fake(&rig->netpolicy, rig->loop), 0);
        rig->options = options != NULL ? *options : rig_options();
        (void)snprintf(rig->users_dir, sizeof rig->users_dir, "%s/users", rig->directory);
        rig->options.users_dir = rig->users_dir;
        rig->options.runtime_dir = rig->directory;
        rig->observer = (struct flow_observer){ .on_step = on_step, .arg = rig };
        open_pool(rig);
        pool_set_reconciled(rig->pool);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
        return remove(path);
}

void rig_remove_tree(const char *directory)
{
        (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void close_pool(struct rig *rig)
{
        rig->pool = pool_free(rig->pool);
        rig->execs = execs_free(rig->execs);
}

void rig_close(struct rig *rig)
{
        close_pool(rig);
        rig->netpolicy = netpolicy_free(rig->netpolicy);
        rig->engine = rig->engine->ops->free(rig->engine);
        ev_loop_destroy(rig->loop);
        rig_remove_tree(rig->directory);
}

void rig_restart(struct rig *rig)
{
        close_pool(rig);
        fake_unwatch(rig->engine);
        open_pool(rig);
}

static void on_enough(struct ev_loop *loop, ev_timer *timer, int events)
{
        ev_break(loop, EVBREAK_ONE);
}

void rig_run_for(struct rig *rig, double seconds)
{
        ev_timer enough;

        ev_now_update(rig->loop);
        ev_timer_init(&enough, on_enough, seconds, 0.0);
        ev_timer_start(rig->loop, &enough);
        (void)ev_run(rig->loop, 0);
        ev_timer_stop(rig->loop, &enough);
}

void rig_run(struct rig *rig)
{
        rig_run_for(rig, LONGEST_S);
}

static void take(struct answer *answer, const struct fault *why)
{
        answer->count++;
        answer->wait = NULL;
        answer->at_s = virtual_time_s();
        answer->is_success = why == NULL;
        if (why != NULL)
                answer->why = *why;
}

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        struct answer *answer = arg;

        assert_true((ensured == NULL) != (why == NULL));
        take(answer, why);
        if (ensured == NULL)
                return;
        assert_int_equal(ensured->carrel.state, CARREL_READY);
        answer->outcome = ensured->outcome;
        answer->generation = ensured->carrel.generation;
        (void)snprintf(answer->container_id, sizeof answer->container_id, "%s", ensured->carrel.container_id);
}

static void on_retired(void *arg, const struct fault *why)
{
        take(arg, why);
}

void rig_ensure_spec(struct rig *rig, const char *user, const struct carrel_spec *spec, enum on_conflict on_conflict,
                     struct answer *ret_answer)
{
        struct pool_wait *wait;

        *ret_answer = (struct answer){ 0 };
        pool_ensure(rig->pool, user, spec, on_conflict, on_ensured, ret_answer, &wait);
        assert_true((wait == NULL) == (ret_answer->count == 1));
        ret_answer->wait = wait;
}

void rig_ensure(struct rig *rig, const char *user, struct answer *ret_answer)
{
        static const struct carrel_spec ANY = { 0 };

        rig_ensure_spec(rig, user, &ANY, CONFLICT_REPLACE, ret_answer);
}

void rig_retire(struct rig *rig, const char *user, struct answer *ret_answer)
{
        struct pool_wait *wait;

        *ret_answer = (struct answer){ 0 };
        pool_retire(rig->pool, user, "test", on_retired, ret_answer, &wait);
        assert_true((wait == NULL) == (ret_answer->count == 1));
        ret_answer->wait = wait;
}

void rig_leave(struct answer *answer)
{
        answer->wait = pool_leave(answer->wait);
}

void rig_must_ensure(struct rig *rig, const char *user, struct answer *ret_answer)
{
        rig_ensure(rig, user, ret_answer);
        rig_run(rig);
        if (!ret_answer->is_success)
                fail_msg("ensure of %s: %s: %s", user, fault_code(ret_answer->why.kind), ret_answer->why.message);
        assert_int_equal(ret_answer->count, 1);
}

static void read_state(void *arg, const struct carrel_view *view)
{
        *(enum carrel_state *)arg = view->state;
}

enum carrel_state rig_state(const struct rig *rig, const char *user)
{
        enum carrel_state state = CARREL_STATES;

        (void)pool_inspect(rig->pool, user, read_state, &state);
        return state;
}

const struct container_info *rig_container(const struct rig *rig, const char *user)
{
        char name[ENGINE_NAME_BYTES];

        (void)snprintf(name, sizeof name, "%s%s", RIG_PREFIX, user);
        return fake_find(rig->engine, name);
}

int rig_user_containers(const struct rig *rig, const char *user)
{
        const struct container_info *info = rig_container(rig, user);
        const char *pool = info != NULL ? container_label(info, "io.carrel.pool") : NULL;

        if (info == NULL)
                return 0;
        return pool != NULL && strcmp(pool, RIG_POOL) == 0 ? 1 : -1;
}

void rig_plant(struct rig *rig, const char *name, const char *product, const char *pool, const char *user,
               enum container_status status)
{
        struct label labels[3];
        struct container_info info = { .status = status, .labels = labels };
        const struct label wanted[] = { { "io.carrel.product", product },
                                        { "io.carrel.pool", pool },
                                        { "io.carrel.user", user } };

        for (size_t i = 0; i < 3; i++)
                if (wanted[i].value != NULL)
                        labels[info.n_labels++] = wanted[i];
        (void)snprintf(info.name, sizeof info.name, "%s", name);
        assert_int_equal(fake_plant(rig->engine, &info), 0);
}
