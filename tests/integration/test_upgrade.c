/* An upgrade is a restart with `startup = adopt`: from the build of tests/previous into this one, with an exec open.
 * Carrels, files and the record of execs of the earlier version stay in use. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "suite.h"

static const char *const SETTINGS[] = { "CARREL_STARTUP=adopt", NULL };
/* The users' files were uid 1000's by default, and are another account's now. */
static const char *const LATER[] = { "CARREL_STARTUP=adopt", "CARREL_UID=61001", "CARREL_GID=61001",
                                     "CARREL_UID_IS_SHARED=no", NULL };

static const char *way; /* of the upgrade: the execs of both have ids of their own */

static int start_previous(void **state)
{
        (void)state;
        carreld = carreld_new_previous(SETTINGS);
        carreld_await_ready(carreld, PATIENCE_S);
        return 0;
}

static void upgrade(bool by_kill)
{
        if (by_kill)
                carreld = carreld_kill(carreld);
        else
                suite_end();
        suite_start(LATER);
}

static void expect_same_carrel(const char *user, const char *id)
{
        struct answer after = carreld_ensure(user);

        assert_string_equal(answer_text(&after, "outcome"), "reused");
        assert_string_equal(answer_text(&after, "container_id"), id);
        assert_string_equal(answer_text(&after, "exec"), "agent");
        assert_string_equal(answer_text(&after, "profile"), ""); /* the earlier version knew none */
        answer_release(&after);
}

static bool runs(void *arg)
{
        struct answer answer = carreld_exec("ada", "test -e /tmp/runs", 20.0);
        bool is_running = answer_number(&answer, "exit_code") == 0;

        (void)arg;
        answer_release(&answer);
        return is_running;
}

/* Everything that a person does with a carrel, in one of the earlier version. */
static void serve_on(void)
{
        char text[64];
        struct answer answer;

        carreld_must_exec("ada", "cat /workspace/note", text, sizeof text);
        assert_string_equal(text, "kept");
        carreld_must_exec("ada", "echo more >>/workspace/note; id -u; cat", text, sizeof text);
        carreld_must_exec("ada", "echo $HOME $USER $CARREL_USER; pwd", text, sizeof text);
        assert_string_equal(text, "/workspace user ada\n/workspace");
        answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada/files/sent", "sent");
        if (answer.status != 200 && answer.status != 201)
                fail_msg("%d %s", answer.status, answer.body);
        answer_release(&answer);
        answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada/files/sent", NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, "sent");
        answer_release(&answer);
        answer = carreld_exec("ada", "sleep 1000", 0.2);
        assert_string_equal(answer_text(&answer, "cause"), "timeout");
        answer_release(&answer);
        answer = carreld_exec("ada", "echo out; echo err >&2; exit 7", 20.0);
        assert_int_equal(answer_number(&answer, "exit_code"), 7);
        assert_non_null(strstr(answer.body, "\"usage\":")); /* null if its agent is too old */
        assert_string_equal(answer_text(&answer, "stdout"), "out\n");
        assert_string_equal(answer_text(&answer, "stderr"), "err\n");
        answer_release(&answer);
}

/* A detached exec with the id "<name>-<way>". */
static struct answer detach(const char *name, const char *script)
{
        char body[256];

        snprintf(body, sizeof body, "{\"argv\":[\"sh\",\"-c\",\"%s\"],\"exec_id\":\"%s-%s\",\"detach\":true}", script,
                 name, way);
        return request(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec", body);
}

static struct answer exec_record(const char *name)
{
        char path[64];

        snprintf(path, sizeof path, "/v1/execs/%s-%s", name, way);
        return request(CARREL_SOCKET, "GET", path, NULL);
}

static void detach_once(void)
{
        struct answer answer = detach("ended", "echo once >>/workspace/count; exit 3");

        if (answer.status < 200 || answer.status >= 300)
                fail_msg("%d %s", answer.status, answer.body);
        answer_release(&answer);
}

static bool has_ended(void *arg)
{
        struct answer answer = exec_record("ended");
        bool is_over = answer_number(&answer, "exit_code") == 3;

        (void)arg;
        answer_release(&answer);
        return is_over;
}

/* One that had ended is still known, and one that was open has one end; neither runs twice. */
static void expect_execs(void)
{
        char text[64];
        struct answer answer;

        detach_once();
        assert_true(has_ended(NULL));
        carreld_must_exec("ada", "cat /workspace/count", text, sizeof text);
        assert_string_equal(text, "once");
        answer = exec_record("open");
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer_text(&answer, "cause"), "carrel_lost");
        answer_release(&answer);
}

static void expect_owner(const char *path, unsigned uid)
{
        struct stat status;

        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_uid, uid);
        assert_int_equal(status.st_gid, uid);
}

static void go_through(bool by_kill)
{
        struct volley *volley = volley_new(CARREL_SOCKET, 1);
        struct answer before = carreld_ensure("ada"), open;
        char text[64];

        way = by_kill ? "kill" : "term";
        carreld_must_ensure("bob");
        carreld_must_exec("ada", "rm -f /workspace/*; echo kept >/workspace/note", text, sizeof text);
        detach_once();
        assert_true(wait_until(has_ended, NULL, PATIENCE_S));
        open = detach("open", "touch /tmp/runs; exec sleep 1000");
        assert_int_equal(open.status, 202);
        answer_release(&open);
        assert_true(wait_until(runs, NULL, PATIENCE_S));
        volley_add(volley, "POST", "/v1/carrels/bob/exec", "{\"argv\":[\"sleep\",\"1000\"]}");
        volley_run(volley, 0.2);

        upgrade(by_kill);
        volley_free(volley);
        expect_same_carrel("ada", answer_text(&before, "container_id"));
        serve_on();
        expect_execs();
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bob", NULL, 200);

        /* It goes as any other, and the next is one of ours, with the same files. */
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        carreld_must_exec("ada", "cat /workspace/note", text, sizeof text);
        assert_string_equal(text, "kept\nmore");
        carreld_must_exec("ada", "echo again >>/workspace/note; cat /workspace/sent", text, sizeof text);
        assert_string_equal(text, "sent");
        assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        expect_owner(CARREL_USERS "/ada", 1000);
        expect_owner(CARREL_USERS "/ada/note", 1000);
        carreld_must_exec("cyd", "touch /workspace/new; id -un", text, sizeof text);
        assert_string_equal(text, "user");
        expect_owner(CARREL_USERS "/cyd/new", 61001);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/cyd", NULL, 200);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        answer_release(&before);
        suite_end();
}

static void a_restart_is_an_upgrade(void **state)
{
        (void)state;
        go_through(false);
}

static void a_crash_is_one_too(void **state)
{
        (void)state;
        go_through(true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_restart_is_an_upgrade, start_previous, suite_end_test),
                cmocka_unit_test_setup_teardown(a_crash_is_one_too, start_previous, suite_end_test),
        };

        return suite_run(&(struct suite){
                .name = "upgrade",
                .kind = SUITE_ENGINE,
                SUITE_TESTS(tests),
        });
}
