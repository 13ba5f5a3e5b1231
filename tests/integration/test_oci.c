/* Promises of the embedded engine only: each carrel has its own host ids, and neither a thousand carrels nor a kill -9
 * leave anything. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "enclosure.h"
#include "suite.h"

#define STATE_DIR CARREL_RUNTIME "/oci"

enum { CYCLES = 1000, SIDE_BY_SIDE = 4, PATH_BYTES = 512 };

/* ---- what there is ---- */

struct census {
        size_t interfaces, mounts, cgroups, processes, descriptors, records, names, network_namespaces;
};

static size_t count_entries(const char *path, size_t prefix_length, const char *prefix)
{
        DIR *directory = opendir(path);
        const struct dirent *entry;
        size_t n = 0;

        while (directory != NULL && (entry = readdir(directory)) != NULL)
                n += entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, prefix_length) == 0;
        if (directory != NULL)
                closedir(directory);
        return n;
}

static size_t count_words(const char *const *argv)
{
        static struct output output;

        process_run(&output, argv);
        return strtoul(output.text, NULL, 10);
}
#define COUNT(script) count_words((const char *const[]){ "sh", "-c", script, NULL })

/* The enclosure has a process and a network namespace of its own, so that all that is seen is the test's. */
static struct census take_census(void)
{
        char path[PATH_BYTES], script[PATH_BYTES];
        struct census census = { 0 };

        snprintf(path, sizeof path, "/proc/%d/fd", (int)carreld_pid(carreld));
        census.descriptors = count_entries(path, 0, "");
        census.interfaces = count_entries("/sys/class/net", strlen("carrel"), "carrel");
        census.records = count_entries(STATE_DIR, 0, "");
        census.names = count_entries(STATE_DIR "/names", 0, "");
        census.processes = COUNT("ls -d /proc/[0-9]* | wc -l");
        census.network_namespaces = COUNT("readlink /proc/[0-9]*/ns/net | sort -u | wc -l");
        snprintf(script, sizeof script, "wc -l < /proc/%d/mountinfo", (int)carreld_pid(carreld));
        census.mounts = COUNT(script);
        snprintf(script, sizeof script, "find /sys/fs/cgroup/ -path '*%s/*' -type d | wc -l", enclosure_cgroup());
        census.cgroups = COUNT(script);
        return census;
}

static bool is_no_more(const struct census *now, const struct census *before)
{
        return now->interfaces <= before->interfaces && now->mounts <= before->mounts &&
               now->cgroups <= before->cgroups && now->processes <= before->processes &&
               now->descriptors <= before->descriptors && now->records <= before->records &&
               now->names <= before->names && now->network_namespaces <= before->network_namespaces;
}

/* The kernel takes namespaces down a while after their last process. */
static bool has_settled(void *arg)
{
        struct census now = take_census();

        return is_no_more(&now, arg);
}

static void expect_no_more_than(const struct census *before)
{
        struct census now;

        if (wait_until(has_settled, (void *)(uintptr_t)before, 30.0))
                return;
        now = take_census();
        fail_msg("left over: interfaces %zu -> %zu, mounts %zu -> %zu, cgroups %zu -> %zu, processes %zu -> %zu, "
                 "descriptors %zu -> %zu, records %zu -> %zu, names %zu -> %zu, network namespaces %zu -> %zu",
                 before->interfaces, now.interfaces, before->mounts, now.mounts, before->cgroups, now.cgroups,
                 before->processes, now.processes, before->descriptors, now.descriptors, before->records, now.records,
                 before->names, now.names, before->network_namespaces, now.network_namespaces);
}

/* ---- a thousand lives ---- */

/* Each a user's of his own, some side by side; request i of the volley is the ensure or removal of user i. */
static void volley_of(const char *method, const char *body, size_t first, size_t count)
{
        struct volley *volley = volley_new(CARREL_SOCKET, SIDE_BY_SIDE);
        char path[64];

        for (size_t i = first; i < first + count; i++) {
                snprintf(path, sizeof path, "/v1/carrels/user-%zu", i % SIDE_BY_SIDE);
                volley_add(volley, method, path, body);
        }
        assert_int_equal(volley_run(volley, 120.0), 0);
        for (size_t i = 0; i < count; i++)
                if (volley_answer(volley, i)->status / 100 != 2)
                        fail_msg("%s %zu: %d %s", method, first + i, volley_answer(volley, i)->status,
                                 volley_answer(volley, i)->body);
        volley_free(volley);
}

static void live(size_t cycles)
{
        for (size_t i = 0; i < cycles; i += SIDE_BY_SIDE) {
                volley_of("PUT", "{}", i, SIDE_BY_SIDE);
                volley_of("DELETE", NULL, i, SIDE_BY_SIDE);
        }
}

static void a_thousand_lives_leave_nothing(void **state)
{
        struct census before;

        (void)state;
        live(SIDE_BY_SIDE * 2); /* what is made once */
        before = take_census();
        assert_int_equal(before.interfaces, 0);
        live(CYCLES);
        expect_no_more_than(&before);
        suite_end();
}

/* ---- what the kernel counts per user ---- */

/* kind, and more than anybody gets of it; whether the host's root is held to it at all. */
static const struct counter {
        const char *kind;
        const char *most;
        bool binds_root;
} COUNTERS[] = {
        { "descriptors", "3000", false }, { "inotify", "1000", true },    { "locked", "2000", false },
        { "mqueue", "100", true },        { "pipes", "300", false },      { "signals", "200000", true },
        { "timers", "200000", true },     { "watches", "2000000", true },
};

static void install_filler(const char *user)
{
        char path[PATH_BYTES];

        carreld_must_ensure(user);
        snprintf(path, sizeof path, CARREL_USERS "/%s/fill", user);
        MUST_RUN("install", "-m755", built_program("tests/integration/fill-counter"), path);
}

static long fill_inside(const char *user, const struct counter *counter)
{
        char script[128], text[128];

        snprintf(script, sizeof script, "./fill %s %s </dev/null", counter->kind, counter->most);
        carreld_must_exec(user, script, text, sizeof text);
        return strtol(text, NULL, 10);
}

/* Held until `release`. */
static long hold_inside(const char *user, const struct counter *counter)
{
        char script[256], text[128];

        snprintf(script, sizeof script,
                 "rm -f got hold; mkfifo hold; ./fill %s %s <hold >got 2>&1 & exec 3>hold; "
                 "(sleep 300 >hold) >/dev/null 2>&1 & until [ -s got ]; do sleep 0.01; done; cat got",
                 counter->kind, counter->most);
        carreld_must_exec(user, script, text, sizeof text);
        return strtol(text, NULL, 10);
}

static long fill_as_root(const struct counter *counter)
{
        static struct output output;

        RUN(&output, built_program("tests/integration/fill-counter"), counter->kind, counter->most);
        return strtol(output.text, NULL, 10);
}

/* One carrel fills each counter: its own second program then gets nothing (so it was full), and the neighbour and the
 * host as much as before. Of the host's account some is other programs'. */
static void what_is_counted_per_user_is_each_carrels_own(void **state)
{
        (void)state;
        install_filler("ada");
        install_filler("bob");
        for (size_t i = 0; i < sizeof COUNTERS / sizeof *COUNTERS; i++) {
                const struct counter *counter = &COUNTERS[i];
                long before = fill_inside("bob", counter);
                long root_before = counter->binds_root ? fill_as_root(counter) : 0;
                long taken = hold_inside("ada", counter);
                long more = fill_inside("ada", counter);
                long after = fill_inside("bob", counter);
                long root_after = counter->binds_root ? fill_as_root(counter) : 0;
                char text[64];

                if (taken < before - before / 8 || before == 0 || more > taken / 10 || after < before ||
                    root_after < root_before - root_before / 4)
                        fail_msg("%s: ada took %ld, then %ld more; bob %ld -> %ld; root %ld -> %ld", counter->kind,
                                 taken, more, before, after, root_before, root_after);
                carreld_must_exec("ada", "killall fill sleep; while killall -0 fill 2>/dev/null; do sleep 0.01; done",
                                  text, sizeof text);
        }
}

/* ---- kill -9, and what only this engine can leave ---- */

static void what_a_kill_left_half_made_is_cleared(void **state)
{
        static const char *const SETTINGS[] = { "CARREL_FAILPOINT=ensure.start.after:kill", NULL };
        char record_less[PATH_BYTES], cgroup[PATH_BYTES];
        struct answer answer;

        (void)state;
        suite_start(SETTINGS);
        answer = request_within(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{}", 60.0);
        answer_release(&answer);
        assert_true(carreld_await_death(carreld, 30.0));
        carreld = carreld_kill(carreld);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        /* A directory that was made before its record was. */
        snprintf(record_less, sizeof record_less, STATE_DIR "/%064x", 0xabcU);
        assert_int_equal(mkdir(record_less, 0700), 0);

        suite_start(NULL);
        assert_int_equal(engine_count(NULL), 0);
        assert_int_equal(access(record_less, F_OK), -1);
        snprintf(cgroup, sizeof cgroup, "find /sys/fs/cgroup/ -path '*%s/*' -type d | wc -l", enclosure_cgroup());
        assert_int_equal(COUNT(cgroup), 0);
        assert_int_equal(count_entries("/sys/class/net", strlen("carrel"), "carrel"), 0);
        suite_end();
}

/* ---- kill -9 of the runtime ---- */

#define RUNTIME_SCRIPT "/run/testbed/bin/crun"
#define KILL_AFTER "/run/testbed/kill-after"

/* crun, which is killed, and its caller with it, after as many seconds as KILL_AFTER says: once. */
static const char MORTAL_CRUN[] = "#!/bin/sh\n"
                                  "case \" $* \" in *' run '*) ;; *) exec crun \"$@\" ;; esac\n"
                                  "after=$(cat " KILL_AFTER " 2>/dev/null) || exec crun \"$@\"\n"
                                  "rm " KILL_AFTER "\n"
                                  "crun \"$@\" &\n"
                                  "sleep $after\n"
                                  "kill -9 $! $$\n";

static void write_text(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
}

static bool is_full(void *arg)
{
        return carreld_metric("carrel_carrels{state=\"warm\"}") == *(const double *)arg;
}

/* From before it has made anything until long after its end. */
static void a_runtime_killed_during_a_refill_leaves_nothing(void **state)
{
        static const char *const AFTER_S[] = { "0", "0.001", "0.002", "0.004", "0.006", "0.009", "0.015", "0.2" };
        enum { KILLS = sizeof AFTER_S / sizeof *AFTER_S };
        double warm = 2;
        struct census before = { 0 };

        (void)state;
        MUST_RUN("mkdir", "-p", "/run/testbed/bin");
        write_text(RUNTIME_SCRIPT, MORTAL_CRUN);
        assert_int_equal(chmod(RUNTIME_SCRIPT, 0755), 0);
        SUITE_START("CARREL_RUNTIME=" RUNTIME_SCRIPT, "CARREL_WARM=2", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
        assert_true(wait_until(is_full, &warm, PATIENCE_S));
        for (size_t i = 0; i <= KILLS; i++) { /* the first refill is not killed: the control */
                struct answer answer;

                if (i > 0)
                        write_text(KILL_AFTER, AFTER_S[i - 1]);
                answer = carreld_ensure("ada");
                assert_string_equal(answer_text(&answer, "outcome"), "claimed");
                answer_release(&answer);
                request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
                assert_true(wait_until(is_full, &warm, PATIENCE_S));
                assert_int_equal(access(KILL_AFTER, F_OK), -1);
                if (i == 0)
                        before = take_census();
        }
        assert_true(carreld_metric("carrel_warm_failures_total") == KILLS);
        expect_no_more_than(&before);
        suite_end();
}

/* ---- claim ---- */

/* Runs the tool on carreld's records. */
static void run_tool(struct output *ret_output, const char *verb, const char *name, const char *new_name,
                     const char *label)
{
        process_run(ret_output,
                    (const char *const[]){ built_program("tests/testbed/oci-tool"), STATE_DIR, "/run/testbed/images",
                                           enclosure_cgroup(), verb, name, new_name, label, NULL });
}

static void expect_tool(int status, const char *part, const char *verb, const char *name, const char *new_name)
{
        static struct output output;

        run_tool(&output, verb, name, new_name, "claimed=yes");
        if (output.status != status || strstr(output.text, part) == NULL)
                fail_msg("%s %s %s: %d %s", verb, name, new_name, output.status, output.text);
}

/* Its process goes on, and its neighbour is a user's carrel, whose name it does not get. */
static void a_running_container_is_claimed(void **state)
{
        char before[80], after[80];
        int pid;

        (void)state;
        carreld_must_ensure("ada");
        engine_decoy("warm-1", "claimed=no", "other=label");
        engine_id("warm-1", before);
        pid = engine_pid("warm-1");
        expect_tool(EXIT_FAILURE, "a container has the name " CARREL_PREFIX "ada", "claim", "warm-1",
                    CARREL_PREFIX "ada");
        assert_int_equal(engine_count("claimed=no"), 1);
        expect_tool(EXIT_FAILURE, "there is no container warm-2", "claim", "warm-2", "claimed-1");
        expect_tool(EXIT_SUCCESS, "", "claim", "warm-1", "claimed-1");
        engine_id("claimed-1", after);
        assert_string_equal(after, before);
        assert_int_equal(engine_pid("claimed-1"), pid);
        assert_int_equal(engine_count("claimed=yes"), 1);
        assert_int_equal(engine_count("claimed=no"), 0);
        assert_int_equal(engine_count("other=label"), 0);
        assert_int_equal(engine_pid("warm-1"), 0);
        engine_decoy("warm-1", "claimed=no", "other=label"); /* its former name is free */
        engine_remove("warm-1");
        engine_remove("claimed-1");
        assert_int_equal(count_entries(STATE_DIR "/names", 0, ""), 1);
        suite_end();
}

/* A carrel of a version that had no index of names: it is found and keeps its name. */
static void a_record_without_a_link_keeps_its_name(void **state)
{
        static const char *const SETTINGS[] = { "CARREL_STARTUP=adopt", NULL };
        char before[80], after[80];

        (void)state;
        suite_start(SETTINGS);
        carreld_must_ensure("ada");
        engine_id(CARREL_PREFIX "ada", before);
        carreld = carreld_kill(carreld);
        MUST_RUN("rm", "-r", STATE_DIR "/names");
        suite_start(SETTINGS);
        carreld_must_ensure("ada");
        engine_id(CARREL_PREFIX "ada", after);
        assert_string_equal(after, before);
        engine_decoy("warm-1", "claimed=no", "other=label");
        expect_tool(EXIT_FAILURE, "a container has the name", "claim", "warm-1", CARREL_PREFIX "ada");
        engine_remove("warm-1");
        suite_end();
}

/* ---- two users ---- */

struct ids {
        unsigned long inside, outside, count, uid;
};

static struct ids ids_of(const char *name)
{
        static struct output output;
        struct ids ids = { 0 };
        char script[PATH_BYTES];
        int pid = engine_pid(name);

        assert_true(pid > 0);
        snprintf(script, sizeof script, "cat /proc/%d/uid_map; sed -n 's/^Uid:\\t//p' /proc/%d/status", pid, pid);
        RUN(&output, "sh", "-c", script);
        assert_int_equal(sscanf(output.text, "%lu %lu %lu %lu", &ids.inside, &ids.outside, &ids.count, &ids.uid), 4);
        return ids;
}

static void host_ids_are_nobody_elses(void **state)
{
        struct ids ada, bob;

        (void)state;
        carreld_must_ensure("ada");
        carreld_must_ensure("bob");
        ada = ids_of(CARREL_PREFIX "ada");
        bob = ids_of(CARREL_PREFIX "bob");
        assert_int_equal(ada.inside, 0);
        assert_int_equal(ada.count, 65536);
        assert_int_equal(ada.uid, ada.outside + 1000);
        assert_int_equal(bob.uid, bob.outside + 1000);
        assert_true(ada.outside >= 65536 && bob.outside >= 65536);
        assert_true(ada.outside >= bob.outside + bob.count || bob.outside >= ada.outside + ada.count);
        suite_end();
}

/* Seen by root of the host each probe works, so that it shows something when it fails inside. */
static void neither_reads_the_others_files(void **state)
{
        static const char *const PROBES[] = {
                "cat /proc/%1$d/root/workspace/secret",
                "cat /proc/%1$d/cwd/../workspace/secret",
                "ls /proc/%1$d/root/workspace",
                "cat " CARREL_USERS "/bob/secret",
        };
        static struct output output;
        char text[256], script[PATH_BYTES];
        int bobs;

        (void)state;
        carreld_must_ensure("ada");
        carreld_must_ensure("bob");
        carreld_must_exec("bob", "echo treasure > /workspace/secret; chmod 666 /workspace/secret", text, sizeof text);
        carreld_must_exec("ada", "echo mine > /workspace/secret", text, sizeof text);
        bobs = engine_pid(CARREL_PREFIX "bob");
        for (size_t i = 0; i < sizeof PROBES / sizeof *PROBES; i++) {
                struct answer answer;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(script, sizeof script, PROBES[i], bobs);
#pragma GCC diagnostic pop
                RUN(&output, "sh", "-c", script);
                assert_int_equal(output.status, 0);
                assert_true(strstr(output.text, "treasure") != NULL || strstr(output.text, "secret") != NULL);
                answer = carreld_exec("ada", script, 20.0);
                assert_int_equal(answer.status, 200);
                if (answer_number(&answer, "exit_code") == 0 || strstr(answer.body, "treasure") != NULL)
                        fail_msg("%s in the carrel of another: %s", script, answer.body);
                answer_release(&answer);
        }
        /* Even one who came out of his carrel with his ids would be a stranger to the other's files and process. */
        snprintf(script, sizeof script, "setpriv --reuid %lu --regid %lu --clear-groups sh -c 'cat %s' 2>&1",
                 ids_of(CARREL_PREFIX "ada").uid, ids_of(CARREL_PREFIX "ada").uid, CARREL_USERS "/bob/secret");
        RUN(&output, "sh", "-c", script);
        assert_true(output.status != 0 && strstr(output.text, "treasure") == NULL);
        suite_end();
}

/* A runtime gives its streams to the container's user; /dev/null is the whole host's. And in the hole that a hidden
 * cgroup2 leaves nobody would see what a runtime makes. */
static void what_is_the_hosts_stays_the_hosts(void **state)
{
        static const char LOOK[] = "umount /sys/fs/cgroup/unified 2>/dev/null; test ! -e \"/sys/fs/cgroup/unified$1\"";
        struct stat before, after;
        char text[256];

        (void)state;
        assert_int_equal(stat("/dev/null", &before), 0);
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "chmod 600 /dev/null 2>/dev/null && echo changed || echo refused", text, sizeof text);
        assert_string_equal(text, "refused");
        carreld_must_exec("ada", "touch f && chmod 600 f && echo nothing >/dev/null && stat -c %a f", text,
                          sizeof text);
        assert_string_equal(text, "600");
        assert_int_equal(stat("/dev/null", &after), 0);
        assert_int_equal(after.st_uid, before.st_uid);
        assert_int_equal(after.st_gid, before.st_gid);
        assert_int_equal(after.st_mode, before.st_mode);
        MUST_RUN("unshare", "--mount", "sh", "-c", LOOK, "sh", enclosure_cgroup());
        suite_end();
}

static void files_survive_with_their_owner(void **state)
{
        struct stat status;
        char text[256];

        (void)state;
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "mkdir /workspace/d; echo kept > /workspace/d/f", text, sizeof text);
        assert_int_equal(stat(CARREL_USERS "/ada/d/f", &status), 0);
        assert_int_equal(status.st_uid, 1000);
        assert_int_equal(status.st_gid, 1000);
        request_expect(CARREL_SOCKET, "POST", "/v1/reap", "{\"idle_s\":0}", 200);
        assert_true(carreld_await_state("ada", "", 30.0));
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "cat /workspace/d/f; stat -c %u:%g /workspace/d/f; echo more >> /workspace/d/f", text,
                          sizeof text);
        assert_string_equal(text, "kept\n1000:1000");
        suite_end();
}

/* ---- the filter ---- */

/* A call that the filter denies and nothing else does: personality(2) needs no right at all. */
static void the_filter_is_in_force(void **state)
{
        char text[256];
        struct answer answer;
        static struct output output;

        (void)state;
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "grep ^Seccomp: /proc/self/status; grep ^NoNewPrivs: /proc/self/status", text,
                          sizeof text);
        assert_string_equal(text, "Seccomp:\t2\nNoNewPrivs:\t1");
        RUN(&output, "busybox", "unshare", "-U", "true"); /* the positive control: a new user namespace */
        assert_int_equal(output.status, 0);
        answer = carreld_exec("ada", "unshare -U true", 20.0);
        assert_int_equal(answer.status, 200);
        assert_true(answer_number(&answer, "exit_code") > 0);
        assert_non_null(strstr(answer.body, "Operation not permitted"));
        answer_release(&answer);
        suite_end();
}

/* A container's cgroups decide which devices may be opened, whoever made a node for one: a process of the host's root
 * goes in and finds out. The kernel's log is the one that it may read outside. */
static void only_harmless_devices_can_be_opened(void **state)
{
        static const char LOOK[] = "set -e; : </dev/kmsg; : </dev/null; id=$(sed -n '1s#.*/##p' /proc/$1/cgroup);"
                                   "for group in $(find /sys/fs/cgroup/ -type d -name \"$id\"); do"
                                   "  echo 0 >$group/cgroup.procs; done;"
                                   ": </dev/null; : </dev/urandom; : >/dev/zero; if (: </dev/kmsg); then exit 9; fi";
        char pid[32];

        (void)state;
        carreld_must_ensure("ada");
        snprintf(pid, sizeof pid, "%d", engine_pid(CARREL_PREFIX "ada"));
        MUST_RUN("sh", "-c", LOOK, "sh", pid);
        suite_end();
}

/* ---- the machine's own image ---- */

static bool has_host_image(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/images/host", NULL);
        bool is_there = answer.status == 200;

        answer_release(&answer);
        return is_there;
}

/* The ready-made image of this machine: its programs run, nothing of its people or its state is there, and nothing can
 * be written. */
static void the_machines_own_programs(void **state)
{
        char text[256];

        (void)state;
        assert_true(wait_until(has_host_image, NULL, PATIENCE_S));
        request_expect(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{\"image\":\"host\"}", 200);
        carreld_must_exec("ada", "/usr/bin/env true && ls /usr/share >/dev/null && echo runs", text, sizeof text);
        assert_string_equal(text, "runs");
        carreld_must_exec("ada", "ls -A /home /root /var/lib 2>/dev/null | grep -v : | wc -w", text, sizeof text);
        assert_string_equal(text, "0");
        carreld_must_exec("ada", "touch /usr/x 2>/dev/null || touch /etc/x 2>/dev/null || echo refused", text,
                          sizeof text);
        assert_string_equal(text, "refused");
        carreld_must_exec("ada", "grep -c ' /usr ro,nosuid,nodev' /proc/self/mountinfo", text, sizeof text);
        assert_string_equal(text, "1");
        carreld_must_exec("ada", "test ! -e /etc/shadow && echo absent", text, sizeof text);
        assert_string_equal(text, "absent");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/images/host", NULL, 409);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_CARRELD(host_ids_are_nobody_elses),
                WITH_CARRELD(neither_reads_the_others_files),
                WITH_CARRELD(what_is_the_hosts_stays_the_hosts),
                WITH_CARRELD(files_survive_with_their_owner),
                WITH_CARRELD(the_filter_is_in_force),
                WITH_CARRELD(what_is_counted_per_user_is_each_carrels_own),
                WITH_CARRELD(only_harmless_devices_can_be_opened),
                WITH_CARRELD(the_machines_own_programs),
                WITH_CARRELD(a_running_container_is_claimed),
                WITH_ENGINE(a_record_without_a_link_keeps_its_name),
                WITH_ENGINE(what_a_kill_left_half_made_is_cleared),
                WITH_ENGINE(a_runtime_killed_during_a_refill_leaves_nothing),
                WITH_CARRELD(a_thousand_lives_leave_nothing),
        };

        return suite_run(&(struct suite){
                .name = "oci",
                .kind = SUITE_ENGINE,
                .engine = "oci",
                SUITE_TESTS(tests),
        });
}
