/* Programs that a test starts: short ones for their output, and servers that it ends later. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { OUTPUT_BYTES = 65536 };

struct output {
        int status; /* exit code, or 128 + signal */
        char text[OUTPUT_BYTES];
};

/* Runs argv (NULL-terminated) to its end, with an empty stdin. Collects stdout and stderr in order. */
void process_run(struct output *ret_output, const char *const *argv);
#define RUN(ret_output, ...) process_run(ret_output, (const char *const[]){ __VA_ARGS__, NULL })

/* The same. If the status is not 0 the test fails and shows the output. */
void process_must_run(const char *const *argv);
#define MUST_RUN(...) process_must_run((const char *const[]){ __VA_ARGS__, NULL })

/* Starts a server that is killed when the test ends. Its output is appended to log_path. environment NULL: that of the
 * test. */
pid_t process_spawn(const char *const *argv, const char *const *environment, const char *log_path);

/* Sends a signal (0: none), waits for at most deadline_s, then sends SIGKILL. Returns its struct output.status. */
int process_end(pid_t pid, int signal, double deadline_s);

/* Whether the child runs. Does not reap it. */
bool process_is_running(pid_t pid);

/* Calls is_done until it returns true; false after deadline_s. The pause between two calls doubles from 2 to 50 ms.
 * Only for states of other processes that offer no event to wait for. */
bool wait_until(bool (*is_done)(void *arg), void *arg, double deadline_s);

/* The deadline for events that must happen, but whose duration is not tested. A busy machine can be slow. */
#define PATIENCE_S 60.0
/* The best of so many tries decides whether a promised time is kept, because the machine may stall during one. */
enum { TIMED_TRIES = 3 };

/* Seconds on CLOCK_MONOTONIC. */
double now_s(void);
