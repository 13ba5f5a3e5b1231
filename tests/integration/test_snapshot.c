/* Snapshots, restores and forks of users' files: whole or not at all. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

#define SNAPSHOTS "/v1/carrels/ada/snapshots"
#define COPIES CARREL_USERS "/.carrel-snapshots"

static const char *const SETTINGS[] = { "CARREL_STARTUP=adopt", "CARREL_SNAPSHOTS_MAX=2", NULL };

static void run_in(const char *user, const char *script, const char *expected)
{
        char text[64];

        carreld_must_ensure(user);
        carreld_must_exec(user, script, text, sizeof text);
        assert_string_equal(text, expected);
}

static void ask(const char *method, const char *path, const char *body, int status)
{
        request_expect(CARREL_SOCKET, method, path, body, status);
}

static void erase(const char *user)
{
        char path[64];

        snprintf(path, sizeof path, "/v1/carrels/%s?files=1", user);
        ask("DELETE", path, NULL, 200);
}

static void files_come_back(void **state)
{
        (void)state;
        run_in("ada", "mkdir d && echo one >d/f && ln d/f g && echo ok", "ok");
        ask("POST", SNAPSHOTS, "{\"name\":\"before\"}", 200);
        run_in("ada", "cat d/f", "one"); /* it is thawed */
        run_in("ada", "echo two >d/f && touch new && echo ok", "ok");
        ask("POST", SNAPSHOTS "/before/restore", NULL, 200);
        assert_true(carreld_has_state("ada", ""));
        run_in("ada", "cat d/f g && ls -A | wc -l && stat -c %h g", "one\none\n2\n2");
        ask("POST", SNAPSHOTS "/before/restore", NULL, 200); /* it is still there */
        ask("GET", SNAPSHOTS "/before", NULL, 200);
        ask("DELETE", SNAPSHOTS "/before", NULL, 200);
        ask("GET", SNAPSHOTS "/before", NULL, 404);
        ask("DELETE", "/v1/carrels/ada", NULL, 404);
        ask("POST", SNAPSHOTS, "{\"name\":\"without\"}", 200); /* without a carrel */
        erase("ada");
        ask("GET", SNAPSHOTS "/without", NULL, 404);
        suite_end();
}

static void forks_are_apart(void **state)
{
        (void)state;
        run_in("ada", "echo one >f && echo ok", "ok");
        ask("POST", "/v1/carrels/ada/fork", "{\"to\":\"bob\"}", 200);
        run_in("bob", "cat f && echo two >f", "one");
        run_in("ada", "cat f", "one");
        ask("POST", "/v1/carrels/ada/fork", "{\"to\":\"bob\"}", 409);
        run_in("bob", "cat f", "two");
        ask("POST", "/v1/carrels/nobody/fork", "{\"to\":\"carl\"}", 404);
        ask("POST", "/v1/carrels/ada/fork", "{\"to\":\"../x\"}", 400);
        ask("POST", "/v1/carrels/ada/fork", "{}", 400);
        erase("ada");
        erase("bob");
        suite_end();
}

static void bad_requests_are_refused(void **state)
{
        static const char *const NAMES[] = { "", ".x", "a/b", "..", "a b" };
        struct volley *busy = volley_new(CARREL_SOCKET, 1);

        (void)state;
        ask("POST", "/v1/carrels/nobody/snapshots", "{\"name\":\"x\"}", 404);
        run_in("ada", "echo one >f && echo ok", "ok");
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
                char body[32];

                snprintf(body, sizeof body, "{\"name\":\"%s\"}", NAMES[i]);
                ask("POST", SNAPSHOTS, body, 400);
        }
        ask("POST", SNAPSHOTS, "{\"name\":\"a\"}", 200);
        ask("POST", SNAPSHOTS, "{\"name\":\"a\"}", 409);
        ask("POST", SNAPSHOTS, "{\"name\":\"b\"}", 200);
        ask("POST", SNAPSHOTS, "{\"name\":\"c\"}", 507); /* snapshots_max */
        ask("DELETE", SNAPSHOTS "/b", NULL, 200);
        ask("DELETE", SNAPSHOTS "/b", NULL, 404);
        volley_add(busy, "POST", "/v1/carrels/ada/exec", "{\"argv\":[\"sleep\",\"600\"]}");
        assert_int_equal(volley_run(busy, 0.2), 1);
        ask("POST", SNAPSHOTS, "{\"name\":\"b\"}", 409);
        ask("POST", SNAPSHOTS "/a/restore", NULL, 409);
        ask("DELETE", "/v1/carrels/ada", NULL, 200);
        assert_int_equal(volley_run(busy, PATIENCE_S), 0);
        volley_free(busy);
        ask("POST", SNAPSHOTS, "{\"name\":\"b\"}", 200);
        erase("ada");
        suite_end();
}

/* A background program writes the same number to two files, one after the other: in every copy the second is the first
 * or one less. */
static void a_writer_is_never_torn(void **state)
{
        char first[32];
        char second[32];

        (void)state;
        run_in("ada",
               "echo 0 >a; echo 0 >b; (i=0; while :; do i=$((i+1)); echo $i >a.n; mv a.n a; echo $i >b.n; mv b.n b; "
               "done) >/dev/null 2>&1 & echo ok",
               "ok");
        for (int i = 0; i < 5; i++) {
                ask("POST", SNAPSHOTS, "{\"name\":\"x\"}", 200);
                MUST_RUN("cp", "-a", COPIES "/ada/x/files", CARREL_USERS "/torn");
                FILE *file = fopen(CARREL_USERS "/torn/a", "re");
                assert_non_null(file);
                assert_non_null(fgets(first, sizeof first, file));
                fclose(file);
                file = fopen(CARREL_USERS "/torn/b", "re");
                assert_non_null(file);
                assert_non_null(fgets(second, sizeof second, file));
                fclose(file);
                assert_in_range(strtol(first, NULL, 10) - strtol(second, NULL, 10), 0, 1);
                assert_true(strtol(second, NULL, 10) > 0 || i == 0);
                MUST_RUN("rm", "-r", CARREL_USERS "/torn");
                ask("DELETE", SNAPSHOTS "/x", NULL, 200);
        }
        erase("ada");
        suite_end();
}

static bool is_tidy(void *arg)
{
        static const char *const PLACES[] = { COPIES, CARREL_USERS "/.carrel-erased" };

        (void)arg;
        for (size_t i = 0; i < 2; i++) {
                DIR *directory = opendir(PLACES[i]);
                const struct dirent *entry;
                bool has_rest = false;

                assert_non_null(directory);
                while ((entry = readdir(directory)) != NULL)
                        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                            (i == 1 || entry->d_name[0] == '.'))
                                has_rest = true;
                closedir(directory);
                if (has_rest)
                        return false;
        }
        return true;
}

/* kill -9 leaves the old or the new, and the carrel serves. */
static void a_killed_copy_leaves_nothing(void **state)
{
        static const struct {
                const char *failpoint, *path, *body, *file;
                int status; /* of the snapshot afterwards */
        } ROWS[] = {
                { "CARREL_FAILPOINT=copy.published.before:kill", SNAPSHOTS, "{\"name\":\"x\"}", "two", 404 },
                { "CARREL_FAILPOINT=copy.published.after:kill", SNAPSHOTS, "{\"name\":\"x\"}", "two", 200 },
                { "CARREL_FAILPOINT=copy.published.before:kill", SNAPSHOTS "/old/restore", NULL, "two", 404 },
                { "CARREL_FAILPOINT=restore.published.after:kill", SNAPSHOTS "/old/restore", NULL, "one", 404 },
                { "CARREL_FAILPOINT=copy.published.before:kill", "/v1/carrels/ada/fork", "{\"to\":\"x\"}", "two", 404 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct answer answer;

                SUITE_START("CARREL_STARTUP=adopt");
                run_in("ada", "echo one >f && echo ok", "ok");
                ask("POST", SNAPSHOTS, "{\"name\":\"old\"}", 200);
                run_in("ada", "echo two >f && echo ok", "ok");
                suite_end();
                SUITE_START("CARREL_STARTUP=adopt", ROWS[i].failpoint);
                answer = carreld_request("POST", ROWS[i].path, ROWS[i].body, PATIENCE_S);
                if (answer.status != 0 || !carreld_await_death(carreld, PATIENCE_S))
                        fail_msg("row %zu: not killed, %d %s", i, answer.status, answer.body);
                answer_release(&answer);
                carreld = carreld_kill(carreld);
                SUITE_START("CARREL_STARTUP=adopt");
                run_in("ada", "cat f", ROWS[i].file);
                ask("GET", SNAPSHOTS "/x", NULL, ROWS[i].status);
                assert_int_equal(access(CARREL_USERS "/x", F_OK), -1);
                assert_true(wait_until(is_tidy, NULL, PATIENCE_S));
                erase("ada");
                suite_end();
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CARRELD(files_come_back),
                WITH_CARRELD(forks_are_apart),
                WITH_CARRELD(bad_requests_are_refused),
                WITH_CARRELD(a_writer_is_never_torn),
                WITH_ENGINE(a_killed_copy_leaves_nothing),
        };

        return suite_run(&(struct suite){
                .name = "snapshot",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
