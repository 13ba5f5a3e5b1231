/* engine/docker against a scripted engine on the same loop: rare answers, and users who free and cancel inside their
 * callbacks. The usual answers are in tests/integration/test_engine.c. */
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "docker.h"
#include "podman.h"
#include "server.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define VERSION "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}"
#define DIED                                                                                                           \
        "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"" ID                                           \
        "\",\"Attributes\":{\"exitCode\":\"9\"}}}\n"

/* The engine's answer to requests that begin with `request`; the first line that matches and is not used up. */
struct line {
        const char *request;
        struct script script;
        unsigned times; /* 0: always */
        unsigned used;
};

enum { MAX_LINES = 12 };

struct world {
        struct ev_loop *loop;
        struct server server;
        struct engine *engine;
        struct line lines[MAX_LINES];
        char last_request[128]; /* but pings */
        unsigned requests;      /* without pings and versions */
        unsigned versions;
        char directory[32]; /* for Podman */
        /* what the user received */
        unsigned dones;
        struct fault why;
        struct exec_status exec;
        struct buffer output[3];
        unsigned events[ENGINE_EXEC_DIED + 1];
        bool frees_engine;                      /* in the next callback */
        const enum engine_event_kind *frees_at; /* NULL: not from an event */
        bool cancels;
        struct engine_call *call;
};

static struct script choose(void *arg, const char *request)
{
        struct world *world = arg;
        bool is_ping = strncmp(request, "GET /_ping", 10) == 0;
        bool is_version = strncmp(request, "GET /version", 12) == 0;

        world->versions += is_version;
        world->requests += !is_ping && !is_version;
        if (!is_ping)
                snprintf(world->last_request, sizeof world->last_request, "%.*s", (int)strcspn(request, "\r"), request);
        for (struct line *line = world->lines; line->request != NULL; line++) {
                if (strncmp(request, line->request, strlen(line->request)) != 0 ||
                    (line->times > 0 && line->used == line->times))
                        continue;
                line->used++;
                return line->script;
        }
        if (is_ping)
                return (struct script){ .answer = ANSWER("200 OK", "OK") };
        if (is_version)
                return (struct script){ .answer = ANSWER("200 OK", VERSION) };
        return (struct script){ .answer = ANSWER("500 No", "{\"message\":\"not in the script\"}") };
}

static struct world *world_new(void)
{
        struct world *world = calloc(1, sizeof *world);

        world->loop = ev_loop_new(EVFLAG_AUTO);
        server_init(&world->server, world->loop);
        world->server.choose = choose;
        world->server.choose_arg = world;
        return world;
}

static int setup(void **state)
{
        struct world *world = world_new();

        *state = world;
        const struct docker_options options = { .socket_path = world->server.path,
                                                .ping_interval_s = 0.02,
                                                .call_deadline_s = 1.0 };
        return docker_new(&world->engine, world->loop, &options);
}

static int teardown(void **state)
{
        struct world *world = *state;

        if (world->engine != NULL)
                world->engine->ops->free(world->engine);
        server_release(&world->server);
        ev_loop_destroy(world->loop);
        buffer_free(&world->output[1]);
        buffer_free(&world->output[2]);
        free(world);
        return 0;
}

/* Unfinished profiles: of a process that has ended, and of one that lives. */
static const char *const UNFINISHED[] = { ".seccomp.json.2147483646", ".seccomp.json.1" };

static void begin_profile(const char *directory, const char *name)
{
        char path[96];
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", directory, name);
        file = fopen(path, "we");
        assert_non_null(file);
        fclose(file);
}

static int setup_podman(void **state)
{
        struct world *world = world_new();

        *state = world;
        if (mkdtemp(strcpy(world->directory, "/tmp/carrel-podman-XXXXXX")) == NULL)
                return -1;
        for (int i = 0; i < 2; i++)
                begin_profile(world->directory, UNFINISHED[i]);
        const struct podman_options options = {
                .docker = { .socket_path = world->server.path, .ping_interval_s = 0.02, .call_deadline_s = 5.0 },
                .state_dir = world->directory
        };
        return podman_new(&world->engine, world->loop, &options);
}

static int teardown_podman(void **state)
{
        const struct world *world = *state;
        char path[96];

        snprintf(path, sizeof path, "%s/seccomp.json", world->directory);
        (void)unlink(path);
        snprintf(path, sizeof path, "%s/%s", world->directory, UNFINISHED[1]);
        assert_int_equal(unlink(path), 0); /* only this one of the two stayed */
        assert_int_equal(rmdir(world->directory), 0);
        return teardown(state);
}

static void maybe_act(struct world *world)
{
        if (world->frees_engine && world->engine != NULL)
                world->engine = world->engine->ops->free(world->engine);
        if (world->cancels)
                world->call = engine_cancel(world->call);
}

static void on_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct world *world = arg;

        assert_true((reply == NULL) != (why == NULL));
        world->dones++;
        world->call = NULL;
        world->why = why != NULL ? *why : (struct fault){ 0 };
        if (reply != NULL && reply->exec != NULL)
                world->exec = *reply->exec;
        maybe_act(world);
}

static void on_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct world *world = arg;

        buffer_append(&world->output[stream], bytes, length);
        maybe_act(world);
}

static void on_event(void *arg, const struct engine_event *event)
{
        struct world *world = arg;

        world->events[event->kind]++;
        if (event->kind == ENGINE_CONTAINER_DIED)
                assert_int_equal(event->exit_code, 9);
        world->frees_engine |= world->frees_at != NULL && *world->frees_at == event->kind;
        maybe_act(world);
}

static void await_done(struct world *world)
{
        while (world->dones == 0)
                ev_run(world->loop, EVRUN_ONCE);
        assert_int_equal(world->dones, 1);
}

static void turn_a_while(struct world *world)
{
        for (int turn = 0; turn < 50; turn++)
                ev_run(world->loop, EVRUN_NOWAIT);
}

static const char *const ARGV[] = { "/bin/true", NULL };
static const char *const DNS[] = { "10.9.8.7", NULL };

enum operation { CREATE, START, INSPECT, LIST, CLAIM, REMOVE, PAUSE, UNPAUSE, EXEC, IMAGE };

static void begin(struct world *world, enum operation operation)
{
        static const struct container_spec SPEC = {
                .name = "a", .image = "image:1", .argv = ARGV, .uid = 1, .gid = 1, .dns = DNS
        };
        static const struct exec_command COMMAND = { .argv = ARGV };
        static const struct label LABEL = { "k", "v" };
        static const struct exec_events EVENTS = { .on_output = on_output };
        struct engine *engine = world->engine;
        const struct engine_ops *ops = engine->ops;
        struct engine_call **call = &world->call;
        int r = -1;

        world->dones = 0;
        switch (operation) {
        case CREATE:
                r = ops->create(engine, &SPEC, on_done, world, call);
                break;
        case START:
                r = ops->start(engine, "a", on_done, world, call);
                break;
        case INSPECT:
                r = ops->inspect(engine, "a", on_done, world, call);
                break;
        case LIST:
                r = ops->list(engine, "k", "v w", on_done, world, call);
                break;
        case CLAIM:
                r = ops->claim(engine, "a", "b", &LABEL, 1, on_done, world, call);
                break;
        case REMOVE:
                r = ops->remove(engine, "a", on_done, world, call);
                break;
        case PAUSE:
        case UNPAUSE:
                r = ops->pause(engine, "a", operation == PAUSE, on_done, world, call);
                break;
        case EXEC:
                r = ops->exec(engine, "a", &COMMAND, &EVENTS, on_done, world, call);
                break;
        case IMAGE:
                r = ops->image_inspect(engine, "image:1", on_done, world, call);
                break;
        }
        assert_int_equal(r, 0);
        assert_int_equal(world->dones, 0);
}

/* --- requests, versions and refusals
 * ---------------------------------------------------------------------------------- */

static void test_requests(void **state)
{
        static const struct {
                enum operation operation;
                const char *sent;
        } CASES[] = {
                { CREATE, "POST /v1.41/containers/create?name=a HTTP/1.1" },
                { START, "POST /v1.41/containers/a/start HTTP/1.1" },
                { INSPECT, "GET /v1.41/containers/a/json HTTP/1.1" },
                { LIST, "GET /v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22k%3Dv%20w%22%5D%7D HTTP/1.1" },
                { CLAIM, "POST /v1.41/containers/a/rename?name=b HTTP/1.1" },
                { REMOVE, "DELETE /v1.41/containers/a?force=1&v=1 HTTP/1.1" },
                { PAUSE, "POST /v1.41/containers/a/pause HTTP/1.1" },
                { UNPAUSE, "POST /v1.41/containers/a/unpause HTTP/1.1" },
                { EXEC, "POST /v1.41/containers/a/exec HTTP/1.1" },
                { IMAGE, "GET /v1.41/images/image:1/json HTTP/1.1" },
        };
        struct world *world = *state;

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                begin(world, CASES[i].operation);
                await_done(world);
                assert_string_equal(world->last_request, CASES[i].sent);
                assert_int_equal(world->why.kind, FAULT_ENGINE_REFUSED);
                assert_non_null(strstr(world->why.message, "not in the script"));
        }
        assert_int_equal(world->versions, 1);
}

static void test_versions(void **state)
{
        static const struct {
                const char *answer;
                const char *sent; /* NULL: none, the engine is of no use */
        } CASES[] = {
                { ANSWER("200 OK", "{\"Version\":\"29\",\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}"),
                  "GET /v1.44/containers/a/json HTTP/1.1" },
                { ANSWER("200 OK", "{\"Version\":\"28\",\"ApiVersion\":\"1.50\",\"MinAPIVersion\":\"1.24\"}"),
                  "GET /v1.41/containers/a/json HTTP/1.1" },
                { ANSWER("200 OK", "{\"Version\":\"17\",\"ApiVersion\":\"1.30\",\"MinAPIVersion\":\"1.12\"}"), NULL },
                { ANSWER("200 OK", "{\"Version\":\"1\",\"ApiVersion\":\"latest\"}"), NULL },
                { ANSWER("200 OK", "[]"), NULL },
                { ANSWER("500 No", VERSION), NULL },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                void *fresh;
                struct world *world;

                assert_int_equal(setup(&fresh), 0);
                world = fresh;
                world->lines[0] = (struct line){ .request = "GET /version", .script = { .answer = CASES[i].answer } };
                begin(world, INSPECT);
                await_done(world);
                assert_int_equal(world->requests, CASES[i].sent != NULL);
                if (CASES[i].sent != NULL)
                        assert_string_equal(world->last_request, CASES[i].sent);
                else
                        assert_int_equal(world->why.kind, FAULT_ENGINE_UNAVAILABLE);
                teardown(&fresh);
        }
}

static void test_refusals(void **state)
{
        static const struct {
                enum operation operation;
                const char *answer;
                enum fault_kind kind;
        } CASES[] = {
                { CREATE, ANSWER("201 Created", "{\"Id\":\"" ID "\"}"), FAULT_NONE },
                { CREATE, ANSWER("201 Created", "{\"Id\":\"no id\"}"), FAULT_ENGINE_UNAVAILABLE },
                { CREATE, ANSWER("404 No", "{\"message\":\"No such image\"}"), FAULT_IMAGE_MISSING },
                { CREATE, ANSWER("409 No", "{\"message\":\"Conflict\"}"), FAULT_NAME_TAKEN },
                { CREATE, ANSWER("400 No", ""), FAULT_ENGINE_REFUSED },
                { CREATE, ANSWER("503 No", ""), FAULT_ENGINE_REFUSED },
                { START, ANSWER("204 Done", ""), FAULT_NONE },
                { START, ANSWER("304 Done", ""), FAULT_NONE },
                { START, ANSWER("404 No", ""), FAULT_NOT_FOUND },
                { START, ANSWER("301 Moved", ""), FAULT_ENGINE_REFUSED },
                { INSPECT, ANSWER("404 No", ""), FAULT_NOT_FOUND },
                { INSPECT, ANSWER("200 OK", "{\"Id\":"), FAULT_ENGINE_UNAVAILABLE },
                { INSPECT, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", FAULT_ENGINE_UNAVAILABLE },
                { INSPECT, NULL, FAULT_DEADLINE },
                { LIST, ANSWER("200 OK", "[]"), FAULT_NONE },
                { LIST, ANSWER("200 OK", "{}"), FAULT_ENGINE_UNAVAILABLE },
                { CLAIM, ANSWER("204 Done", ""), FAULT_NONE },
                { CLAIM, ANSWER("404 No", ""), FAULT_NOT_FOUND },
                { CLAIM, ANSWER("409 No", ""), FAULT_NAME_TAKEN },
                { PAUSE, ANSWER("409 No", "{\"message\":\"Container a is already paused\"}"), FAULT_NONE },
                { PAUSE, ANSWER("409 No", "{\"message\":\"Container a is not running\"}"), FAULT_ENGINE_REFUSED },
                { UNPAUSE, ANSWER("500 No", "{\"message\":\"Container a is not paused\"}"), FAULT_NONE },
                { REMOVE, ANSWER("404 No", ""), FAULT_NONE },
                { REMOVE, ANSWER("409 No", "{\"message\":\"You cannot\"}"), FAULT_ENGINE_REFUSED },
                { REMOVE, ANSWER("409 No", "{\"message\":\"removal of container a is already in progress\"}"),
                  FAULT_DEADLINE },
                { REMOVE, ANSWER("409 No", "{\"message\":\"cannot remove container a as it could not be stopped\"}"),
                  FAULT_DEADLINE },
                { REMOVE, ANSWER("500 No", "{\"message\":\"device or resource busy\"}"), FAULT_ENGINE_REFUSED },
                { EXEC, ANSWER("409 No", ""), FAULT_ENGINE_REFUSED },
                { EXEC, ANSWER("404 No", ""), FAULT_NOT_FOUND },
                { IMAGE, ANSWER("404 No", ""), FAULT_IMAGE_MISSING },
        };
        struct world *world = *state;

        world->lines[0].request = "GET /v";
        world->lines[1].request = "POST /v1";
        world->lines[2].request = "DELETE /v1";
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                for (size_t line = 0; line < 3; line++)
                        world->lines[line].script = (struct script){ .answer = CASES[i].answer };
                world->lines[0].request = world->versions > 0 ? "GET /v1" : "GET /none";
                begin(world, CASES[i].operation);
                await_done(world);
                if (world->why.kind != CASES[i].kind)
                        fail_msg("case %zu: %s: %s", i, fault_code(world->why.kind), world->why.message);
        }
}

static void test_remove_polls_until_gone(void **state)
{
        struct world *world = *state;

        world->lines[0] = (struct line){
                .request = "DELETE /v1.41/containers/a",
                .script = { .answer = ANSWER("409 No",
                                             "{\"message\":\"removal of container a is already in progress\"}") },
                .times = 3,
        };
        world->lines[1] = (struct line){ .request = "DELETE", .script = { .answer = ANSWER("404 No", "") } };
        begin(world, REMOVE);
        await_done(world);
        assert_int_equal(world->why.kind, FAULT_NONE);
        assert_int_equal(world->lines[0].used, 3);
        assert_int_equal(world->lines[1].used, 1);
}

static void test_remove_retries_what_may_pass(void **state)
{
        struct world *world = *state;

        world->lines[0] = (struct line){
                .request = "DELETE /v1.41/containers/a",
                .script = { .answer =
                                    ANSWER("500 No", "{\"message\":\"removing container a root filesystem: busy\"}") },
                .times = 4,
        };
        world->lines[1] = (struct line){ .request = "DELETE", .script = { .answer = ANSWER("204 Done", "") } };
        begin(world, REMOVE);
        await_done(world);
        assert_int_equal(world->why.kind, FAULT_NONE);
        assert_int_equal(world->lines[0].used, 4);
        assert_int_equal(world->lines[1].used, 1);
}

/* The engine's own message is kept until the deadline. */
static void test_remove_that_is_always_refused_says_why(void **state)
{
        struct world *world = *state;

        world->lines[0] = (struct line){ .request = "DELETE",
                                         .script = { .answer = ANSWER("500 No", "{\"message\":\"busy\"}") } };
        begin(world, REMOVE);
        await_done(world);
        assert_int_equal(world->why.kind, FAULT_ENGINE_REFUSED);
        assert_string_equal(world->why.message, "the engine refused to remove a container (500): busy");
        assert_in_range(world->lines[0].used, 3, 20);
}

/* Podman was killed in the middle of a create, and has assigned the name to a container that it does not know. */
static void expect_leftover(struct world *world, const char *refusal, const char *existence, unsigned removals)
{
        const struct line lines[] = {
                { .request = "POST /v1.41/containers/create", .script = { .answer = refusal } },
                { .request = "GET /v1.41/libpod/containers/" ID "/exists", .script = { .answer = existence } },
                { .request = "DELETE /v1.41/libpod/containers/" ID "?force=true",
                  .script = { .answer = ANSWER("200 OK", "[]") } },
        };

        memcpy(world->lines, lines, sizeof lines);
        world->dones = 0;
        begin(world, CREATE);
        await_done(world);
        assert_int_equal(world->why.kind, FAULT_NAME_TAKEN);
        assert_int_equal(world->lines[0].used, 1);
        assert_int_equal(world->lines[2].used, removals);
}

static void test_podman_forgets_what_it_began(void **state)
{
        static const char TAKEN[] =
                ANSWER("500 No", "{\"message\":\"creating container storage: the container name \\\"a\\\" "
                                 "is already in use by " ID ". You have to remove that\"}");
        struct world *world = *state;

        expect_leftover(world, TAKEN, ANSWER("404 No", "{}"), 1);
        expect_leftover(world, TAKEN, ANSWER("204 Known", ""), 0);
        expect_leftover(world, TAKEN, ANSWER("404 No", "{}"), 1);
        expect_leftover(world, ANSWER("500 No", "{\"message\":\"name is already in use by 0123abcd\"}"),
                        ANSWER("404 No", "{}"), 0);
}

/* ---- the breaker ---- */

static bool is_available(const struct world *world)
{
        struct engine_about about;

        world->engine->ops->about(world->engine, &about);
        return about.is_available;
}

static void test_breaker(void **state)
{
        struct world *world = *state;

        assert_true(is_available(world));
        world->lines[0] = (struct line){ .request = "GET /_ping", .script = { .answer = NULL }, .times = 1 };
        while (is_available(world)) /* a ping without an answer opens it */
                ev_run(world->loop, EVRUN_ONCE);
        begin(world, INSPECT);
        await_done(world);
        assert_int_equal(world->why.kind, FAULT_ENGINE_UNAVAILABLE);
        assert_int_equal(world->why.retry_after_s, 1);
        assert_int_equal(world->requests + world->versions, 0); /* it got no request */
        while (!is_available(world))                            /* a ping with an answer closes it */
                ev_run(world->loop, EVRUN_ONCE);
        begin(world, INSPECT);
        await_done(world);
        assert_int_equal(world->requests, 1);
}

/* --- exec -----------------------------------------------------------------------------------------------------------
 */

/* The server's answers are C strings, so frames, which contain zeros, cannot be scripted; a stream that is not framed
 * can. */
static void script_exec(struct world *world, const char *stream)
{
        world->lines[0] = (struct line){ .request = "POST /v1.41/containers/a/exec",
                                         .script = { .answer = ANSWER("201 Created", "{\"Id\":\"" ID "\"}") } };
        world->lines[1] = (struct line){ .request = "POST /v1.41/exec/" ID "/start", .script = { .answer = stream } };
        world->lines[2] =
                (struct line){ .request = "GET /v1.41/exec/" ID "/json",
                               .script = { .answer = ANSWER("200 OK", "{\"Running\":true,\"ExitCode\":null}") },
                               .times = 2 };
        world->lines[3] =
                (struct line){ .request = "GET /v1.41/exec/" ID "/json",
                               .script = { .answer = ANSWER("200 OK", "{\"Running\":false,\"ExitCode\":4}") } };
}

static void test_exec_end_is_awaited(void **state)
{
        struct world *world = *state;

        script_exec(world, ANSWER("200 OK", ""));
        begin(world, EXEC);
        await_done(world);
        assert_int_equal(world->why.kind, FAULT_NONE);
        assert_false(world->exec.is_running);
        assert_int_equal(world->exec.exit_code, 4);
        assert_int_equal(world->lines[2].used, 2); /* its end was not known at first */
}

static void test_exec_faults(void **state)
{
        static const struct {
                const char *stream;
                enum fault_kind kind;
        } CASES[] = {
                { ANSWER("200 OK", "not a stream at all"), FAULT_ENGINE_UNAVAILABLE },
                { ANSWER("409 No", "{\"message\":\"is paused\"}"), FAULT_ENGINE_REFUSED },
                { ANSWER("404 No", ""), FAULT_NOT_FOUND },
                { NULL, FAULT_DEADLINE },
                { "", FAULT_ENGINE_UNAVAILABLE },
        };
        struct world *world = *state;

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                script_exec(world, CASES[i].stream);
                begin(world, EXEC);
                await_done(world);
                assert_int_equal(world->why.kind, CASES[i].kind);
                assert_int_equal(world->output[1].length + world->output[2].length, 0);
        }
}

/* --- events ---------------------------------------------------------------------------------------------------------
 */

static void test_events_and_reconnects(void **state)
{
        struct world *world = *state;

        world->lines[0] = (struct line){ .request = "GET /v1.41/events",
                                         .script = { .answer = ANSWER("200 OK", DIED "garbage\n{}\n\n" DIED "{\"half"),
                                                     .piece_bytes = 1 },
                                         .times = 1 };
        world->lines[1] = (struct line){ .request = "GET /v1.41/events",
                                         .script = { .answer = ANSWER("500 No", "") },
                                         .times = 1 };
        world->lines[2] = (struct line){ .request = "GET /v1.41/events",
                                         .script = { .answer = ANSWER("200 OK", DIED), .keeps_open = true } };
        assert_int_equal(world->engine->ops->watch(world->engine, "k", "v", on_event, world), 0);
        assert_int_equal(world->engine->ops->watch(world->engine, "k", "v", on_event, world), -EBUSY);
        while (world->events[ENGINE_CONTAINER_DIED] < 3)
                ev_run(world->loop, EVRUN_ONCE);
        assert_int_equal(world->events[ENGINE_RESYNC], 2); /* not for the refused connection */
        assert_int_equal(world->events[ENGINE_LOST], 1);
}

static void test_endless_event(void **state)
{
        struct world *world = *state;

        world->lines[0] =
                (struct line){ .request = "GET /v1.41/events",
                               .script = { .answer = ANSWER("200 OK", ""), .repeat = 300000, .keeps_open = true } };
        assert_int_equal(world->engine->ops->watch(world->engine, "k", "v", on_event, world), 0);
        while (world->events[ENGINE_LOST] == 0)
                ev_run(world->loop, EVRUN_ONCE);
        assert_int_equal(world->events[ENGINE_RESYNC], 1);
}

/* --- from inside callbacks
 * --------------------------------------------------------------------------------------------- */

static void test_free_from_done(void **state)
{
        struct world *world = *state;

        world->frees_engine = true;
        begin(world, INSPECT);
        await_done(world);
        turn_a_while(world);
        assert_null(world->engine);
        assert_int_equal(world->dones, 1);
}

static void test_free_from_events(void **state)
{
        static const enum engine_event_kind MOMENTS[] = { ENGINE_RESYNC, ENGINE_CONTAINER_DIED, ENGINE_LOST };

        for (size_t i = 0; i < sizeof MOMENTS / sizeof MOMENTS[0]; i++) {
                void *fresh;

                assert_int_equal(setup(&fresh), 0);
                struct world *world = fresh;
                world->lines[0] = (struct line){ .request = "GET /v1.41/events",
                                                 .script = { .answer = ANSWER("200 OK", DIED DIED) } };
                world->frees_at = &MOMENTS[i];
                assert_int_equal(world->engine->ops->watch(world->engine, "k", "v", on_event, world), 0);
                while (world->engine != NULL)
                        ev_run(world->loop, EVRUN_ONCE);
                turn_a_while(world);
                assert_int_equal(world->events[MOMENTS[i]], 1);
                teardown(&fresh);
        }
}

static void test_free_with_calls_under_way(void **state)
{
        struct world *world = *state;

        begin(world, INSPECT);
        begin(world, EXEC);
        begin(world, REMOVE);
        assert_int_equal(world->engine->ops->watch(world->engine, "k", "v", on_event, world), 0);
        ev_run(world->loop, EVRUN_NOWAIT);
        world->engine = world->engine->ops->free(world->engine);
        turn_a_while(world);
        assert_int_equal(world->dones, 0);
}

static void test_cancel(void **state)
{
        struct world *world = *state;

        begin(world, INSPECT);
        assert_null(engine_cancel(world->call));
        assert_null(engine_cancel(NULL));
        turn_a_while(world);
        assert_int_equal(world->dones, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_requests),
                cmocka_unit_test(test_versions),
                CASE(test_refusals),
                CASE(test_remove_polls_until_gone),
                CASE(test_remove_retries_what_may_pass),
                CASE(test_remove_that_is_always_refused_says_why),
                cmocka_unit_test_setup_teardown(test_podman_forgets_what_it_began, setup_podman, teardown_podman),
                CASE(test_breaker),
                CASE(test_exec_end_is_awaited),
                CASE(test_exec_faults),
                CASE(test_events_and_reconnects),
                CASE(test_endless_event),
                CASE(test_free_from_done),
                cmocka_unit_test(test_free_from_events),
                CASE(test_free_with_calls_under_way),
                CASE(test_cancel),
        };

        return cmocka_run_group_tests_name("docker", tests, NULL, NULL);
}
