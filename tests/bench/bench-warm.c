#include "bench-warm.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* /metrics is asked again and again, because no event reports that a warm carrel is there. */
enum { PAUSE_MS = 20, PATIENCE_MS = 60000 };

/* The value of a line of /metrics in bench->answer; 0: no such line. */
static size_t value_of(const struct bench *bench, const char *name)
{
        size_t length = strlen(name);

        for (const char *line = bench->answer.body; line != NULL; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, name, length) == 0 && line[length] == ' ')
                        return strtoul(line + length, NULL, 10);
        }
        return 0;
}

size_t warm_wanted(struct bench *bench)
{
        return bench_ask(bench, bench->fd, "GET", "/metrics", NULL) == 0 ? value_of(bench, "carrel_warm_wanted") : 0;
}

int warm_wait(struct bench *bench)
{
        size_t wanted = warm_wanted(bench), last = 0;
        double give_up_ms = bench_now_ms() + PATIENCE_MS;

        while (bench_now_ms() < give_up_ms) {
                int r = bench_ask(bench, bench->fd, "GET", "/metrics", NULL);
                size_t present = value_of(bench, "carrel_carrels{state=\"warm\"}");

                if (r != 0 || present >= wanted)
                        return r;
                if (present > last)
                        give_up_ms = bench_now_ms() + PATIENCE_MS;
                last = present;
                (void)poll(NULL, 0, PAUSE_MS);
        }
        return -ETIME;
}
