#include "bench.h"

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

enum { ARGUMENTS_MAX = 16 };

double bench_now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

void bench_complain(const struct bench *bench, const char *name, int error)
{
        fprintf(stderr, "%s: %s: %s%s%.200s\n", bench->name, name, strerror(-error), error == -EREMOTEIO ? ": " : "",
                error == -EREMOTEIO ? bench->answer.body : "");
}

/* ---- carreld ---- */

int bench_ask(struct bench *bench, int fd, const char *method, const char *path, const char *body)
{
        int r = plain_ask(fd, method, path, body, &bench->answer);

        if (r != 0)
                return r;
        return bench->answer.status / 100 == 2 ? 0 : -EREMOTEIO;
}

void bench_reconnect(struct bench *bench)
{
        close(bench->fd);
        bench->fd = plain_connect(bench->socket_path);
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

int bench_docker(struct bench *bench, const char *const words[])
{
        const char *argv[ARGUMENTS_MAX] = { "docker", "-H", bench->docker_host };
        size_t count = 3;

        bench->answer.body[0] = '\0';
        for (size_t i = 0; words[i] != NULL && count < ARGUMENTS_MAX - 1; i++)
                argv[count++] = words[i];
        return run_quietly((char *const *)argv);
}

/* ---- the runs ---- */

int bench_measure(struct bench *bench, bench_operation prepare, bench_operation run, size_t repetitions,
                  struct samples *ret_samples)
{
        int r = samples_open(ret_samples, repetitions);

        for (size_t i = 0; i < repetitions && r == 0; i++) {
                double begin_ms;

                if (prepare != NULL)
                        (void)prepare(bench); /* nothing to remove is fine */
                begin_ms = bench_now_ms();
                r = run(bench);
                if (r == 0)
                        samples_add(ret_samples, bench_now_ms() - begin_ms);
        }
        return r;
}

void bench_run_plan(struct bench *bench, const struct bench_plan *plan, struct row *ret_row)
{
        int r;

        *ret_row = (struct row){ .operation = plan->name, .baseline = plan->baseline_name, .bytes = plan->bytes };
        bench_reconnect(bench);
        r = bench_measure(bench, plan->prepare, plan->run, plan->repetitions * bench->scale, &ret_row->ours);
        if (r != 0)
                bench_complain(bench, plan->name, r);
        if (bench->docker_socket == NULL || plan->baseline == NULL)
                return;
        r = bench_measure(bench, plan->baseline_prepare, plan->baseline, plan->baseline_repetitions * bench->scale,
                          &ret_row->theirs);
        if (r != 0)
                bench_complain(bench, plan->baseline_name, r);
}

int bench_show(struct bench *bench, struct row *rows, size_t count)
{
        int r = 0;

        rows_print(stdout, rows, count);
        if (bench->json_path != NULL)
                r = rows_write_json(bench->json_path, rows, count);
        if (r != 0)
                bench_complain(bench, bench->json_path, r);
        for (size_t i = 0; i < count; i++) {
                samples_close(&rows[i].ours);
                samples_close(&rows[i].theirs);
        }
        return r;
}

/* ---- main ---- */

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
                snprintf(bench->docker_host, sizeof bench->docker_host, "unix://%s", bench->docker_socket);
        return true;
}

int bench_main(const char *name, int argc, char **argv, int (*run)(struct bench *bench))
{
        struct bench *bench = calloc(1, sizeof *bench);
        int r;

        if (bench == NULL)
                return 1;
        *bench = (struct bench){ .name = name, .image = "carrel-sandbox:latest", .scale = 1, .fd = -1 };
        if (!parse_arguments(bench, argc, argv)) {
                fprintf(stderr, "usage: %s [-d DOCKER_SOCKET] [-i IMAGE] [-j JSON_FILE] [-n 1..1000] SOCKET\n", name);
                free(bench);
                return 2;
        }
        bench->fd = plain_connect(bench->socket_path);
        if (bench->fd < 0) {
                fprintf(stderr, "%s: %s: %s (is carreld running?)\n", name, bench->socket_path, strerror(-bench->fd));
                free(bench);
                return 1;
        }
        r = run(bench);
        close(bench->fd);
        free(bench);
        return r != 0;
}
