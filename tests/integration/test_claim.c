/* Warm carrels and claims on a real engine: whose files are inside, what the one before leaves, and what happens when
 * something dies on the way. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "outside.h"
#include "suite.h"

enum { WARM = 3, CLAIMS = 24, CLAIMS_MAX = 100000 };
#define PATIENCE_S 60.0

static const char *const SETTINGS[] = { "CARREL_WARM=3",      "CARREL_STARTUP=adopt",        "CARREL_MEMORY=64m",
                                        "CARREL_TMP_SIZE=8m", "CARREL_ENSURE_TIMEOUT_S=120", NULL };

/* ---- waiting ---- */

static bool is_full(void *arg)
{
        return carreld_metric("carrel_carrels{state=\"warm\"}") == *(const double *)arg;
}

static void await_warm(double count)
{
        if (!wait_until(is_full, &count, PATIENCE_S))
                fail_msg("%g warm carrels, not %g", carreld_metric("carrel_carrels{state=\"warm\"}"), count);
}

static void begin(void)
{
        suite_start(SETTINGS);
        await_warm(WARM);
}

static void expect_outcome(const char *user, const char *outcome)
{
        struct answer answer = carreld_ensure(user);

        if (strcmp(answer_text(&answer, "outcome"), outcome) != 0)
                fail_msg("%s: %s; expected %s", user, answer.body, outcome);
        answer_release(&answer);
}

static void remove_user(const char *user)
{
        char path[96];

        snprintf(path, sizeof path, "/v1/carrels/%s", user);
        request_expect(CARREL_SOCKET, "DELETE", path, NULL, 200);
}

/* ---- what a claim gives ---- */

static void a_claimed_carrel_is_its_users(void **state)
{
        static const char LOOK[] = "id -u; stat -c '%u %g' /workspace; pwd; echo kept > file && cat file; "
                                   "echo $USER $LOGNAME $CARREL_USER $HOME";
        struct stat file;
        char text[512];

        (void)state;
        begin();
        expect_outcome("ada", "claimed");
        carreld_must_exec("ada", LOOK, text, sizeof text);
        assert_string_equal(strstr(text, "/workspace\n"), "/workspace\nkept\nuser user ada /workspace");
        assert_int_equal(stat(CARREL_USERS "/ada/file", &file), 0);
        assert_int_equal(file.st_uid, 1000);
        carreld_must_exec("ada", "grep ' /workspace ' /proc/self/mountinfo | tail -n 1", text, sizeof text);
        assert_non_null(strstr(text, "nosuid,nodev"));
        expect_outcome("ada", "reused");
        await_warm(WARM);
        assert_int_equal(engine_count(LABEL_PRODUCT), WARM + 1);
        remove_user("ada");
        expect_outcome("ada", "claimed");
        carreld_must_exec("ada", "cat file", text, sizeof text);
        assert_string_equal(text, "kept");
        remove_user("ada");
        suite_end();
}

static unsigned count_claims(void)
{
        const char *text = getenv("TESTBED_CLAIMS");
        unsigned long number = text != NULL ? strtoul(text, NULL, 10) : CLAIMS;

        if (number < 1 || number > CLAIMS_MAX)
                fail_msg("TESTBED_CLAIMS is a number from 1 to %d", CLAIMS_MAX);
        return (unsigned)number;
}

/* Each user's own inode, every time. TESTBED_CLAIMS: how many times (tests/testbed/enclosure.h). */
static void many_claims_have_the_right_directory(void **state)
{
        unsigned n_claims = count_claims();

        (void)state;
        begin();
        for (unsigned i = 0; i < n_claims; i++) {
                char user[24], path[128], wanted[32], text[64];
                struct stat directory;

                snprintf(user, sizeof user, "user-%u", i);
                await_warm(WARM);
                expect_outcome(user, "claimed");
                snprintf(path, sizeof path, CARREL_USERS "/%s", user);
                assert_int_equal(stat(path, &directory), 0);
                snprintf(wanted, sizeof wanted, "%lu", (unsigned long)directory.st_ino);
                carreld_must_exec(user, "stat -c %i /workspace", text, sizeof text);
                assert_string_equal(text, wanted);
                remove_user(user);
        }
        assert_true(carreld_metric("carrel_claim_failures_total") <= 0);
        suite_end();
}

static const char DIGEST[] =
        "tr '\\0' '\\n' </proc/1/environ; cat /proc/1/cmdline /proc/1/mountinfo /proc/1/limits /proc/mounts "
        "/proc/net/unix /proc/net/tcp /proc/net/route 2>/dev/null; ls -la /tmp /dev/shm /proc/1/fd 2>/dev/null; "
        "cat /proc/sysvipc/* 2>/dev/null; ls /proc | grep '^[0-9]'; cat /etc/passwd /etc/group /etc/hostname";

/* Nothing that is readable inside names the user before, or what his programs did. */
static void nothing_of_another_user_is_inside(void **state)
{
        char text[32768];

        (void)state;
        begin();
        expect_outcome("trace-me-one", "claimed");
        carreld_must_exec("trace-me-one", "echo trace-me-two > /tmp/x; echo trace-me-two > file", text, sizeof text);
        /* The positive control. */
        carreld_must_exec("trace-me-one", "cat /tmp/x; echo $CARREL_USER", text, sizeof text);
        assert_string_equal(text, "trace-me-two\ntrace-me-one");
        remove_user("trace-me-one");
        for (int i = 0; i < WARM; i++) {
                char user[16];

                await_warm(WARM);
                snprintf(user, sizeof user, "other-%d", i);
                expect_outcome(user, "claimed");
                carreld_must_exec(user, DIGEST, text, sizeof text);
                assert_null(strstr(text, "trace-me"));
                remove_user(user);
        }
        suite_end();
}

/* ---- the network ---- */

/* It stays in the namespace in which it was made. */
static int open_socket_inside(int pid)
{
        char path[64];
        int home, inside, fd;

        snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
        home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        inside = open(path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(setns(inside, CLONE_NEWNET), 0);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(setns(home, CLONE_NEWNET), 0);
        assert_true(fd >= 0);
        close(inside);
        close(home);
        return fd;
}

static void send_outside(int fd)
{
        struct sockaddr_in target = { .sin_family = AF_INET, .sin_port = htons(OUTSIDE_PORT) };

        assert_int_equal(inet_pton(AF_INET, OUTSIDE_ALLOWED, &target.sin_addr), 1);
        (void)sendto(fd, "x", 1, 0, (struct sockaddr *)&target, sizeof target);
}

static unsigned long packets_from(const char *interface)
{
        static struct output output;
        unsigned long packets = 0;
        char *line;

        RUN(&output, "cat", "/proc/net/dev");
        line = strstr(output.text, interface);
        assert_non_null(line);
        assert_int_equal(sscanf(line + strlen(interface), ": %*u %lu", &packets), 1);
        return packets;
}

/* The interface of an address is named after its place in the network (docs/netpolicy.md). */
static void name_interface(const char *address, char ret_interface[static 16])
{
        unsigned high = 0, low = 0;

        if (sscanf(address, "10.213.%3u.%3u", &high, &low) != 2)
                fail_msg("no address of a carrel: %s", address);
        snprintf(ret_interface, 16, "carrel%u", high << 8 | low);
}

static bool is_up(const char *interface)
{
        static struct output output;

        RUN(&output, "ip", "-oneline", "link", "show", "up", "dev", interface);
        assert_int_equal(output.status, 0);
        return output.text[0] != '\0';
}

/* Returns the pid of a warm carrel. */
static int look_at_warm(char ret_address[static 16])
{
        struct answer list = request(CARREL_SOCKET, "GET", "/v1/carrels?state=warm", NULL);
        const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(list.json, "carrels"), 0);
        int pid;

        assert_non_null(first);
        snprintf(ret_address, 16, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(first, "address")));
        pid = engine_pid(cJSON_GetStringValue(cJSON_GetObjectItem(first, "container")));
        answer_release(&list);
        return pid;
}

/* Not even the host's root can send from a warm carrel. The claim opens it, and its user's first packet passes. */
static void nothing_leaves_before_the_claim(void **state)
{
        struct outside *outside = outside_new();
        char interface[16], address[16], text[256];
        struct answer claimed;
        int fd;

        (void)state;
        SUITE_START("CARREL_WARM=1", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
        await_warm(1);
        fd = open_socket_inside(look_at_warm(address));
        name_interface(address, interface);
        send_outside(fd);
        assert_false(is_up(interface));
        assert_int_equal(packets_from(interface), 0);
        claimed = carreld_ensure("ada");
        assert_string_equal(answer_text(&claimed, "outcome"), "claimed");
        assert_string_equal(answer_text(&claimed, "address"), address);
        answer_release(&claimed);
        carreld_must_exec("ada", "nc " OUTSIDE_ALLOWED " 7777 </dev/null", text, sizeof text);
        assert_string_equal(text, OUTSIDE_GREETING);
        assert_true(is_up(interface));
        send_outside(fd);
        assert_true(packets_from(interface) > 0);
        close(fd);
        remove_user("ada");
        suite_end();
        outside_free(outside);
}

/* Its address leads elsewhere. */
static void a_link_that_cannot_be_opened_takes_the_cold_road(void **state)
{
        char address[16];

        (void)state;
        SUITE_START("CARREL_WARM=1", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
        await_warm(1);
        (void)look_at_warm(address);
        MUST_RUN("ip", "route", "add", address, "dev", "lo");
        expect_outcome("ada", "created");
        MUST_RUN("ip", "route", "del", address, "dev", "lo");
        assert_true(carreld_metric("carrel_claim_failures_total") == 1);
        assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
        remove_user("ada");
        suite_end();
}

static void policy_none_is_claimed_too(void **state)
{
        struct answer answer;
        char text[256];

        (void)state;
        SUITE_START("CARREL_WARM=1", "CARREL_POLICY=none", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
        await_warm(1);
        answer = carreld_ensure("ada");
        assert_string_equal(answer_text(&answer, "outcome"), "claimed");
        answer_release(&answer);
        carreld_must_exec("ada", "ls /sys/class/net 2>/dev/null || tail -n +3 /proc/net/dev | cut -d: -f1", text,
                          sizeof text);
        assert_null(strstr(text, "eth0"));
        remove_user("ada");
        suite_end();
}

/* ---- adoption ---- */

static void a_claimed_carrel_is_adopted_and_warm_ones_are_cleared(void **state)
{
        struct answer before, after;
        char text[64];

        (void)state;
        begin();
        before = carreld_ensure("ada");
        assert_string_equal(answer_text(&before, "outcome"), "claimed");
        carreld_must_exec("ada", "echo x > /tmp/kept", text, sizeof text);
        suite_restart(SETTINGS);
        after = carreld_ensure("ada");
        assert_string_equal(answer_text(&after, "outcome"), "reused");
        assert_string_equal(answer_text(&after, "container_id"), answer_text(&before, "container_id"));
        assert_true(answer_number(&after, "generation") >= answer_number(&before, "generation"));
        carreld_must_exec("ada", "cat /tmp/kept", text, sizeof text);
        assert_string_equal(text, "x");
        await_warm(WARM);
        assert_int_equal(engine_count(LABEL_PRODUCT), WARM + 1);
        answer_release(&before);
        answer_release(&after);
        remove_user("ada");
        suite_end();
}

/* ---- faults ---- */

static const char *const CLAIM_STEPS[] = { "clear", "directory", "take", "attach", "prove", "name", "open" };
static const char *const WARM_STEPS[] = { "mounts", "listen", "create", "confine", "start",  "identify",
                                          "verify", "seal",   "plug",   "greet",   "confirm" };
static const char *const MOMENTS[] = { "before", "after" };
static const char *const STARTUPS[] = { "CARREL_STARTUP=clear", "CARREL_STARTUP=adopt" };

static void converge(const char *startup)
{
        SUITE_START(startup, "CARREL_WARM=1", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m", "CARREL_ENSURE_TIMEOUT_S=120");
        carreld_must_ensure("ada");
        await_warm(1);
        assert_int_equal(engine_count(LABEL_PRODUCT), 2);
        remove_user("ada");
        suite_end();
}

static void killed_at_every_step_of_a_claim(void **state)
{
        (void)state;
        for (size_t i = 0; i < 2 * sizeof CLAIM_STEPS / sizeof *CLAIM_STEPS; i++) {
                const char *startup = STARTUPS[(i / 2 + i) % 2];
                char failpoint[96];
                struct answer answer;

                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=claim.%s.%s:kill", CLAIM_STEPS[i / 2],
                         MOMENTS[i % 2]);
                SUITE_START(startup, failpoint, "CARREL_WARM=1", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
                await_warm(1);
                answer = carreld_request("PUT", "/v1/carrels/ada", NULL, 120.0);
                if (answer.status != 0 || !carreld_await_death(carreld, PATIENCE_S))
                        fail_msg("%s: not killed, %d %s", failpoint, answer.status, answer.body);
                answer_release(&answer);
                carreld = carreld_kill(carreld);
                converge(startup);
        }
}

static void killed_at_every_step_of_a_refill(void **state)
{
        (void)state;
        for (size_t i = 0; i < 2 * sizeof WARM_STEPS / sizeof *WARM_STEPS; i++) {
                char failpoint[96];

                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=warm.%s.%s:kill", WARM_STEPS[i / 2],
                         MOMENTS[i % 2]);
                carreld = carreld_new((const char *const[]){ failpoint, "CARREL_WARM=1", "CARREL_MEMORY=64m",
                                                             "CARREL_TMP_SIZE=8m", NULL });
                if (!carreld_await_death(carreld, PATIENCE_S))
                        fail_msg("%s: not killed", failpoint);
                carreld = carreld_kill(carreld);
                converge(STARTUPS[i % 2]);
        }
}

/* The caller sees a slower answer and nothing else. */
static void a_failure_at_any_step_takes_the_cold_road(void **state)
{
        (void)state;
        for (size_t i = 2; i < sizeof CLAIM_STEPS / sizeof *CLAIM_STEPS; i++) {
                char failpoint[96];

                snprintf(failpoint, sizeof failpoint, "CARREL_FAILPOINT=claim.%s.after:error", CLAIM_STEPS[i]);
                SUITE_START(failpoint, "CARREL_WARM=1", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m",
                            "CARREL_ENSURE_TIMEOUT_S=120");
                await_warm(1);
                expect_outcome("ada", "created");
                assert_true(carreld_metric("carrel_claim_failures_total") == 1);
                assert_int_equal(engine_count(LABEL_USER "=ada"), 1);
                await_warm(1);
                assert_int_equal(engine_count(LABEL_PRODUCT), 2);
                remove_user("ada");
                suite_end();
        }
}

static pid_t find_mountd(void)
{
        static struct output output;
        char parent[16];

        snprintf(parent, sizeof parent, "%d", (int)carreld_pid(carreld));
        process_run(&output, (const char *const[]){ "pgrep", "-P", parent, "-x", "carrel-mountd", NULL });
        return (pid_t)strtol(output.text, NULL, 10);
}

static bool is_claimed(void *arg)
{
        struct answer answer = carreld_ensure("eve");
        bool is_so = strcmp(answer_text(&answer, "outcome"), "claimed") == 0;

        (void)arg;
        answer_release(&answer);
        remove_user("eve");
        return is_so;
}

/* Stopped, it does not answer; killed, it is started again. */
static void a_mount_helper_that_dies_costs_only_time(void **state)
{
        (void)state;
        begin();
        assert_true(find_mountd() > 1);
        assert_int_equal(kill(find_mountd(), SIGSTOP), 0);
        expect_outcome("ada", "created");
        if (find_mountd() > 1)
                (void)kill(find_mountd(), SIGKILL);
        carreld_must_ensure("bob");
        assert_true(wait_until(is_claimed, NULL, PATIENCE_S));
        await_warm(WARM);
        assert_int_equal(engine_count(LABEL_PRODUCT), WARM + 2);
        remove_user("ada");
        remove_user("bob");
        suite_end();
}

static void find_warm(char *ret_name, size_t size)
{
        struct answer list = request(CARREL_SOCKET, "GET", "/v1/carrels?state=warm", NULL);
        const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(list.json, "carrels"), 0);
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(first, "container"));

        assert_non_null(name);
        snprintf(ret_name, size, "%s", name);
        answer_release(&list);
}

static bool has_shortage(void *arg)
{
        (void)arg;
        return carreld_metric("carrel_warm_failures_total") > 0;
}

static bool is_small_one_made(void *arg)
{
        struct answer answer = request_within(CARREL_SOCKET, "PUT", "/v1/carrels/ada",
                                              "{\"limits\":{\"memory\":\"48m\"}}", PATIENCE_S);
        bool is_so = answer.status == 200;

        (void)arg;
        if (!is_so && strcmp(answer_text(&answer, "error.code"), "resource_exhausted") != 0)
                fail_msg("%d %s", answer.status, answer.body);
        answer_release(&answer);
        return is_so;
}

/* A network with fewer addresses than warm carrels: a user who asks for another carrel gets one. */
static void warm_carrels_give_their_addresses_to_users(void **state)
{
        (void)state;
        SUITE_START("CARREL_WARM=20", "CARREL_NETWORK_CIDR=10.213.0.0/28", "CARREL_MEMORY=64m", "CARREL_TMP_SIZE=8m");
        assert_true(wait_until(has_shortage, NULL, PATIENCE_S));
        assert_true(wait_until(is_small_one_made, NULL, PATIENCE_S));
        remove_user("ada");
        suite_end();
}

/* carreld may not have noticed the death by then. */
static void kill_and_await(pid_t pid)
{
        struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

        assert_true(ended.fd >= 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(poll(&ended, 1, (int)(PATIENCE_S * 1000)), 1);
        close(ended.fd);
}

/* Neither a dead warm carrel nor one that somebody removed is given to a user. */
static void what_others_do_to_warm_carrels_hurts_no_user(void **state)
{
        (void)state;
        begin();
        for (int i = 0; i < 2; i++) {
                char name[128];

                find_warm(name, sizeof name);
                if (i == 0)
                        kill_and_await(engine_pid(name));
                else
                        engine_remove(name);
                for (int user = 0; user < WARM; user++) {
                        char id[24], text[32];

                        snprintf(id, sizeof id, "user-%d-%d", i, user);
                        carreld_must_ensure(id);
                        carreld_must_exec(id, "echo works", text, sizeof text);
                        assert_string_equal(text, "works");
                        remove_user(id);
                }
                await_warm(WARM);
        }
        suite_end();
}

static double warm_number(const char *key, char *ret_detail, size_t size)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/info", NULL);
        const cJSON *warm = cJSON_GetObjectItem(cJSON_GetObjectItem(answer.json, "stats"), "warm");
        const char *detail = cJSON_GetStringValue(cJSON_GetObjectItem(warm, "detail"));
        double number = cJSON_GetNumberValue(cJSON_GetObjectItem(warm, key));

        snprintf(ret_detail, size, "%s", detail != NULL ? detail : "");
        answer_release(&answer);
        return number;
}

static bool is_explained(void *arg)
{
        char detail[256];

        (void)arg;
        return warm_number("ready", detail, sizeof detail) < WARM && detail[0] != '\0';
}

/* The reason is shown while it lasts, and the failures are few: there is no busy loop. */
static void an_engine_that_is_down_is_named_until_it_is_back(void **state)
{
        char name[128], detail[256];
        int pid;

        (void)state;
        begin();
        find_warm(name, sizeof name);
        pid = engine_pid(name);
        assert_true(pid > 1);
        engine_stop(engine, SIGKILL);
        (void)kill(pid, SIGKILL); /* some engines have ended it */
        assert_true(wait_until(is_explained, NULL, PATIENCE_S));
        (void)warm_number("ready", detail, sizeof detail);
        if (strstr(detail, engine_kind()) == NULL)
                fail_msg("%s", detail);
        engine_start(engine);
        await_warm(WARM);
        assert_true(warm_number("failures", detail, sizeof detail) < 10);
        assert_string_equal(detail, "");
        expect_outcome("ada", "claimed");
        remove_user("ada");
        suite_end();
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                WITH_ENGINE(a_claimed_carrel_is_its_users),
                WITH_ENGINE(many_claims_have_the_right_directory),
                WITH_ENGINE(nothing_of_another_user_is_inside),
                WITH_ENGINE(nothing_leaves_before_the_claim),
                WITH_ENGINE(a_link_that_cannot_be_opened_takes_the_cold_road),
                WITH_ENGINE(policy_none_is_claimed_too),
                WITH_ENGINE(a_claimed_carrel_is_adopted_and_warm_ones_are_cleared),
                WITH_ENGINE(killed_at_every_step_of_a_claim),
                WITH_ENGINE(killed_at_every_step_of_a_refill),
                WITH_ENGINE(a_failure_at_any_step_takes_the_cold_road),
                WITH_ENGINE(a_mount_helper_that_dies_costs_only_time),
                WITH_ENGINE(warm_carrels_give_their_addresses_to_users),
                WITH_ENGINE(what_others_do_to_warm_carrels_hurts_no_user),
                WITH_ENGINE_DAEMON(an_engine_that_is_down_is_named_until_it_is_back),
        };

        return suite_run(&(struct suite){ .name = "claim", .kind = SUITE_ENGINE, SUITE_TESTS(tests) });
}
