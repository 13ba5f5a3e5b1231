/* The execs that outlive carreld: what is recalled when it is killed between any two writes, and from a file in which
 * anything may stand. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "job-registry.h"

#define BOOT "11111111-2222-3333-4444-555555555555"
#define OTHER_BOOT "99999999-2222-3333-4444-555555555555"

enum { NOW_MS = 9000, HEAD_BYTES = 128, SLOT_BYTES = 584 };

static const struct job_entry WHO = {
        .exec_id = "job-0001",
        .user = "ada",
        .program = "make",
        .digest = { 1, 2, 3 },
        .is_detached = true,
        .created_ms = 5000,
};
static const struct job_end END = {
        .state = JOB_ENDED,
        .seq = 7,
        .ended_ms = 6000,
        .cause = EXEC_SIGNAL,
        .exit_code = 143,
        .signal = 15,
        .duration_s = 1.5,
        .usage = { true, 1000000, 5, 104857600 },
        .is_errors_lost = true,
};
static const struct job_end FAILED = {
        .state = JOB_FAILED,
        .seq = 1,
        .ended_ms = 6000,
        .kind = FAULT_POOL_FULL,
        .err = EAGAIN,
        .retry_after_s = 3,
        .message = "the pool is full",
};

static char directory[64], path[96];

static int make_directory(void **state)
{
        (void)state;
        (void)snprintf(directory, sizeof directory, "/tmp/test-registry.XXXXXX");
        if (mkdtemp(directory) == NULL)
                return -1;
        (void)snprintf(path, sizeof path, "%s/unit.execs", directory);
        return 0;
}

static int remove_directory(void **state)
{
        (void)state;
        (void)unlink(path);
        return rmdir(directory);
}

static struct job_registry *must_open(const char *boot_id)
{
        struct job_registry *registry = NULL;
        struct fault why = { 0 };

        if (job_registry_open(&registry, directory, "unit", boot_id, &why) < 0)
                fail_msg("%s", why.message);
        return registry;
}

struct found {
        unsigned count;
        int slot;
        struct job_entry entry; /* the last */
};

static bool keep(void *arg, int slot, const struct job_entry *entry)
{
        struct found *found = arg;

        found->count++;
        found->slot = slot;
        found->entry = *entry;
        return true;
}

/* The view of the next carreld. The registry stays open. */
static struct job_registry *reopen(const char *boot_id, struct found *ret_found)
{
        struct job_registry *registry = must_open(boot_id);

        *ret_found = (struct found){ 0 };
        job_registry_recall(registry, NOW_MS, keep, ret_found);
        return registry;
}

static struct found look(const char *boot_id)
{
        struct found found;

        job_registry_close(reopen(boot_id, &found));
        return found;
}

static int must_enter(struct job_registry *registry, const struct job_entry *entry)
{
        int slot = -1;

        assert_int_equal(job_registry_enter(registry, entry, &slot), 0);
        assert_true(slot >= 0);
        return slot;
}

static void expect_who(const struct job_entry *entry)
{
        assert_string_equal(entry->exec_id, WHO.exec_id);
        assert_string_equal(entry->user, WHO.user);
        assert_string_equal(entry->program, WHO.program);
        assert_memory_equal(entry->digest, WHO.digest, sizeof WHO.digest);
}

static void expect_end(const struct job_end *end, const struct job_end *expected)
{
        assert_int_equal(end->state, expected->state);
        assert_int_equal(end->seq, expected->seq);
        assert_int_equal(end->ended_ms, expected->ended_ms);
        assert_int_equal(end->cause, expected->cause);
        assert_int_equal(end->exit_code, expected->exit_code);
        assert_int_equal(end->signal, expected->signal);
        assert_true(end->duration_s == expected->duration_s);
        assert_int_equal(end->usage.is_known, expected->usage.is_known);
        assert_int_equal(end->usage.user_us, expected->usage.user_us);
        assert_int_equal(end->usage.system_us, expected->usage.system_us);
        assert_int_equal(end->usage.peak_bytes, expected->usage.peak_bytes);
        assert_int_equal(end->is_output_lost, expected->is_output_lost);
        assert_int_equal(end->is_errors_lost, expected->is_errors_lost);
        assert_int_equal(end->kind, expected->kind);
        assert_int_equal(end->err, expected->err);
        assert_int_equal(end->retry_after_s, expected->retry_after_s);
        assert_string_equal(end->message, expected->message);
}

static void test_recalls(void **state)
{
        struct job_registry *registry = must_open(BOOT);
        struct job_registry *second = NULL;
        struct found found;
        int slot;

        (void)state;
        assert_true(job_registry_open(&second, directory, "unit", BOOT, NULL) < 0); /* one carreld a pool */
        job_registry_recall(registry, NOW_MS, keep, &found);
        slot = must_enter(registry, &WHO);
        job_registry_progress(registry, slot, 5);
        job_registry_close(registry);
        registry = reopen(BOOT, &found);
        assert_int_equal(found.count, 1);
        expect_who(&found.entry);
        assert_true(found.entry.is_detached);
        assert_int_equal(found.entry.created_ms, WHO.created_ms);
        assert_int_equal(found.entry.next_seq, 5);
        assert_int_equal(found.entry.launched_in, 0);
        assert_false(found.entry.has_end);
        job_registry_launch(registry, found.slot, 42);
        job_registry_end(registry, found.slot, &FAILED);
        job_registry_end(registry, found.slot, &END); /* the last word counts */
        job_registry_close(registry);
        registry = reopen(BOOT, &found);
        assert_int_equal(found.entry.launched_in, 42);
        assert_true(found.entry.has_end);
        expect_end(&found.entry.end, &END);
        job_registry_end(registry, found.slot, &FAILED);
        job_registry_close(registry);
        registry = reopen(BOOT, &found);
        expect_end(&found.entry.end, &FAILED);
        job_registry_forget(registry, found.slot);
        job_registry_close(registry);
        assert_int_equal(look(BOOT).count, 0);
}

/* Without a registry every call does nothing. */
static void test_without(void **state)
{
        struct found found = { 0 };
        int slot = 3;

        (void)state;
        job_registry_recall(NULL, NOW_MS, keep, &found);
        assert_int_equal(job_registry_enter(NULL, &WHO, &slot), 0);
        assert_int_equal(slot, -1);
        job_registry_launch(NULL, slot, 1);
        job_registry_progress(NULL, slot, 1);
        job_registry_end(NULL, slot, &END);
        job_registry_forget(NULL, slot);
        assert_null(job_registry_close(NULL));
        assert_int_equal(found.count, 0);
}

/* Texts are cut at a character, and bytes outside a character are replaced. */
static void test_texts(void **state)
{
        struct job_registry *registry = must_open(BOOT);
        struct job_entry entry = WHO;
        struct job_end end = FAILED;
        struct found found;
        int slot;

        (void)state;
        job_registry_recall(registry, NOW_MS, keep, &found);
        memset(entry.program, 'x', sizeof entry.program);
        memcpy(entry.program + sizeof entry.program - 3, "\xc3\xa4", 3); /* the last byte is cut off */
        entry.program[sizeof entry.program - 3] = 'y';
        entry.program[sizeof entry.program - 2] = '\xc3';
        entry.program[sizeof entry.program - 1] = '\0';
        memcpy(end.message,
               "a\xff"
               "b",
               4);
        slot = must_enter(registry, &entry);
        job_registry_end(registry, slot, &end);
        job_registry_close(registry);
        registry = reopen(BOOT, &found);
        assert_int_equal(strlen(found.entry.program), sizeof entry.program - 2);
        assert_string_equal(found.entry.end.message, "a?b");
        job_registry_forget(registry, found.slot);
        job_registry_close(registry);
}

/* A message as long as its field in a slot that had usage before, then a result without usage in the same slot. */
static void test_usage_shares_its_place(void **state)
{
        struct job_end results[] = { END, FAILED, END };
        struct job_registry *registry = must_open(BOOT);
        struct found found = { 0 };

        (void)state;
        job_registry_recall(registry, NOW_MS, keep, &found);
        int slot = must_enter(registry, &WHO);
        memset(results[1].message, 'm', sizeof results[1].message - 1);
        results[2].usage = (struct exec_usage){ 0 };
        for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
                job_registry_end(registry, slot, &results[i]);
                job_registry_close(registry);
                registry = reopen(BOOT, &found);
                assert_true(found.entry.has_end);
                expect_end(&found.entry.end, &results[i]);
        }
        job_registry_forget(registry, found.slot);
        job_registry_close(registry);
}

/* ---- killed ---- */

enum expected { NOTHING, WAITING, LAUNCHED, OVER };

static const struct {
        const char *failpoint;
        enum expected expected;
} KILLS[] = {
        { "registry.enter.before:kill", NOTHING },  { "registry.enter.torn:kill", NOTHING },
        { "registry.enter.after:kill", WAITING },   { "registry.launch.before:kill", WAITING },
        { "registry.launch.after:kill", LAUNCHED }, { "registry.end.before:kill", LAUNCHED },
        { "registry.end.torn:kill", LAUNCHED },     { "registry.end.after:kill", OVER },
        { "registry.forget.before:kill", OVER },    { "registry.forget.torn:kill", NOTHING },
        { "registry.forget.after:kill", NOTHING },
};

static void live(void)
{
        struct job_registry *registry = must_open(BOOT);
        struct found found = { 0 };
        int slot;

        job_registry_recall(registry, NOW_MS, keep, &found);
        slot = must_enter(registry, &WHO);
        job_registry_launch(registry, slot, 42);
        job_registry_end(registry, slot, &END);
        job_registry_forget(registry, slot);
}

static void kill_at(const char *failpoint)
{
        pid_t child = fork();
        int status = 0;

        assert_true(child >= 0);
        if (child == 0) {
                (void)setenv("CARREL_FAILPOINT", failpoint, 1);
                live();
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                fail_msg("%s was not reached", failpoint);
}

static void test_killed_between_any_two_writes(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof KILLS / sizeof *KILLS; i++) {
                struct job_registry *registry;
                struct found found;

                (void)unlink(path);
                kill_at(KILLS[i].failpoint);
                registry = reopen(BOOT, &found);
                if (found.count != (KILLS[i].expected != NOTHING) ||
                    (found.entry.launched_in != 0) != (KILLS[i].expected >= LAUNCHED) ||
                    found.entry.has_end != (KILLS[i].expected == OVER))
                        fail_msg("%s: %u found", KILLS[i].failpoint, found.count);
                if (found.count > 0)
                        expect_who(&found.entry);
                if (found.entry.has_end)
                        expect_end(&found.entry.end, &END);
                must_enter(registry, &WHO); /* and it is as good as new */
                job_registry_close(registry);
        }
        (void)unlink(path);
}

/* ---- damaged ---- */

static void write_one(void)
{
        struct job_registry *registry;
        struct found found;
        int slot;

        (void)unlink(path);
        registry = reopen(BOOT, &found);
        slot = must_enter(registry, &WHO);
        job_registry_launch(registry, slot, 42);
        job_registry_progress(registry, slot, 7);
        job_registry_end(registry, slot, &END);
        job_registry_close(registry);
}

static void flip(off_t at, unsigned char bits)
{
        int fd = open(path, O_RDWR | O_CLOEXEC);
        unsigned char byte;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= bits;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
}

/* Every byte changed, one at a time: never a crash, and a report is right or missing: the end as it was or no end, and
 * never that nothing had been started. */
static void test_every_byte(void **state)
{
        unsigned told = 0, ended = 0;

        (void)state;
        write_one();
        for (off_t at = 0; at < HEAD_BYTES + SLOT_BYTES; at++) {
                struct found found;

                write_one();
                flip(at, 0x55);
                found = look(BOOT);
                told += found.count;
                if (found.count == 0)
                        continue;
                expect_who(&found.entry);
                assert_int_not_equal(found.entry.launched_in, 0);
                assert_true(found.entry.created_ms <= NOW_MS && found.entry.next_seq < (uint64_t)1 << 53);
                ended += found.entry.has_end;
                if (found.entry.has_end)
                        expect_end(&found.entry.end, &END);
        }
        /* Of the slot those bytes that are neither who it is nor the end; of the head those that are its reserve. */
        assert_in_range(told, 1, HEAD_BYTES + SLOT_BYTES - 1);
        assert_in_range(ended, 1, told - 1);
        (void)unlink(path);
}

static void fill(const void *bytes, size_t length, off_t size)
{
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(write(fd, bytes, length), (ssize_t)length);
        assert_int_equal(ftruncate(fd, size), 0);
        close(fd);
}

static void expect_new(const char *what)
{
        struct found found;
        struct job_registry *registry = reopen(BOOT, &found);

        if (found.count != 0)
                fail_msg("%s: %u found", what, found.count);
        must_enter(registry, &WHO);
        job_registry_close(registry);
        assert_int_equal(look(BOOT).count, 1);
}

static void test_foreign_files(void **state)
{
        static char noise[HEAD_BYTES + 100 * SLOT_BYTES + 17];
        uint32_t seed = 1;

        (void)state;
        for (size_t i = 0; i < sizeof noise; i++) {
                seed = seed * 1664525 + 1013904223;
                noise[i] = (char)(seed >> 24);
        }
        fill(noise, sizeof noise, sizeof noise);
        expect_new("noise");
        fill("carrel-execs-2", 15, HEAD_BYTES + 64 * SLOT_BYTES);
        expect_new("another version");
        fill("", 0, 0);
        expect_new("empty");
        fill(noise, 100, 100);
        expect_new("not even a head");
        write_one();
        assert_int_equal(look(OTHER_BOOT).count, 0);
        expect_new("another boot's");
        write_one();
        assert_int_equal(truncate(path, HEAD_BYTES + 100), 0);
        expect_new("cut in a slot");
        (void)unlink(path);
}

/* The same words twice: of the second nothing is kept. */
static bool keep_first(void *arg, int slot, const struct job_entry *entry)
{
        struct found *found = arg;

        return found->count == 0 && keep(arg, slot, entry);
}

static void test_forgotten_at_recall(void **state)
{
        struct job_registry *registry;
        struct found found = { 0 };

        (void)state;
        registry = reopen(BOOT, &found);
        must_enter(registry, &WHO);
        must_enter(registry, &WHO);
        job_registry_close(registry);
        assert_int_equal(look(BOOT).count, 2);
        registry = must_open(BOOT);
        found = (struct found){ 0 };
        job_registry_recall(registry, NOW_MS, keep_first, &found);
        job_registry_close(registry);
        assert_int_equal(look(BOOT).count, 1);
        (void)unlink(path);
}

/* No room in the file's system: said, not a SIGBUS; what is in stays, and there is room again when one has gone. */
static void test_full(void **state)
{
        const struct rlimit tight = { HEAD_BYTES + 100 * SLOT_BYTES, RLIM_INFINITY };
        struct rlimit before;
        struct job_registry *registry;
        struct found found;
        unsigned entered = 0;
        int first = -1, slot;

        (void)state;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        (void)signal(SIGXFSZ, SIG_IGN);
        registry = reopen(BOOT, &found);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ tight.rlim_cur, before.rlim_max }), 0);
        while (job_registry_enter(registry, &WHO, &slot) == 0) {
                first = first < 0 ? slot : first;
                assert_true(entered++ < 100);
        }
        assert_int_equal(slot, -1);
        assert_int_equal(entered, 64);
        job_registry_forget(registry, first);
        assert_int_equal(job_registry_enter(registry, &WHO, &slot), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(job_registry_enter(registry, &WHO, &slot), 0); /* it grows again */
        job_registry_close(registry);
        assert_int_equal(look(BOOT).count, 65);
        (void)unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_recalls),
                cmocka_unit_test(test_without),
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_usage_shares_its_place),
                cmocka_unit_test(test_killed_between_any_two_writes),
                cmocka_unit_test(test_every_byte),
                cmocka_unit_test(test_foreign_files),
                cmocka_unit_test(test_forgotten_at_recall),
                cmocka_unit_test(test_full),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
