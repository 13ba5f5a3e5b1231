/* Measures the time from the request for a new user's carrel to the end of `echo hi` in it (bench.h). The baseline is
 * `docker run` and `docker exec`. Its users and containers are named bench-interactive-* and removed. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench-warm.h"
#include "bench.h"

enum { NAME_BYTES = 64, PATH_BYTES = 128, STAGGER_MS = 200, BURST_BASELINE = 20, LAUNCHES_MAX = 1000 };

/* One new user, from the start to the end of `echo hi`. */
typedef int (*launch_operation)(struct bench *bench, size_t user);

enum schedule { SEQUENTIAL, STAGGERED, BURST };

struct launch {
        pthread_t thread;
        struct bench *bench; /* its own */
        launch_operation run;
        size_t user;
        double due_ms, took_ms;
        int r;
};

static void name_of(size_t user, char ret_name[static NAME_BYTES])
{
        (void)snprintf(ret_name, NAME_BYTES, "bench-interactive-%zu", user);
}

/* ---- carreld ---- */

static int carrel_launch(struct bench *bench, size_t user)
{
        char name[NAME_BYTES], path[PATH_BYTES];
        int fd = plain_connect(bench->socket_path), r;

        if (fd < 0)
                return fd;
        name_of(user, name);
        (void)snprintf(path, sizeof path, "/v1/carrels/%s", name);
        r = bench_ask(bench, fd, "PUT", path, "{}");
        (void)snprintf(path, sizeof path, "/v1/carrels/%s/exec", name);
        if (r == 0)
                r = bench_ask(bench, fd, "POST", path, "{\"argv\":[\"echo\",\"hi\"]}");
        if (r == 0 &&
            (strstr(bench->answer.body, "\"exit_code\":0") == NULL || strstr(bench->answer.body, "hi\\n") == NULL))
                r = -EREMOTEIO;
        close(fd);
        return r;
}

static int carrel_remove(struct bench *bench, size_t user)
{
        char name[NAME_BYTES], path[PATH_BYTES];

        name_of(user, name);
        (void)snprintf(path, sizeof path, "/v1/carrels/%s", name);
        return bench_ask(bench, bench->fd, "DELETE", path, NULL);
}

/* ---- the CLI ---- */

static int docker_launch(struct bench *bench, size_t user)
{
        char name[NAME_BYTES];
        int r;

        name_of(user, name);
        r = bench_docker(bench, (const char *const[]){ "run", "-d", "--name", name, "--entrypoint", "sleep",
                                                       bench->image, "3600", NULL });
        if (r == 0)
                r = bench_docker(bench, (const char *const[]){ "exec", name, "echo", "hi", NULL });
        return r;
}

static int docker_remove(struct bench *bench, size_t user)
{
        char name[NAME_BYTES];

        name_of(user, name);
        return bench_docker(bench, (const char *const[]){ "rm", "-f", name, NULL });
}

/* ---- the schedules ---- */

static void wait_until(double due_ms)
{
        struct timespec due = { .tv_sec = (time_t)(due_ms / 1e3) };

        due.tv_nsec = (long)((due_ms - (double)due.tv_sec * 1e3) * 1e6);
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
                ;
}

/* The time counts from the moment at which it is due, so a late thread makes no figure better. */
static void *launch_main(void *arg)
{
        struct launch *launch = arg;

        wait_until(launch->due_ms);
        launch->r = launch->run(launch->bench, launch->user);
        launch->took_ms = bench_now_ms() - launch->due_ms;
        return NULL;
}

/* Copies the settings, but neither the connection nor the answer. */
static struct bench *copy_bench(const struct bench *bench)
{
        struct bench *copy = calloc(1, sizeof *copy);

        if (copy == NULL)
                return NULL;
        copy->name = bench->name;
        copy->socket_path = bench->socket_path;
        copy->docker_socket = bench->docker_socket;
        copy->image = bench->image;
        copy->fd = -1;
        memcpy(copy->docker_host, bench->docker_host, sizeof copy->docker_host);
        return copy;
}

/* Threads that begin at their times. Returns how many were started; the rest have r set. */
static size_t launch_all(struct launch *launches, size_t count, double step_ms)
{
        enum { AHEAD_MS = 50 }; /* for the threads to be there in time */
        double begin_ms = bench_now_ms() + AHEAD_MS;
        size_t n = 0;

        for (; n < count; n++) {
                launches[n].due_ms = begin_ms + step_ms * (double)n;
                if (pthread_create(&launches[n].thread, NULL, launch_main, &launches[n]) != 0)
                        break;
        }
        for (size_t i = 0; i < n; i++)
                (void)pthread_join(launches[i].thread, NULL);
        return n;
}

static size_t run_launches(enum schedule schedule, struct launch *launches, size_t count)
{
        if (schedule != SEQUENTIAL)
                return launch_all(launches, count, schedule == STAGGERED ? STAGGER_MS : 0);
        for (size_t i = 0; i < count; i++) {
                launches[i].due_ms = bench_now_ms();
                (void)launch_main(&launches[i]);
        }
        return count;
}

/* Adds each launch to the samples, and the time from the first one's begin to the last one's end, divided by their
 * number, to per_launch. */
static void collect(const struct bench *bench, const struct launch *launches, size_t count, struct samples *each,
                    struct samples *per_launch)
{
        double end_ms = 0;
        size_t n_failed = 0;

        for (size_t i = 0; i < count; i++) {
                double ended_ms = launches[i].due_ms + launches[i].took_ms;

                if (launches[i].r != 0) {
                        if (n_failed++ == 0)
                                bench_complain(launches[i].bench, "a launch", launches[i].r);
                        continue;
                }
                samples_add(each, launches[i].took_ms);
                if (ended_ms > end_ms)
                        end_ms = ended_ms;
        }
        if (n_failed > 0)
                (void)fprintf(stderr, "%s: %zu of %zu launches failed\n", bench->name, n_failed, count);
        if (each->count > 0 && per_launch != NULL)
                samples_add(per_launch, (end_ms - launches[0].due_ms) / (double)each->count);
}

static int run_schedule(struct bench *bench, enum schedule schedule, launch_operation run, launch_operation undo,
                        size_t count, struct samples *each, struct samples *per_launch)
{
        struct launch *launches = calloc(count, sizeof *launches);
        int r = launches == NULL ? -ENOMEM : samples_open(each, count);

        if (r == 0 && per_launch != NULL)
                r = samples_open(per_launch, 1);
        for (size_t i = 0; i < count && r == 0; i++) {
                launches[i] = (struct launch){ .bench = copy_bench(bench), .run = run, .user = i };
                if (launches[i].bench == NULL)
                        r = -ENOMEM;
        }
        if (r == 0)
                collect(bench, launches, run_launches(schedule, launches, count), each, per_launch);
        for (size_t i = 0; i < count && launches != NULL; i++) {
                if (r == 0)
                        (void)undo(bench, i);
                free(launches[i].bench);
        }
        free(launches);
        return r;
}

/* ---- the rows ---- */

struct plan {
        const char *name, *baseline;
        const char *total_name; /* of a row for the whole schedule's time per launch; NULL: none */
        enum schedule schedule;
        size_t count; /* 0: the option -c */
        size_t baseline_count;
};

static const struct plan PLANS[] = {
        { "new user to `echo hi`, sequential", "docker run + exec", NULL, SEQUENTIAL, 40, 10 },
        { "the same, one every 200 ms", "docker run + exec", NULL, STAGGERED, 40, 10 },
        { "the same, all at once", "docker, 20 at once", "all at once, time per user", BURST, 0, BURST_BASELINE },
};
enum { PLANS_COUNT = sizeof PLANS / sizeof PLANS[0] };

/* Fills one or two rows and returns their number. */
static size_t run_plan(struct bench *bench, const struct plan *plan, struct row *ret_rows)
{
        bool has_total = plan->total_name != NULL;
        size_t count = plan->count == 0 ? bench->count : plan->count * bench->scale;
        int r;

        ret_rows[0] = (struct row){ .operation = plan->name, .baseline = plan->baseline };
        if (has_total)
                ret_rows[1] = (struct row){ .operation = plan->total_name, .baseline = plan->baseline };
        bench_reconnect(bench);
        r = warm_wait(bench);
        if (r == 0)
                r = run_schedule(bench, plan->schedule, carrel_launch, carrel_remove,
                                 count < LAUNCHES_MAX ? count : LAUNCHES_MAX, &ret_rows[0].ours,
                                 has_total ? &ret_rows[1].ours : NULL);
        if (r != 0)
                bench_complain(bench, plan->name, r);
        if (bench->docker_socket == NULL)
                return has_total ? 2 : 1;
        r = run_schedule(bench, plan->schedule, docker_launch, docker_remove, plan->baseline_count, &ret_rows[0].theirs,
                         has_total ? &ret_rows[1].theirs : NULL);
        if (r != 0)
                bench_complain(bench, plan->baseline, r);
        return has_total ? 2 : 1;
}

static int run_all(struct bench *bench)
{
        struct row rows[2 * PLANS_COUNT];
        size_t count = 0;

        for (size_t i = 0; i < PLANS_COUNT; i++)
                count += run_plan(bench, &PLANS[i], rows + count);
        return bench_show(bench, rows, count);
}

int main(int argc, char **argv)
{
        static const struct bench_program PROGRAM = {
                .name = "bench_interactive",
                .about = "Measures the time from the request for a new user's carrel to the end of `echo hi` in it,\n"
                         "with a new connection for each user: one after the other, one every 200 ms, and all at\n"
                         "once. The baseline is `docker run` and `docker exec`, in bursts of 20. If carreld keeps\n"
                         "warm carrels (the setting `warm`), each row begins when all of them are there.",
                .count_meaning = "users of the burst",
                .count_default = 100,
                .count_max = LAUNCHES_MAX,
                .run = run_all,
        };

        return bench_run_program(&PROGRAM, argc, argv);
}
