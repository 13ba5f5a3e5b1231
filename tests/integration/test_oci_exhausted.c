/* The embedded engine where something is missing or runs out: a plain word with what to do, nothing half-made, and
 * later success. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "enclosure.h"
#include "suite.h"

#define STATE_DIR CARREL_RUNTIME "/oci"
#define DISKS "/run/testbed/disks"

enum { PATH_BYTES = 512 };

static size_t count_entries(const char *path)
{
        DIR *directory = opendir(path);
        const struct dirent *entry;
        size_t n = 0;

        while (directory != NULL && (entry = readdir(directory)) != NULL)
                n += entry->d_name[0] != '.';
        if (directory != NULL)
                closedir(directory);
        return n;
}

static struct answer ask_for(const char *user)
{
        char path[64];

        snprintf(path, sizeof path, "/v1/carrels/%s", user);
        return carreld_request("PUT", path, "{}", PATIENCE_S);
}

/* An ensure that is refused for now. */
static void judge_refusal(struct answer *answer, const char *code, const char *words)
{
        if (answer->status != 503 || strcmp(answer_text(answer, "error.code"), code) != 0 ||
            strstr(answer_text(answer, "error.message"), words) == NULL)
                fail_msg("%d %s", answer->status, answer->body);
        assert_in_range(answer->retry_after_s, 1, 60);
        answer_release(answer);
}

static void expect_refusal(const char *user, const char *code, const char *words)
{
        struct answer answer = ask_for(user);

        judge_refusal(&answer, code, words);
}

/* ---- runtimes that cannot serve ---- */

static void write_script(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        fputs(text, file);
        fclose(file);
        assert_int_equal(chmod(path, 0755), 0);
}

/* The socket is there before the engine is. */
static bool is_serving(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/readyz", NULL);
        bool is_there = answer.status != 0;

        (void)arg;
        answer_release(&answer);
        return is_there;
}

static bool can_ensure(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "PUT", "/v1/carrels/ada", "{}");
        bool is_well = answer.status == 200;

        (void)arg;
        answer_release(&answer);
        return is_well;
}

/* When the missing thing comes, carreld uses it without being started again. */
static void a_runtime_that_cannot_serve_is_named(void **state)
{
        static const char OLD_CRUN[] = "#!/bin/sh\necho crun version 0.17\n";
        static const char ANY_RUNC[] = "#!/bin/sh\necho runc version 1.1.5+ds1\n";
        static const struct {
                const char *path, *script, *words;
        } CASES[] = {
                { "/run/testbed/bin/crun", NULL, "apt-get install crun" },
                { "/run/testbed/bin/crun", OLD_CRUN, "too old, carrel needs 1.8 or newer: apt-get install crun" },
                { "/run/testbed/bin/runc", ANY_RUNC, "apt-get install crun; or set userns = auto" },
        };
        char setting[PATH_BYTES];
        const char *const settings[] = { setting, NULL };
        static struct output output;

        (void)state;
        MUST_RUN("mkdir", "-p", "/run/testbed/bin");
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                unlink(CASES[i].path);
                if (CASES[i].script != NULL)
                        write_script(CASES[i].path, CASES[i].script);
                snprintf(setting, sizeof setting, "CARREL_RUNTIME=%s", CASES[i].path);
                carreld = carreld_new(settings);
                assert_true(wait_until(is_serving, NULL, PATIENCE_S));
                expect_refusal("ada", "engine_unavailable", CASES[i].words);
                RUN(&output, "grep", "-c", CASES[i].words, CARRELD_LOG);
                assert_int_equal(output.status, 0);
                if (strstr(CASES[i].path, "crun") != NULL) {
                        MUST_RUN("sh", "-c", "ln -sf \"$(command -v crun)\" /run/testbed/bin/crun");
                        assert_true(wait_until(can_ensure, NULL, PATIENCE_S));
                        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
                }
                suite_end();
        }
}

/* With userns = auto, too: what is found stands, so it must not be a moment's shortage. */
static void a_shortage_of_user_namespaces_is_no_word_for_good(void **state)
{
        static const char *const SHORT[] = { "CARREL_USERNS=auto", "CARREL_FAILPOINT=userns.try.before:error", NULL };
        static const char *const WELL[] = { "CARREL_USERNS=auto", NULL };
        char text[64];

        (void)state;
        carreld = carreld_new(SHORT);
        assert_true(wait_until(is_serving, NULL, PATIENCE_S));
        expect_refusal("ada", "engine_unavailable", "cannot make a user namespace now");
        suite_end();
        suite_start(WELL);
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "awk '$2 > 0 { print \"mapped\" }' /proc/self/uid_map", text, sizeof text);
        assert_string_equal(text, "mapped");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        suite_end();
}

/* An overlay of an overlay is as deep as the kernel has it: what lies in it cannot be covered by a third. */
static void images_that_no_overlay_covers_are_named(void **state)
{
        static const char SCRIPT[] =
                "mkdir -p $1 && mount -t tmpfs tmpfs $1 && for i in 1 2; do\n"
                "  mkdir $1/lower$i $1/upper$i $1/work$i $1/merged$i && lower=$1/lower$i\n"
                "  test $i = 1 || lower=$1/merged1\n"
                "  mount -t overlay overlay -o lowerdir=$lower,upperdir=$1/upper$i,workdir=$1/work$i $1/merged$i || "
                "exit 1\n"
                "done\n";
        static const char *const DEEP[] = { "CARREL_IMAGE_DIR=" DISKS "/merged2", NULL };
        static const char *const SHALLOW[] = { "CARREL_IMAGE_DIR=" DISKS "/merged1/new", "CARREL_IMAGE=host", NULL };

        (void)state;
        MUST_RUN("sh", "-c", SCRIPT, "sh", DISKS);
        carreld = carreld_new(DEEP);
        assert_true(wait_until(is_serving, NULL, PATIENCE_S));
        expect_refusal("ada", "engine_unavailable", "image_dir must be on a file system that overlay can use");
        suite_end();
        carreld = carreld_new(SHALLOW);
        assert_true(wait_until(can_ensure, NULL, PATIENCE_S)); /* the host's image is made after the start */
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        suite_end();
        MUST_RUN("umount", DISKS "/merged2", DISKS "/merged1", DISKS);
}

/* ---- what runs out ---- */

/* Only the directories of the runtime and of the names, which are empty. */
static void expect_no_containers(void)
{
        assert_int_equal(count_entries(STATE_DIR), 2);
        assert_int_equal(count_entries(STATE_DIR "/names"), 0);
        assert_int_equal(count_entries(STATE_DIR "/runtime"), 0);
}

/* The records' file system holds one record and no bundle. */
static void a_full_disk_is_named_and_nothing_stays(void **state)
{
        (void)state;
        MUST_RUN("mkdir", "-p", STATE_DIR);
        MUST_RUN("mount", "-t", "tmpfs", "-o", "size=16k,mode=0711", "tmpfs", STATE_DIR);
        suite_start(NULL);
        expect_refusal("ada", "resource_exhausted", "No space left on device");
        expect_no_containers();
        MUST_RUN("mount", "-o", "remount,size=16m", STATE_DIR);
        carreld_must_ensure("ada");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        expect_no_containers();
        suite_end();
        MUST_RUN("umount", STATE_DIR);
}

static void expect_put(const char *path, const char *body, int status, const char *words)
{
        struct answer answer = request(CARREL_SOCKET, "PUT", path, body);

        if (answer.status != status || strstr(answer.body, words) == NULL)
                fail_msg("%s: %d %s, expected %d %s", path, answer.status, answer.body, status, words);
        answer_release(&answer);
}

/* A thread looks first, beside the loop. */
static bool is_room_told(void *arg)
{
        (void)arg;
        return carreld_metric("carrel_disk_free_inodes{setting=\"users_dir\"}") >= 0 &&
               carreld_metric("carrel_disk_free_inodes{setting=\"spool_dir\"}") >= 0;
}

/* 8 MiB and 200 inodes, for the users' directories. An ext4 with inline_data has small directories (and files) without
 * a block, and with nodelalloc keeps nothing back for a while. */
static void mount_small_disk(void)
{
        static const char IMAGE[] = "/run/testbed/small.img";

        MUST_RUN("mkdir", "-p", CARREL_USERS);
        if (enclosure_tmpfs_maps_owners()) {
                MUST_RUN("mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=200,mode=0711", "tmpfs", CARREL_USERS);
                return;
        }
        MUST_RUN("truncate", "-s8m", IMAGE);
        MUST_RUN("mkfs.ext4", "-q", "-m0", "-b4096", "-N200", "-I256", "-O^has_journal,inline_data", IMAGE);
        MUST_RUN("mount", "-oloop,nodelalloc", IMAGE, CARREL_USERS);
        MUST_RUN("rmdir", CARREL_USERS "/lost+found");
        MUST_RUN("chmod", "711", CARREL_USERS);
}

/* One disk holds the files of all users and the uploads. One user takes all its inodes, and then all its bytes. The
 * others still get carrels, run programs and use other disks, and errors name the full disk. */
static void a_disk_that_a_user_fills_is_not_the_others_end(void **state)
{
        static const char *const SETTINGS[] = { "CARREL_SPOOL_DIR=" CARREL_USERS, NULL };
        static char body[(600 << 10) + 1], block[1024 + 1], text[64];

        (void)state;
        memset(body, 'x', sizeof body - 1);
        memset(block, 'x', sizeof block - 1);
        mount_small_disk();
        suite_start(SETTINGS);
        assert_true(wait_until(is_room_told, NULL, PATIENCE_S));
        assert_in_range(carreld_metric("carrel_disk_free_bytes{setting=\"users_dir\"}"), 7 << 20, 8 << 20);
        assert_in_range(carreld_metric("carrel_disk_free_inodes{setting=\"spool_dir\"}"), 150, 200);
        carreld_must_ensure("ada");
        expect_put("/v1/carrels/ada/files/control", body, 200, "614400");
        carreld_must_exec("ada",
                          "i=0; while touch f$i 2>/dev/null; do i=$((i + 1)); done; test $i -gt 100 && echo full", text,
                          sizeof text);
        assert_string_equal(text, "full");
        carreld_must_ensure("bob");
        carreld_must_exec("bob", "echo x > /tmp/x && echo runs", text, sizeof text);
        assert_string_equal(text, "runs");
        expect_put("/v1/carrels/bob/files//tmp/mine", "mine", 200, "\"size\":4");
        expect_put("/v1/carrels/bob/files/mine", "mine", 507, "all users share (users_dir)");
        expect_put("/v1/carrels/bob/files//tmp/mine", body, 507, "(spool_dir)");
        carreld_must_exec("ada", "rm -f f*; cat /dev/zero > big 2>/dev/null; ls", text, sizeof text);
        carreld_must_ensure("cyd");
        expect_put("/v1/carrels/cyd/files/mine", block, 507, "all users share (users_dir)");
        expect_put("/v1/carrels/cyd/files//tmp/mine", "mine", 200, "\"size\":4");
        expect_put("/v1/carrels/cyd/files//tmp/mine", body, 507, "(spool_dir)");
        carreld_must_exec("ada", "rm big", text, sizeof text);
        expect_put("/v1/carrels/cyd/files/mine", body, 200, "614400");
        suite_end();
        MUST_RUN("umount", CARREL_USERS);
}

static void host_ids_that_run_out_are_named(void **state)
{
        enum { RANGES = 15 }; /* between this base and the highest id */
        static const char *const SETTINGS[] = { "CARREL_USERNS_BASE=4293918720", NULL };
        char user[32];

        (void)state;
        suite_start(SETTINGS);
        for (unsigned i = 0; i < RANGES; i++) {
                snprintf(user, sizeof user, "user-%u", i);
                carreld_must_ensure(user);
        }
        expect_refusal("ada", "resource_exhausted", "user ids");
        assert_int_equal(engine_count(LABEL_USER "=ada"), 0);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/user-0", NULL, 200);
        carreld_must_ensure("ada");
        suite_end();
}

/* ---- processes ---- */

/* Where the kernel counts processes: a hierarchy of v1 of its own, or v2's. */
static const char *pids_directory(void)
{
        static char path[PATH_BYTES];
        bool is_v1 = access("/sys/fs/cgroup/pids/cgroup.procs", F_OK) == 0;

        snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/host", is_v1 ? "/pids" : "", enclosure_cgroup());
        MUST_RUN("mkdir", "-p", path);
        if (!is_v1)
                MUST_RUN("sh", "-c",
                         "for d in . .\"$1\"; do echo +pids > /sys/fs/cgroup/$d/cgroup.subtree_control; done", "sh",
                         enclosure_cgroup());
        return path;
}

/* Of a container: only the one that stands for the host is there. */
static void expect_no_cgroup(void)
{
        static struct output output;
        char script[PATH_BYTES];

        snprintf(script, sizeof script, "find /sys/fs/cgroup/ -path '*%s/*' -type d ! -name host", enclosure_cgroup());
        RUN(&output, "sh", "-c", script);
        assert_string_equal(output.text, "");
}

/* Puts carreld and its children in a group with room for so many more processes ("max": any number). With no room,
 * processes that end meanwhile make none. */
static void give_room(const char *room)
{
        static const char SCRIPT[] =
                "cd \"$1\" && for p in $2 $(cat /proc/$2/task/*/children); do echo $p > cgroup.procs; done;"
                "case $3 in max) most=max ;; 0) most=1 ;; *) most=$(($(cat pids.current) + $3)) ;; esac; echo $most > "
                "pids.max";
        char pid[32];

        snprintf(pid, sizeof pid, "%d", (int)carreld_pid(carreld));
        MUST_RUN("sh", "-c", SCRIPT, "sh", pids_directory(), pid, room);
}

/* The housekeeping of the start is done (the image of the machine is its last deed), and its helper has ended:
 * carrel-netd is the only child. */
static bool is_at_rest(void *arg)
{
        static struct output output;
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/images/host", NULL);
        bool is_done = answer.status == 200;
        char pid[32];

        (void)arg;
        answer_release(&answer);
        snprintf(pid, sizeof pid, "%d", (int)carreld_pid(carreld));
        RUN(&output, "sh", "-c", "cat /proc/$1/task/*/children | wc -w", "sh", pid);
        return is_done && strtoul(output.text, NULL, 10) == 1;
}

/* However far a start comes before the last process is taken. */
static void a_host_without_processes_is_named_and_nothing_stays(void **state)
{
        enum { ROOM_MAX = 16 };
        struct answer answer = { 0 };
        unsigned room = 0;
        char text[16];

        (void)state;
        suite_start(NULL);
        assert_true(wait_until(is_at_rest, NULL, PATIENCE_S));
        for (; room < ROOM_MAX; room++) {
                snprintf(text, sizeof text, "%u", room);
                give_room(text);
                answer = ask_for("ada");
                if (answer.status == 200)
                        break;
                judge_refusal(&answer, "resource_exhausted", "processes");
                expect_no_containers();
                expect_no_cgroup();
        }
        assert_int_equal(answer.status, 200);
        answer_release(&answer);
        assert_in_range(room, 1, ROOM_MAX - 1);
        give_room("max");
        carreld_must_ensure("bob");
        suite_end();
}

/* ---- an admin's freezer ---- */

/* Of the group that all containers are below, which is there before the first: v1's own hierarchy, or v2's. */
static void freeze_parent(bool is_frozen)
{
        static const char SCRIPT[] =
                "if [ -d /sys/fs/cgroup/freezer ]; then g=/sys/fs/cgroup/freezer$1; f=freezer.state; v=$2;"
                "else g=/sys/fs/cgroup$1; f=cgroup.freeze; v=$3; fi; mkdir -p $g && echo $v > $g/$f";

        MUST_RUN("sh", "-c", SCRIPT, "sh", enclosure_cgroup(), is_frozen ? "FROZEN" : "THAWED", is_frozen ? "1" : "0");
}

/* Whoever is born in it would stand still, and carreld with it. */
static void a_frozen_parent_is_named_and_nothing_waits(void **state)
{
        enum { TRIES = 3 };

        (void)state;
        suite_start(NULL);
        freeze_parent(true);
        for (int i = 0; i < TRIES; i++) {
                expect_refusal("ada", "carrel_frozen", "is frozen from outside: thaw it");
                expect_no_containers();
        }
        request_expect(CARREL_SOCKET, "GET", "/healthz", NULL, 200);
        freeze_parent(false);
        carreld_must_ensure("ada");
        suite_end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_ENGINE(a_runtime_that_cannot_serve_is_named),
                WITH_ENGINE(a_shortage_of_user_namespaces_is_no_word_for_good),
                WITH_ENGINE(images_that_no_overlay_covers_are_named),
                WITH_ENGINE(a_full_disk_is_named_and_nothing_stays),
                WITH_ENGINE(a_disk_that_a_user_fills_is_not_the_others_end),
                WITH_ENGINE(host_ids_that_run_out_are_named),
                WITH_ENGINE(a_host_without_processes_is_named_and_nothing_stays),
                WITH_ENGINE(a_frozen_parent_is_named_and_nothing_waits),
        };

        return suite_run(&(struct suite){
                .name = "oci_exhausted",
                .kind = SUITE_ENGINE,
                .engine = "oci",
                SUITE_TESTS(tests),
        });
}
