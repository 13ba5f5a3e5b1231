/* Users' images on a real engine: what a program sees, what bounds it, and that nothing is left or lost. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

enum { KILLS = 10 };
#define PATIENCE_S 60.0
#define DISKS CARREL_USERS "/.disks"

static const char *const SETTINGS[] = { "CARREL_DISK=image",           "CARREL_DISK_SIZE=16m",
                                        "CARREL_DISK_FILES=300",       "CARREL_STARTUP=adopt",
                                        "CARREL_MEMORY=64m",           "CARREL_TMP_SIZE=8m",
                                        "CARREL_ENSURE_TIMEOUT_S=120", NULL };
static const char *const WARM[] = { "CARREL_DISK=image",
                                    "CARREL_DISK_SIZE=16m",
                                    "CARREL_WARM=1",
                                    "CARREL_STARTUP=adopt",
                                    "CARREL_MEMORY=64m",
                                    "CARREL_TMP_SIZE=8m",
                                    NULL };
static const char *const LARGER[] = { "CARREL_DISK=image", "CARREL_DISK_SIZE=32m", "CARREL_STARTUP=adopt",
                                      "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m",   NULL };
static const char *const NONE[] = { "CARREL_STARTUP=adopt", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", NULL };

/* ---- loop devices ---- */

/* Those whose file is an image of users_dir, which no other program has. */
static unsigned count_loops(void)
{
        unsigned count = 0;
        DIR *images = opendir(DISKS);
        struct dirent *entry;

        if (images == NULL)
                return 0;
        while ((entry = readdir(images)) != NULL) {
                struct stat image;

                if (fstatat(dirfd(images), entry->d_name, &image, 0) < 0 || !S_ISREG(image.st_mode))
                        continue;
                for (int i = 0; i < 64; i++) {
                        struct loop_info64 info;
                        char path[32];
                        int fd;

                        snprintf(path, sizeof path, "/dev/loop%d", i);
                        fd = open(path, O_RDONLY | O_CLOEXEC);
                        count += fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_inode == image.st_ino;
                        if (fd >= 0)
                                close(fd);
                }
        }
        closedir(images);
        return count;
}

static bool are_loops(void *arg)
{
        return count_loops() == *(const unsigned *)arg;
}

static void await_loops(unsigned count)
{
        if (!wait_until(are_loops, &count, PATIENCE_S))
                fail_msg("%u loop devices, not %u", count_loops(), count);
}

static void remove_user(const char *user)
{
        char path[96];

        snprintf(path, sizeof path, "/v1/carrels/%s", user);
        request_expect(CARREL_SOCKET, "DELETE", path, NULL, 200);
}

/* ---- what a user has ---- */

static void a_user_has_his_own_file_system(void **state)
{
        char text[512];

        (void)state;
        suite_start(SETTINGS);
        carreld_must_ensure("ada");
        carreld_must_exec("ada", "ls -A; stat -c %U:%a /workspace; touch a && stat -c %U a", text, sizeof text);
        assert_string_equal(text, "user:700\nuser");
        carreld_must_exec("ada", "grep ' /workspace .* ext4 ' /proc/self/mountinfo", text, sizeof text);
        assert_non_null(strstr(text, "nosuid,nodev"));
        carreld_must_exec("ada", "set -- $(df -P -m /workspace | tail -n 1); test $2 -gt 4 -a $2 -lt 17 && echo small",
                          text, sizeof text);
        assert_string_equal(text, "small");
        carreld_must_exec("ada", "ls /dev | grep -c loop; true", text, sizeof text);
        assert_string_equal(text, "0");
        assert_int_equal(access(CARREL_USERS "/ada", F_OK), -1);
        await_loops(1);
        suite_end();
}

static void a_byte_and_a_file_too_many_fail(void **state)
{
        char text[256];

        (void)state;
        suite_start(SETTINGS);
        carreld_must_ensure("eve");
        carreld_must_exec("eve",
                          "dd if=/dev/zero of=big bs=64k 2>&1 | grep -o 'No space left on device' | head -n 1; "
                          "rm big; i=0; while echo > f$i 2> said; do i=$((i+1)); done; rm -f f*; "
                          "test $i -gt 100 -a $i -lt 300 && echo bounded; echo kept > file; sync; cat file",
                          text, sizeof text);
        assert_string_equal(text, "No space left on device\nbounded\nkept");
        carreld_must_exec("ada", "echo other > file; cat file", text, sizeof text); /* the neighbour */
        assert_string_equal(text, "other");
        suite_end();
}

/* No block of the image is given back to the host, whatever a program does. */
static void an_image_keeps_its_blocks(void **state)
{
        struct stat status;
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        carreld_must_exec("ada",
                          "for i in 1 2 3; do head -c 3000000 /dev/urandom > b$i; sync; rm b$i; sync; done; "
                          "fallocate -l 2000000 c 2> /dev/null; dd if=/dev/zero of=c bs=4k seek=3 count=1 "
                          "conv=notrunc 2> /dev/null; sync; rm -f c; sync; echo done",
                          text, sizeof text);
        assert_string_equal(text, "done");
        assert_int_equal(stat(DISKS "/ada.ext4", &status), 0);
        assert_in_range(status.st_blocks * 512, status.st_size, UINT64_MAX);
        suite_end();
}

/* ---- what stays and what goes ---- */

static void files_outlive_the_carrel_and_the_device_does_not(void **state)
{
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        remove_user("eve");
        remove_user("ada");
        await_loops(0);
        carreld_must_ensure("eve");
        carreld_must_exec("eve", "cat file", text, sizeof text);
        assert_string_equal(text, "kept");
        await_loops(1);
        suite_end();
}

static void a_killed_carreld_finds_it_again(void **state)
{
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        suite_restart(SETTINGS);
        assert_true(carreld_has_state("eve", "ready"));
        carreld_must_exec("eve", "cat file", text, sizeof text);
        assert_string_equal(text, "kept");
        await_loops(1);
        suite_end();
}

/* At any moment: of a mount, a start or a removal. */
static void nothing_is_left_by_a_kill(void **state)
{
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        for (int i = 0; i < KILLS; i++) {
                char user[16], path[64];

                snprintf(user, sizeof user, "kill-%d", i % 3);
                snprintf(path, sizeof path, "/v1/carrels/%s", user);
                struct answer answer = request_within(CARREL_SOCKET, "PUT", path, NULL, 0.03 * (i + 1));
                answer_release(&answer);
                suite_restart(SETTINGS);
        }
        for (int i = 0; i < 3; i++) {
                char user[16];

                snprintf(user, sizeof user, "kill-%d", i);
                carreld_must_ensure(user);
                carreld_must_exec(user, "echo x > y; sync; cat y", text, sizeof text);
                assert_string_equal(text, "x");
                remove_user(user);
        }
        carreld_must_exec("eve", "cat file", text, sizeof text);
        assert_string_equal(text, "kept");
        await_loops(1);
        suite_end();
}

/* Of the steps that only a user with an image has. */
static void killed_at_every_step(void **state)
{
        static const char *const POINTS[] = { "disk.before",  "disk.after",   "attach.before",
                                              "attach.after", "prove.before", "prove.after" };
        char text[64];

        (void)state;
        for (size_t i = 0; i < sizeof POINTS / sizeof *POINTS; i++) {
                char failpoint[64];
                struct answer answer;

                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=ensure.%s:kill", POINTS[i]);
                SUITE_START("CARREL_DISK=image", "CARREL_DISK_SIZE=16m", "CARREL_STARTUP=adopt", "CARREL_MEMORY=64m",
                            "CARREL_TMP_SIZE=8m", failpoint);
                answer = carreld_request("PUT", "/v1/carrels/kill-0", NULL, PATIENCE_S);
                answer_release(&answer);
                assert_true(carreld_await_death(carreld, PATIENCE_S));
                suite_restart(SETTINGS);
                carreld_must_ensure("kill-0");
                carreld_must_exec("kill-0", "cat y", text, sizeof text);
                assert_string_equal(text, "x");
                remove_user("kill-0");
                await_loops(1);
                suite_end();
        }
}

static void an_image_grows(void **state)
{
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        remove_user("eve");
        suite_end();
        suite_start(LARGER);
        carreld_must_ensure("eve");
        carreld_must_exec("eve",
                          "cat file; set -- $(df -P -m /workspace | tail -n 1); test $2 -gt 17 && echo grown; true",
                          text, sizeof text);
        /* It takes CAP_SYS_RESOURCE, which not every machine gives. */
        assert_string_equal(text, prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) == 1 ? "kept\ngrown" : "kept");
        suite_end();
}

/* The host has no room for the image: the answer names it, and nothing is left. */
static void a_full_host_is_named(void **state)
{
        struct answer answer;

        (void)state;
        SUITE_START("CARREL_DISK=image", "CARREL_DISK_SIZE=16000g", "CARREL_DISK_FILES=1000", "CARREL_STARTUP=adopt",
                    "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
        answer = carreld_request("PUT", "/v1/carrels/zoe", NULL, PATIENCE_S);
        if (answer.status != 507 || strcmp(answer_text(&answer, "error.code"), "storage_full") != 0)
                fail_msg("%d %s", answer.status, answer.body);
        answer_release(&answer);
        assert_int_equal(access(DISKS "/zoe.ext4", F_OK), -1);
        assert_int_equal(access(DISKS "/zoe.ext4.new", F_OK), -1);
        suite_end();
}

static bool has_warm(void *arg)
{
        (void)arg;
        return carreld_metric("carrel_carrels{state=\"warm\"}") == 1;
}

static void a_claim_brings_it(void **state)
{
        struct answer answer;
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        remove_user("eve");
        suite_end();
        suite_start(WARM);
        assert_true(wait_until(has_warm, NULL, PATIENCE_S));
        answer = carreld_ensure("eve");
        assert_string_equal(answer_text(&answer, "outcome"), "claimed");
        answer_release(&answer);
        carreld_must_exec("eve", "cat file", text, sizeof text);
        assert_string_equal(text, "kept");
        suite_end();
}

/* With disk = none an image serves on, and a new user has a directory. */
static void images_serve_without_the_setting(void **state)
{
        char text[64];

        (void)state;
        suite_start(SETTINGS);
        remove_user("eve");
        suite_end();
        suite_start(NONE);
        carreld_must_ensure("eve");
        carreld_must_exec("eve", "cat file", text, sizeof text);
        assert_string_equal(text, "kept");
        carreld_must_ensure("new");
        assert_int_equal(access(CARREL_USERS "/new", F_OK), 0);
        assert_int_equal(access(DISKS "/new.ext4", F_OK), -1);
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/eve/fork", "{\"to\":\"copy\"}", 400);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/eve?files=1", NULL, 200);
        assert_int_equal(access(DISKS "/eve.ext4", F_OK), -1);
        await_loops(0);
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/new/fork", "{\"to\":\"copy\"}", 200);
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/copy/snapshots", "{\"name\":\"old\"}", 200);
        suite_end();
        suite_start(SETTINGS); /* no new directory, which would have no bound */
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/new/fork", "{\"to\":\"another\"}", 400);
        assert_int_equal(access(CARREL_USERS "/another", F_OK), -1);
        MUST_RUN("rm", "-r", CARREL_USERS "/copy");
        request_expect(CARREL_SOCKET, "POST", "/v1/carrels/copy/snapshots/old/restore", NULL, 400);
        assert_int_equal(access(CARREL_USERS "/copy", F_OK), -1);
        remove_user("new");
        suite_end();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_user_has_his_own_file_system),
                cmocka_unit_test(a_byte_and_a_file_too_many_fail),
                cmocka_unit_test(an_image_keeps_its_blocks),
                cmocka_unit_test(files_outlive_the_carrel_and_the_device_does_not),
                cmocka_unit_test(a_killed_carreld_finds_it_again),
                cmocka_unit_test(nothing_is_left_by_a_kill),
                cmocka_unit_test(killed_at_every_step),
                cmocka_unit_test(an_image_grows),
                cmocka_unit_test(a_full_host_is_named),
                cmocka_unit_test(a_claim_brings_it),
                cmocka_unit_test(images_serve_without_the_setting),
        };

        return suite_run(&(struct suite){ .name = "disk", .kind = SUITE_ENGINE, SUITE_TESTS(tests) });
}
