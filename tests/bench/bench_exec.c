/* Measures what an exec costs: its latency, its output, and its effect on neighbours (bench.h). Its users and
 * containers are named bench-exec-* and removed at the end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench-neighbours.h"
#include "bench-streams.h"
#include "bench.h"

#define USER_PATH "/v1/carrels/bench-exec-user"
#define CONTAINER "bench-exec-baseline"
/* A text file, so that NDJSON needs no base64. */
#define MAKE_FILE "yes 'a line of text, as programs write it' | head -c 104857600 > /tmp/bench"
#define SHOW_FILE "dd if=/tmp/bench bs=1048576 2>/dev/null"
#define EXEC_BODY(command) "{\"argv\":[\"sh\",\"-c\",\"" command "\"]}"

static const double OUTPUT_BYTES = 104857600;

/* ---- carreld ---- */

static int exec_true(struct bench *bench)
{
        int r = bench_ask(bench, bench->fd, "POST", USER_PATH "/exec", "{\"argv\":[\"true\"]}");

        if (r == 0 && strstr(bench->answer.body, "\"exit_code\":0") == NULL)
                r = -EREMOTEIO;
        return r;
}

static int read_ndjson(struct bench *bench)
{
        return stream_ndjson(bench, USER_PATH "/exec", EXEC_BODY(SHOW_FILE), OUTPUT_BYTES);
}

static int read_multiplexed(struct bench *bench)
{
        return stream_multiplexed(bench, USER_PATH "/exec", EXEC_BODY(SHOW_FILE), OUTPUT_BYTES);
}

static int read_websocket(struct bench *bench)
{
        return stream_websocket(bench, USER_PATH "/exec?stdin=0&argv=dd&argv=if%3d/tmp/bench&argv=bs%3d1048576",
                                OUTPUT_BYTES);
}

/* ---- the CLI ---- */

static int docker_exec(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "exec", CONTAINER, "true", NULL });
}

static int docker_output(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "exec", CONTAINER, "sh", "-c", SHOW_FILE, NULL });
}

/* ---- the runs ---- */

static const struct bench_plan PLANS[] = {
        { "exec true", NULL, exec_true, 1000, "docker exec", NULL, docker_exec, 20, 0 },
        { "100 MiB, NDJSON", NULL, read_ndjson, 5, "docker exec", NULL, docker_output, 5, 104857600 },
        { "100 MiB, multiplexed stream", NULL, read_multiplexed, 10, "docker exec", NULL, docker_output, 5, 104857600 },
        { "100 MiB, WebSocket", NULL, read_websocket, 5, "docker exec", NULL, docker_output, 5, 104857600 },
};
enum { PLANS_COUNT = sizeof PLANS / sizeof PLANS[0] };

static void prepare(struct bench *bench)
{
        int r = bench_ask(bench, bench->fd, "POST", USER_PATH "/exec", EXEC_BODY(MAKE_FILE));

        if (r != 0)
                bench_complain(bench, "the file to read", r);
        if (bench->docker_socket == NULL)
                return;
        r = bench_docker(bench, (const char *const[]){ "run", "-d", "--name", CONTAINER, "--entrypoint", "sleep",
                                                       "--tmpfs", "/tmp", bench->image, "3600", NULL });
        if (r == 0)
                r = bench_docker(bench, (const char *const[]){ "exec", CONTAINER, "sh", "-c", MAKE_FILE, NULL });
        if (r != 0)
                bench_complain(bench, "docker run", r);
}

static int run_all(struct bench *bench)
{
        struct row rows[PLANS_COUNT + NEIGHBOURS_MAX];
        size_t count = 0;

        prepare(bench);
        for (size_t i = 0; i < PLANS_COUNT; i++)
                if (bench_is_wanted(bench, PLANS[i].name))
                        bench_run_plan(bench, &PLANS[i], &rows[count++]);
        bench_reconnect(bench);
        if (bench->docker_socket != NULL)
                (void)bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
        count += neighbours_run(bench, exec_true, rows + count);
        (void)bench_ask(bench, bench->fd, "DELETE", USER_PATH, NULL);
        return bench_show(bench, rows, count);
}

int main(int argc, char **argv)
{
        return bench_main("bench_exec", argc, argv, run_all);
}
