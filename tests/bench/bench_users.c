/* Measures what users cost the pool: its memory, and the duration of an ensure of a running carrel, with 10, 1,000 and
 * 100,000 users. The engine and the policy are those of the unit tests, which keep their containers in this process.
 * The memory of the fake containers is measured apart and left out. */
#include <errno.h>
#include <ev.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent-listener.h"
#include "bench-proc.h"
#include "bench.h"
#include "engine-execs.h"
#include "engine.h"
#include "exec.h"
#include "fake-engine.h"
#include "flow.h"
#include "netpolicy.h"
#include "pool.h"

#define PREFIX "carrel-"

enum row_number { ROW_MEMORY, ROW_PER_USER, ROW_ENSURE, ROWS };

static const char *const UNITS[ROWS] = { "MB", "kB", "us" };
static const struct size {
        size_t users;
        const char *operations[ROWS];
} SIZES[] = {
        { 10, { "pool with 10 users", "heap of a user, of 10", "ensure, running, of 10 users" } },
        { 1000, { "pool with 1,000 users", "heap of a user, of 1,000", "ensure, running, of 1,000 users" } },
        { 100000, { "pool with 100,000 users", "heap of a user, of 100,000", "ensure, running, of 100,000 users" } },
};
enum {
        SIZES_COUNT = sizeof SIZES / sizeof SIZES[0],
        USERS_MAX = 100000,
        AT_ONCE = 64,
        REPETITIONS = 20000,
        STRIDE = 7919, /* a prime, so that all users have their turn, in no order that a cache likes */
        PLANTED = 1000,
        NAME_BYTES = 32,
};

struct rig {
        struct ev_loop *loop;
        struct engine *engine;
        struct netpolicy *netpolicy;
        struct execs *execs;
        struct pool *pool;
        size_t n_begun, n_wanted, n_answered, n_failed;
        struct fault why;   /* of the last failure */
        char directory[64]; /* root's, for the users' directories and the ledger */
        char users_dir[96];
};

/* ---- the pool ---- */

/* The users' directories in memory, in a mount namespace of our own: the disk is not measured. */
static int use_memory(struct rig *rig)
{
        (void)snprintf(rig->directory, sizeof rig->directory, "/run/bench-users-XXXXXX");
        if (mkdtemp(rig->directory) == NULL || unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", rig->directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
                return -errno;
        (void)snprintf(rig->users_dir, sizeof rig->users_dir, "%s/users", rig->directory);
        return 0;
}

static int open_rig(struct rig *rig)
{
        const struct pool_options options = {
                .pool = "bench",
                .prefix = PREFIX,
                .init_path = "/usr/libexec/carrel/carrel-init",
                .users_dir = rig->users_dir,
                .runtime_dir = rig->directory,
                .defaults = { .image = "sandbox:latest",
                              .policy = POLICY_INTERNET,
                              .memory_bytes = 2147483648,
                              .cpu_millis = 1000,
                              .pids = 256 },
                .tmp_bytes = 536870912,
                .shm_bytes = 67108864,
                .owner = { 1000, 1000 },
                .nofile = 1024,
                .max_carrels = USERS_MAX,
                .max_concurrent_starts = AT_ONCE,
                .max_queued_starts = USERS_MAX,
                .max_execs = 64,
                .ensure_timeout_s = 3600,
        };
        static const struct flow_observer NO_OBSERVER = { 0 };
        int r;

        rig->loop = ev_loop_new(EVBACKEND_EPOLL);
        if (rig->loop == NULL)
                return -ENOMEM;
        r = fake_new(&rig->engine, rig->loop);
        if (r == 0)
                r = netpolicy_new_fake(&rig->netpolicy, rig->loop);
        if (r == 0)
                r = execs_new(&rig->execs, rig->loop);
        if (r == 0)
                r = agents_register(rig->execs);
        if (r == 0)
                r = engine_execs_register(rig->execs, rig->engine);
        if (r == 0)
                r = pool_new(&rig->pool, rig->loop, rig->engine, rig->netpolicy, rig->execs, &options, &NO_OBSERVER,
                             &rig->why);
        if (r == 0)
                pool_set_reconciled(rig->pool);
        return r;
}

static void close_rig(struct rig *rig)
{
        rig->pool = pool_free(rig->pool);
        rig->execs = execs_free(rig->execs);
        rig->netpolicy = netpolicy_free(rig->netpolicy);
        rig->engine = rig->engine->ops->free(rig->engine);
        ev_loop_destroy(rig->loop);
        (void)umount2(rig->directory, MNT_DETACH);
        (void)rmdir(rig->directory);
}

/* ---- users ---- */

static const struct carrel_spec ANY = { .image = "" };

static void name_of(size_t user, char ret_name[static NAME_BYTES])
{
        (void)snprintf(ret_name, NAME_BYTES, "user%zu", user);
}

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        struct rig *rig = arg;

        (void)ensured;
        rig->n_answered++;
        if (why == NULL)
                return;
        rig->n_failed++;
        rig->why = *why;
}

static void on_reused(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        if (why == NULL && ensured->outcome == OUTCOME_REUSED)
                ++*(size_t *)arg;
}

/* A few at once, as a daemon has it, so that the memory of starts in progress stays small. */
static int grow(struct rig *rig, size_t n_users)
{
        char name[NAME_BYTES];
        struct pool_wait *wait;

        while (rig->n_answered < n_users) {
                while (rig->n_begun < n_users && rig->n_begun - rig->n_answered < AT_ONCE) {
                        name_of(rig->n_begun++, name);
                        pool_ensure(rig->pool, name, &ANY, CONFLICT_REPLACE, on_ensured, rig, &wait);
                }
                if (rig->n_answered < n_users)
                        (void)ev_run(rig->loop, EVRUN_ONCE);
                if (isatty(STDERR_FILENO) && rig->n_answered % 10000 == 0)
                        (void)fprintf(stderr, "\r%zu users", rig->n_answered);
        }
        return rig->n_failed == 0 ? 0 : -EREMOTEIO;
}

static double heap_bytes(void)
{
        struct mallinfo2 info = mallinfo2();

        return (double)(info.uordblks + info.hblkhd);
}

/* Of one container of the fake engine, as the pool makes it. */
static int measure_fake_container(struct rig *rig, double *ret_bytes)
{
        struct container_info info;
        struct engine *other;
        double begin_bytes;
        int r = fake_new(&other, rig->loop);

        if (r < 0)
                return r;
        info = *fake_find(rig->engine, PREFIX "user0");
        info.id[0] = '\0'; /* a new one */
        begin_bytes = heap_bytes();
        for (size_t i = 0; i < PLANTED && r == 0; i++) {
                (void)snprintf(info.name, sizeof info.name, PREFIX "user%zu", i);
                r = fake_plant(other, &info);
        }
        *ret_bytes = (heap_bytes() - begin_bytes) / PLANTED;
        (void)other->ops->free(other);
        return r;
}

static int measure_ensure(struct rig *rig, size_t n_users, size_t repetitions, struct samples *ret_samples)
{
        size_t n_reused = 0;
        int r = samples_open(ret_samples, repetitions);

        for (size_t i = 0; i < repetitions && r == 0; i++) {
                char name[NAME_BYTES];
                struct pool_wait *wait;
                double begin_ms;

                name_of(i * STRIDE % n_users, name);
                begin_ms = bench_now_ms();
                pool_ensure(rig->pool, name, &ANY, CONFLICT_REPLACE, on_reused, &n_reused, &wait);
                samples_add(ret_samples, (bench_now_ms() - begin_ms) * 1e3);
                if (n_reused != i + 1)
                        r = -EREMOTEIO; /* the carrel does not run */
        }
        return r;
}

/* ---- the rows ---- */

static int add_value(struct samples *samples, double value)
{
        int r = samples_open(samples, 1);

        if (r == 0)
                samples_add(samples, value);
        return r;
}

static int measure_size(struct rig *rig, size_t n_users, size_t repetitions, double begin_bytes,
                        struct row rows[static ROWS])
{
        double fake_bytes = 0;
        int r = grow(rig, n_users);

        if (r == 0)
                r = measure_fake_container(rig, &fake_bytes);
        if (r == 0)
                r = add_value(&rows[ROW_MEMORY].ours,
                              (proc_private_bytes(getpid()) - fake_bytes * (double)n_users) / 1e6);
        if (r == 0)
                r = add_value(&rows[ROW_PER_USER].ours,
                              ((heap_bytes() - begin_bytes) / (double)n_users - fake_bytes) / 1e3);
        if (r == 0)
                r = measure_ensure(rig, n_users, repetitions, &rows[ROW_ENSURE].ours);
        return r;
}

/* The smallest pool is the baseline of the others. */
static int compare_with_smallest(struct row rows[static SIZES_COUNT * ROWS])
{
        const struct samples *smallest = &rows[ROW_ENSURE].ours;
        int r = 0;

        for (size_t i = 1; i < SIZES_COUNT && r == 0; i++) {
                struct row *row = &rows[i * ROWS + ROW_ENSURE];

                row->baseline = "with 10 users";
                r = samples_open(&row->theirs, smallest->count);
                for (size_t k = 0; k < smallest->count && r == 0; k++)
                        samples_add(&row->theirs, smallest->values[k]);
        }
        return r;
}

static int run_all(struct bench *bench)
{
        struct row rows[SIZES_COUNT * ROWS] = { 0 };
        struct rig rig = { 0 };
        double begin_bytes;
        int r = use_memory(&rig);

        if (r == 0)
                r = open_rig(&rig);
        if (r != 0) {
                (void)fprintf(stderr, "bench_users: %s %s\n", strerror(-r), rig.why.message);
                return r;
        }
        begin_bytes = heap_bytes();
        for (size_t i = 0; i < SIZES_COUNT; i++) {
                for (size_t k = 0; k < ROWS; k++)
                        rows[i * ROWS + k] = (struct row){ .operation = SIZES[i].operations[k], .unit = UNITS[k] };
                if (r == 0)
                        r = measure_size(&rig, SIZES[i].users, REPETITIONS * bench->scale, begin_bytes,
                                         &rows[i * ROWS]);
        }
        if (r == 0)
                r = compare_with_smallest(rows);
        if (r != 0)
                (void)fprintf(stderr, "bench_users: %s %s\n", strerror(-r), rig.why.message);
        close_rig(&rig);
        return bench_show(bench, rows, sizeof rows / sizeof *rows);
}

int main(int argc, char **argv)
{
        static const struct bench_program PROGRAM = {
                .name = "bench_users",
                .about = "Measures the pool alone, on the engine in memory of the unit tests, with 10, 1,000 and\n"
                         "100,000 users: its private memory, the heap of each user, and the duration of an ensure\n"
                         "of a running carrel, next to the same with 10 users. It needs root, and no carreld.",
                .needs_no_carreld = true,
                .run = run_all,
        };

        return bench_run_program(&PROGRAM, argc, argv);
}
