/* An engine against the real one that TESTBED_ENGINE names, whose socket is in TESTBED_ENGINE_SOCKET. It makes
 * its own image from the host's static busybox, and names and labels everything it makes, so that the engine may be
 * shared. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "docker.h"
#include "podman.h"
#include "str.h"

#define IMAGE "carrel-test-engine:latest"
#define LABEL "io.carrel.test-engine"
#define NAME "carrel-test-engine-a"
#define OTHER_NAME "carrel-test-engine-b"
#define PATIENCE_S 60.0

struct world {
        struct ev_loop *loop;
        struct engine *engine;
        char run_label[32]; /* the value of LABEL in this test */
};

/* The result of a call. */
struct answer {
        struct ev_loop *loop;
        bool has_come;
        struct fault why; /* FAULT_NONE: it succeeded */
        char id[ENGINE_ID_BYTES];
        struct container_info container; /* without its labels */
        char label[64];
        size_t n_containers;
        struct exec_status exec;
        char image_id[ENGINE_ID_BYTES + 8];
        struct buffer output[3];
        char exec_id[ENGINE_ID_BYTES];
        size_t cancel_after; /* bytes of output; 0: never */
        struct engine_call *call;
};

static void on_patience_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
        ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until *flag; the test fails when that takes too long. */
static void await_flag(struct ev_loop *loop, const bool *flag)
{
        ev_timer patience;

        ev_timer_init(&patience, on_patience_over, PATIENCE_S, 0.0);
        ev_timer_start(loop, &patience);
        while (!*flag && ev_is_active(&patience))
                ev_run(loop, EVRUN_ONCE);
        ev_timer_stop(loop, &patience);
        assert_true(*flag);
}

static void on_answer(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct answer *answer = arg;

        assert_false(answer->has_come);
        assert_true((reply == NULL) != (why == NULL));
        answer->has_come = true;
        answer->call = NULL;
        if (why != NULL) {
                answer->why = *why;
                return;
        }
        if (reply->id != NULL)
                snprintf(answer->id, sizeof answer->id, "%s", reply->id);
        if (reply->n_containers > 0) {
                const char *label = container_label(&reply->containers[0], LABEL);
                answer->container = reply->containers[0];
                answer->container.labels = NULL;
                answer->n_containers = reply->n_containers;
                snprintf(answer->label, sizeof answer->label, "%s", label != NULL ? label : "");
        }
        if (reply->exec != NULL)
                answer->exec = *reply->exec;
        if (reply->image != NULL)
                snprintf(answer->image_id, sizeof answer->image_id, "%s", reply->image->id);
}

static void on_exec_started(void *arg, const char *engine_exec_id)
{
        struct answer *answer = arg;

        snprintf(answer->exec_id, sizeof answer->exec_id, "%s", engine_exec_id);
}

static void on_exec_output(void *arg, int stream, const void *bytes, size_t length)
{
        struct answer *answer = arg;

        assert_false(answer->has_come);
        assert_in_range(stream, 1, 2);
        assert_int_equal(buffer_append(&answer->output[stream], bytes, length), 0);
        if (answer->cancel_after == 0 || answer->output[stream].length < answer->cancel_after)
                return;
        answer->call = engine_cancel(answer->call);
        answer->has_come = true; /* nothing else may come */
}

static const struct exec_events EXEC_EVENTS = { on_exec_started, on_exec_output };

static void await_answer(struct world *world, struct answer *answer, int result)
{
        assert_int_equal(result, 0);
        assert_false(answer->has_come); /* never from inside the operation */
        await_flag(world->loop, &answer->has_come);
}

static void must(const struct answer *answer)
{
        if (answer->why.kind != FAULT_NONE)
                fail_msg("%s: %s", fault_code(answer->why.kind), answer->why.message);
}

static void answer_release(struct answer *answer)
{
        buffer_free(&answer->output[1]);
        buffer_free(&answer->output[2]);
}

/* --- the engine --------------------------------------------------------------------------------------------------
 */

static int new_docker(struct engine **ret_engine, struct ev_loop *loop, const char *socket_path)
{
        const struct docker_options options = { .socket_path = socket_path };

        return docker_new(ret_engine, loop, &options);
}

static int new_podman(struct engine **ret_engine, struct ev_loop *loop, const char *socket_path)
{
        const struct podman_options options = { .docker = { .socket_path = socket_path }, .state_dir = "/run/testbed" };

        return podman_new(ret_engine, loop, &options);
}

static int new_engine(struct engine **ret_engine, struct ev_loop *loop, const char *socket_path)
{
        static const struct {
                const char *kind;
                int (*new)(struct engine **ret_engine, struct ev_loop *loop, const char *socket_path);
        } KINDS[] = { { "docker", new_docker }, { "podman", new_podman } };

        for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
                if (str_equal(getenv("TESTBED_ENGINE"), KINDS[i].kind))
                        return KINDS[i].new(ret_engine, loop, socket_path);
        return -EINVAL;
}

/* --- the image --------------------------------------------------------------------------------------------------- */

static void write_all(int fd, const void *bytes, size_t length)
{
        assert_int_equal(write(fd, bytes, length), (ssize_t)length);
}

/* One file of a tar archive (POSIX ustar, tar(5)). */
static void add_file(int tar, const char *name, unsigned mode, const void *bytes, size_t length)
{
        static const char ZEROS[512];
        char header[512] = { 0 };
        unsigned sum = 0;

        snprintf(header, 100, "%s", name);
        snprintf(header + 100, 8, "%07o", mode);
        snprintf(header + 108, 8, "%07o", 0);
        snprintf(header + 116, 8, "%07o", 0);
        snprintf(header + 124, 12, "%011zo", length);
        snprintf(header + 136, 12, "%011o", 0);
        header[156] = '0';
        memcpy(header + 257, "ustar\00000", 8);
        memset(header + 148, ' ', 8);
        for (size_t i = 0; i < sizeof header; i++)
                sum += (unsigned char)header[i];
        snprintf(header + 148, 8, "%06o", sum);
        write_all(tar, header, sizeof header);
        write_all(tar, bytes, length);
        if (length % 512 != 0)
                write_all(tar, ZEROS, 512 - length % 512);
}

static void build_image(struct world *world)
{
        static const char RECIPE[] = "FROM scratch\nCOPY busybox /bin/busybox\n";
        static const char ZEROS[1024];
        struct answer answer = { .loop = world->loop };
        struct stat program;
        int tar = memfd_create("context", MFD_CLOEXEC);
        int fd = open("/bin/busybox", O_RDONLY | O_CLOEXEC);

        assert_true(tar >= 0 && fd >= 0 && fstat(fd, &program) == 0);
        void *bytes = mmap(NULL, (size_t)program.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_ptr_not_equal(bytes, MAP_FAILED);
        add_file(tar, "Dockerfile", 0644, RECIPE, sizeof RECIPE - 1);
        add_file(tar, "busybox", 0755, bytes, (size_t)program.st_size);
        write_all(tar, ZEROS, sizeof ZEROS);
        munmap(bytes, (size_t)program.st_size);
        close(fd);
        await_answer(world, &answer,
                     world->engine->ops->image_build(world->engine, tar, IMAGE, on_answer, &answer, &answer.call));
        close(tar);
        must(&answer);
        assert_true(str_has_prefix(answer.image_id, "sha256:"));
}

/* --- small calls ---------------------------------------------------------------------------------------------------
 */

static struct answer create(struct world *world, const char *name, const char *image)
{
        static const char *const ARGV[] = { "/bin/busybox", "sleep", "1000", NULL };
        static const char *const DNS[] = { "10.9.8.7", NULL };
        const struct label labels[] = { { LABEL, world->run_label } };
        const struct tmpfs_mount tmpfs[] = { { "/tmp", "rw,size=16777216,mode=1777" } };
        const struct container_spec spec = {
                .name = name,
                .image = image,
                .argv = ARGV,
                .working_dir = "/tmp",
                .hostname = "carrel",
                .uid = 1000,
                .gid = 1000,
                .owner_uid = 1000,
                .owner_gid = 1000,
                .labels = labels,
                .n_labels = 1,
                .tmpfs = tmpfs,
                .n_tmpfs = 1,
                .dns = DNS,
                .memory_bytes = 256 << 20,
                .cpu_millis = 500,
                .pids = 64,
                .nofile = 256,
                .shm_bytes = 1 << 20,
                .cgroup_parent = getenv("TESTBED_CGROUP"),
        };
        struct answer answer = { .loop = world->loop };

        await_answer(world, &answer,
                     world->engine->ops->create(world->engine, &spec, on_answer, &answer, &answer.call));
        return answer;
}

typedef int (*plain_operation)(struct engine *engine, const char *id, engine_done done, void *arg,
                               struct engine_call **ret_call);

static struct answer plain(struct world *world, plain_operation operation, const char *id)
{
        struct answer answer = { .loop = world->loop };

        await_answer(world, &answer, operation(world->engine, id, on_answer, &answer, &answer.call));
        return answer;
}

static struct answer list(struct world *world)
{
        struct answer answer = { .loop = world->loop };

        await_answer(
                world, &answer,
                world->engine->ops->list(world->engine, LABEL, world->run_label, on_answer, &answer, &answer.call));
        return answer;
}

static struct answer pause_container(struct world *world, const char *id, bool is_paused)
{
        struct answer answer = { .loop = world->loop };

        await_answer(world, &answer,
                     world->engine->ops->pause(world->engine, id, is_paused, on_answer, &answer, &answer.call));
        return answer;
}

static struct answer run(struct world *world, const char *const *argv, const void *input, size_t length)
{
        const struct exec_command command = { .argv = argv, .input = input, .input_length = length };
        struct answer answer = { .loop = world->loop };

        await_answer(world, &answer,
                     world->engine->ops->exec(world->engine, NAME, &command, &EXEC_EVENTS, on_answer, &answer,
                                              &answer.call));
        return answer;
}

static void must_plain(struct world *world, plain_operation operation, const char *id)
{
        struct answer answer = plain(world, operation, id);

        must(&answer);
}

static void start_one(struct world *world)
{
        struct answer answer = create(world, NAME, IMAGE);

        must(&answer);
        must_plain(world, world->engine->ops->start, NAME);
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static void test_create_start_inspect_remove(void **state)
{
        struct world *world = *state;
        const struct engine_ops *ops = world->engine->ops;
        struct answer created = create(world, NAME, IMAGE);

        must(&created);
        assert_int_equal(strlen(created.id), 64);
        struct answer inspected = plain(world, ops->inspect, created.id);
        must(&inspected);
        assert_int_equal(inspected.container.status, CONTAINER_CREATED);
        assert_int_equal(inspected.container.pid, 0);
        assert_int_equal(inspected.container.started_wall_ms, 0);

        must_plain(world, ops->start, created.id);
        must_plain(world, ops->start, created.id); /* already started: still success */
        inspected = plain(world, ops->inspect, NAME);
        must(&inspected);
        assert_int_equal(inspected.container.status, CONTAINER_RUNNING);
        assert_true(inspected.container.pid > 0);
        assert_true(inspected.container.started_wall_ms > 0);
        assert_string_equal(inspected.container.id, created.id);
        assert_string_equal(inspected.container.name, NAME);
        assert_string_equal(inspected.label, world->run_label);

        must_plain(world, ops->remove, NAME);
        must_plain(world, ops->remove, NAME); /* already gone: still success */
        inspected = plain(world, ops->inspect, NAME);
        assert_int_equal(inspected.why.kind, FAULT_NOT_FOUND);
}

static void test_name_taken(void **state)
{
        struct world *world = *state;
        struct answer first = create(world, NAME, IMAGE);
        struct answer second = create(world, NAME, IMAGE);

        must(&first);
        assert_int_equal(second.why.kind, FAULT_NAME_TAKEN);
}

static void test_image_missing(void **state)
{
        struct world *world = *state;
        struct answer created = create(world, NAME, "carrel-test-engine-absent:1");
        struct answer inspected = plain(world, world->engine->ops->image_inspect, "carrel-test-engine-absent:1");
        char pull[64];

        snprintf(pull, sizeof pull, "%s pull carrel-test-engine-absent:1", getenv("TESTBED_ENGINE"));
        assert_int_equal(created.why.kind, FAULT_IMAGE_MISSING);
        assert_non_null(strstr(created.why.message, pull));
        assert_int_equal(inspected.why.kind, FAULT_IMAGE_MISSING);
}

static void test_invalid_words(void **state)
{
        static const char *const BAD[] = { "", "..", "a/b", "a?b", "a b", "a\nb", "-a", "../../v1.41/info" };
        struct world *world = *state;
        struct engine_call *call;

        for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
                assert_int_equal(world->engine->ops->inspect(world->engine, BAD[i], on_answer, NULL, &call), -EINVAL);
}

static void test_list(void **state)
{
        struct world *world = *state;
        struct answer empty = list(world);

        must(&empty);
        assert_int_equal(empty.n_containers, 0);
        start_one(world);
        struct answer created = create(world, OTHER_NAME, IMAGE);
        must(&created);
        struct answer both = list(world);
        must(&both);
        assert_int_equal(both.n_containers, 2);
        assert_string_equal(both.label, world->run_label);
}

static struct answer claim(struct world *world, const char *id, const char *name)
{
        const struct label labels[] = { { LABEL, "claimed" } };
        struct answer answer = { .loop = world->loop };

        await_answer(world, &answer,
                     world->engine->ops->claim(world->engine, id, name, labels, 1, on_answer, &answer, &answer.call));
        return answer;
}

/* The labels of these engines cannot be changed. */
static void test_claim(void **state)
{
        struct world *world = *state;
        const struct engine_ops *ops = world->engine->ops;
        struct engine_about about;

        ops->about(world->engine, &about);
        assert_false(about.can_relabel);
        start_one(world);
        struct answer before = plain(world, ops->inspect, NAME);
        must(&before);
        struct answer answer = claim(world, before.container.id, OTHER_NAME);
        must(&answer);
        struct answer inspected = plain(world, ops->inspect, OTHER_NAME);
        must(&inspected);
        assert_string_equal(inspected.container.id, before.container.id);
        assert_string_equal(inspected.container.name, OTHER_NAME);
        assert_int_equal(inspected.container.pid, before.container.pid);
        assert_string_equal(inspected.label, world->run_label);
        inspected = plain(world, ops->inspect, NAME);
        assert_int_equal(inspected.why.kind, FAULT_NOT_FOUND);
        answer = claim(world, NAME, "carrel-test-engine-c");
        assert_int_equal(answer.why.kind, FAULT_NOT_FOUND);
        struct answer created = create(world, NAME, IMAGE);
        must(&created);
        answer = claim(world, NAME, OTHER_NAME);
        assert_int_equal(answer.why.kind, FAULT_NAME_TAKEN);
        inspected = plain(world, ops->inspect, NAME);
        must(&inspected);
        assert_string_equal(inspected.container.id, created.id);
}

static void test_pause(void **state)
{
        struct world *world = *state;
        struct answer answer;

        start_one(world);
        for (int i = 0; i < 2; i++) { /* the second finds it so */
                answer = pause_container(world, NAME, true);
                must(&answer);
        }
        answer = plain(world, world->engine->ops->inspect, NAME);
        assert_int_equal(answer.container.status, CONTAINER_PAUSED);
        for (int i = 0; i < 2; i++) {
                answer = pause_container(world, NAME, false);
                must(&answer);
        }
        answer = plain(world, world->engine->ops->inspect, NAME);
        assert_int_equal(answer.container.status, CONTAINER_RUNNING);
}

static void test_remove_of_paused(void **state)
{
        struct world *world = *state;

        start_one(world);
        struct answer answer = pause_container(world, NAME, true);
        must(&answer);
        must_plain(world, world->engine->ops->remove, NAME);
}

/* All at once. Each reports that the container is gone, and its name is free. */
static void test_removes_in_progress(void **state)
{
        struct world *world = *state;
        struct answer answers[8] = { 0 };

        start_one(world);
        for (size_t i = 0; i < 8; i++)
                assert_int_equal(
                        world->engine->ops->remove(world->engine, NAME, on_answer, &answers[i], &answers[i].call), 0);
        for (size_t i = 0; i < 8; i++) {
                await_flag(world->loop, &answers[i].has_come);
                must(&answers[i]);
        }
        start_one(world);
}

static void test_exec(void **state)
{
        static const struct {
                const char *argv[5];
                size_t input_length;
                int exit_code;
                const char *out;
                const char *err;
        } CASES[] = {
                { { "/bin/busybox", "echo", "hello" }, 0, 0, "hello\n", "" },
                { { "/bin/busybox", "wc", "-c" }, 0, 0, "0\n", "" },
                { { "/bin/busybox", "wc", "-c" }, 1, 0, "1\n", "" },
                { { "/bin/busybox", "wc", "-c" }, 1 << 20, 0, "1048576\n", "" },
                { { "/bin/busybox", "true" }, 1 << 20, 0, "", "" }, /* does not read its input */
                { { "/bin/busybox", "sh", "-c", "echo out; echo err >&2; exit 7" }, 0, 7, "out\n", "err\n" },
                { { "/bin/busybox", "echo", "OCI runtime" }, 0, 0, "OCI runtime\n", "" },
                { { "/bin/busybox", "sh", "-c", "echo OCI runtime exec failed; exit 126" },
                  0,
                  126,
                  "OCI runtime exec failed\n",
                  "" },
        };
        struct world *world = *state;
        char *input = calloc(1, 1 << 20);

        assert_non_null(input);
        start_one(world);
        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct answer answer = run(world, CASES[i].argv, input, CASES[i].input_length);

                must(&answer);
                assert_false(answer.exec.is_running);
                assert_int_equal(answer.exec.exit_code, CASES[i].exit_code);
                assert_string_equal(answer.output[1].data != NULL ? answer.output[1].data : "", CASES[i].out);
                assert_string_equal(answer.output[2].data != NULL ? answer.output[2].data : "", CASES[i].err);
                assert_true(answer.exec_id[0] != '\0');
                answer_release(&answer);
        }
        free(input);
}

/* Docker writes its own sentence into the program's stdout; here it is stderr. */
static void test_exec_of_missing_binary(void **state)
{
        static const char *const ARGV[] = { "/no/such/program", NULL };
        struct world *world = *state;

        start_one(world);
        struct answer answer = run(world, ARGV, NULL, 0);
        must(&answer);
        assert_true(answer.exec.exit_code == 126 || answer.exec.exit_code == 127);
        assert_int_equal(answer.output[1].length, 0);
        assert_non_null(strstr(answer.output[2].data, "/no/such/program"));
        answer_release(&answer);
}

static void test_exec_echoes_a_mebibyte(void **state)
{
        static const char *const ARGV[] = { "/bin/busybox", "cat", NULL };
        struct world *world = *state;
        size_t length = 1 << 20;
        unsigned char *input = malloc(length);

        assert_non_null(input);
        for (size_t i = 0; i < length; i++)
                input[i] = (unsigned char)(i * 2654435761U >> 13);
        start_one(world);
        struct answer answer = run(world, ARGV, input, length);
        must(&answer);
        assert_int_equal(answer.output[1].length, length);
        assert_memory_equal(answer.output[1].data, input, length);
        answer_release(&answer);
        free(input);
}

static void test_exec_cancelled_from_its_output(void **state)
{
        static const char *const ARGV[] = { "/bin/busybox", "yes", NULL };
        const struct exec_command command = { .argv = ARGV };
        struct world *world = *state;
        struct answer answer = { .loop = world->loop, .cancel_after = 100000 };

        start_one(world);
        await_answer(world, &answer,
                     world->engine->ops->exec(world->engine, NAME, &command, &EXEC_EVENTS, on_answer, &answer,
                                              &answer.call));
        must_plain(world, world->engine->ops->inspect, NAME); /* the engine is still of use */
        answer_release(&answer);
}

static void test_exec_in_what_does_not_run(void **state)
{
        static const char *const ARGV[] = { "/bin/busybox", "true", NULL };
        struct world *world = *state;
        struct answer created = create(world, NAME, IMAGE);

        must(&created);
        struct answer answer = run(world, ARGV, NULL, 0);
        assert_int_equal(answer.why.kind, FAULT_ENGINE_REFUSED);
        must_plain(world, world->engine->ops->remove, NAME);
        answer = run(world, ARGV, NULL, 0);
        assert_int_equal(answer.why.kind, FAULT_NOT_FOUND);
}

struct witness {
        struct ev_loop *loop;
        char id[ENGINE_ID_BYTES];
        char exec_id[ENGINE_ID_BYTES];
        int exit_codes[ENGINE_EXEC_DIED + 1];
        unsigned seen[ENGINE_EXEC_DIED + 1];
        bool has_resynced;
        bool has_started;
        bool has_exec_died;
        bool is_removed;
};

static void on_event(void *arg, const struct engine_event *event)
{
        struct witness *witness = arg;

        witness->seen[event->kind]++;
        witness->exit_codes[event->kind] = event->exit_code;
        witness->has_resynced |= event->kind == ENGINE_RESYNC;
        witness->has_started |= event->kind == ENGINE_CONTAINER_STARTED;
        witness->has_exec_died |= event->kind == ENGINE_EXEC_DIED;
        witness->is_removed |= event->kind == ENGINE_CONTAINER_REMOVED;
        if (event->kind == ENGINE_CONTAINER_DIED)
                snprintf(witness->id, sizeof witness->id, "%s", event->id);
        if (event->kind == ENGINE_EXEC_DIED)
                snprintf(witness->exec_id, sizeof witness->exec_id, "%s", event->exec_id);
}

static void test_events(void **state)
{
        static const char *const ARGV[] = { "/bin/busybox", "sh", "-c", "exit 5", NULL };
        struct world *world = *state;
        struct witness witness = { .loop = world->loop };

        assert_int_equal(world->engine->ops->watch(world->engine, LABEL, world->run_label, on_event, &witness), 0);
        await_flag(world->loop, &witness.has_resynced);
        struct answer created = create(world, NAME, IMAGE);
        must(&created);
        must_plain(world, world->engine->ops->start, NAME);
        await_flag(world->loop, &witness.has_started);
        struct answer answer = run(world, ARGV, NULL, 0);
        must(&answer);
        await_flag(world->loop, &witness.has_exec_died);
        assert_string_equal(witness.exec_id, answer.exec_id);
        assert_int_equal(witness.exit_codes[ENGINE_EXEC_DIED], 5);
        struct answer again = plain(world, world->engine->ops->exec_inspect, answer.exec_id);
        must(&again);
        assert_int_equal(again.exec.exit_code, 5);
        must_plain(world, world->engine->ops->remove, NAME);
        await_flag(world->loop, &witness.is_removed);
        assert_int_equal(witness.seen[ENGINE_CONTAINER_DIED], 1);
        assert_string_equal(witness.id, created.id);
        assert_int_equal(witness.exit_codes[ENGINE_CONTAINER_DIED], 137);
}

/* Some engines tell their name on the side, later than they serve. */
static void await_name(struct world *world, struct engine_about *ret_about)
{
        bool is_named = false;

        for (int i = 0; i < 600 && !is_named; i++) {
                ev_timer tick;

                ev_timer_init(&tick, on_patience_over, 0.1, 0.0);
                ev_timer_start(world->loop, &tick);
                ev_run(world->loop, 0);
                ev_timer_stop(world->loop, &tick);
                world->engine->ops->about(world->engine, ret_about);
                is_named = ret_about->version[0] != '\0';
        }
}

static void test_about(void **state)
{
        struct world *world = *state;
        struct engine_about about;
        struct answer answer = list(world);

        must(&answer);
        await_name(world, &about);
        assert_string_equal(about.kind, getenv("TESTBED_ENGINE"));
        assert_true(about.is_available);
        assert_true(about.version[0] != '\0' && str_has_prefix(about.api_version, "1."));
}

static void test_engine_absent(void **state)
{
        struct world absent = { .loop = ((struct world *)*state)->loop };
        struct engine_about about;

        assert_int_equal(new_engine(&absent.engine, absent.loop, "/nonexistent/docker.sock"), 0);
        for (int i = 0; i < 2; i++) { /* the second meets the open breaker */
                struct answer answer = plain(&absent, absent.engine->ops->inspect, NAME);
                assert_int_equal(answer.why.kind, FAULT_ENGINE_UNAVAILABLE);
        }
        absent.engine->ops->about(absent.engine, &about);
        assert_false(about.is_available);
        absent.engine->ops->free(absent.engine);
}

/* --- frame ---------------------------------------------------------------------------------------------------------
 */

static int setup(void **state)
{
        struct world *world = calloc(1, sizeof *world);
        world->loop = ev_loop_new(EVFLAG_AUTO);
        snprintf(world->run_label, sizeof world->run_label, "run-%lld", (long long)clock_boottime_ms());
        *state = world;
        return new_engine(&world->engine, world->loop, getenv("TESTBED_ENGINE_SOCKET"));
}

static int teardown(void **state)
{
        struct world *world = *state;

        plain(world, world->engine->ops->remove, NAME);
        plain(world, world->engine->ops->remove, OTHER_NAME);
        world->engine->ops->free(world->engine);
        ev_loop_destroy(world->loop);
        free(world);
        return 0;
}

static int make_image(void **state)
{
        setup(state);
        build_image(*state);
        return teardown(state);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_create_start_inspect_remove),
                CASE(test_name_taken),
                CASE(test_image_missing),
                CASE(test_invalid_words),
                CASE(test_list),
                CASE(test_claim),
                CASE(test_pause),
                CASE(test_remove_of_paused),
                CASE(test_removes_in_progress),
                CASE(test_exec),
                CASE(test_exec_of_missing_binary),
                CASE(test_exec_echoes_a_mebibyte),
                CASE(test_exec_cancelled_from_its_output),
                CASE(test_exec_in_what_does_not_run),
                CASE(test_events),
                CASE(test_about),
                CASE(test_engine_absent),
        };

        if (getenv("TESTBED_ENGINE_SOCKET") == NULL) {
                puts("1..0 # SKIP no engine: TESTBED_ENGINE_SOCKET is not set");
                return getenv("CARREL_MUST_RUN") != NULL;
        }
        return cmocka_run_group_tests_name("engine", tests, make_image, NULL);
}
