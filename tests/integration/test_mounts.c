/* The operator's mounts, on a real engine: what a program inside can do with them, and what is refused. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

#define SOURCES "/run/sources"
#define MOUNTS                                                                                                         \
        "CARREL_MOUNTS=" SOURCES "/models:/models:ro, " SOURCES "/shared:/data/shared:rw, " SOURCES "/file:/opt/file"
#define CONFIG "/run/testbed/carrel.conf"

static const char *const SETTINGS[] = { "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", "CARREL_STARTUP=adopt", MOUNTS,
                                        NULL };

static void write_file(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* Once; the engines see them, too. Below the read-only source is another mount, which can be written on the host. */
static void make_sources(void)
{
        if (access(SOURCES, F_OK) == 0)
                return;
        assert_int_equal(mkdir(SOURCES, 0755) | mkdir(SOURCES "/models", 0777) | mkdir(SOURCES "/models/big", 0755) |
                                 mkdir(SOURCES "/shared", 0755) | mkdir(SOURCES "/set", 0755) |
                                 mkdir(SOURCES "/open", 0755) | mkdir(SOURCES "/open/dir", 0755),
                         0);
        assert_int_equal(chmod(SOURCES "/models", 0777) | chown(SOURCES "/shared", 1000, 1000), 0);
        assert_int_equal(mount("none", SOURCES "/models/big", "tmpfs", 0, "mode=1777"), 0);
        write_file(SOURCES "/models/weights", "weights\n");
        write_file(SOURCES "/models/big/weights", "big\n");
        write_file(SOURCES "/file", "file\n");
        assert_int_equal(chmod(SOURCES "/file", 0666) | chmod(SOURCES "/models/weights", 0666), 0);
        write_file(SOURCES "/set/which", "set\n");
}

static void start(void)
{
        make_sources();
        suite_start(SETTINGS);
}

/* ---- inside ---- */

static void a_mount_is_as_the_settings_say(void **state)
{
        static const struct {
                const char *script;
                bool works;
        } CASES[] = {
                { "[ \"$(cat /models/weights /models/big/weights /opt/file | tr '\\n' ,)\" = weights,big,file, ]",
                  true },
                { "touch /models/x", false },
                { "echo x >>/models/weights", false },
                { "touch /models/big/x", false },
                { "echo x >>/opt/file", false },
                { "echo shared >/data/shared/new && [ $(cat /data/shared/new) = shared ]", true },
                { "[ $(stat -c %u /data/shared) = $(id -u) ] && [ $(stat -c %u /data/shared/new) = $(id -u) ]", true },
                { "touch /data/x", false },
                { "cp /bin/busybox /data/shared/box && chmod 4755 /data/shared/box", true },
                { "[ $(grep -cE ' (/models|/models/big|/data/shared|/opt/file) .*nosuid,nodev' /proc/mounts) = 4 ]",
                  true },
        };
        struct answer answer;
        struct stat status;

        (void)state;
        start();
        answer = carreld_ensure("ada");
        assert_string_equal(answer_text(&answer, "outcome"), "created");
        answer_release(&answer);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                answer = carreld_exec("ada", CASES[i].script, PATIENCE_S);
                if ((answer_number(&answer, "exit_code") == 0) != CASES[i].works)
                        fail_msg("%s: %s", CASES[i].script, answer.body);
                answer_release(&answer);
        }
        write_file(SOURCES "/models/big/x", "the host can\n");
        assert_int_equal(stat(SOURCES "/shared/new", &status), 0);
        assert_int_equal(status.st_uid, 1000);
        suite_restart(SETTINGS);
        answer = carreld_ensure("ada");
        assert_string_equal(answer_text(&answer, "outcome"), "reused");
        answer_release(&answer);
        suite_end();
}

/* ---- sets ---- */

static bool shows_sets(void *arg)
{
        struct answer info = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        bool is_shown = strstr(info.body, arg) != NULL;

        answer_release(&info);
        return is_shown;
}

static void expect(const char *body, int status, const char *says)
{
        struct answer answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", body);

        if (answer.status != status || strstr(answer.body, says) == NULL)
                fail_msg("%s: not %d with %s: %d %s", body, status, says, answer.status, answer.body);
        answer_release(&answer);
}

static void expect_inside(const char *script)
{
        struct answer answer = carreld_exec("ada", script, PATIENCE_S);

        if (answer_number(&answer, "exit_code") != 0)
                fail_msg("%s: %s", script, answer.body);
        answer_release(&answer);
}

static void a_set_is_inside_for_who_asks(void **state)
{
        (void)state;
        start();
        write_file(CONFIG,
                   "[mounts one]\nmounts = " SOURCES "/set:/set\n[mounts two]\nmounts = " SOURCES "/file:/set\n");
        assert_int_equal(kill(carreld_pid(carreld), SIGHUP), 0);
        assert_true(wait_until(shows_sets, (char[]){ "\"two\"" }, PATIENCE_S));
        expect("{\"mounts\":[\"none\"]}", 400, "one, two");
        expect("{\"mounts\":[\"one\",\"two\"]}", 400, "/set and /set");
        expect("{\"mounts\":[\"/etc\"]}", 400, "a name has");
        expect("{\"mounts\":[\"one\"]}", 200, "\"mounts\":[\"one\"]");
        expect_inside("[ $(cat /set/which) = set ] && ! touch /set/x && [ $(cat /models/weights) = weights ]");
        expect("{}", 200, "\"reused\"");
        expect("{\"mounts\":[]}", 200, "\"replaced\"");
        expect_inside("! test -e /set/which");
        expect("{\"mounts\":[\"two\"]}", 200, "\"replaced\"");
        expect_inside("[ $(cat /set) = file ]");
        suite_end();
}

/* ---- sources that are not safe any more ---- */

static void vanish(void)
{
        assert_int_equal(rename(SOURCES "/set", SOURCES "/away"), 0);
}

static void become_a_link(void)
{
        vanish();
        assert_int_equal(symlink("/etc", SOURCES "/set"), 0);
}

static void get_an_owner_above(void)
{
        assert_int_equal(chown(SOURCES, 1000, 1000), 0);
}

static void get_open_above(void)
{
        assert_int_equal(chmod(SOURCES, 0777), 0);
}

static void mend(void)
{
        struct stat status;

        assert_int_equal(chown(SOURCES, 0, 0) | chmod(SOURCES, 0755), 0);
        if (lstat(SOURCES "/set", &status) == 0 && S_ISLNK(status.st_mode))
                assert_int_equal(unlink(SOURCES "/set"), 0);
        if (access(SOURCES "/away", F_OK) == 0)
                assert_int_equal(rename(SOURCES "/away", SOURCES "/set"), 0);
}

static void an_unsafe_source_is_refused(void **state)
{
        static const struct {
                void (*spoil)(void);
                const char *says;
        } CASES[] = {
                { vanish, "No such file" },
                { become_a_link, "is a link" },
                { get_an_owner_above, "does not belong to root" },
                { get_open_above, "is writable by its group or by others" },
        };

        (void)state;
        make_sources();
        SUITE_START("CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", "CARREL_MOUNTS=" SOURCES "/set:/set");
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                CASES[i].spoil();
                expect("{}", 500, CASES[i].says);
                mend();
                expect("{}", 200, "\"created\"");
                request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        }
        suite_end();
}

/* ---- lxcfs ---- */

static bool is_lxcfs_there(void *arg)
{
        return access("/var/lib/lxcfs/proc/meminfo", R_OK) == 0 && access("/run/lxcfs.pid", F_OK) == 0;
}

static bool shows_lxcfs(void *arg)
{
        char words[64];

        (void)snprintf(words, sizeof words, "\"lxcfs\":\"%s\"}", (const char *)arg);
        return shows_sets(words);
}

/* A new carrel has its files while it runs, and none after it has ended. */
static void proc_speaks_of_the_carrel(void **state)
{
        static struct output output;
        struct answer answer;
        char pid[16];

        (void)state;
        if (access("/usr/bin/lxcfs", X_OK) < 0 || access("/dev/fuse", R_OK | W_OK) < 0)
                skip();
        RUN(&output, "sh", "-c", "mkdir -p /var/lib/lxcfs; setsid /usr/bin/lxcfs /var/lib/lxcfs >/dev/null 2>&1 &");
        assert_true(wait_until(is_lxcfs_there, NULL, PATIENCE_S));
        make_sources();
        SUITE_START("CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", "CARREL_LXCFS=on");
        assert_true(shows_lxcfs((char[]){ "running" }));
        expect("{}", 200, "\"created\"");
        expect_inside("grep -q '^MemTotal: *65536 kB' /proc/meminfo && cat /proc/uptime /proc/stat /proc/cpuinfo "
                      "/proc/loadavg /proc/swaps /proc/diskstats >/dev/null");
        expect_inside("[ $(grep -c ' fuse.lxcfs ro' /proc/mounts) = 7 ]");
        RUN(&output, "cat", "/run/lxcfs.pid");
        (void)snprintf(pid, sizeof pid, "%d", atoi(output.text));
        RUN(&output, "kill", "-9", pid);
        assert_true(wait_until(shows_lxcfs, (char[]){ "ended" }, PATIENCE_S));
        answer = carreld_exec("ada", "cat /proc/meminfo", PATIENCE_S);
        assert_int_equal(answer_number(&answer, "exit_code"), 1);
        answer_release(&answer);
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/bob", "{}", 503);
        suite_end();
        SUITE_START("CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", "CARREL_LXCFS=auto");
        expect("{}", 200, "\"created\"");
        expect_inside("grep -q MemTotal /proc/meminfo && ! grep -q lxcfs /proc/mounts");
        suite_end();
        RUN(&output, "umount", "-l", "/var/lib/lxcfs");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_ENGINE(a_mount_is_as_the_settings_say),
                WITH_ENGINE(a_set_is_inside_for_who_asks),
                WITH_ENGINE(an_unsafe_source_is_refused),
                WITH_ENGINE(proc_speaks_of_the_carrel),
        };

        return suite_run(&(struct suite){
                .name = "mounts",
                .kind = SUITE_ENGINE,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
