/* Code that the benchmarks share: their arguments, the docker CLI as a baseline, and plans that become rows.
 * Each program shows its options with --help. The programs measure and do not judge. Rows that cannot be measured are
 * left out of the table and named on stderr. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "plain-http.h"
#include "samples.h"

struct bench {
        const char *name; /* of the program */
        const char *socket_path, *docker_socket, *image, *json_path;
        const char *only; /* part of the wanted operations' names; NULL: all */
        size_t scale;     /* of the repetitions */
        size_t count;     /* of the program's option -c */
        bool is_counting_cpu;
        clockid_t cpu; /* of carreld, if it is counted */
        char docker_host[256];
        int fd; /* the keep-alive connection */
        struct plain_answer answer;
};

/* 0 or a negative errno; -EREMOTEIO: bench->answer says what was wrong. */
typedef int (*bench_operation)(struct bench *bench);

struct bench_plan {
        const char *name;
        bench_operation prepare; /* before each measured run, not measured; NULL: none */
        bench_operation run;
        size_t repetitions;
        const char *baseline_name;
        bench_operation baseline_prepare, baseline; /* not run without a docker socket */
        size_t baseline_repetitions;
        double bytes; /* that each run moves; 0: the rate does not matter */
};

double bench_now_ms(void);
/* Whether the option -o selects it. */
bool bench_is_wanted(const struct bench *bench, const char *operation);
void bench_complain(const struct bench *bench, const char *name, int error);

/* Asks carreld over fd. -EREMOTEIO: the status is not 2xx. */
int bench_ask(struct bench *bench, int fd, const char *method, const char *path, const char *body);
/* carreld closes a connection that has been idle for a minute. */
void bench_reconnect(struct bench *bench);

/* Runs docker -H <socket> with the words, which end with NULL, and discards its output. */
int bench_docker(struct bench *bench, const char *const words[]);

/* samples are opened even on failure. Their CPU time leaves out what prepare takes. */
int bench_measure(struct bench *bench, bench_operation prepare, bench_operation run, size_t repetitions,
                  struct samples *ret_samples);
void bench_run_plan(struct bench *bench, const struct bench_plan *plan, struct row *ret_row);
/* Prints the rows, writes the JSON that was asked for, and frees the samples. */
int bench_show(struct bench *bench, struct row *rows, size_t count);

struct bench_program {
        const char *name;
        const char *about;         /* lines for --help */
        const char *count_meaning; /* of the option -c, for --help; NULL: the program has no such option */
        size_t count_default, count_max;
        bool needs_no_carreld;
        bool can_count_cpu;              /* it has the option -p */
        int (*run)(struct bench *bench); /* with an open connection, if it needs a carreld */
};

/* The main() of a program. */
int bench_run_program(const struct bench_program *program, int argc, char **argv);
/* The same, for a program with nothing to add. */
int bench_main(const char *name, int argc, char **argv, int (*run)(struct bench *bench));
