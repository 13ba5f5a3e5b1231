/* Programs in carrels, by the agent: how each ends, what is left of it, and what a carreld that dies does not lose. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "enclosure.h"
#include "suite.h"

enum { SHORT_EXECS = 10000, SHORT_CONNECTIONS = 8, BODY_BYTES = 1024, PATH_BYTES = 256 };

static const char *const SETTINGS[] = { "CARREL_MEMORY=64m",
                                        "CARREL_TMP_SIZE=1m",
                                        "CARREL_PIDS=64",
                                        "CARREL_STARTUP=adopt",
                                        "CARREL_MAX_EXECS=40",
                                        "CARREL_IDLE_TTL_S=10000",
                                        NULL };

static int begin_with_ada(void **state)
{
        (void)state;
        suite_start(SETTINGS);
        carreld_must_ensure("ada");
        return 0;
}

/* The next test begins without a carrel. */
static void end_with_ada(void)
{
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        suite_end();
}

static void expect_text(const struct answer *answer, const char *path, const char *expected)
{
        if (strcmp(answer_text(answer, path), expected) != 0)
                fail_msg("%s is not %s: %d %s", path, expected, answer->status, answer->body);
}

/* How many processes run in the user's carrel beside its init and whoever counts. */
static int processes_inside(const char *user)
{
        char text[64];

        carreld_must_exec(user, "set -- /proc/[0-9]*; echo $#", text, sizeof text);
        return atoi(text) - 2; /* init, sh */
}

static bool is_empty(void *arg)
{
        return processes_inside(arg) == 0;
}

/* ---- how they end ---- */

static void each_ends_with_its_cause(void **state)
{
        static const struct {
                const char *script, *cause;
                double timeout_s;
                int exit_code; /* -1: any */
        } CASES[] = {
                { "exit 7", "exit", 20, 7 },
                { "kill -TERM $$", "signal", 20, 143 },
                { "exit 143", "exit", 20, 143 },
                { "sleep 100", "timeout", 0.3, 124 },
                { "trap '' TERM; while :; do sleep 1; done", "timeout", 0.3, 124 },
                { "kill -STOP $$", "timeout", 0.3, 124 },
                { "setsid sh -c 'trap \"\" TERM HUP; sleep 1000 & sleep 1000' </dev/null >/dev/null 2>&1 & sleep 1000",
                  "timeout", 0.3, 124 },
                { "(setsid sleep 1000 >/dev/null 2>&1 </dev/null &); exec >/dev/null 2>&1 </dev/null; sleep 1000",
                  "timeout", 0.3, 124 },
                { "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", "timeout", 0.5, 124 },
                { "x=y; while :; do x=$x$x; done", "oom", 20, 137 },
                { "f() { f & f & wait; }; f; exit 3", "pids", 20, -1 },
        };

        static char user[] = "ada";

        (void)state;
        carreld_must_ensure("bob");
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct answer answer = carreld_exec("ada", CASES[i].script, CASES[i].timeout_s);
                char text[16];

                if (answer.status != 200 || strcmp(answer_text(&answer, "cause"), CASES[i].cause) != 0 ||
                    (CASES[i].exit_code >= 0 && answer_number(&answer, "exit_code") != CASES[i].exit_code))
                        fail_msg("%s: %d %.300s", CASES[i].script, answer.status, answer.body);
                answer_release(&answer);
                carreld_must_exec("bob", "echo here", text, sizeof text); /* a neighbour answers */
                assert_string_equal(text, "here");
                if (!wait_until(is_empty, user, 10.0))
                        fail_msg("%s has left something running", CASES[i].script);
        }
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bob", NULL, 200);
        end_with_ada();
}

static void what_cannot_run_says_why(void **state)
{
        static const struct {
                const char *body;
                int exit_code;
                const char *said;
        } CASES[] = {
                { "{\"argv\":[\"no-such-program\"]}", 127, "No such file" },
                { "{\"argv\":[\"/no/such/program\"]}", 127, "No such file" },
                { "{\"argv\":[\"/etc\"]}", 126, "Permission denied" },
                { "{\"argv\":[\"true\"],\"cwd\":\"/no/such\"}", 126, "working directory" },
                { "{\"argv\":[\"sh\",\"-c\",\"exit 126\"]}", 126, "" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct answer answer = request(CARREL_SOCKET, "POST", "/v1/carrels/ada/exec", CASES[i].body);

                expect_text(&answer, "cause", "exit");
                assert_int_equal((int)answer_number(&answer, "exit_code"), CASES[i].exit_code);
                if (strstr(answer_text(&answer, "stderr"), CASES[i].said) == NULL)
                        fail_msg("%s: %s", CASES[i].body, answer.body);
                answer_release(&answer);
        }
        end_with_ada();
}

/* ---- the environment ---- */

static void each_knows_its_user_and_itself(void **state)
{
        static const char *const USERS[] = { "ada", "bob" };

        (void)state;
        carreld_must_ensure("bob");
        for (size_t i = 0; i < 2; i++) {
                char path[64], expected[256], body[256];
                struct answer answer;

                snprintf(path, sizeof path, "/v1/carrels/%s/exec", USERS[i]);
                snprintf(body, sizeof body,
                         "{\"argv\":[\"sh\",\"-c\",\"echo $HOME $USER $LOGNAME $TMPDIR $CARREL_USER $CARREL_EXEC_ID; "
                         "echo $PATH; pwd\"],\"exec_id\":\"own-%s\"}",
                         USERS[i]);
                answer = request(CARREL_SOCKET, "POST", path, body);
                snprintf(expected, sizeof expected,
                         "/workspace user user /tmp %s own-%s\n/workspace/.local/bin:/bin\n/workspace\n", USERS[i],
                         USERS[i]);
                expect_text(&answer, "stdout", expected);
                answer_release(&answer);
                answer = request(CARREL_SOCKET, "POST", path, "{\"argv\":[\"sh\",\"-c\",\"echo $CARREL_EXEC_ID\"]}");
                snprintf(expected, sizeof expected, "%s\n", answer_text(&answer, "exec_id"));
                expect_text(&answer, "stdout", expected);
                answer_release(&answer);
                answer =
                        request(CARREL_SOCKET, "POST", path,
                                "{\"argv\":[\"/bin/sh\",\"-c\",\"echo $HOME $USER $PATH $CARREL_USER\"],"
                                "\"env\":{\"HOME\":\"/tmp\",\"USER\":\"me\",\"PATH\":\"/x\",\"CARREL_USER\":\"eve\"}}");
                expect_text(&answer, "stdout", "/tmp me /x eve\n");
                answer_release(&answer);
        }
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/bob", NULL, 200);
        end_with_ada();
}

/* Reads a file of /proc of the user's init; its NULs become newlines. */
static void read_of_init(const char *user, const char *name, char *ret_text, size_t size)
{
        char path[64], container[64];
        FILE *file;
        size_t length;

        snprintf(container, sizeof container, CARREL_PREFIX "%s", user);
        snprintf(path, sizeof path, "/proc/%d/%s", engine_pid(container), name);
        file = fopen(path, "re");
        assert_non_null(file);
        length = fread(ret_text, 1, size - 1, file);
        fclose(file);
        assert_in_range(length, 1, size - 2);
        for (size_t i = 0; i < length; i++)
                if (ret_text[i] == '\0')
                        ret_text[i] = '\n';
        ret_text[length] = '\0';
}

/* A container may be given to a user after its start. */
static void init_knows_no_user(void **state)
{
        static const char *const MOUNTS[] = { " /.carrel/home ", " /etc/passwd ", " /etc/resolv.conf " };
        static char text[65536];

        (void)state;
        carreld_must_ensure("someone");
        read_of_init("someone", "environ", text, sizeof text);
        assert_non_null(strstr(text, "PATH="));
        assert_null(strstr(text, "someone"));
        assert_null(strstr(text, "USER="));
        read_of_init("someone", "mountinfo", text, sizeof text);
        assert_non_null(strstr(text, "someone /workspace ")); /* the user's directory itself */
        for (size_t i = 0; i < sizeof MOUNTS / sizeof *MOUNTS; i++) {
                char *end = strstr(text, MOUNTS[i]);
                char *line = end;

                assert_non_null(end);
                while (line > text && line[-1] != '\n')
                        line--;
                *end = '\0';
                if (strstr(line, "someone") != NULL)
                        fail_msg("%s", line);
                *end = ' ';
        }
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/someone", NULL, 200);
        end_with_ada();
}

/* Mounts a tmpfs on /workspace inside, or removes it. */
static void cover_workspace(const char *user, bool is_covered)
{
        char path[64], container[64];
        pid_t child;
        int status;
        int fd;

        snprintf(container, sizeof container, CARREL_PREFIX "%s", user);
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", engine_pid(container));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_return_code(fd, errno);
        child = fork();
        if (child == 0) {
                if (setns(fd, CLONE_NEWNS) != 0 ||
                    (is_covered ? mount("none", "/workspace", "tmpfs", 0, "mode=0777") : umount("/workspace")) != 0)
                        _exit(errno);
                _exit(0);
        }
        close(fd);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

/* Init has started before the user's directory is mounted. */
static void the_default_directory_is_looked_up_by_each(void **state)
{
        char text[64];

        (void)state;
        carreld_must_exec("ada", "touch below; ls -d below", text, sizeof text);
        assert_string_equal(text, "below");
        cover_workspace("ada", true);
        carreld_must_exec("ada", "touch above; pwd; ls", text, sizeof text);
        assert_string_equal(text, "/workspace\nabove");
        cover_workspace("ada", false);
        carreld_must_exec("ada", "ls -d below above 2>/dev/null; rm below", text, sizeof text);
        assert_string_equal(text, "below");
        end_with_ada();
}

/* ---- output ---- */

static void output_is_whole_whoever_holds_it(void **state)
{
        char text[128];
        double began_s = now_s();
        struct answer answer;

        (void)state;
        /* A background child that holds the streams open delays nothing, and lives on. */
        carreld_must_exec("ada", "sleep 1000 & echo whole", text, sizeof text);
        assert_string_equal(text, "whole");
        assert_true(now_s() - began_s < 60.0);
        assert_int_equal(processes_inside("ada"), 1);
        answer = carreld_exec("ada", "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2", 60.0);
        assert_int_equal(answer.status, 200);
        expect_text(&answer, "stderr", "end\n");
        answer_release(&answer);
        end_with_ada();
}

static size_t count_groups(void)
{
        static struct output output;

        RUN(&output, "sh", "-c", "find /sys/fs/cgroup/ -path \"*$1/*\" -type d -name 'carrel-exec-*' | wc -l", "sh",
            enclosure_cgroup());
        return strtoul(output.text, NULL, 10);
}

static bool has_no_group(void *arg)
{
        (void)arg;
        return count_groups() == 0;
}

/* The group of an exec that is over stays with what it left in the background, and no longer, though nobody asks for
 * anything. */
static void a_group_goes_with_its_last_process(void **state)
{
        char text[64];

        (void)state;
        carreld_must_exec("ada", "sleep 1000 & echo $!", text, sizeof text);
        assert_int_equal(count_groups(), 1);
        /* In cgroup v2 a threaded group lists only its threads, and the id of a thread is enough. */
        MUST_RUN("sh", "-c",
                 "kill -9 $(cat $(find /sys/fs/cgroup/ -path \"*$1/*/carrel-exec-*/tasks\" -o "
                 "-path \"*$1/*/carrel-exec-*/cgroup.threads\"))",
                 "sh", enclosure_cgroup());
        assert_true(wait_until(has_no_group, NULL, PATIENCE_S));
        end_with_ada();
}

/* ---- side by side ---- */

static void too_many_wait_and_too_many_waiters_are_refused(void **state)
{
        struct volley *volley = volley_new(CARREL_SOCKET, 4);
        unsigned n_ok = 0, n_refused = 0;

        (void)state;
        carreld = carreld_kill(carreld);
        SUITE_START("CARREL_STARTUP=adopt", "CARREL_MAX_EXECS=2", "CARREL_MAX_QUEUED_EXECS=1", "CARREL_MEMORY=64m",
                    "CARREL_TMP_SIZE=1m", "CARREL_PIDS=64");
        carreld_must_ensure("ada");
        for (int i = 0; i < 4; i++)
                volley_add(volley, "POST", "/v1/carrels/ada/exec", "{\"argv\":[\"sleep\",\"1\"]}");
        assert_int_equal(volley_run(volley, 60.0), 0);
        for (size_t i = 0; i < 4; i++) {
                n_ok += volley_answer(volley, i)->status == 200;
                n_refused += volley_answer(volley, i)->status == 429;
        }
        assert_int_equal(n_ok, 3);
        assert_int_equal(n_refused, 1);
        volley_free(volley);
        end_with_ada();
}

/* ---- nothing is left ---- */

static unsigned count_entries(const char *path, const char *prefix)
{
        DIR *directory = opendir(path);
        unsigned count = 0;

        assert_non_null(directory);
        for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
                count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
        closedir(directory);
        return count;
}

static unsigned descriptors(void)
{
        char path[PATH_BYTES];

        snprintf(path, sizeof path, "/proc/%d/fd", (int)carreld_pid(carreld));
        return count_entries(path, "");
}

/* A few more or fewer connections are not those of the execs. */
enum { CONNECTIONS_SLACK = 4 };

static bool are_as_few(void *arg)
{
        return descriptors() <= *(unsigned *)arg + CONNECTIONS_SLACK;
}

static void many_short_ones_leave_nothing(void **state)
{
        struct volley *volley = volley_new(CARREL_SOCKET, SHORT_CONNECTIONS);
        struct answer answer;
        unsigned before;

        (void)state;
        assert_int_equal(processes_inside("ada"), 0);
        before = descriptors();
        for (unsigned i = 0; i < SHORT_EXECS; i++)
                volley_add(volley, "POST", "/v1/carrels/ada/exec", "{\"argv\":[\"true\"]}");
        assert_int_equal(volley_run(volley, 500.0), 0);
        for (size_t i = 0; i < SHORT_EXECS; i++)
                if (strstr(volley_answer(volley, i)->body, "\"cause\":\"exit\"") == NULL)
                        fail_msg("exec %zu: %d %s", i, volley_answer(volley, i)->status,
                                 volley_answer(volley, i)->body);
        volley_free(volley);
        assert_int_equal(processes_inside("ada"), 0); /* zombies would be among them */
        assert_true(wait_until(are_as_few, &before, 10.0));
        answer = request(CARREL_SOCKET, "GET", "/v1/execs", NULL);
        assert_non_null(strstr(answer.body, "\"execs\":[]"));
        answer_release(&answer);
        end_with_ada();
}

/* ---- what dies under them ---- */

static void an_exec_ends_with_its_carrel(void **state)
{
        struct volley *volley = volley_new(CARREL_SOCKET, 1);
        char text[16];

        (void)state;
        volley_add(volley, "POST", "/v1/carrels/ada/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"touch /tmp/runs; sleep 1000\"]}");
        while (volley_run(volley, 0.05) > 0) {
                struct answer answer = carreld_exec("ada", "test -e /tmp/runs", 20.0);
                bool runs = answer_number(&answer, "exit_code") == 0;

                answer_release(&answer);
                if (runs)
                        break;
        }
        assert_int_equal(kill(engine_pid(CARREL_PREFIX "ada"), SIGKILL), 0);
        assert_int_equal(volley_run(volley, 20.0), 0);
        expect_text(volley_answer(volley, 0), "cause", "carrel_lost");
        volley_free(volley);
        carreld_must_exec("ada", "echo again", text, sizeof text); /* in a new carrel */
        assert_string_equal(text, "again");
        end_with_ada();
}

/* By its cgroup's freezer, as `docker pause` does it. */
static void freeze(bool is_frozen)
{
        char pid[16];

        (void)snprintf(pid, sizeof pid, "%d", engine_pid(CARREL_PREFIX "ada"));
        MUST_RUN(
                "sh", "-c",
                "for f in freezer unified; do g=$(awk -F: -v f=$f '$2 ~ f || (f == \"unified\" && $1 == 0) "
                "{ print $3 }' /proc/$1/cgroup); for d in /sys/fs/cgroup/freezer /sys/fs/cgroup; do "
                "[ -e $d$g/freezer.state ] && [ -n \"$g\" ] && { echo $2 > $d$g/freezer.state; exit; }; "
                "[ -e $d$g/cgroup.freeze ] && [ $f = unified ] && { echo $3 > $d$g/cgroup.freeze; exit; }; done; done; "
                "exit 1",
                "sh", pid, is_frozen ? "FROZEN" : "THAWED", is_frozen ? "1" : "0");
}

/* It is said, costs the carrel nothing, and an exec's deadline waits for the thaw. */
static void a_frozen_carrel_is_not_to_blame(void **state)
{
        struct volley *volley = volley_new(CARREL_SOCKET, 1);
        char container[128], text[64], user[] = "ada";
        struct answer answer = carreld_ensure("ada");

        (void)state;
        (void)snprintf(container, sizeof container, "%s", answer_text(&answer, "container_id"));
        answer_release(&answer);
        volley_add(volley, "POST", "/v1/carrels/ada/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"touch /tmp/runs; sleep 1000\"],\"timeout_s\":2}");
        do {
                (void)volley_run(volley, 0.05);
                carreld_must_exec("ada", "test -e /tmp/runs && echo runs || echo waits", text, sizeof text);
        } while (strcmp(text, "runs") != 0);
        freeze(true);
        assert_int_equal(volley_run(volley, 3.0), 1); /* its deadline stands still */
        answer = carreld_exec("ada", "true", 20.0);
        assert_int_equal(answer.status, 503);
        assert_non_null(strstr(answer.body, "carrel_frozen"));
        answer_release(&answer);
        answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada", NULL);
        assert_non_null(strstr(answer.body, "\"frozen\":true"));
        answer_release(&answer);
        freeze(false);
        assert_int_equal(volley_run(volley, PATIENCE_S), 0);
        expect_text(volley_answer(volley, 0), "cause", "timeout");
        volley_free(volley);
        assert_true(wait_until(is_empty, user, PATIENCE_S));
        /* A new carreld needs the agent, and thaws it. */
        carreld = carreld_kill(carreld);
        freeze(true);
        suite_start(SETTINGS);
        carreld_must_exec("ada", "echo thawed", text, sizeof text);
        assert_string_equal(text, "thawed");
        answer = request(CARREL_SOCKET, "GET", "/v1/carrels/ada", NULL);
        expect_text(&answer, "container_id", container);
        assert_non_null(strstr(answer.body, "\"frozen\":false"));
        answer_release(&answer);
        end_with_ada();
}

/* The agent ends its programs and connects again. Programs that escaped from it are found by their cgroup. Background
 * programs of a finished exec stay. */
static void a_new_carreld_finds_the_agent_and_no_strays(void **state)
{
        struct volley *volley = volley_new(CARREL_SOCKET, 1);
        struct answer answer;
        char text[16], id[80], id_after[80];

        (void)state;
        carreld_must_exec("ada", "sleep 5000 >/dev/null 2>&1 & echo left", text, sizeof text);
        volley_add(volley, "POST", "/v1/carrels/ada/exec",
                   "{\"argv\":[\"sh\",\"-c\",\"(setsid sh -c 'trap \\\"\\\" TERM HUP PIPE; while :; do sleep 1; done' "
                   "&) ; "
                   "touch /tmp/runs; sleep 1000\"]}");
        while (volley_run(volley, 0.05) > 0) {
                bool runs;

                answer = carreld_exec("ada", "test -e /tmp/runs", 20.0);
                runs = answer_number(&answer, "exit_code") == 0;
                answer_release(&answer);
                if (runs)
                        break;
        }
        engine_id(CARREL_PREFIX "ada", id);
        carreld = carreld_kill(carreld);
        volley_free(volley);
        suite_start(SETTINGS);
        answer = carreld_ensure("ada");
        expect_text(&answer, "outcome", "reused");
        expect_text(&answer, "exec", "agent");
        answer_release(&answer);
        engine_id(CARREL_PREFIX "ada", id_after);
        assert_string_equal(id, id_after);
        assert_int_equal(processes_inside("ada"), 1);
        carreld_must_exec("ada", "pidof sleep >/dev/null && echo there", text, sizeof text);
        assert_string_equal(text, "there");
        end_with_ada();
}

static void the_way_home_is_closed(void **state)
{
        char text[64];

        (void)state;
        carreld_must_exec("ada", "find /.carrel/home ! -type d ! -type f | wc -l", text, sizeof text);
        assert_string_equal(text, "0");
        carreld_must_exec("ada", "touch /.carrel/home/x 2>/dev/null || echo refused", text, sizeof text);
        assert_string_equal(text, "refused");
        carreld_must_exec("ada", "ls /proc/1/fd >/dev/null 2>&1 || echo refused", text, sizeof text);
        assert_string_equal(text, "refused");
        end_with_ada();
}

int main(void)
{
#define WITH_ADA(test) cmocka_unit_test_setup_teardown(test, begin_with_ada, suite_end_test)
        const struct CMUnitTest tests[] = {
                WITH_ADA(each_ends_with_its_cause),
                WITH_ADA(what_cannot_run_says_why),
                WITH_ADA(each_knows_its_user_and_itself),
                WITH_ADA(init_knows_no_user),
                WITH_ADA(the_default_directory_is_looked_up_by_each),
                WITH_ADA(output_is_whole_whoever_holds_it),
                WITH_ADA(a_group_goes_with_its_last_process),
                WITH_ADA(too_many_wait_and_too_many_waiters_are_refused),
                WITH_ADA(an_exec_ends_with_its_carrel),
                WITH_ADA(a_frozen_carrel_is_not_to_blame),
                WITH_ADA(a_new_carreld_finds_the_agent_and_no_strays),
                WITH_ADA(the_way_home_is_closed),
                WITH_ADA(many_short_ones_leave_nothing),
        };

        return suite_run(&(struct suite){
                .name = "exec",
                .kind = SUITE_ENGINE,
                SUITE_TESTS(tests),
        });
}
