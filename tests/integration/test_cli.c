/* The command line by hand, against a real carreld and a real engine, and carreld's own command line. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scripts.h"
#include "suite.h"

enum { ARGUMENTS_MAX = 12 };

/* The resolvers of the machine are outside the enclosure, so that doctor would report that they do not answer. */
static const char *const SETTINGS[] = { "CARREL_DNS=", NULL };

/* Runs carrel with the socket in front of the arguments. */
static void run_carrel(struct output *ret_output, const char *const *arguments)
{
        const char *argv[ARGUMENTS_MAX + 4] = { built_program("cli/carrel"), "--socket", CARREL_SOCKET };

        for (size_t i = 0; arguments[i] != NULL; i++) {
                assert_true(i < ARGUMENTS_MAX);
                argv[3 + i] = arguments[i];
        }
        process_run(ret_output, argv);
}

struct session_line {
        const char *arguments[ARGUMENTS_MAX];
        int status;
        const char *said; /* part of what was printed; NULL: nothing was */
};

static void follow(const struct session_line *lines, size_t n_lines)
{
        static struct output output;

        for (size_t i = 0; i < n_lines; i++) {
                const char *const *arguments = lines[i].arguments;
                bool is_said;

                run_carrel(&output, arguments);
                is_said = lines[i].said != NULL ? strstr(output.text, lines[i].said) != NULL : output.text[0] == '\0';
                if (output.status != lines[i].status || !is_said)
                        fail_msg("carrel %s %s %s: %d, %s", arguments[0], arguments[1] != NULL ? arguments[1] : "",
                                 arguments[1] != NULL && arguments[2] != NULL ? arguments[2] : "", output.status,
                                 output.text);
        }
}

static void a_day_at_the_command_line(void **state)
{
        const struct session_line lines[] = {
                { { "version" }, 0, "0.1.0" },
                { { "info" }, 0, engine_kind() },
                { { "policy" }, 0, "in force" },
                { { "ls", "-q" }, 0, NULL },
                { { "inspect", "ada" }, 1, "ada" },
                { { "ensure", "ada" }, 0, "created" },
                { { "ensure", "ada" }, 0, "reused" },
                { { "ensure", "ada", "--pids", "32", "--on-conflict", "fail" }, 1, "spec" },
                { { "ensure", "ada", "--pids", "32" }, 0, "replaced" },
                { { "-o", "json", "inspect", "ada" }, 0, "\"pids\":" },
                { { "ls" }, 0, "ada" },
                { { "exec", "ada", "--", "echo", "hello there" }, 0, "hello there\n" },
                { { "exec", "ada", "--", "sh", "-c", "echo wrong >&2; exit 7" }, 7, "wrong\n" },
                { { "exec", "ada", "--timeout", "1", "--", "sleep", "20" }, 124, "timeout" },
                { { "exec", "ada", "--", "sh", "-c", "kill -KILL $$" }, 137, "" },
                { { "exec", "ada", "--", "sh", "-c", "/no/such/program" }, 127, "not found" },
                { { "exec", "ada", "-w", "/tmp", "-e", "A=b", "--", "sh", "-c", "pwd; echo $A" }, 0, "/tmp\nb\n" },
                { { "why", "ada" }, 0, "ada" },
                { { "touch", "ada", "--lease", "100" }, 0, "" },
                { { "reap", "--idle", "0" }, 0, "0" },
                { { "touch", "ada", "--lease", "0" }, 2, "--lease" },
                { { "freeze", "ada" }, 1, "leased" },
                { { "thaw", "ada" }, 0, "ready" },
                { { "ps", "-q" }, 0, NULL },
                { { "sweep" }, 0, "1" },
                { { "rm", "ada" }, 0, "removed" },
                { { "rm", "ada" }, 1, "not_found" },
                { { "ls", "-q" }, 0, NULL },
        };

        (void)state;
        follow(lines, sizeof lines / sizeof *lines);
        assert_int_equal(engine_count(LABEL_PRODUCT), 0);
}

static void mistakes_say_what_to_do(void **state)
{
        static const struct session_line lines[] = {
                { { "help" }, 0, "ensure" },
                { { "ensure", "--help" }, 0, "--policy" },
                { { "nonsense" }, 2, "nonsense" },
                { { "lss" }, 2, "carrel ls" },
                { { "rm", "-f", "nobody" }, 0, NULL },
                { { "rm", "nobody", "nemo" }, 1, "nemo: " },
                { { "-V" }, 0, "0.1.0" },
                { { "ensure", "ada", "--memory", "1TB" }, 1, "memory" },
                { { "--socket", "/etc/passwd", "ls" }, 3, "/etc/passwd is not a socket" },
                { { "ensure" }, 2, "carrel ensure --help" },
                { { "ensure", "ada", "--policy", "open" }, 2, "internet" },
                { { "ensure", "../ada" }, 1, "id" },
                { { "ensure", "ada", "--image", "no-such-image:1" }, 1, "no-such-image:1" },
                { { "--socket", "/run/nowhere.sock", "ls" }, 3, "/run/nowhere.sock" },
        };

        (void)state;
        follow(lines, sizeof lines / sizeof *lines);
}

/* An archive and a directory become images, are used, and are kept while they are. */
static void images_come_and_go(void **state)
{
        static const struct session_line LINES[] = {
                { { "image", "ls", "-q" }, 0, SANDBOX_IMAGE "\n" },
                { { "image", "import", "/run/testbed/sent.tar", "team/sent:2" }, 0, "sha256:" },
                { { "image", "ls", "-q" }, 0, "team/sent:2\n" },
                { { "image", "inspect", "team/sent:2" }, 0, "team/sent:2" },
                { { "ensure", "ada", "--image", "team/sent:2" }, 0, "created" },
                { { "exec", "ada", "--", "echo", "from the archive" }, 0, "from the archive\n" },
                { { "rm", "ada" }, 0, "removed" },
                { { "image", "import", "/run/testbed/tree", "tree:1" }, 0, "sha256:" },
                { { "ensure", "ada", "--image", "tree:1" }, 0, "created" },
                { { "exec", "ada", "--", "/bin/busybox", "echo", "from the tree" }, 0, "from the tree\n" },
                { { "image", "rm", "tree:1" }, 1, "image_in_use" },
                { { "rm", "ada" }, 0, "removed" },
                { { "image", "rm", "tree:1", "team/sent:2" }, 0, "removed" },
                { { "image", "rm", "tree:1" }, 1, "image_missing" },
                { { "image", "inspect", "tree:1" }, 1, "image_missing" },
                { { "ensure", "ada", "--image", "tree:1" }, 1, "image_missing" },
                { { "image", "import", "/run/testbed/rubbish.tar", "rubbish:1" }, 1, "carrel: " },
                { { "image", "inspect", "rubbish:1" }, 1, "image_missing" },
                { { "image", "import", "/run/testbed/sent.tar", "../up" }, 1, "request_invalid" },
                { { "image", "import", "/nowhere.tar", "a" }, 1, "/nowhere.tar" },
                { { "image", "sell" }, 2, "build, import, inspect, ls, pull or rm" },
        };
        char recipe[512];

        (void)state;
        (void)snprintf(recipe, sizeof recipe, "%s/image/build-sandbox", getenv("TESTBED_SOURCE_DIR"));
        MUST_RUN(recipe, "/run/testbed/sent.tar", "sent:1");
        MUST_RUN("mkdir", "-p", "/run/testbed/tree/bin", "/run/testbed/tree/proc", "/run/testbed/tree/tmp");
        MUST_RUN("cp", "/bin/busybox", "/run/testbed/tree/bin/busybox");
        MUST_RUN("sh", "-c", "echo this is no archive >/run/testbed/rubbish.tar");
        follow(LINES, sizeof LINES / sizeof *LINES);
}

static void bytes_pass_through_unchanged(void **state)
{
        static struct output output;
        char command[512];

        (void)state;
        snprintf(command, sizeof command,
                 "head -c 300000 /dev/urandom >/run/testbed/bytes && "
                 "%s --socket %s exec -i ada -- cat </run/testbed/bytes | cmp - /run/testbed/bytes",
                 built_program("cli/carrel"), CARREL_SOCKET);
        RUN(&output, "sh", "-c", command);
        if (output.status != 0)
                fail_msg("%s", output.text);
}

static void escapes_do_not_reach_the_terminal(void **state)
{
        static struct output output;
        const char *const arguments[] = { "ensure", "ada\033[31m\nbob", NULL };

        (void)state;
        run_carrel(&output, arguments);
        assert_int_equal(output.status, 1);
        assert_null(strchr(output.text, '\033'));
        assert_true(strchr(output.text, '\n') == NULL || strchr(output.text, '\n')[1] == '\0');
}

/* Ctrl-C in the middle leaves neither a carrel nor a half-made tree. */
static void what_is_interrupted_leaves_nothing(void **state)
{
        static const struct script SCRIPTS[] = {
                { "doctor's carrel",
                  "carrel doctor > f & until carrel ls -q | grep -q doctor; do sleep 0.02; done; kill $!; wait $!; "
                  "echo "
                  "$?; carrel ls -q | grep -c doctor",
                  "143\n0\n" },
                { "a build's trees",
                  "mkdir bin tmp; printf '%s\\n' '#!/bin/sh' 'd=$(mktemp -d)' 'echo $d > '$PWD/made 'sleep 60 & wait' "
                  "> "
                  "bin/mmdebstrap; chmod 755 bin/mmdebstrap; echo 'deb http://127.0.0.1/ stable main' > sources; "
                  "TMPDIR=$PWD/tmp PATH=$PWD/bin:$PATH "
                  "CARREL_HELPER_DIR=$TESTBED_SOURCE_DIR/image "
                  "carrel image build --sources sources 2> f & "
                  "until [ -s made ]; do sleep 0.02; done; ls -d tmp/carrel-image-* | wc -l; kill $!; wait $!; echo "
                  "$?; "
                  "ls -A tmp && echo clean",
                  "1\n143\nclean\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void write_file(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        fclose(file);
}

static bool lists_profiles(void *arg)
{
        static struct output output;
        const char *const arguments[] = { "info", "-q", NULL };

        run_carrel(&output, arguments);
        return output.status == 0 && strcmp(output.text, arg) == 0;
}

static void reload_with(const char *text, char *profiles)
{
        write_file("/run/testbed/carrel.conf", text);
        assert_int_equal(kill(carreld_pid(carreld), SIGHUP), 0);
        assert_true(wait_until(lists_profiles, profiles, PATIENCE_S));
}

static void doctor_finds_nothing_wrong(void **state)
{
        static struct output output;
        const char *const arguments[] = { "doctor", NULL };

        (void)state;
        reload_with("[profile good]\nimage = " SANDBOX_IMAGE "\n", (char[]){ "good\n" });
        run_carrel(&output, arguments);
        if (output.status != 0 || strstr(output.text, "1 of 1 profiles name one") == NULL)
                fail_msg("%s", output.text);
        reload_with("", (char[]){ "" });
}

static void profiles_are_chosen_and_shown(void **state)
{
        static const struct session_line ODD[] = {
                { { "info" }, 0, "[profile odd]\nimage = no-such-image:1\n" },
                { { "ensure", "eve", "--profile", "odd" }, 1, "no-such-image:1" },
                { { "ensure", "eve", "--profile", "good" }, 1, "there is: odd" },
        };
        static const struct session_line GOOD[] = {
                { { "info" }, 0, "[profile good]\nenv = A=1\nenv = B=2\nimage = " SANDBOX_IMAGE "\n" },
                { { "exec", "--profile", "good", "eve", "--", "sh", "-c", "echo $A$B" }, 0, "12\n" },
                { { "inspect", "eve" }, 0, "good" },
                { { "why", "eve" }, 0, "good" },
                { { "ls" }, 0, "good" },
                { { "rm", "eve" }, 0, "removed" },
        };

        (void)state;
        reload_with("[profile odd]\nimage = no-such-image:1\n", (char[]){ "odd\n" });
        follow(ODD, sizeof ODD / sizeof *ODD);
        reload_with("[profile good]\nimage = " SANDBOX_IMAGE "\nenv = A=1\nenv = B=2\n", (char[]){ "good\n" });
        follow(GOOD, sizeof GOOD / sizeof *GOOD);
        reload_with("", (char[]){ "" });
}

/* An overlay stands for a disk, and the fake engine never has this image. The control is doctor_finds_nothing_wrong. */
static void records_on_a_disk_are_reported(void **state)
{
        static const struct script SCRIPTS[] = {
                { "in the log and by the doctor",
                  "printf '[profile odd]\\nimage = missing:1\\n' >odd.conf; "
                  "mkdir lower upper work disk; mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay "
                  "disk; export CARREL_SOCKET=$d/carrel.sock; "
                  "env -i CARREL_ENGINE=fake CARREL_HELPER_DIR=" CARREL_HELPERS " CARREL_RUNTIME_DIR=$d/disk "
                  "CARREL_SOCKET=$CARREL_SOCKET CARREL_SOCKET_GROUP= CARREL_USERS_DIR=$d/users "
                  "CARREL_IMAGE_DIR=$d/images CARREL_UID=1000 CARREL_UID_IS_SHARED=yes "
                  "$TESTBED_BUILD_DIR/daemon/carreld --config odd.conf >log 2>&1 & pid=$!; "
                  "until api -f http://c/healthz >/dev/null 2>&1; do kill -0 $pid || exit; sleep 0.05; done; "
                  "grep -o 'level=warning event=runtime_dir_on_disk' log; "
                  "grep -o 'file_system=overlay' log; carrel doctor >found; grep -c FAIL.*overlay found; "
                  "grep -c 'FAIL.*profile odd: ' found; "
                  "kill $pid; wait $pid; echo $?; umount disk",
                  "level=warning event=runtime_dir_on_disk\nfile_system=overlay\n1\n1\n0\n" },
                { "in neither on a tmpfs",
                  "grep -c runtime_dir_on_disk " CARRELD_LOG "; carrel doctor | grep -o 'OK.*is on tmpfs' | wc -l",
                  "0\n1\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

/* ---- carreld's own ---- */

/* Adds the account that systemd-sysusers would make, in this enclosure only. */
static void add_account(void)
{
        MUST_RUN("sh", "-c",
                 "getent passwd carrel-user >/dev/null || { cp /etc/passwd /run/testbed/passwd && "
                 "echo carrel-user:x:997:997::/:/usr/sbin/nologin >>/run/testbed/passwd && "
                 "mount --bind /run/testbed/passwd /etc/passwd; }");
}

static void settings_errors_name_file_line_and_range(void **state)
{
        static const struct {
                const char *text, *said;
        } cases[] = {
                { "idle_ttl_s = 0\n", "idle_ttl_s" },
                { "\n\nno_such_key = 1\n", "/run/testbed/check.conf:3" },
                { "max_carrels = many\n", "max_carrels" },
                { "pids = 7\n", "65536" },
                { "network_cidr = nonsense\n", "network_cidr" },
                { "deny = 10.0.0.0/33\n", "deny" },
                { "uid = nobody-of-that-name\n", "systemd-sysusers" },
                { "uid = root\n", "uid_is_shared" },
                { "[profile small]\npids = 64\npids = 65\n", "/run/testbed/check.conf:3" },
                { "profile = small\n[profile large]\n", "[profile small]" },
        };
        static struct output output;

        (void)state;
        unsetenv("CARREL_MUST_RUN");
        add_account();
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                write_file("/run/testbed/check.conf", cases[i].text);
                RUN(&output, built_program("daemon/carreld"), "--check", "--config", "/run/testbed/check.conf");
                if (output.status != 2 || strstr(output.text, cases[i].said) == NULL)
                        fail_msg("%s: %d, %s", cases[i].text, output.status, output.text);
        }
}

static void the_example_file_is_the_defaults(void **state)
{
        static struct output defaults, example;
        char command[512];

        (void)state;
        /* --check uses these on this host, where carrel is not installed. */
        setenv("CARREL_HELPER_DIR", CARREL_HELPERS, 1);
        setenv("CARREL_SOCKET_GROUP", "", 1);
        add_account();
        write_file("/run/testbed/check.conf", "");
        RUN(&defaults, built_program("daemon/carreld"), "--check", "--config", "/run/testbed/check.conf");
        if (defaults.status != 0)
                fail_msg("%s", defaults.text);
        snprintf(command, sizeof command, "sed -n -e '/^#\\[/q' -e 's/^#\\([a-z_]* =\\)/\\1/p' %s/dist/carrel.conf >%s",
                 getenv("TESTBED_SOURCE_DIR"), "/run/testbed/check.conf");
        MUST_RUN("sh", "-c", command);
        RUN(&example, built_program("daemon/carreld"), "--check", "--config", "/run/testbed/check.conf");
        assert_string_equal(example.text, defaults.text);
        unsetenv("CARREL_HELPER_DIR");
        unsetenv("CARREL_SOCKET_GROUP");
}

/* ---- registries ---- */

/* A registry on loopback, which has the sandbox image as team/tools:1. */
#define REGISTRY                                                                                                       \
        "printf 'version: 0.1\\nlog: {level: error, accesslog: {disabled: true}}\\nstorage: {filesystem: "             \
        "{rootdirectory: %s}}\\nhttp: {addr: 127.0.0.1:5999}\\n' $PWD/registry >registry.yml; docker-registry serve "  \
        "registry.yml >registry.log 2>&1 & trap \"kill $!\" EXIT; until curl -s 127.0.0.1:5999/v2/ >/dev/null; do "    \
        "kill -0 $! || exit; "                                                                                         \
        "sleep "                                                                                                       \
        "0.05; done; $TESTBED_SOURCE_DIR/image/build-sandbox tools.tar tools:1; skopeo copy -q "                       \
        "--dest-tls-verify=false "                                                                                     \
        "docker-archive:tools.tar docker://127.0.0.1:5999/team/tools:1; digest=$(skopeo inspect --tls-verify=false "   \
        "--format '{{.Digest}}' docker://127.0.0.1:5999/team/tools:1); mkdir tmp; export TMPDIR=$PWD/tmp; "            \
        "pull() { carrel image pull --insecure \"$@\" >out 2>err; echo $?; }; "

static void images_come_from_registries(void **state)
{
        static const struct script SCRIPTS[] = {
                { "by a tag, and a carrel runs it",
                  REGISTRY "pull 127.0.0.1:5999/team/tools:1 pulled:1; grep -c \"fetching "
                           "127.0.0.1:5999/team/tools@$digest\" err; "
                           "carrel ensure --image pulled:1 puller >/dev/null; carrel exec puller -- echo runs; "
                           "carrel rm puller >/dev/null; ls tmp",
                  "0\n1\nruns\n" },
                { "by a digest, which must be there",
                  REGISTRY "pull 127.0.0.1:5999/team/tools@$digest; pull 127.0.0.1:5999/team/tools@$digest pulled:2; "
                           "pull 127.0.0.1:5999/team/tools@$(echo $digest | sed 's/[0-7]$/x/; s/[89a-f]$/0/; s/x$/f/') "
                           "pulled:3; "
                           "carrel image ls -q | grep -o 'pulled:[23]'; ls tmp",
                  "2\n0\n1\npulled:2\n" },
                { "a registry that gives other bytes",
                  REGISTRY
                  "blob=$(find registry -name data -size +100k); printf x | dd of=$blob bs=1 seek=50000 conv=notrunc "
                  "2>/dev/null; pull 127.0.0.1:5999/team/tools:1 pulled:4; carrel image ls -q | grep -o pulled:4; ls "
                  "tmp",
                  "1\n" },
                { "a registry that does not answer, and Ctrl-C",
                  "mkdir tmp; export TMPDIR=$PWD/tmp; busybox nc -ll -p 5998 -e sleep 60 >/dev/null 2>&1 & trap \"kill "
                  "$!\" EXIT; "
                  "carrel image pull --insecure --timeout 1 127.0.0.1:5998/x:1 >out 2>err; echo $?; "
                  "(until pgrep -P $(cat pid) skopeo; do sleep 0.05; done; kill -INT $(cat pid)) >/dev/null 2>&1 & "
                  "sh -c 'echo $$ >pid; exec carrel image pull --insecure 127.0.0.1:5998/x:1' >out 2>err; echo $?; ls "
                  "tmp",
                  "1\n130\n" },
                { "names",
                  "for n in -x '' 'a b' a@sha256:1 'a;b'; do carrel image pull -- \"$n\" x:1 2>/dev/null; echo $?; "
                  "done; "
                  "PATH=/nowhere:${PATH%%:*}; carrel image pull a:1 2>&1 | (read -r l; echo ${l%%,*})",
                  "2\n2\n2\n2\n2\ncarrel: skopeo is not installed: apt-get install skopeo; or fetch "
                  "the image elsewhere\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_day_at_the_command_line),
                cmocka_unit_test(mistakes_say_what_to_do),
                cmocka_unit_test(images_come_and_go),
                cmocka_unit_test(bytes_pass_through_unchanged),
                cmocka_unit_test(escapes_do_not_reach_the_terminal),
                cmocka_unit_test(what_is_interrupted_leaves_nothing),
                cmocka_unit_test(doctor_finds_nothing_wrong),
                cmocka_unit_test(profiles_are_chosen_and_shown),
                cmocka_unit_test(records_on_a_disk_are_reported),
                cmocka_unit_test(settings_errors_name_file_line_and_range),
                cmocka_unit_test(the_example_file_is_the_defaults),
                cmocka_unit_test(images_come_from_registries),
        };

        return suite_run(&(struct suite){
                .name = "cli",
                .kind = SUITE_CARRELD,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
