/* How fast a running carreld answers, beside what a backend does today in the same run: the docker CLI.
 *
 *   bench_ensure [-d DOCKER_SOCKET] [-i IMAGE] [-j JSON_FILE] [-n SCALE] CARREL_SOCKET
 *
 * SCALE multiplies the repetitions (default 1). Users and containers it makes are named bench-ensure-* and removed.
 * It measures and never judges: whatever cannot be measured is left out of the table and named on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "plain-http.h"
#include "samples.h"

#define USER_PATH "/v1/carrels/bench-ensure-user"
#define CONTAINER "bench-ensure-baseline"

enum { ARGUMENTS_MAX = 16 };

struct bench {
        const char *socket_path, *docker_socket, *image, *json_path;
        size_t scale;
        char docker_host[256];
        int fd; /* the keep-alive connection */
        struct plain_answer answer;
};

static double now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- carreld ---- */

static int ask(struct bench *bench, int fd, const char *method, const char *path, const char *body)
{
        int error = plain_ask(fd, method, path, body, &bench->answer);

        if (error != 0)
                return error;
        return bench->answer.status / 100 == 2 ? 0 : -EREMOTEIO;
}

static int ensure_kept(struct bench *bench)
{
        return ask(bench, bench->fd, "PUT", USER_PATH, "{}");
}

static int ensure_new_connection(struct bench *bench)
{
        int fd = plain_connect(bench->socket_path), error;

        if (fd < 0)
                return fd;
        error = ask(bench, fd, "PUT", USER_PATH, "{}");
        close(fd);
        return error;
}

static int remove_carrel(struct bench *bench)
{
        return ask(bench, bench->fd, "DELETE", USER_PATH, NULL);
}

static int exec_true(struct bench *bench)
{
        int error = ask(bench, bench->fd, "POST", USER_PATH "/exec", "{\"argv\":[\"true\"]}");

        if (error == 0 && strstr(bench->answer.body, "\"exit_code\":0") == NULL)
                error = -EREMOTEIO;
        return error;
}

/* ---- the CLI ---- */

static int run_quietly(char *const argv[])
{
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int status = -1, error = posix_spawn_file_actions_init(&actions);

        if (error != 0)
                return -error;
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (error == 0)
                error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (error == 0)
                error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (error != 0)
                return -error;
        if (waitpid(pid, &status, 0) != pid)
                return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EREMOTEIO;
}

/* docker -H <socket> and the words, which end with NULL. */
static int docker(struct bench *bench, const char *const words[])
{
        const char *argv[ARGUMENTS_MAX] = { "docker", "-H", bench->docker_host };
        size_t count = 3;

        for (size_t i = 0; words[i] != NULL && count < ARGUMENTS_MAX - 1; i++)
                argv[count++] = words[i];
        return run_quietly((char *const *)argv);
}

static int docker_run(struct bench *bench)
{
        return docker(bench, (const char *const[]){ "run", "-d", "--name", CONTAINER, "--entrypoint", "sleep",
                                                    bench->image, "3600", NULL });
}

static int docker_remove(struct bench *bench)
{
        return docker(bench, (const char *const[]){ "rm", "-f", CONTAINER, NULL });
}

static int docker_inspect(struct bench *bench)
{
        return docker(bench, (const char *const[]){ "inspect", CONTAINER, NULL });
}

static int docker_exec(struct bench *bench)
{
        return docker(bench, (const char *const[]){ "exec", CONTAINER, "true", NULL });
}

/* ---- the engine's API: the least that makes and starts a container without a network ---- */

static int api_remove(struct bench *bench)
{
        int fd = plain_connect(bench->docker_socket), error;

        if (fd < 0)
                return fd;
        error = ask(bench, fd, "DELETE", "/v1.41/containers/" CONTAINER "?force=1", NULL);
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
        error = ask(bench, fd, "POST", "/v1.41/containers/create?name=" CONTAINER, body);
        if (error == 0)
                error = ask(bench, fd, "POST", "/v1.41/containers/" CONTAINER "/start", "");
        close(fd);
        return error;
}

/* ---- the runs ---- */

typedef int (*operation)(struct bench *bench);

struct plan {
        const char *name;
        operation prepare; /* before each measured run, not measured; NULL: none */
        operation run;
        size_t repetitions;
        const char *baseline_name;
        operation baseline_prepare, baseline;
        size_t baseline_repetitions;
};

/* A container of the CLI's is alive throughout but for its own row, which ends with one that runs. */
static const struct plan PLANS[] = {
        { "ensure cold", remove_carrel, ensure_kept, 20, "API create, start", api_remove, api_create_and_start, 20 },
        { "ensure cold", remove_carrel, ensure_kept, 20, "docker run", docker_remove, docker_run, 10 },
        { "ensure running, keep-alive", NULL, ensure_kept, 20000, "docker inspect", NULL, docker_inspect, 20 },
        { "ensure running, new connection", NULL, ensure_new_connection, 5000, "docker inspect", NULL, docker_inspect,
          20 },
        { "exec true", NULL, exec_true, 50, "docker exec", NULL, docker_exec, 20 },
};
enum { PLANS_COUNT = sizeof(PLANS) / sizeof(PLANS[0]) };

static int measure(struct bench *bench, operation prepare, operation run, size_t repetitions, struct samples *samples)
{
        int error = samples_open(samples, repetitions);

        for (size_t i = 0; i < repetitions && error == 0; i++) {
                double begin_ms;

                if (prepare != NULL)
                        (void)prepare(bench); /* nothing to remove is fine */
                begin_ms = now_ms();
                error = run(bench);
                if (error == 0)
                        samples_add(samples, now_ms() - begin_ms);
        }
        return error;
}

static void complain(const struct bench *bench, const char *name, int error)
{
        fprintf(stderr, "bench_ensure: %s: %s%s%.200s\n", name, strerror(-error), error == -EREMOTEIO ? ": " : "",
                error == -EREMOTEIO ? bench->answer.body : "");
}

static void run_plan(struct bench *bench, const struct plan *plan, struct row *row)
{
        int error;

        *row = (struct row){ .operation = plan->name, .baseline = plan->baseline_name };
        close(bench->fd); /* carreld closes a connection that was idle for a minute, as it is during a baseline */
        bench->fd = plain_connect(bench->socket_path);
        error = measure(bench, plan->prepare, plan->run, plan->repetitions * bench->scale, &row->ours);
        if (error != 0)
                complain(bench, plan->name, error);
        if (bench->docker_socket == NULL)
                return;
        bench->answer.body[0] = '\0';
        error = measure(bench, plan->baseline_prepare, plan->baseline, plan->baseline_repetitions * bench->scale,
                        &row->theirs);
        if (error != 0)
                complain(bench, plan->baseline_name, error);
}

static int run_all(struct bench *bench)
{
        struct row rows[PLANS_COUNT];
        int error = 0;

        for (size_t i = 0; i < PLANS_COUNT; i++)
                run_plan(bench, &PLANS[i], &rows[i]);
        (void)remove_carrel(bench);
        if (bench->docker_socket != NULL)
                (void)docker_remove(bench);
        rows_print(stdout, rows, PLANS_COUNT);
        if (bench->json_path != NULL)
                error = rows_write_json(bench->json_path, rows, PLANS_COUNT);
        if (error != 0)
                complain(bench, bench->json_path, error);
        for (size_t i = 0; i < PLANS_COUNT; i++) {
                samples_close(&rows[i].ours);
                samples_close(&rows[i].theirs);
        }
        return error;
}

static bool parse_arguments(struct bench *bench, int argc, char **argv)
{
        int option;

        while ((option = getopt(argc, argv, "d:i:j:n:")) != -1) {
                if (option == 'd')
                        bench->docker_socket = optarg;
                else if (option == 'i')
                        bench->image = optarg;
                else if (option == 'j')
                        bench->json_path = optarg;
                else if (option == 'n')
                        bench->scale = strtoul(optarg, NULL, 10);
                else
                        return false;
        }
        if (optind + 1 != argc || bench->scale < 1 || bench->scale > 1000)
                return false;
        bench->socket_path = argv[optind];
        if (bench->docker_socket != NULL)
                snprintf(bench->docker_host, sizeof(bench->docker_host), "unix://%s", bench->docker_socket);
        return true;
}

int main(int argc, char **argv)
{
        struct bench *bench = calloc(1, sizeof(*bench));
        int error;

        if (bench == NULL)
                return 1;
        bench->scale = 1;
        bench->image = "carrel-sandbox:latest";
        if (!parse_arguments(bench, argc, argv)) {
                fprintf(stderr,
                        "usage: bench_ensure [-d DOCKER_SOCKET] [-i IMAGE] [-j JSON_FILE] [-n 1..1000] SOCKET\n");
                free(bench);
                return 2;
        }
        bench->fd = plain_connect(bench->socket_path);
        if (bench->fd < 0) {
                fprintf(stderr, "bench_ensure: %s: %s (is carreld running?)\n", bench->socket_path,
                        strerror(-bench->fd));
                free(bench);
                return 1;
        }
        error = run_all(bench);
        close(bench->fd);
        free(bench);
        return error != 0;
}
