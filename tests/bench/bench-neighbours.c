#include "bench-neighbours.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOG_PATH "/v1/carrels/bench-exec-hog"

enum { REPETITIONS = 1000, DISCARD_BYTES = 1 << 18 };
static const struct timespec RISE = { .tv_sec = 1 };

/* Each is run again after its end: the bomb ends when it runs out of processes, the hog when it runs out of memory. */
static const struct {
        const char *name, *body;
} HOGS[] = {
        { "exec true beside a fork bomb",
          "{\"argv\":[\"sh\",\"-c\",\"b() { b | b & }; b; sleep 2\"],\"timeout_s\":10}" },
        { "exec true beside a memory hog", "{\"argv\":[\"tail\",\"/dev/zero\"],\"timeout_s\":10}" },
        { "exec true beside endless single lines", "{\"argv\":[\"sh\",\"-c\",\"while :; do echo x; done\"]}" },
        { "exec true beside an endless writer", "{\"argv\":[\"yes\"]}" },
        { "exec true beside a CPU burner", "{\"argv\":[\"sh\",\"-c\",\"while :; do :; done\"]}" },
};
enum { HOGS_COUNT = sizeof HOGS / sizeof HOGS[0] };

_Static_assert(sizeof HOGS / sizeof HOGS[0] <= NEIGHBOURS_MAX, "each has a row");

static void misbehave_once(const struct bench *bench, const char *body)
{
        static struct plain_stream stream;
        static char bytes[DISCARD_BYTES];
        int fd = plain_connect(bench->socket_path);

        if (fd >= 0 &&
            plain_begin(&stream, fd, "POST", HOG_PATH "/exec",
                        "Accept: application/vnd.docker.multiplexed-stream, application/x-ndjson\r\n", body) == 0)
                while (plain_read(&stream, bytes, sizeof bytes) > 0)
                        ;
        if (fd >= 0)
                close(fd);
}

/* When this process dies its connection closes, which ends its exec. */
static pid_t begin_misbehaving(const struct bench *bench, const char *body)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
                misbehave_once(bench, body);
}

static void stop_misbehaving(struct bench *bench, pid_t pid)
{
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        bench_reconnect(bench);
        (void)bench_ask(bench, bench->fd, "DELETE", HOG_PATH, NULL);
}

static void run_beside(struct bench *bench, bench_operation run, size_t hog, struct row *ret_row)
{
        int r;
        pid_t pid;

        *ret_row = (struct row){ .operation = HOGS[hog].name, .baseline = "quiet (p99)", .is_neighbour = 1 };
        r = bench_measure(bench, NULL, run, REPETITIONS * bench->scale, &ret_row->theirs);
        if (r != 0)
                bench_complain(bench, "quiet", r);
        (void)bench_ask(bench, bench->fd, "PUT", HOG_PATH, "{}");
        pid = begin_misbehaving(bench, HOGS[hog].body);
        if (pid < 0)
                return;
        (void)nanosleep(&RISE, NULL);
        r = bench_measure(bench, NULL, run, REPETITIONS * bench->scale, &ret_row->ours);
        if (r != 0)
                bench_complain(bench, HOGS[hog].name, r);
        stop_misbehaving(bench, pid);
}

size_t neighbours_run(struct bench *bench, bench_operation run, struct row *ret_rows)
{
        size_t count = 0;

        for (size_t i = 0; i < HOGS_COUNT; i++)
                if (bench_is_wanted(bench, HOGS[i].name))
                        run_beside(bench, run, i, &ret_rows[count++]);
        return count;
}
