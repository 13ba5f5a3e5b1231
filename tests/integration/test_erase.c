/* A user's files are removed for good, also after a kill at each step, and nobody else's. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

#define ERASE "/v1/carrels/ada?files=1"
#define FILL "mkdir -p a/b && echo mine >a/b/f && ln -s /etc/passwd l && mkfifo p && chmod 0 a/b && echo ok"
#define ERASE_BOB "/v1/carrels/bob?files=1"
#define ERASED CARREL_USERS "/.carrel-erased"

static const char *const SETTINGS[] = { "CARREL_STARTUP=adopt", NULL };

static void fill(const char *user)
{
        char text[16];

        carreld_must_ensure(user);
        carreld_must_exec(
                user, "mkdir -p a/b && echo mine >a/b/f && ln -s /etc/passwd l && mkfifo p && chmod 0 a/b && echo ok",
                text, sizeof text);
        assert_string_equal(text, "ok");
}

static unsigned count_entries(const char *path)
{
        DIR *directory = opendir(path);
        const struct dirent *entry;
        unsigned n = 0;

        assert_non_null(directory);
        while ((entry = readdir(directory)) != NULL)
                n += entry->d_name[0] != '.';
        closedir(directory);
        return n;
}

static bool is_all_erased(void *arg)
{
        (void)arg;
        return count_entries(ERASED) == 0;
}

static void expect_only_bob(void)
{
        char text[16];

        assert_int_equal(access(CARREL_USERS "/ada", F_OK), -1);
        carreld_must_exec("bob", "chmod 700 a/b && cat a/b/f", text, sizeof text);
        assert_string_equal(text, "mine");
}

static void files_and_carrel_are_removed(void **state)
{
        struct answer answer;
        char text[16];

        (void)state;
        fill("ada");
        fill("bob");
        answer = carreld_request("DELETE", ERASE, NULL, PATIENCE_S);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer_text(&answer, "outcome"), "erased");
        assert_true(answer_number(&answer, "files") == 5);
        answer_release(&answer);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        assert_int_equal(count_entries(ERASED), 0);
        expect_only_bob();
        request_expect(CARREL_SOCKET, "DELETE", ERASE, NULL, 404);
        carreld_must_ensure("ada"); /* a new directory */
        carreld_must_exec("ada", "ls -A | wc -l", text, sizeof text);
        assert_string_equal(text, "0");
        /* Without a carrel, too. */
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        assert_int_equal(access(CARREL_USERS "/ada", F_OK), 0);
        request_expect(CARREL_SOCKET, "DELETE", ERASE, NULL, 200);
        assert_int_equal(access(CARREL_USERS "/ada", F_OK), -1);
        request_expect(CARREL_SOCKET, "DELETE", ERASE_BOB, NULL, 200);
        suite_end();
}

static void other_directories_are_refused(void **state)
{
        (void)state;
        MUST_RUN("mkdir", "-p", CARREL_USERS "/roots/d");
        assert_int_equal(symlink("/etc", CARREL_USERS "/link"), 0);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/roots?files=1", NULL, 500);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/link?files=1", NULL, 500);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada?files=2", NULL, 400);
        assert_int_equal(access(CARREL_USERS "/roots/d", F_OK), 0);
        assert_int_equal(access("/etc/passwd", F_OK), 0);
        MUST_RUN("rm", "-r", CARREL_USERS "/roots");
        MUST_RUN("rm", CARREL_USERS "/link");
        suite_end();
}

/* An exec that runs ends, and ensures that come meanwhile get an empty directory. */
static void programs_end_and_waiting_ensures_start_afresh(void **state)
{
        struct volley *busy = volley_new(CARREL_SOCKET, 1);
        struct volley *volley = volley_new(CARREL_SOCKET, 2);
        char text[16];

        (void)state;
        fill("ada");
        volley_add(busy, "POST", "/v1/carrels/ada/exec", "{\"argv\":[\"sleep\",\"600\"]}");
        assert_int_equal(volley_run(busy, 0.2), 1);
        volley_add(volley, "DELETE", ERASE, NULL);
        volley_add(volley, "PUT", "/v1/carrels/ada", "{}");
        assert_int_equal(volley_run(volley, PATIENCE_S), 0);
        assert_int_equal(volley_run(busy, PATIENCE_S), 0);
        assert_string_equal(answer_text(volley_answer(busy, 0), "cause"), "carrel_lost");
        assert_int_equal(volley_answer(volley, 0)->status, 200);
        assert_int_equal(volley_answer(volley, 1)->status, 200);
        volley_free(volley);
        volley_free(busy);
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "ls -A | wc -l", text, sizeof text);
        assert_string_equal(text, "0");
        suite_end();
}

/* Before the step the files are whole, after it they go at the next start. */
static void a_killed_carreld_goes_on(void **state)
{
        static const struct {
                const char *failpoint;
                bool is_moved;
        } ROWS[] = {
                { "CARREL_FAILPOINT=retire.remove.before:kill", false },
                { "CARREL_FAILPOINT=erase.moved.before:kill", false },
                { "CARREL_FAILPOINT=erase.moved.after:kill", true },
                { "CARREL_FAILPOINT=erase.cleared.before:kill", true },
        };

        (void)state;
        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct answer answer;

                SUITE_START("CARREL_STARTUP=adopt", ROWS[i].failpoint);
                fill("ada");
                fill("bob");
                answer = carreld_request("DELETE", ERASE, NULL, PATIENCE_S);
                if (answer.status != 0 || !carreld_await_death(carreld, PATIENCE_S))
                        fail_msg("%s: not killed, %d %s", ROWS[i].failpoint, answer.status, answer.body);
                answer_release(&answer);
                carreld = carreld_kill(carreld);
                assert_int_equal(access(CARREL_USERS "/ada", F_OK), ROWS[i].is_moved ? -1 : 0);
                SUITE_START("CARREL_STARTUP=adopt");
                carreld_must_ensure("bob");
                if (!ROWS[i].is_moved)
                        request_expect(CARREL_SOCKET, "DELETE", ERASE, NULL, 200);
                assert_true(wait_until(is_all_erased, NULL, PATIENCE_S));
                expect_only_bob();
                request_expect(CARREL_SOCKET, "DELETE", ERASE_BOB, NULL, 200);
                suite_end();
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CARRELD(files_and_carrel_are_removed),
                WITH_CARRELD(other_directories_are_refused),
                WITH_CARRELD(programs_end_and_waiting_ensures_start_afresh),
                WITH_ENGINE(a_killed_carreld_goes_on),
        };

        return suite_run(&(struct suite){
                .name = "erase",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
