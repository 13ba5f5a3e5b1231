/* Measures the longest turn of carreld's loop, in processor time, while it sends long answers. It uses a double of the
 * pool, and clients in other processes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"
#include "turns.h"

enum { MANY = 10000, CLIENTS = 8, OUTPUT_BYTES = 8 << 20 };

static double longest_s;

static void on_turn(void *arg, double seconds)
{
        (void)arg;
        if (seconds > longest_s)
                longest_s = seconds;
}

/* Sends text, and reads to the end in a new process. */
static pid_t ask(const struct rig *rig, const char *text)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        static char bytes[1 << 20];
        ssize_t n = 1;
        pid_t pid = fork();
        int fd;

        if (pid != 0)
                return pid;
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", rig->path);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
            write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                _exit(1);
        while (n > 0)
                n = read(fd, bytes, sizeof bytes);
        _exit(n < 0 ? 1 : 0);
}

static void on_nothing(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)timer, (void)events;
}

static void run_until_gone(struct rig *rig, const pid_t *clients, unsigned n)
{
        ev_timer tick;
        int status;

        ev_timer_init(&tick, on_nothing, 0.01, 0.01);
        ev_timer_start(rig->loop, &tick);
        for (unsigned i = 0; i < n; i++) {
                while (waitpid(clients[i], &status, WNOHANG) == 0)
                        ev_run(rig->loop, EVRUN_ONCE);
                if (status != 0)
                        fail_msg("a client failed");
        }
        ev_timer_stop(rig->loop, &tick);
}

static void report(const char *name)
{
        (void)printf("%-44s longest turn %6.2f ms\n", name, longest_s * 1e3);
        longest_s = 0;
}

static void measure_request(struct rig *rig, const char *name, const char *line)
{
        char text[256];
        pid_t client;

        (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n", line);
        client = ask(rig, text);
        run_until_gone(rig, &client, 1);
        report(name);
}

/* Programs that end immediately, with this many units of output. */
static void measure_outputs(struct rig *rig, const char *name, const char *unit, unsigned n_clients)
{
        static const char REQUEST[] = "POST /v1/carrels/ada/exec HTTP/1.1\r\nHost: c\r\nConnection: close\r\n"
                                      "Content-Length: 14\r\n\r\n{\"argv\":[\"a\"]}";
        struct exec *exec = &rig->pool.exec;
        struct buffer outputs[CLIENTS] = { 0 };
        pid_t clients[CLIENTS];

        for (unsigned i = 0; i < n_clients; i++)
                while (outputs[i].length < OUTPUT_BYTES)
                        (void)buffer_append(&outputs[i], unit, strlen(unit));
        (void)ev_run(rig->loop, EVRUN_NOWAIT);
        longest_s = 0;
        for (unsigned i = 0; i < n_clients; i++) {
                struct exec_result result = { .exec_id = "e1", .is_text = true, .taken_from = exec, .errors = "" };

                result.n_escapes = unit[0] == '\x01' ? 5 * outputs[i].length : 0;
                result.output_length = outputs[i].length;
                exec->is_running = false;
                clients[i] = ask(rig, REQUEST);
                while (!exec->is_running)
                        (void)ev_run(rig->loop, EVRUN_ONCE);
                exec->kept[0] = outputs[i];
                result.output = outputs[i].data;
                exec->sink.on_done(exec->arg, &result, NULL);
        }
        run_until_gone(rig, clients, n_clients);
        report(name);
}

static void bench(void **state)
{
        static char names[MANY][8];
        static const char *users[MANY + 1];
        struct rig *rig = rig_new(NULL);
        struct turns *turns;

        (void)state;
        for (unsigned i = 0; i < MANY; i++) {
                (void)snprintf(names[i], sizeof names[i], "u%05u", i);
                users[i] = names[i];
        }
        rig->pool.users = users;
        rig->execs.running = MANY;
        assert_int_equal(turns_new(&turns, rig->loop, CLOCK_THREAD_CPUTIME_ID, on_turn, NULL), 0);
        measure_request(rig, "nothing", "GET /healthz");
        measure_request(rig, "1000 carrels of 10000", "GET /v1/carrels?limit=1000");
        measure_request(rig, "... the last of them", "GET /v1/carrels?limit=1000&after=u08999");
        measure_request(rig, "10000 execs", "GET /v1/execs");
        measure_request(rig, "metrics", "GET /metrics");
        measure_request(rig, "info", "GET /v1/info");
        measure_outputs(rig, "8 MiB of text", "some text of a line", 1);
        measure_outputs(rig, "8 MiB of \\x01", "\x01", 1);
        measure_outputs(rig, "8 MiB of two-byte letters", "\xc3\xbc", 1);
        measure_outputs(rig, "8 times 8 MiB of \\x01", "\x01", CLIENTS);
        turns = turns_free(turns);
        rig_free(rig);
}

int main(void)
{
        const struct CMUnitTest benches[] = { cmocka_unit_test(bench) };

        return cmocka_run_group_tests(benches, NULL, NULL);
}
