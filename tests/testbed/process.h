/* Programs a test starts: short ones whose output it wants, and servers it will end. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { OUTPUT_BYTES = 65536 };

struct output {
        int status; /* exit code, or 128 + signal */
        char text[OUTPUT_BYTES];
};

/* Runs argv (NULL-terminated) to its end with an empty stdin; stdout and stderr are collected in order. */
void process_run(struct output *ret_output, const char *const *argv);
#define RUN(ret_output, ...) process_run(ret_output, (const char *const[]){ __VA_ARGS__, NULL })

/* The same, and the test fails with the output when the status is not 0. */
void process_must_run(const char *const *argv);
#define MUST_RUN(...) process_must_run((const char *const[]){ __VA_ARGS__, NULL })

/* Starts a server; its output is appended to log_path. environment NULL: ours. It dies with the test. */
pid_t process_spawn(const char *const *argv, const char *const *environment, const char *log_path);

/* Sends a signal (0: none), waits at most deadline_s, then kills. Returns the exit status as in struct output. */
int process_end(pid_t pid, int signal, double deadline_s);

/* Whether the child still runs; a child that has ended is not reaped by this. */
bool process_is_running(pid_t pid);

/* Calls is_done each time `moment` (2 ms, doubling to 50) has passed until it says true; false after deadline_s.
 * For facts of other processes that offer no event to wait for. */
bool wait_until(bool (*is_done)(void *arg), void *arg, double deadline_s);

/* For what must happen but is no measure of anything: a loaded machine under a sanitizer may take long. */
#define PATIENCE_S 60.0
/* A promise of time is judged by the best of so many tries: one stall of the machine breaks no promise. */
enum { TIMED_TRIES = 3 };

/* Seconds on CLOCK_MONOTONIC. */
double now_s(void);
