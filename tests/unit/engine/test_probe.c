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
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "probe.h"

#define ABLE                                                                                                           \
        "\"MemoryLimit\":true,\"SwapLimit\":true,\"PidsLimit\":true,\"CpuCfsQuota\":true,"                             \
        "\"Runtimes\":{\"crun\":{},\"runc\":{}}"
#define SECURE "\"SecurityOptions\":[\"name=seccomp,profile=default\"]"

static void test_info(void **state)
{
        static const struct {
                const char *json, *runtime;
                const char *lacks; /* NULL: nothing */
        } CASES[] = {
                { "{" ABLE "," SECURE "}", "", NULL },
                { "{" ABLE "," SECURE "}", NULL, NULL },
                { "{" ABLE "," SECURE "}", "crun", NULL },
                { "{" ABLE "," SECURE "}", "runsc", "runsc" },
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccomp\"]}", "", NULL },
                { "{" ABLE "}", "", "seccomp" },
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccompanion\"]}", "", "seccomp" },
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccomp\",\"name=rootless\"]}", "", "without root" },
                { "{\"MemoryLimit\":false," ABLE "," SECURE "}", "", "memory" },
                { "{\"SwapLimit\":false," ABLE "," SECURE "}", "", "swap" },
                { "{\"PidsLimit\":false," ABLE "," SECURE "}", "", "processes" },
                { "{\"CpuCfsQuota\":false," ABLE "," SECURE "}", "", "CPU" },
                { "{" SECURE "}", "", "memory" }, /* an absent field counts as missing */
                { "{" ABLE ",\"SecurityOptions\":[\"name=seccomp\",\"name=userns\"]}", "", "user ids" },
                { "[]", "", "not that of a container engine" },
                { "", "", "not that of a container engine" },
                { "{\"MemoryLimit\":tr", "", "not that of a container engine" },
                { "{" ABLE ",\"SecurityOptions\":{\"a\":1}}", "", "seccomp" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct fault why = { 0 };
                int r = probe_judge_info(CASES[i].json, strlen(CASES[i].json), CASES[i].runtime, &why);

                if (CASES[i].lacks == NULL ? r != 0 : r >= 0 || strstr(why.message, CASES[i].lacks) == NULL)
                        fail_msg("%s: %d %s", CASES[i].json, r, why.message);
        }
}

/* ---- asking ---- */

struct hearing {
        struct ev_loop *loop;
        unsigned answers;
        enum probed_kind kind;
        struct fault why; /* set if it failed */
};

static void on_probed(void *arg, enum probed_kind kind, const struct fault *why)
{
        struct hearing *hearing = arg;

        hearing->answers++;
        hearing->kind = kind;
        if (why != NULL)
                hearing->why = *why;
        ev_break(hearing->loop, EVBREAK_ALL);
}

static void test_nobody_answers(void **state)
{
        struct hearing hearing = { .loop = ev_loop_new(EVFLAG_AUTO) };
        struct probe *probe;

        assert_int_equal(probe_start(&probe, hearing.loop, "/nonexistent/engine.sock", "", 2.0, on_probed, &hearing),
                         0);
        assert_int_equal(hearing.answers, 0);
        ev_run(hearing.loop, 0);
        assert_int_equal(hearing.answers, 1);
        assert_int_equal(hearing.why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_non_null(strstr(hearing.why.message, "nothing answers"));
        ev_loop_destroy(hearing.loop);
}

/* An engine that answers /_ping at once, and /info when it is allowed to. */
struct slow_engine {
        char path[64];
        int listener, connection;
        ev_io accepts, reads;
        ev_timer later; /* an iteration of the loop after the request for /info */
        unsigned turns; /* iterations of the loop between that request and its answer */
};

static void reply(struct slow_engine *slow, const char *body)
{
        char text[512];
        int length =
                snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);

        /* The client may be gone. */
        (void)send(slow->connection, text, (size_t)length, MSG_NOSIGNAL);
}

static void on_later(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct slow_engine *slow = timer->data;

        (void)events;
        if (++slow->turns < 3)
                return;
        ev_timer_stop(loop, timer);
        reply(slow, "{" ABLE "," SECURE "}");
}

static void on_question(struct ev_loop *loop, ev_io *io, int events)
{
        struct slow_engine *slow = io->data;
        char text[1024];
        ssize_t n = read(slow->connection, text, sizeof text - 1);

        (void)events;
        if (n <= 0) {
                ev_io_stop(loop, io);
                return;
        }
        text[n] = '\0';
        if (strstr(text, "/_ping") != NULL)
                reply(slow, "OK");
        else
                ev_timer_start(loop, &slow->later);
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
        struct slow_engine *slow = io->data;

        (void)events;
        slow->connection = accept4(slow->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(slow->connection >= 0);
        ev_io_init(&slow->reads, on_question, slow->connection, EV_READ);
        slow->reads.data = slow;
        ev_io_start(loop, &slow->reads);
}

static void slow_engine_start(struct slow_engine *slow, struct ev_loop *loop)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        *slow = (struct slow_engine){ .path = "/tmp/carrel-probe-XXXXXX", .connection = -1 };
        assert_non_null(mkdtemp(slow->path));
        (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", slow->path);
        slow->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_return_code(bind(slow->listener, (struct sockaddr *)&address, sizeof address), errno);
        assert_return_code(listen(slow->listener, 1), errno);
        ev_io_init(&slow->accepts, on_client, slow->listener, EV_READ);
        ev_timer_init(&slow->later, on_later, 0.0, 0.001);
        slow->accepts.data = slow->later.data = slow;
        ev_io_start(loop, &slow->accepts);
}

static void slow_engine_stop(struct slow_engine *slow, const char *socket)
{
        (void)close(slow->connection);
        (void)close(slow->listener);
        assert_return_code(unlink(socket), errno);
        assert_return_code(rmdir(slow->path), errno);
}

/* /_ping has a deadline of its own; the loop runs while /info is awaited. */
static void test_slow_engine(void **state)
{
        struct hearing hearing = { .loop = ev_loop_new(EVFLAG_AUTO) };
        struct slow_engine slow;
        struct probe *probe;
        char socket[80];

        slow_engine_start(&slow, hearing.loop);
        (void)snprintf(socket, sizeof socket, "%s/s", slow.path);
        assert_int_equal(probe_start(&probe, hearing.loop, socket, "crun", 30.0, on_probed, &hearing), 0);
        ev_run(hearing.loop, 0);
        assert_int_equal(hearing.answers, 1);
        assert_int_equal(hearing.why.kind, 0);
        assert_int_equal(hearing.kind, PROBED_PODMAN);
        assert_int_equal(slow.turns, 3);
        ev_loop_destroy(hearing.loop);
        slow_engine_stop(&slow, socket);
}

static void test_cancelled(void **state)
{
        struct hearing hearing = { .loop = ev_loop_new(EVFLAG_AUTO) };
        struct slow_engine slow;
        struct probe *probe;
        char socket[80];

        slow_engine_start(&slow, hearing.loop);
        (void)snprintf(socket, sizeof socket, "%s/s", slow.path);
        assert_int_equal(probe_start(&probe, hearing.loop, socket, "", 30.0, on_probed, &hearing), 0);
        while (slow.connection < 0)
                ev_run(hearing.loop, EVRUN_ONCE);
        assert_null(probe_cancel(probe));
        ev_io_stop(hearing.loop, &slow.accepts);
        ev_run(hearing.loop, 0); /* ends when the engine has read the connection's end */
        assert_int_equal(hearing.answers, 0);
        ev_loop_destroy(hearing.loop);
        slow_engine_stop(&slow, socket);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_info), cmocka_unit_test(test_nobody_answers),
                                            cmocka_unit_test(test_slow_engine), cmocka_unit_test(test_cancelled) };

        return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
