/* Measures freezing a carrel, and its next use, with `docker pause` and `unpause` as the baseline (bench.h). The exec
 * of a carrel that runs is measured in the same run. The user and the container are named bench-freeze and removed. */
#include "bench.h"

#define USER "/v1/carrels/bench-freeze"
#define CONTAINER "bench-freeze-baseline"

enum { RUNS = 500, BASELINE_RUNS = 20 };

static int ensure(struct bench *bench)
{
        return bench_ask(bench, bench->fd, "PUT", USER, "{}");
}

static int freeze(struct bench *bench)
{
        return bench_ask(bench, bench->fd, "POST", USER "/freeze", NULL);
}

static int exec_true(struct bench *bench)
{
        return bench_ask(bench, bench->fd, "POST", USER "/exec", "{\"argv\":[\"true\"]}");
}

static int docker_pause(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "pause", CONTAINER, NULL });
}

static int docker_unpause(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "unpause", CONTAINER, NULL });
}

/* One that runs is no failure. */
static int docker_thaw(struct bench *bench)
{
        (void)docker_unpause(bench);
        return 0;
}

/* One that is paused is no failure. */
static int docker_freeze(struct bench *bench)
{
        (void)docker_pause(bench);
        return 0;
}

static int docker_exec(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "exec", CONTAINER, "true", NULL });
}

static int docker_unpause_and_exec(struct bench *bench)
{
        int r = docker_unpause(bench);

        return r == 0 ? docker_exec(bench) : r;
}

/* One that does not exist yet is no failure. */
static void docker_set_up(struct bench *bench)
{
        (void)bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
        (void)bench_docker(bench, (const char *const[]){ "run", "-d", "--name", CONTAINER, "--entrypoint", "sleep",
                                                         bench->image, "3600", NULL });
}

static int run_all(struct bench *bench)
{
        static const struct bench_plan PLANS[] = {
                { "freeze", ensure, freeze, RUNS, "docker pause", docker_thaw, docker_pause, BASELINE_RUNS, 0 },
                { "thaw by an ensure", freeze, ensure, RUNS, "docker unpause", docker_freeze, docker_unpause,
                  BASELINE_RUNS, 0 },
                { "exec true", ensure, exec_true, RUNS, "docker exec", docker_thaw, docker_exec, BASELINE_RUNS, 0 },
                { "thaw and exec true", freeze, exec_true, RUNS, "docker unpause + exec", docker_freeze,
                  docker_unpause_and_exec, BASELINE_RUNS, 0 },
        };
        enum { PLAN_COUNT = sizeof PLANS / sizeof *PLANS };
        struct row rows[PLAN_COUNT];

        if (bench->docker_socket != NULL)
                docker_set_up(bench);
        for (size_t i = 0; i < PLAN_COUNT; i++)
                bench_run_plan(bench, &PLANS[i], &rows[i]);
        (void)bench_ask(bench, bench->fd, "DELETE", USER, NULL);
        if (bench->docker_socket != NULL)
                (void)bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
        return bench_show(bench, rows, PLAN_COUNT);
}

int main(int argc, char **argv)
{
        return bench_main("bench_freeze", argc, argv, run_all);
}
