/* engine/wire: the engine's answers, whole, odd and hostile. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_ID ID ID

static void test_ids(void **state)
{
        static const struct {
                const char *json;
                int result;
        } CASES[] = {
                { "{\"Id\":\"" ID "\",\"Warnings\":[]}", 0 },
                { "{\"Id\":\"" LONG_ID "\"}", -EBADMSG },
                { "{\"Id\":\"../../info\"}", -EBADMSG },
                { "{\"Id\":\"\"}", -EBADMSG },
                { "{\"Id\":5}", -EBADMSG },
                { "{\"id\":\"" ID "\"}", -EBADMSG },
                { "[\"" ID "\"]", -EBADMSG },
                { "{\"Id\":\"" ID, -EBADMSG },
                { "", -EBADMSG },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                char id[ENGINE_ID_BYTES] = "untouched";

                assert_int_equal(wire_decode_id(CASES[i].json, strlen(CASES[i].json), id), CASES[i].result);
                assert_string_equal(id, CASES[i].result == 0 ? ID : "untouched");
        }
}

#define INSPECT(state, config) "{\"Id\":\"" ID "\",\"Name\":\"/carrel-a\",\"State\":" state ",\"Config\":" config "}"

static void test_inspect(void **state)
{
        static const char JSON[] = INSPECT("{\"Status\":\"running\",\"Pid\":42,\"ExitCode\":0,\"OOMKilled\":true,"
                                           "\"StartedAt\":\"2026-01-31T12:00:00.123456789Z\"}",
                                           "{\"Labels\":{\"a\":\"1\",\"b\":\"\"}}");
        struct container_info info;

        assert_int_equal(wire_decode_container(JSON, strlen(JSON), &info), 0);
        assert_string_equal(info.id, ID);
        assert_string_equal(info.name, "carrel-a");
        assert_int_equal(info.status, CONTAINER_RUNNING);
        assert_int_equal(info.pid, 42);
        assert_true(info.is_oom_killed);
        assert_int_equal(info.started_wall_ms, 1769860800123);
        assert_int_equal(info.n_labels, 2);
        assert_string_equal(container_label(&info, "a"), "1");
        assert_string_equal(container_label(&info, "b"), "");
        assert_null(container_label(&info, "c"));
        container_info_release(&info);
}

static void test_inspect_states(void **state)
{
        static const struct {
                const char *json;
                enum container_status status;
                int pid;
                int64_t started_wall_ms;
        } CASES[] = {
                { "{\"Status\":\"created\",\"Pid\":0,\"StartedAt\":\"0001-01-01T00:00:00Z\"}", CONTAINER_CREATED, 0,
                  0 },
                { "{\"Status\":\"paused\",\"Pid\":7}", CONTAINER_PAUSED, 7, 0 },
                { "{\"Status\":\"removing\"}", CONTAINER_REMOVING, 0, 0 },
                { "{\"Status\":\"exited\",\"Pid\":-3}", CONTAINER_DEAD, 0, 0 },
                { "{\"Status\":\"dead\",\"Pid\":1e99}", CONTAINER_DEAD, 0, 0 },
                { "{\"Status\":\"restarting\"}", CONTAINER_UNKNOWN, 0, 0 },
                { "{\"Status\":\"\"}", CONTAINER_UNKNOWN, 0, 0 },
                { "{\"Status\":7}", CONTAINER_UNKNOWN, 0, 0 },
                { "{}", CONTAINER_UNKNOWN, 0, 0 },
                { "{\"StartedAt\":\"1970-01-01T01:00:01+01:00\"}", CONTAINER_UNKNOWN, 0, 1000 },
                { "{\"StartedAt\":\"1970-01-01T00:00:01.5-00:30\"}", CONTAINER_UNKNOWN, 0, 1801500 },
                { "{\"StartedAt\":\"1970-01-01T00:00:01+\"}", CONTAINER_UNKNOWN, 0, 0 },
                { "{\"StartedAt\":\"yesterday\"}", CONTAINER_UNKNOWN, 0, 0 },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct container_info info;
                char json[512];

                snprintf(json, sizeof json, INSPECT("%s", "{\"Labels\":null}"), CASES[i].json);
                assert_int_equal(wire_decode_container(json, strlen(json), &info), 0);
                assert_int_equal(info.status, CASES[i].status);
                assert_int_equal(info.pid, CASES[i].pid);
                assert_int_equal(info.started_wall_ms, CASES[i].started_wall_ms);
                assert_int_equal(info.n_labels, 0);
                container_info_release(&info);
        }
}

static void test_hostile_inspects(void **state)
{
        static const char *const CASES[] = {
                "null",
                "[]",
                "{}",
                "{\"Id\":\"" ID "\"}",
                INSPECT("[]", "{}"),
                INSPECT("{}", "null"),
                INSPECT("{}", "{\"Labels\":[\"a\"]}"),
                INSPECT("{}", "{\"Labels\":\"a\"}"),
                INSPECT("{}", "{\"Labels\":{\"a\":1}}"),
                INSPECT("{}", "{\"Labels\":{\"a\":\"1\",\"b\":{}}}"),
                "{\"Id\":\"zz\",\"State\":{},\"Config\":{}}",
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct container_info info = { .pid = 77 };

                assert_int_equal(wire_decode_container(CASES[i], strlen(CASES[i]), &info), -EBADMSG);
                assert_int_equal(info.pid, 77);
        }
}

static void test_names(void **state)
{
        static const struct {
                const char *names;
                const char *name;
        } CASES[] = {
                { "[\"/carrel-a\"]", "carrel-a" },
                { "[\"/other/alias\",\"/carrel-a\"]", "carrel-a" },
                { "[\"/carrel-a\",\"/second\"]", "carrel-a" },
                { "[]", "" },
                { "null", "" },
                { "[7]", "" },
                { "[\"/a b\"]", "" },
                { "[\"/\\u001b[31m\"]", "" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct container_info *infos;
                size_t count;
                char json[512];

                snprintf(json, sizeof json,
                         "[{\"Id\":\"" ID "\",\"Names\":%s,\"State\":\"running\",\"Labels\":{\"k\":\"v\"}}]",
                         CASES[i].names);
                assert_int_equal(wire_decode_list(json, strlen(json), &infos, &count), 0);
                assert_int_equal(count, 1);
                assert_string_equal(infos[0].name, CASES[i].name);
                assert_string_equal(container_label(&infos[0], "k"), "v");
                assert_int_equal(infos[0].status, CONTAINER_RUNNING);
                container_infos_free(infos, count);
        }
}

static void test_lists(void **state)
{
        static const char BAD[] = "[{\"Id\":\"" ID "\",\"Labels\":{\"a\":\"b\"}},{\"Id\":7}]";
        struct container_info *infos = NULL;
        size_t count = 5;

        assert_int_equal(wire_decode_list(BAD, strlen(BAD), &infos, &count), -EBADMSG);
        assert_null(infos);
        assert_int_equal(count, 5);
        assert_int_equal(wire_decode_list("{}", 2, &infos, &count), -EBADMSG);
        assert_int_equal(wire_decode_list("[]", 2, &infos, &count), 0);
        assert_int_equal(count, 0);
        container_infos_free(infos, count);
}

static void test_exec_status(void **state)
{
        static const struct {
                const char *json;
                int result;
                bool is_running;
                int exit_code;
        } CASES[] = {
                { "{\"Running\":false,\"ExitCode\":3,\"Pid\":9}", 0, false, 3 },
                { "{\"Running\":true,\"ExitCode\":null,\"Pid\":9}", 0, true, -1 },
                { "{\"Running\":false,\"ExitCode\":null}", 0, true, -1 }, /* its end is not known */
                { "{\"Running\":\"no\",\"ExitCode\":0}", -EBADMSG, false, 0 },
                { "{}", -EBADMSG, false, 0 },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct exec_status status;

                assert_int_equal(wire_decode_exec(CASES[i].json, strlen(CASES[i].json), &status), CASES[i].result);
                if (CASES[i].result < 0)
                        continue;
                assert_int_equal(status.is_running, CASES[i].is_running);
                assert_int_equal(status.exit_code, CASES[i].exit_code);
        }
}

static void test_images_and_versions(void **state)
{
        static const char IMAGE[] = "{\"Id\":\"sha256:" ID "\",\"RepoTags\":[\"a:b\",\"c:d\"]}";
        static const char BARE[] = "{\"Id\":\"sha256:" ID "\",\"RepoTags\":[]}";
        static const char VERSION[] = "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}";
        static const char LONG[] = "{\"Version\":\"20\",\"ApiVersion\":\"1.41111111111111111111111\"}";
        struct image_info image;
        struct engine_about about = { 0 };
        char min[16];

        assert_int_equal(wire_decode_image(IMAGE, strlen(IMAGE), &image), 0);
        assert_string_equal(image.id, "sha256:" ID);
        assert_string_equal(image.reference, "a:b");
        assert_int_equal(wire_decode_image(BARE, strlen(BARE), &image), 0);
        assert_string_equal(image.reference, "");
        assert_int_equal(wire_decode_image("{}", 2, &image), -EBADMSG);
        assert_int_equal(wire_decode_version(VERSION, strlen(VERSION), &about, min), 0);
        assert_string_equal(about.api_version, "1.41");
        assert_string_equal(min, "1.12");
        assert_int_equal(wire_decode_version(LONG, strlen(LONG), &about, min), -EBADMSG);
        assert_string_equal(about.version, "20.10.24");
}

static void test_messages(void **state)
{
        static const struct {
                const char *answer;
                const char *text;
        } CASES[] = {
                { "{\"message\":\"No such container: x\"}", "No such container: x" },
                { "plain words\r\n", "plain words" },
                { "", "" },
                { "{\"message\":\"a\\nb\\u001b[31m\"}", "a?b?[31m" },
                { "{\"message\":5}", "{\"message\":5}" },
                { "0123456789012345678901234567890123456789", "0123456789012345678901234567890" },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                char text[32];

                wire_decode_message(CASES[i].answer, strlen(CASES[i].answer), text, sizeof text);
                assert_string_equal(text, CASES[i].text);
        }
}

static void test_progress(void **state)
{
        static const char *const LINES[] = {
                "{\"stream\":\"Step 1/2\\n\"}",
                "{\"stream\":\"Loaded image: carrel-sandbox:latest\\n\"}",
                "{\"errorDetail\":{\"message\":\"x\"},\"error\":\"no space left\"}",
        };
        struct wire_progress progress = { 0 };

        for (size_t i = 0; i < 3; i++)
                assert_int_equal(wire_decode_progress(LINES[i], strlen(LINES[i]), &progress), 0);
        assert_string_equal(progress.reference, "carrel-sandbox:latest");
        assert_string_equal(progress.error, "no space left");
        assert_int_equal(wire_decode_progress("7", 1, &progress), -EBADMSG);
        static const char NAMELESS[] = "{\"stream\":\"Loaded image ID: sha256:" ID "\\n\"}";
        assert_int_equal(wire_decode_progress(NAMELESS, strlen(NAMELESS), &progress), 0);
        assert_string_equal(progress.reference, "sha256:" ID);
}

static void test_images(void **state)
{
        static const char JSON[] =
                "[{\"Id\":\"sha256:" ID "\",\"RepoTags\":[\"a:1\",\"b/c:2\"],\"Size\":7,\"Created\":3},"
                "{\"Id\":\"sha256:" ID "\",\"RepoTags\":null},"
                "{\"Id\":\"sha256:" ID "\",\"RepoTags\":[\"<none>:<none>\",7,\"\\u001b\"]},"
                "{\"RepoTags\":[\"d:1\"]},7]";
        struct image_info *images;
        size_t count;

        assert_int_equal(wire_decode_images(JSON, strlen(JSON), &images, &count), 0);
        assert_int_equal(count, 2);
        assert_string_equal(images[0].reference, "a:1");
        assert_string_equal(images[1].reference, "b/c:2");
        assert_string_equal(images[1].id, "sha256:" ID);
        assert_int_equal(images[0].bytes, 7);
        assert_int_equal(images[0].created_wall_ms, 3000);
        free(images);
        assert_int_equal(wire_decode_images("{}", 2, &images, &count), -EBADMSG);
}

#define EVENT(type, action, attributes)                                                                                \
        "{\"Type\":\"" type "\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" ID "\",\"Attributes\":{" attributes    \
        "}}}"

static void test_events(void **state)
{
        static const struct {
                const char *json;
                int result;
                enum engine_event_kind kind;
                const char *exec_id;
                int exit_code;
        } CASES[] = {
                { EVENT("container", "start", ""), 0, ENGINE_CONTAINER_STARTED, "", 0 },
                { EVENT("container", "die", "\"exitCode\":\"137\""), 0, ENGINE_CONTAINER_DIED, "", 137 },
                { EVENT("container", "die", "\"exitCode\":\"-1\""), 0, ENGINE_CONTAINER_DIED, "", 0 },
                { EVENT("container", "destroy", ""), 0, ENGINE_CONTAINER_REMOVED, "", 0 },
                { EVENT("container", "remove", ""), 0, ENGINE_CONTAINER_REMOVED, "", 0 },
                { EVENT("container", "oom", ""), 0, ENGINE_CONTAINER_OOM, "", 0 },
                { EVENT("container", "exec_die", "\"execID\":\"" ID "\",\"exitCode\":\"5\""), 0, ENGINE_EXEC_DIED, ID,
                  5 },
                { EVENT("container", "exec_die", "\"exitCode\":\"5\""), -EBADMSG, 0, NULL, 0 },
                { EVENT("container", "exec_start: sh", ""), -ENOENT, 0, NULL, 0 },
                { EVENT("network", "destroy", ""), -ENOENT, 0, NULL, 0 },
                { "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"../x\"}}", -EBADMSG, 0, NULL, 0 },
                { "{\"Type\":\"container\",\"Action\":\"die\"}", -EBADMSG, 0, NULL, 0 },
                { "{}", -EBADMSG, 0, NULL, 0 },
                { "", -EBADMSG, 0, NULL, 0 },
        };

        for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
                struct wire_event event;

                assert_int_equal(wire_decode_event(CASES[i].json, strlen(CASES[i].json), &event), CASES[i].result);
                if (CASES[i].result < 0)
                        continue;
                assert_int_equal(event.event.kind, CASES[i].kind);
                assert_string_equal(event.event.id, ID);
                assert_string_equal(event.event.exec_id, CASES[i].exec_id);
                assert_int_equal(event.event.exit_code, CASES[i].exit_code);
        }
}

/* --- the multiplexed stream ------------------------------------------------------------------------------------------
 */

struct collector {
        struct buffer streams[3];
};

static void collect(void *arg, int stream, const void *bytes, size_t length)
{
        struct collector *collector = arg;

        assert_in_range(stream, 1, 2);
        buffer_append(&collector->streams[stream], bytes, length);
}

static void collector_release(struct collector *collector)
{
        buffer_free(&collector->streams[1]);
        buffer_free(&collector->streams[2]);
}

/* Cut into three at every pair of places. */
static void test_stream_split_everywhere(void **state)
{
        static const char BYTES[] = "\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\3err\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1!";
        const size_t length = sizeof BYTES - 1;

        for (size_t first = 0; first <= length; first++) {
                for (size_t second = first; second <= length; second++) {
                        struct wire_stream stream = { 0 };
                        struct collector collector = { 0 };

                        assert_int_equal(wire_stream_feed(&stream, BYTES, first, collect, &collector), 0);
                        assert_int_equal(wire_stream_feed(&stream, BYTES + first, second - first, collect, &collector),
                                         0);
                        assert_int_equal(
                                wire_stream_feed(&stream, BYTES + second, length - second, collect, &collector), 0);
                        assert_string_equal(collector.streams[1].data, "hello!");
                        assert_string_equal(collector.streams[2].data, "err");
                        collector_release(&collector);
                }
        }
}

static void test_stream_garbled(void **state)
{
        static const char *const CASES[] = { "\0\0\0\0\0\0\0\1x", "\3\0\0\0\0\0\0\1x", "HTTP/1.1 200 OK" };

        for (size_t i = 0; i < 3; i++) {
                struct wire_stream stream = { 0 };
                struct collector collector = { 0 };

                assert_int_equal(wire_stream_feed(&stream, CASES[i], 9, collect, &collector), -EBADMSG);
                assert_int_equal(collector.streams[1].length + collector.streams[2].length, 0);
                collector_release(&collector);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids),
                cmocka_unit_test(test_inspect),
                cmocka_unit_test(test_inspect_states),
                cmocka_unit_test(test_hostile_inspects),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_exec_status),
                cmocka_unit_test(test_images_and_versions),
                cmocka_unit_test(test_messages),
                cmocka_unit_test(test_progress),
                cmocka_unit_test(test_images),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_stream_split_everywhere),
                cmocka_unit_test(test_stream_garbled),
        };

        return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
