#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 16 };

static double clock_ms(clockid_t clock)
{
        struct timespec now = { 0 };

        (void)clock_gettime(clock, &now);
        return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

double bench_now_ms(void)
{
        return clock_ms(CLOCK_MONOTONIC);
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

static double cpu_ms(const struct bench *bench)
{
        return bench->is_counting_cpu ? clock_ms(bench->cpu) : 0;
}

int bench_measure(struct bench *bench, bench_operation prepare, bench_operation run, size_t repetitions,
                  struct samples *ret_samples)
{
        int r = samples_open(ret_samples, repetitions);

        for (size_t i = 0; i < repetitions && r == 0; i++) {
                double begin_ms, begin_cpu_ms;

                if (prepare != NULL)
                        (void)prepare(bench); /* nothing to remove is fine */
                begin_cpu_ms = cpu_ms(bench);
                begin_ms = bench_now_ms();
                r = run(bench);
                if (r == 0)
                        samples_add(ret_samples, bench_now_ms() - begin_ms);
                ret_samples->cpu_ms += cpu_ms(bench) - begin_cpu_ms;
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

bool bench_is_wanted(const struct bench *bench, const char *operation)
{
        return bench->only == NULL || strstr(operation, bench->only) != NULL;
}

/* ---- main ---- */

static void show_usage(FILE *out, const struct bench_program *program)
{
        fprintf(out, "usage: %s [OPTION]...%s\n", program->name, program->needs_no_carreld ? "" : " SOCKET");
        fprintf(out, "%s\n\n", program->about);
        if (program->count_meaning != NULL)
                fprintf(out, "  -c COUNT    %s, 1 to %zu (default %zu)\n", program->count_meaning, program->count_max,
                        program->count_default);
        if (!program->needs_no_carreld)
                fputs("  -d DOCKER   socket of a Docker Engine, for the baseline (default: no baseline)\n"
                      "  -i IMAGE    image of the baseline's containers (default carrel-sandbox:latest)\n",
                      out);
        fputs("  -h, --help  show this\n"
              "  -j FILE     write the rows to FILE, as a JSON array\n"
              "  -n SCALE    multiply the repetitions, 1 to 1000 (default 1)\n",
              out);
        if (!program->needs_no_carreld)
                fputs("  -o TEXT     measure only the operations whose name has TEXT (bench_exec only)\n", out);
        if (program->can_count_cpu)
                fputs("  -p PID      process of the carreld: show its CPU time for each run, all threads together\n",
                      out);
        if (!program->needs_no_carreld)
                fputs("  SOCKET      socket of the carreld to measure\n", out);
}

static size_t parse_number(const char *text, size_t max)
{
        char *end;
        unsigned long number = strtoul(text, &end, 10);

        return *end == '\0' && number <= max ? number : 0;
}

/* clock_getcpuclockid(3) takes 0 as this process. */
static bool count_cpu_of(struct bench *bench, const char *text)
{
        pid_t pid = (pid_t)parse_number(text, INT_MAX);

        bench->is_counting_cpu = pid > 0 && clock_getcpuclockid(pid, &bench->cpu) == 0;
        if (!bench->is_counting_cpu)
                fprintf(stderr, "%s: -p %s: there is no such process\n", bench->name, text);
        return bench->is_counting_cpu;
}

/* 1: show the usage; 0: go on; -EINVAL. */
static int parse_arguments(const struct bench_program *program, struct bench *bench, int argc, char **argv)
{
        static const struct option LONG[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
        int n_sockets = program->needs_no_carreld ? 0 : 1;
        int option;

        while ((option = getopt_long(argc, argv, "c:d:hi:j:n:o:p:", LONG, NULL)) != -1) {
                if (option == 'h')
                        return 1;
                if (option == 'c' && program->count_meaning != NULL)
                        bench->count = parse_number(optarg, program->count_max);
                else if (option == 'd')
                        bench->docker_socket = optarg;
                else if (option == 'i')
                        bench->image = optarg;
                else if (option == 'j')
                        bench->json_path = optarg;
                else if (option == 'n')
                        bench->scale = parse_number(optarg, 1000);
                else if (option == 'o')
                        bench->only = optarg;
                else if (option != 'p' || !program->can_count_cpu || !count_cpu_of(bench, optarg))
                        return -EINVAL;
        }
        if (optind + n_sockets != argc || bench->scale == 0 || (program->count_meaning != NULL && bench->count == 0))
                return -EINVAL;
        bench->socket_path = argv[optind];
        if (bench->docker_socket != NULL)
                snprintf(bench->docker_host, sizeof bench->docker_host, "unix://%s", bench->docker_socket);
        return 0;
}

static int connect_and_run(const struct bench_program *program, struct bench *bench)
{
        int r;

        if (program->needs_no_carreld)
                return program->run(bench);
        bench->fd = plain_connect(bench->socket_path);
        if (bench->fd < 0) {
                fprintf(stderr, "%s: %s: %s (is carreld running?)\n", program->name, bench->socket_path,
                        strerror(-bench->fd));
                return bench->fd;
        }
        r = program->run(bench);
        close(bench->fd);
        return r;
}

int bench_run_program(const struct bench_program *program, int argc, char **argv)
{
        struct bench *bench = calloc(1, sizeof *bench);
        int r, status = EXIT_SUCCESS;

        if (bench == NULL)
                return EXIT_FAILURE;
        *bench = (struct bench){ .name = program->name,
                                 .image = "carrel-sandbox:latest",
                                 .scale = 1,
                                 .count = program->count_default,
                                 .fd = -1 };
        r = parse_arguments(program, bench, argc, argv);
        if (r != 0)
                show_usage(r > 0 ? stdout : stderr, program);
        if (r < 0)
                status = 2;
        else if (r == 0 && connect_and_run(program, bench) != 0)
                status = EXIT_FAILURE;
        free(bench);
        return status;
}

int bench_main(const char *name, int argc, char **argv, int (*run)(struct bench *bench))
{
        const struct bench_program program = { .name = name,
                                               .about = "Measures a running carreld. The columns are those of "
                                                        "docs/performance.md.",
                                               .can_count_cpu = true,
                                               .run = run };

        return bench_run_program(&program, argc, argv);
}
