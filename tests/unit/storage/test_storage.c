/* The client of carrel-storage with helpers that lie: other programs. integration-storage tests the real one. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "storage-report.h"
#include "storage.h"

enum { MAX_JOBS = 4, MANY = 1000 };

struct world {
        struct ev_loop *loop;
        struct storage *storage;
        int directory_fd;
};

struct seen {
        unsigned n;
        struct fault why;
};

static void on_done(void *arg, const struct storage_end *end, const struct fault *why)
{
        struct seen *seen = arg;

        (void)end;
        seen->n++;
        seen->why = why != NULL ? *why : (struct fault){ 0 };
}

static const struct storage_events EVENTS = { .done = on_done };

static int set_up(void **state)
{
        static struct world world;

        world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO),
                                .directory_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
        *state = &world;
        return world.directory_fd < 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;

        world->storage = storage_free(world->storage);
        close(world->directory_fd);
        ev_loop_destroy(world->loop);
        return 0;
}

static void use_helper(struct world *world, const char *path)
{
        assert_int_equal(storage_new(&world->storage, world->loop, path, MAX_JOBS), 0);
}

static int start(struct world *world, const char *user, struct seen *seen, struct storage_job **ret_job,
                 struct fault *why)
{
        const struct storage_order order = { .verb = STORAGE_MEASURE,
                                             .user = user,
                                             .owner_uid = 1000,
                                             .owner_gid = 1000,
                                             .source_fd = world->directory_fd,
                                             .target_fd = -1 };

        return storage_start(world->storage, &order, &EVENTS, seen, ret_job, why);
}

static void helpers_that_do_not_report_are_refused(void **state)
{
        static const struct {
                const char *path;
                enum fault_kind kind;
        } ROWS[] = {
                { "/bin/true", FAULT_INTERNAL },          { "/bin/false", FAULT_INTERNAL },
                { "/bin/echo", FAULT_INTERNAL },    /* a report that is cut */
                { "/usr/bin/yes", FAULT_INTERNAL }, /* garbage without end: it is killed */
                { "/nowhere", FAULT_RESOURCE_EXHAUSTED },
        };
        struct world *world = *state;

        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct storage_job *job = NULL;
                struct storage_stats stats;
                struct seen seen = { 0 };

                use_helper(world, ROWS[i].path);
                assert_int_equal(start(world, "ada", &seen, &job, NULL), 0);
                assert_int_equal(seen.n, 0); /* never from inside the call */
                while (seen.n == 0)
                        (void)ev_run(world->loop, EVRUN_ONCE);
                assert_int_equal(seen.why.kind, ROWS[i].kind);
                storage_stats(world->storage, &stats);
                assert_int_equal(stats.failed[STORAGE_MEASURE], 1);
                assert_int_equal(stats.running + stats.waiting, 0);
                world->storage = storage_free(world->storage);
        }
}

static void write_file(const char *directory, const char *name, const void *bytes, size_t length, size_t n_times)
{
        char path[64];
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
        assert_true(fd >= 0);
        for (size_t i = 0; i < n_times; i++)
                assert_int_equal(write(fd, bytes, length), length);
        close(fd);
}

/* The end of a job whose helper is a script, which finds many times the report in the file $0.report. */
static struct fault end_of_script(struct world *world, const char *script, const struct storage_report *report)
{
        char directory[] = "/tmp/carrel-test-storage-XXXXXX";
        char path[64];
        struct storage_job *job = NULL;
        struct seen seen = { 0 };

        assert_non_null(mkdtemp(directory));
        write_file(directory, "helper", script, strlen(script), 1);
        write_file(directory, "helper.report", report, sizeof *report, MANY);
        (void)snprintf(path, sizeof path, "%s/helper", directory);
        use_helper(world, path);
        assert_int_equal(start(world, "ada", &seen, &job, NULL), 0);
        while (seen.n == 0)
                (void)ev_run(world->loop, EVRUN_ONCE);
        assert_int_equal(unlink(path), 0);
        (void)snprintf(path, sizeof path, "%s/helper.report", directory);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
        world->storage = storage_free(world->storage);
        return seen.why;
}

/* Each would otherwise keep the loop busy until the deadline. The control: many reports are no flood. */
static void a_flood_of_output_is_ended(void **state)
{
        static const struct {
                const char *script;
                int err;
        } ROWS[] = {
                { "#!/bin/sh\nwhile cat $0.report; do :; done\n", EBADMSG },
                { "#!/bin/sh\nexec yes >&2\n", EBADMSG },
                { "#!/bin/sh\ncat $0.report; kill -SEGV $$\n", EIO },
        };
        const struct storage_report report = { .magic = STORAGE_MAGIC,
                                               .version = STORAGE_VERSION,
                                               .kind = STORAGE_PROGRESS };

        for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
                struct fault why = end_of_script(*state, ROWS[i].script, &report);

                assert_int_equal(why.kind, FAULT_INTERNAL);
                assert_int_equal(why.err, ROWS[i].err);
        }
}

static void a_message_that_is_no_text_is_mended(void **state)
{
        static const char SCRIPT[] = "#!/bin/sh\nhead -c $(($(stat -c %s $0.report) / 1000)) $0.report\nexit 1\n";
        const struct storage_report report = { .magic = STORAGE_MAGIC,
                                               .version = STORAGE_VERSION,
                                               .kind = STORAGE_END,
                                               .fault = FAULT_FILE_REFUSED,
                                               .message = "a\xff\xc3" };
        struct fault why = end_of_script(*state, SCRIPT, &report);

        assert_int_equal(why.kind, FAULT_FILE_REFUSED);
        assert_string_equal(why.message, "a??");
}

static void on_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        (void)loop, (void)watcher, (void)events;
}

/* The descriptor is always readable: no turn of the loop is without an event. */
static void a_busy_loop_does_not_keep_a_job_waiting(void **state)
{
        struct world *world = *state;
        struct storage_job *job = NULL;
        struct seen seen = { 0 };
        ev_io always;

        use_helper(world, "/bin/true");
        ev_io_init(&always, on_event, eventfd(1, EFD_CLOEXEC), EV_READ);
        ev_io_start(world->loop, &always);
        assert_int_equal(start(world, "ada", &seen, &job, NULL), 0);
        while (seen.n == 0)
                (void)ev_run(world->loop, EVRUN_ONCE);
        ev_io_stop(world->loop, &always);
        close(always.fd);
}

static unsigned running(const struct world *world)
{
        struct storage_stats stats;

        storage_stats(world->storage, &stats);
        return stats.running;
}

static void jobs_of_one_user_run_one_after_another(void **state)
{
        struct world *world = *state;
        struct storage_job *jobs[4] = { NULL };
        struct seen seen[4] = { 0 };
        unsigned most = 0;

        use_helper(world, "/bin/true");
        for (int i = 0; i < 3; i++)
                assert_int_equal(start(world, "ada", &seen[i], &jobs[i], NULL), 0);
        while (seen[0].n + seen[1].n + seen[2].n < 3) {
                (void)ev_run(world->loop, EVRUN_ONCE);
                most = running(world) > most ? running(world) : most;
        }
        assert_int_equal(most, 1);
}

static void the_queue_is_bounded_for_each_user(void **state)
{
        struct world *world = *state;
        struct storage_job *job = NULL;
        struct seen seen = { 0 };
        struct fault why = { 0 };
        unsigned n = 0;

        use_helper(world, "/bin/true");
        while (start(world, "ada", &seen, &job, &why) == 0)
                n++;
        assert_int_equal(why.kind, FAULT_QUEUE_FULL);
        assert_in_range(n, 4, 32);
        assert_int_equal(start(world, "bob", &seen, &job, &why), 0);
        assert_int_equal(start(world, "", &seen, &job, &why), 0); /* the operator */
}

static void a_cancelled_job_never_calls_back(void **state)
{
        struct world *world = *state;
        struct storage_job *jobs[2] = { NULL };
        struct seen cancelled = { 0 };
        struct seen seen = { 0 };

        use_helper(world, "/bin/true");
        assert_int_equal(start(world, "ada", &cancelled, &jobs[0], NULL), 0);
        assert_null(storage_cancel(jobs[0])); /* while it waits */
        assert_int_equal(start(world, "ada", &cancelled, &jobs[0], NULL), 0);
        while (running(world) == 0)
                (void)ev_run(world->loop, EVRUN_ONCE);
        assert_null(storage_cancel(jobs[0])); /* while it runs */
        assert_null(storage_cancel(NULL));
        assert_int_equal(start(world, "ada", &seen, &jobs[1], NULL), 0);
        while (seen.n == 0)
                (void)ev_run(world->loop, EVRUN_ONCE);
        assert_int_equal(cancelled.n, 0);
}

static void reports_are_checked(void **state)
{
        const struct storage_report good = { .magic = STORAGE_MAGIC, .version = STORAGE_VERSION, .kind = STORAGE_END };
        struct storage_report bad;

        (void)state;
        assert_int_equal(storage_report_check(&good), 0);
        bad = good;
        bad.magic++;
        assert_int_equal(storage_report_check(&bad), -EPROTO);
        bad = good;
        bad.version++;
        assert_int_equal(storage_report_check(&bad), -EPROTO);
        bad = good;
        bad.kind = 0;
        assert_int_equal(storage_report_check(&bad), -EPROTO);
        bad = good;
        bad.fault = FAULT_KINDS;
        assert_int_equal(storage_report_check(&bad), -EPROTO);
        bad = good;
        bad.err = 1 << 20;
        assert_int_equal(storage_report_check(&bad), -EPROTO);
        bad = good;
        memset(bad.message, 'x', sizeof bad.message);
        assert_int_equal(storage_report_check(&bad), -EPROTO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(helpers_that_do_not_report_are_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_flood_of_output_is_ended, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_message_that_is_no_text_is_mended, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_busy_loop_does_not_keep_a_job_waiting, set_up, tear_down),
                cmocka_unit_test_setup_teardown(jobs_of_one_user_run_one_after_another, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_queue_is_bounded_for_each_user, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_cancelled_job_never_calls_back, set_up, tear_down),
                cmocka_unit_test(reports_are_checked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
