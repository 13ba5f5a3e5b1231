/* Measures how fast a running carreld answers, and the docker CLI in the same run as a baseline (bench.h). Its users
 * and containers are named bench-ensure-* and removed at the end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define USER_PATH "/v1/carrels/bench-ensure-user"
#define CONTAINER "bench-ensure-baseline"

/* ---- carreld ---- */

static int ensure_kept(struct bench *bench)
{
        return bench_ask(bench, bench->fd, "PUT", USER_PATH, "{}");
}

static int ensure_new_connection(struct bench *bench)
{
        int fd = plain_connect(bench->socket_path), error;

        if (fd < 0)
                return fd;
        error = bench_ask(bench, fd, "PUT", USER_PATH, "{}");
        close(fd);
        return error;
}

static int remove_carrel(struct bench *bench)
{
        return bench_ask(bench, bench->fd, "DELETE", USER_PATH, NULL);
}

static int exec_true(struct bench *bench)
{
        int r = bench_ask(bench, bench->fd, "POST", USER_PATH "/exec", "{\"argv\":[\"true\"]}");

        if (r == 0 && strstr(bench->answer.body, "\"exit_code\":0") == NULL)
                r = -EREMOTEIO;
        return r;
}

/* ---- the CLI ---- */

static int docker_run(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "run", "-d", "--name", CONTAINER, "--entrypoint", "sleep",
                                                          bench->image, "3600", NULL });
}

static int docker_remove(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
}

static int docker_inspect(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "inspect", CONTAINER, NULL });
}

static int docker_exec(struct bench *bench)
{
        return bench_docker(bench, (const char *const[]){ "exec", CONTAINER, "true", NULL });
}

/* ---- the engine's API: the least that makes and starts a container without a network ---- */

static int api_remove(struct bench *bench)
{
        int fd = plain_connect(bench->docker_socket), error;

        if (fd < 0)
                return fd;
        error = bench_ask(bench, fd, "DELETE", "/v1.41/containers/" CONTAINER "?force=1", NULL);
        close(fd);
        return error;
}

static int api_create_and_start(struct bench *bench)
{
        char body[512];
        int fd = plain_connect(bench->docker_socket), error;

        if (fd < 0)
                return fd;
        (void)snprintf(body, sizeof body,
                       "{\"Image\":\"%.200s\",\"Entrypoint\":[\"sleep\"],\"Cmd\":[\"3600\"],"
                       "\"HostConfig\":{\"NetworkMode\":\"none\"}}",
                       bench->image);
        error = bench_ask(bench, fd, "POST", "/v1.41/containers/create?name=" CONTAINER, body);
        if (error == 0)
                error = bench_ask(bench, fd, "POST", "/v1.41/containers/" CONTAINER "/start", "");
        close(fd);
        return error;
}

/* ---- the runs ---- */

/* A container of the CLI runs all the time, except during its own row, which ends with a running one. */
static const struct bench_plan PLANS[] = {
        { "ensure cold", remove_carrel, ensure_kept, 20, "API create, start", api_remove, api_create_and_start, 20 },
        { "ensure cold", remove_carrel, ensure_kept, 20, "docker run", docker_remove, docker_run, 10 },
        { "ensure running, keep-alive", NULL, ensure_kept, 20000, "docker inspect", NULL, docker_inspect, 20 },
        { "ensure running, new connection", NULL, ensure_new_connection, 5000, "docker inspect", NULL, docker_inspect,
          20 },
        { "exec true", NULL, exec_true, 50, "docker exec", NULL, docker_exec, 20 },
};
enum { PLANS_COUNT = sizeof PLANS / sizeof PLANS[0] };

static int run_all(struct bench *bench)
{
        struct row rows[PLANS_COUNT];

        for (size_t i = 0; i < PLANS_COUNT; i++)
                bench_run_plan(bench, &PLANS[i], &rows[i]);
        (void)remove_carrel(bench);
        if (bench->docker_socket != NULL)
                (void)docker_remove(bench);
        return bench_show(bench, rows, PLANS_COUNT);
}

int main(int argc, char **argv)
{
        return bench_main("bench_ensure", argc, argv, run_all);
}
