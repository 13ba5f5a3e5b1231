/* Measures how fast carreld reads the usage of carrels, with `docker stats` and a bare loop over the same files as its
 * baselines (bench.h). Its users and containers are named bench-usage-* and removed. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench-proc.h"
#include "bench.h"
#include "cgroup.h"
#include "usage.h"

#define CONTAINER "bench-usage-baseline"

enum { PATH_BYTES = 128, CARRELS_MAX = 900, ONE_RUNS = 1000, ALL_RUNS = 50, BASELINE_RUNS = 5 };

enum row_number { ROW_ONE, ROW_ALL, ROWS };

/* ---- carreld ---- */

static int ask_carreld(struct bench *bench, const char *method, size_t number, const char *suffix, const char *body)
{
        char path[PATH_BYTES];

        (void)snprintf(path, sizeof path, "/v1/carrels/bench-usage-%zu%s", number, suffix);
        return bench_ask(bench, bench->fd, method, path, body);
}

static int read_one(struct bench *bench)
{
        return ask_carreld(bench, "GET", 0, "/usage", NULL);
}

/* One page. Its text is longer than an answer of bench_ask, so only its end is looked at: it must be that of a whole
 * list without a next page. */
static int read_all(struct bench *bench)
{
        static const char END[] = "],\"next\":null}";
        char *text = bench->answer.body;
        size_t length = 0, end_length = strlen(END);
        struct plain_stream stream;
        ssize_t got = 1;
        int r = plain_begin(&stream, bench->fd, "GET", "/v1/usage?limit=1000", "", NULL);

        while (r == 0 && got > 0) {
                if (length > end_length) {
                        memmove(text, text + length - end_length, end_length);
                        length = end_length;
                }
                got = plain_read(&stream, text + length, PLAIN_BODY_BYTES - 1 - length);
                if (got < 0)
                        r = (int)got;
                else
                        length += (size_t)got;
        }
        text[length] = '\0';
        if (r == 0 && (stream.status != 200 || length < end_length || strcmp(text + length - end_length, END) != 0))
                r = -EREMOTEIO;
        return r;
}

/* ---- the same files in a bare loop ---- */

struct bare {
        size_t n_meters;
        struct usage_meter *meters[CARRELS_MAX];
        struct if_nameindex *interfaces; /* ends with index 0 */
};

static int add_meter(struct bench *bench, struct bare *bare, const struct cgroup_mounts *mounts, size_t number)
{
        cJSON *answer;
        const char *id;
        int r = ask_carreld(bench, "GET", number, "", NULL);

        if (r != 0)
                return r;
        answer = cJSON_Parse(bench->answer.body);
        id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "container_id"));
        r = id != NULL && id[0] != '\0'
                    ? usage_meter_new(&bare->meters[bare->n_meters], mounts, proc_of_container(id), id)
                    : -EPROTO;
        bare->n_meters += r == 0;
        cJSON_Delete(answer);
        return r;
}

static int open_bare(struct bench *bench, struct bare *ret_bare)
{
        struct cgroup_mounts mounts;
        int r = cgroup_read_mounts(&mounts);

        *ret_bare = (struct bare){ .interfaces = if_nameindex() };
        if (ret_bare->interfaces == NULL)
                return -errno;
        for (size_t i = 0; i < bench->count && r == 0; i++)
                r = add_meter(bench, ret_bare, &mounts, i);
        return r;
}

static void close_bare(struct bare *bare)
{
        for (size_t i = 0; i < bare->n_meters; i++)
                usage_meter_free(bare->meters[i]);
        if (bare->interfaces != NULL)
                if_freenameindex(bare->interfaces);
}

/* Each carrel has one interface on the host, so lo and a bridge of Docker are the only ones too many. */
static int read_bare(const struct bare *bare)
{
        struct usage usage;

        for (size_t i = 0; i < bare->n_meters; i++) {
                usage_clear(&usage);
                usage_read(bare->meters[i], &usage);
                if (usage.of[USAGE_CPU_US] == USAGE_UNCOUNTED)
                        return -ENODATA;
        }
        for (const struct if_nameindex *each = bare->interfaces; each->if_index != 0; each++)
                usage_read_link(each->if_name, &usage);
        return 0;
}

static int measure_bare(struct bench *bench, size_t repetitions, struct samples *ret_samples)
{
        static struct bare bare;
        int r = open_bare(bench, &bare);

        if (r == 0)
                r = samples_open(ret_samples, repetitions);
        for (size_t i = 0; i < repetitions && r == 0; i++) {
                double begin_ms = bench_now_ms();

                r = read_bare(&bare);
                if (r == 0)
                        samples_add(ret_samples, bench_now_ms() - begin_ms);
        }
        close_bare(&bare);
        return r;
}

/* ---- Docker ---- */

static int docker_stats(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "stats", "--no-stream", CONTAINER, NULL });
}

static int measure_docker(struct bench *bench, struct samples *ret_samples)
{
        int r;

        (void)bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
        r = bench_docker(bench, (const char *const[]){ "run", "-d", "--name", CONTAINER, "--entrypoint", "sleep",
                                                       bench->image, "3600", NULL });
        if (r == 0)
                r = bench_measure(bench, NULL, docker_stats, BASELINE_RUNS * bench->scale, ret_samples);
        (void)bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
        return r;
}

/* ---- the rows ---- */

static int measure_carreld(struct bench *bench, struct row rows[static ROWS])
{
        int r = 0;

        for (size_t i = 0; i < bench->count && r == 0; i++)
                r = ask_carreld(bench, "PUT", i, "", "{}");
        if (r == 0)
                r = bench_measure(bench, NULL, read_one, ONE_RUNS * bench->scale, &rows[ROW_ONE].ours);
        if (r == 0)
                r = bench_measure(bench, NULL, read_all, ALL_RUNS * bench->scale, &rows[ROW_ALL].ours);
        if (r == 0)
                r = measure_bare(bench, ALL_RUNS * bench->scale, &rows[ROW_ALL].theirs);
        return r;
}

static int run_all(struct bench *bench)
{
        char all[64];
        struct row rows[ROWS] = { [ROW_ONE] = { .operation = "usage of one carrel", .baseline = "docker stats" },
                                  [ROW_ALL] = { .operation = all, .baseline = "a bare loop" } };
        int r = 0;

        (void)snprintf(all, sizeof all, "usage of %zu carrels", bench->count);
        if (bench->docker_socket != NULL) {
                r = measure_docker(bench, &rows[ROW_ONE].theirs);
                if (r != 0)
                        bench_complain(bench, rows[ROW_ONE].baseline, r);
                bench_reconnect(bench);
        }
        r = measure_carreld(bench, rows);
        if (r != 0)
                bench_complain(bench, all, r);
        for (size_t i = 0; i < bench->count; i++)
                (void)ask_carreld(bench, "DELETE", i, "", NULL);
        return bench_show(bench, rows, ROWS);
}

int main(int argc, char **argv)
{
        static const struct bench_program PROGRAM = {
                .name = "bench_usage",
                .about = "Measures how fast carreld reads the usage of one idle carrel, next to\n"
                         "`docker stats --no-stream` of one container, and of all carrels in one page, next to a\n"
                         "loop that reads and parses the same files and does nothing else. It looks for the\n"
                         "carrels' cgroups, so it must see all processes, as root.",
                .count_meaning = "idle carrels",
                .count_default = 300,
                .count_max = CARRELS_MAX,
                .can_count_cpu = true,
                .run = run_all,
        };

        return bench_run_program(&PROGRAM, argc, argv);
}
