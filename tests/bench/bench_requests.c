/* Measures how many requests a second a running carreld answers, over kept and new connections. The request is an
 * ensure of a carrel that runs. The baseline is a server in this program that answers the same number of bytes and does
 * nothing else (bare-server.h). Both are measured in turns, and the fastest round of each counts, because other load on
 * the machine only makes a round slower. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bare-server.h"
#include "bench-load.h"
#include "bench.h"

#define PATH "/v1/carrels/bench-requests-user"

static const char ENSURE[] = "PUT " PATH " HTTP/1.1\r\n"
                             "Host: carrel\r\n"
                             "Content-Type: application/json\r\n"
                             "Content-Length: 2\r\n"
                             "\r\n"
                             "{}";

static const struct plan {
        const char *name;
        unsigned connections;
        size_t requests; /* in one round */
        bool is_new_each;
} PLANS[] = {
        { "1 connection", 1, 20000, false },       { "8 connections", 8, 40000, false },
        { "64 connections", 64, 60000, false },    { "new connection for each", 1, 5000, true },
        { "the same, 8 at once", 8, 10000, true },
};
enum {
        PLANS_COUNT = sizeof PLANS / sizeof PLANS[0],
        ALL_ROWS = PLANS_COUNT + 1,
        ROUNDS_DEFAULT = 5,
        ROUNDS_MAX = 100,
        SCALE_MAX = 100
};

struct arguments {
        const char *socket_path, *json_path;
        size_t scale, rounds;
        size_t row; /* from 1, or ALL_ROWS */
};

static void complain(const char *name, int error)
{
        (void)fprintf(stderr, "bench_requests: %s: %s\n", name, strerror(-error));
}

/* ---- the runs ---- */

/* Keeps the faster of two rounds. */
static int run_round(const struct load *load, struct samples *best, double *best_per_s)
{
        struct samples samples;
        double per_s;
        int r = load_run(load, &samples, &per_s);

        if (r == 0 && per_s > *best_per_s) {
                samples_close(best);
                *best = samples;
                *best_per_s = per_s;
        } else {
                samples_close(&samples);
        }
        return r;
}

static int run_plan(const struct plan *plan, const struct arguments *arguments, const char *bare_path, struct row *row)
{
        struct load load = {
                .socket_path = arguments->socket_path,
                .request = ENSURE,
                .connections = plan->connections,
                .requests = plan->requests * arguments->scale,
                .is_new_each = plan->is_new_each,
        };
        struct load baseline = load;
        int r = 0;

        baseline.socket_path = bare_path;
        *row = (struct row){ .operation = plan->name, .baseline = "bare server" };
        for (size_t round = 0; round < arguments->rounds && r == 0; round++) {
                r = run_round(&load, &row->ours, &row->ours_per_s);
                if (r == 0)
                        r = run_round(&baseline, &row->theirs, &row->theirs_per_s);
        }
        return r;
}

static int run_plans(const struct arguments *arguments, const char *bare_path)
{
        struct row rows[PLANS_COUNT];
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < PLANS_COUNT && r == 0; i++) {
                if (arguments->row != ALL_ROWS && arguments->row != i + 1)
                        continue;
                r = run_plan(&PLANS[i], arguments, bare_path, &rows[n++]);
                if (r < 0)
                        complain(PLANS[i].name, r);
        }
        rows_print(stdout, rows, n);
        if (r == 0 && arguments->json_path != NULL) {
                r = rows_write_json(arguments->json_path, rows, n);
                if (r < 0)
                        complain(arguments->json_path, r);
        }
        while (n-- > 0) {
                samples_close(&rows[n].ours);
                samples_close(&rows[n].theirs);
        }
        return r;
}

/* Makes the carrel, and takes the bare server's answer from that of carreld. */
static int run_all(const struct arguments *arguments)
{
        const struct load first = { .socket_path = arguments->socket_path, .request = ENSURE };
        static struct plain_answer removed;
        char answer[LOAD_ANSWER_BYTES];
        struct bare_server bare;
        int r = load_ask(&first, answer), fd;

        if (r >= 0) /* that one said "created" */
                r = load_ask(&first, answer);
        if (r >= 0)
                r = bare_server_start(&bare, sizeof ENSURE - 1, answer, (size_t)r);
        if (r < 0) {
                complain(arguments->socket_path, r);
                return r;
        }
        r = run_plans(arguments, bare.path);
        bare_server_stop(&bare);
        fd = plain_connect(arguments->socket_path);
        if (fd >= 0) {
                (void)plain_ask(fd, "DELETE", PATH, NULL, &removed);
                close(fd);
        }
        return r;
}

/* ---- main ---- */

static const char USAGE[] = "usage: bench_requests [OPTION]... SOCKET\n"
                            "Measures the requests a second of the carreld at SOCKET, next to a bare server.\n"
                            "\n"
                            "  -h, --help  show this\n"
                            "  -j FILE     write the rows to FILE, as a JSON array\n"
                            "  -n SCALE    multiply the requests of each round, 1 to 100 (default 1)\n"
                            "  -o ROW      measure only this row, counted from 1 (default all)\n"
                            "  -r ROUNDS   rounds of each row, 1 to 100; the fastest counts (default 5)\n"
                            "\n"
                            "The user bench-requests-user gets a carrel, which is removed at the end.\n"
                            "Columns: latency in ms of carreld, then of the bare server; then requests a second of\n"
                            "carreld and of the bare server, and the first as a part of the second.\n";

static size_t parse_number(const char *text, size_t max)
{
        char *end;
        unsigned long number = strtoul(text, &end, 10);

        return *end == '\0' && number <= max ? number : 0;
}

/* 1: show the usage; 0: go on; -EINVAL. */
static int parse_arguments(struct arguments *arguments, int argc, char **argv)
{
        static const struct option LONG[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
        int option;

        while ((option = getopt_long(argc, argv, "hj:n:o:r:", LONG, NULL)) != -1) {
                if (option == 'h')
                        return 1;
                if (option == 'j')
                        arguments->json_path = optarg;
                else if (option == 'n')
                        arguments->scale = parse_number(optarg, SCALE_MAX);
                else if (option == 'o')
                        arguments->row = parse_number(optarg, PLANS_COUNT);
                else if (option == 'r')
                        arguments->rounds = parse_number(optarg, ROUNDS_MAX);
                else
                        return -EINVAL;
        }
        arguments->socket_path = argv[optind];
        return optind + 1 == argc && arguments->scale > 0 && arguments->rounds > 0 && arguments->row > 0 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
        struct arguments arguments = { .scale = 1, .rounds = ROUNDS_DEFAULT, .row = ALL_ROWS };
        int r = parse_arguments(&arguments, argc, argv);

        if (r != 0) {
                (void)fputs(USAGE, r > 0 ? stdout : stderr);
                return r > 0 ? 0 : 2;
        }
        return run_all(&arguments) < 0;
}
