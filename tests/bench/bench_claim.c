/* Measures an ensure that claims a warm carrel, with `docker run` as its baseline (bench.h). Its users and containers
 * are named bench-claim-* and removed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench-warm.h"
#include "bench.h"

#define CONTAINER "bench-claim-baseline"

enum { PATH_BYTES = 64, ROUNDS = 5, BASELINE_RUNS = 10 };

enum row_number { ROW_CLAIM, ROW_OTHER, ROWS };

static void path_of(size_t user, char ret_path[static PATH_BYTES])
{
        (void)snprintf(ret_path, PATH_BYTES, "/v1/carrels/bench-claim-%zu", user);
}

/* One new user. An ensure that was not answered by a claim is counted in a row of its own. */
static int measure_user(struct bench *bench, size_t user, struct row rows[static ROWS])
{
        char path[PATH_BYTES];
        double begin_ms, took_ms;
        int r;

        path_of(user, path);
        begin_ms = bench_now_ms();
        r = bench_ask(bench, bench->fd, "PUT", path, "{}");
        took_ms = bench_now_ms() - begin_ms;
        if (r == 0)
                samples_add(strstr(bench->answer.body, "\"outcome\":\"claimed\"") != NULL ? &rows[ROW_CLAIM].ours
                                                                                          : &rows[ROW_OTHER].ours,
                            took_ms);
        return r;
}

static void remove_user(struct bench *bench, size_t user)
{
        char path[PATH_BYTES];

        path_of(user, path);
        (void)bench_ask(bench, bench->fd, "DELETE", path, NULL);
}

/* Waits for a full pool, then ensures users one after the other. The pool refills itself at the same time. */
static int run_round(struct bench *bench, size_t users, struct row rows[static ROWS])
{
        int r = warm_wait(bench);

        for (size_t i = 0; i < users && r == 0; i++)
                r = measure_user(bench, i, rows);
        for (size_t i = 0; i < users; i++)
                remove_user(bench, i);
        return r;
}

static int docker_run(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "run", "-d", "--name", CONTAINER, "--entrypoint", "sleep",
                                                          bench->image, "3600", NULL });
}

static int docker_remove(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
}

static int run_rounds(struct bench *bench, size_t users, struct row rows[static ROWS])
{
        size_t rounds = ROUNDS * bench->scale;
        int r = samples_open(&rows[ROW_CLAIM].ours, rounds * users);

        if (r == 0)
                r = samples_open(&rows[ROW_OTHER].ours, rounds * users);
        for (size_t i = 0; i < rounds && r == 0; i++)
                r = run_round(bench, users, rows);
        return r;
}

static int run_all(struct bench *bench)
{
        struct row rows[ROWS] = { { .operation = "ensure by claim, keep-alive", .baseline = "docker run" },
                                  { .operation = "ensure that was not a claim" } };
        size_t wanted = warm_wanted(bench);
        int r;

        if (wanted == 0) {
                (void)fprintf(stderr, "bench_claim: carreld keeps no warm carrels: set `warm`\n");
                return -EINVAL;
        }
        r = run_rounds(bench, wanted < bench->count ? wanted : bench->count, rows);
        if (r != 0)
                bench_complain(bench, rows[ROW_CLAIM].operation, r);
        if (bench->docker_socket != NULL) {
                r = bench_measure(bench, docker_remove, docker_run, BASELINE_RUNS * bench->scale,
                                  &rows[ROW_CLAIM].theirs);
                if (r != 0)
                        bench_complain(bench, "docker run", r);
                (void)docker_remove(bench);
        }
        return bench_show(bench, rows, ROWS);
}

int main(int argc, char **argv)
{
        static const struct bench_program PROGRAM = {
                .name = "bench_claim",
                .about = "Measures how fast an ensure of a new user claims a warm carrel, next to `docker run`.\n"
                         "carreld must keep warm carrels (the setting `warm`). Every answer must say that the carrel\n"
                         "was claimed; the others are counted in a second row.",
                .count_meaning = "users of a round, at most as many as there are warm carrels",
                .count_default = 40,
                .count_max = 1000,
                .run = run_all,
        };

        return bench_run_program(&PROGRAM, argc, argv);
}
