/* Freezing and thawing on the fake engine. Files of a plain directory stand for the freezer of every container: with
 * those of cgroup v1 a write is the state, with those of v2 the test says when the kernel has done it. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec-inside.h"
#include "freezer.h"

/* The backend of the engine's execs has no self to keep these in. */
static struct freezer ice = { .directory = -1, .state = -1 };
static struct exec_backend iced;

static const struct freezer *freezer_of(const void *self, const char *container_id)
{
        (void)self;
        return container_id[0] != '\0' ? &ice : NULL;
}

static void put_file(const struct rig *rig, const char *name, const char *text)
{
        char path[160];
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", rig->directory, name);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static bool is_frozen_by_file(void)
{
        return freezer_is_frozen(&ice);
}

static void open_with(struct rig *rig, enum freezer_kind kind)
{
        rig_open(rig, NULL);
        put_file(rig, "freezer.state", "THAWED\n");
        put_file(rig, "cgroup.freeze", "0\n");
        put_file(rig, "cgroup.events", "frozen 0\n");
        freezer_open_at(&ice, kind, rig->directory);
        iced = *rig->execs->providers[1].backend;
        iced.freezer = freezer_of;
        rig->execs->providers[1].backend = &iced;
}

static void close_rig(struct rig *rig)
{
        rig_close(rig);
        freezer_close(&ice);
}

static void on_done(void *arg, const struct fault *why)
{
        struct answer *answer = arg;

        answer->count++;
        answer->wait = NULL;
        answer->is_success = why == NULL;
        if (why != NULL)
                answer->why = *why;
}

static void ask_freeze(struct rig *rig, struct answer *answer)
{
        *answer = (struct answer){ 0 };
        pool_freeze(rig->pool, "ada", "asked", on_done, answer, &answer->wait);
}

static void ask_thaw(struct rig *rig, struct answer *answer)
{
        *answer = (struct answer){ 0 };
        pool_thaw(rig->pool, "ada", on_done, answer, &answer->wait);
}

static void must_freeze(struct rig *rig)
{
        struct answer answer;

        ask_freeze(rig, &answer);
        rig_run_for(rig, 1.0);
        assert_int_equal(answer.count, 1);
        assert_true(answer.is_success);
        assert_int_equal(rig_state(rig, "ada"), CARREL_FROZEN);
        assert_true(is_frozen_by_file());
}

static void expect_fault(const struct answer *answer, enum fault_kind kind)
{
        assert_int_equal(answer->count, 1);
        assert_false(answer->is_success);
        assert_string_equal(fault_code(answer->why.kind), fault_code(kind));
}

static void note_view(void *arg, const struct carrel_view *view)
{
        *(int64_t *)arg = view->idle_ms;
}

static void note_refusal(void *arg, const struct carrel_view *view)
{
        *(bool *)arg = view->has_refused_freeze;
}

static bool has_refused(const struct rig *rig)
{
        bool refused = false;

        assert_true(pool_inspect(rig->pool, "ada", note_refusal, &refused));
        return refused;
}

static void a_frozen_carrel_is_resumed_by_an_ensure(void **state)
{
        struct answer first, again;
        int64_t idle_ms = 0;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V1);
        rig_must_ensure(&rig, "ada", &first);
        must_freeze(&rig);
        ask_freeze(&rig, &again); /* done already */
        assert_true(again.is_success);
        rig_run_for(&rig, 5.0);
        assert_true(pool_inspect(rig.pool, "ada", note_view, &idle_ms));
        assert_true(idle_ms >= 5000); /* the idle clock goes on, and looking thaws nothing */
        assert_true(is_frozen_by_file());
        rig_ensure(&rig, "ada", &again);
        rig_run_for(&rig, 1.0);
        assert_true(again.is_success);
        assert_int_equal(again.outcome, OUTCOME_RESUMED);
        assert_string_equal(again.container_id, first.container_id);
        assert_false(is_frozen_by_file());
        assert_int_equal(rig_state(&rig, "ada"), CARREL_READY);
        assert_int_equal(rig.events[POOL_FROZEN], 1);
        assert_int_equal(rig.events[POOL_THAWED], 1);
        rig_ensure(&rig, "ada", &again);
        assert_int_equal(again.outcome, OUTCOME_REUSED);
        close_rig(&rig);
}

static void what_is_in_use_is_not_frozen(void **state)
{
        struct answer answer;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V1);
        ask_freeze(&rig, &answer);
        expect_fault(&answer, FAULT_NOT_FOUND);
        rig_ensure(&rig, "ada", &answer);
        ask_freeze(&rig, &answer);
        expect_fault(&answer, FAULT_CARREL_BUSY); /* it starts */
        rig_run_for(&rig, 30.0);
        assert_int_equal(pool_touch(rig.pool, "ada", 10, NULL), 0);
        ask_freeze(&rig, &answer);
        expect_fault(&answer, FAULT_CARREL_BUSY);
        assert_non_null(strstr(answer.why.message, "leased"));
        rig_run_for(&rig, 11.0);
        must_freeze(&rig);
        close_rig(&rig);
}

static void an_exec_keeps_it_awake(void **state)
{
        const char *const argv[] = { "sleep", "9", NULL };
        const struct exec_request request = { .argv = argv };
        const struct exec_sink sink = { 0 };
        struct exec *exec = NULL;
        struct answer answer;
        struct fault why;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V1);
        rig_must_ensure(&rig, "ada", &answer);
        fake_set(rig.engine, FAKE_EXEC, FAKE_HANG, 0);
        assert_int_equal(pool_exec(rig.pool, "ada", &request, &sink, NULL, &exec, &why), 0);
        ask_freeze(&rig, &answer);
        expect_fault(&answer, FAULT_CARREL_BUSY);
        assert_non_null(strstr(answer.why.message, "1 program"));
        assert_null(pool_exec_cancel(rig.pool, exec));
        close_rig(&rig);
}

static void a_carrel_without_a_freezer_is_refused(void **state)
{
        struct answer answer;
        struct rig rig;

        (void)state;
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "ada", &answer);
        ask_freeze(&rig, &answer);
        expect_fault(&answer, FAULT_REQUEST_INVALID);
        ask_thaw(&rig, &answer);
        assert_true(answer.is_success);
        rig_close(&rig);
}

/* The kernel of v2 reports it later. Requests that arrive meanwhile wait, and all get their answers. */
static void requests_meet_a_slow_freeze(void **state)
{
        struct answer first, freeze, ensure, thaw, other;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V2);
        rig_must_ensure(&rig, "ada", &first);
        ask_freeze(&rig, &freeze);
        ask_freeze(&rig, &other);
        rig_run_for(&rig, 0.1);
        rig_ensure(&rig, "ada", &ensure);
        ask_thaw(&rig, &thaw);
        rig_run_for(&rig, 0.05);
        assert_int_equal(freeze.count + other.count + ensure.count + thaw.count, 0);
        put_file(&rig, "cgroup.events", "frozen 1\n");
        rig_run_for(&rig, 0.05);
        assert_true(freeze.is_success && other.is_success);
        assert_int_equal(ensure.count + thaw.count, 0); /* the thaw is as slow */
        rig_ensure(&rig, "ada", &other);
        put_file(&rig, "cgroup.events", "frozen 0\n");
        rig_run_for(&rig, 0.05);
        assert_true(thaw.is_success && ensure.is_success && other.is_success);
        assert_int_equal(ensure.outcome, OUTCOME_RESUMED);
        assert_int_equal(other.outcome, OUTCOME_RESUMED);
        assert_string_equal(ensure.container_id, first.container_id);
        close_rig(&rig);
}

static void one_that_does_not_freeze_runs_on(void **state)
{
        struct answer first, answer, ensure;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V2);
        rig_must_ensure(&rig, "ada", &first);
        ask_freeze(&rig, &answer);
        rig_run_for(&rig, 0.1);
        rig_ensure(&rig, "ada", &ensure);
        rig_run_for(&rig, 1.0);
        expect_fault(&answer, FAULT_DEADLINE);
        assert_true(ensure.is_success);
        assert_string_equal(ensure.container_id, first.container_id);
        assert_int_equal(rig_state(&rig, "ada"), CARREL_READY);
        assert_int_equal(rig.events[POOL_FREEZE_FAILED], 1);
        close_rig(&rig);
}

/* The thaw answers the requests of its spec. The others that waited are judged by their own. */
static void a_thaw_gives_nobody_another_spec(void **state)
{
        const struct carrel_spec other = { .pids = 99 };
        struct answer first, freeze, same, refused, replaced;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V2);
        rig_must_ensure(&rig, "ada", &first);
        ask_freeze(&rig, &freeze);
        rig_run_for(&rig, 0.1);
        rig_ensure(&rig, "ada", &same); /* the control */
        rig_ensure_spec(&rig, "ada", &other, CONFLICT_FAIL, &refused);
        rig_ensure_spec(&rig, "ada", &other, CONFLICT_REPLACE_IDLE, &replaced);
        put_file(&rig, "cgroup.events", "frozen 1\n");
        rig_run_for(&rig, 0.05);
        put_file(&rig, "cgroup.events", "frozen 0\n");
        rig_run_for(&rig, 30.0);
        assert_true(same.is_success);
        assert_int_equal(same.outcome, OUTCOME_RESUMED);
        expect_fault(&refused, FAULT_SPEC_CONFLICT);
        assert_true(replaced.is_success);
        assert_int_equal(replaced.outcome, OUTCOME_REPLACED);
        assert_string_not_equal(replaced.container_id, first.container_id);
        close_rig(&rig);
}

/* Else one that never freezes would never be idle for long enough to be stopped. */
static void a_freeze_that_fails_is_no_use(void **state)
{
        struct answer first, answer, ensure;
        int64_t idle_ms = 0;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V2);
        rig_must_ensure(&rig, "ada", &first);
        rig_run_for(&rig, 5.0);
        ask_freeze(&rig, &answer);
        rig_run_for(&rig, 1.0);
        expect_fault(&answer, FAULT_DEADLINE);
        assert_int_equal(rig_state(&rig, "ada"), CARREL_READY);
        assert_true(pool_inspect(rig.pool, "ada", note_view, &idle_ms));
        assert_true(idle_ms >= 6000);
        assert_true(has_refused(&rig));
        ask_freeze(&rig, &answer); /* the control: an ensure that waited is a use */
        rig_run_for(&rig, 0.1);
        rig_ensure(&rig, "ada", &ensure);
        rig_run_for(&rig, 1.0);
        assert_true(ensure.is_success);
        assert_true(pool_inspect(rig.pool, "ada", note_view, &idle_ms));
        assert_true(idle_ms <= 1000);
        assert_false(has_refused(&rig));
        close_rig(&rig);
}

/* A frozen group above keeps it frozen: that is named, and the carrel is neither ready nor retired. */
static void one_that_does_not_thaw_is_named(void **state)
{
        struct answer first, answer;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V2);
        rig_must_ensure(&rig, "ada", &first);
        put_file(&rig, "cgroup.events", "frozen 1\n");
        rig_ensure(&rig, "ada", &answer);
        expect_fault(&answer, FAULT_CARREL_FROZEN); /* from outside */
        ask_thaw(&rig, &answer);
        rig_run_for(&rig, 3.0);
        expect_fault(&answer, FAULT_CARREL_FROZEN);
        assert_int_equal(rig_state(&rig, "ada"), CARREL_FROZEN);
        rig_ensure(&rig, "ada", &answer);
        rig_run_for(&rig, 3.0);
        expect_fault(&answer, FAULT_CARREL_FROZEN);
        put_file(&rig, "cgroup.events", "frozen 0\n");
        rig_ensure(&rig, "ada", &answer);
        rig_run_for(&rig, 1.0);
        assert_true(answer.is_success);
        assert_string_equal(answer.container_id, first.container_id);
        close_rig(&rig);
}

static void an_admins_pause_stays_until_it_is_thawed(void **state)
{
        struct answer first, answer;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V1);
        rig_must_ensure(&rig, "ada", &first);
        put_file(&rig, "freezer.state", "FROZEN\n");
        rig_ensure(&rig, "ada", &answer);
        expect_fault(&answer, FAULT_CARREL_FROZEN);
        ask_freeze(&rig, &answer);
        expect_fault(&answer, FAULT_CARREL_FROZEN); /* else the next ensure would undo the pause */
        assert_true(is_frozen_by_file());
        ask_thaw(&rig, &answer);
        rig_run_for(&rig, 1.0);
        assert_true(answer.is_success);
        assert_false(is_frozen_by_file());
        assert_int_equal(rig_state(&rig, "ada"), CARREL_READY);
        close_rig(&rig);
}

static void it_is_thawed_before_it_is_removed(void **state)
{
        struct answer answer;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V1);
        rig_must_ensure(&rig, "ada", &answer);
        must_freeze(&rig);
        rig_retire(&rig, "ada", &answer);
        assert_false(is_frozen_by_file());
        rig_run_for(&rig, 30.0);
        assert_true(answer.is_success);
        rig_must_ensure(&rig, "ada", &answer);
        must_freeze(&rig);
        rig_ensure_spec(&rig, "ada", &(struct carrel_spec){ .pids = 99 }, CONFLICT_REPLACE_IDLE, &answer);
        assert_false(is_frozen_by_file());
        rig_run_for(&rig, 30.0);
        assert_true(answer.is_success);
        assert_int_equal(answer.outcome, OUTCOME_REPLACED);
        close_rig(&rig);
}

/* Removed while the freeze waits for the kernel; and the same while the thaw does. */
static void a_removal_ends_either_flow(void **state)
{
        struct rig rig;

        (void)state;
        for (int i = 0; i < 2; i++) {
                struct answer freeze, thaw = { .count = 1 }, removal;

                open_with(&rig, FREEZER_V2);
                rig_must_ensure(&rig, "ada", &freeze);
                ask_freeze(&rig, &freeze);
                rig_run_for(&rig, 0.1);
                if (i == 1) {
                        put_file(&rig, "cgroup.events", "frozen 1\n");
                        rig_run_for(&rig, 0.05);
                        ask_thaw(&rig, &thaw);
                        rig_run_for(&rig, 0.05);
                }
                rig_retire(&rig, "ada", &removal);
                rig_run_for(&rig, 30.0);
                assert_true(removal.is_success);
                assert_int_equal(freeze.count, 1);
                assert_int_equal(thaw.count, 1);
                assert_int_equal(rig_state(&rig, "ada"), CARREL_STATES);
                assert_int_equal(rig_user_containers(&rig, "ada"), 0);
                close_rig(&rig);
        }
}

/* An OOM kill, say: while it is frozen, is being frozen, and is being thawed. */
static void its_end_is_noticed(void **state)
{
        struct rig rig;

        (void)state;
        for (int i = 0; i < 3; i++) {
                struct answer first, ensure = { 0 }, freeze;

                open_with(&rig, FREEZER_V2);
                rig_must_ensure(&rig, "ada", &first);
                ask_freeze(&rig, &freeze);
                rig_run_for(&rig, 0.05);
                if (i > 0)
                        put_file(&rig, "cgroup.events", "frozen 1\n");
                rig_run_for(&rig, 0.05);
                if (i != 1)
                        rig_ensure(&rig, "ada", &ensure);
                rig_run_for(&rig, 0.05);
                fake_kill(rig.engine, RIG_PREFIX "ada", false);
                rig_run_for(&rig, 0.1);
                if (i == 1) {
                        assert_int_equal(rig_state(&rig, "ada"), CARREL_LOST);
                        rig_ensure(&rig, "ada", &ensure);
                }
                rig_run_for(&rig, 30.0);
                assert_int_equal(freeze.count, 1);
                assert_int_equal(rig.events[POOL_LOST], 1);
                assert_true(ensure.is_success);
                assert_string_not_equal(ensure.container_id, first.container_id);
                close_rig(&rig);
        }
}

static void the_end_of_the_pool_answers_all(void **state)
{
        struct answer freeze;
        struct rig rig;

        (void)state;
        open_with(&rig, FREEZER_V2);
        rig_must_ensure(&rig, "ada", &freeze);
        ask_freeze(&rig, &freeze);
        rig_run_for(&rig, 0.05);
        close_rig(&rig);
        expect_fault(&freeze, FAULT_CANCELLED);
}

static int need_root(void **state)
{
        (void)state;
        rig_need_root();
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(a_frozen_carrel_is_resumed_by_an_ensure, need_root),
                cmocka_unit_test_setup(what_is_in_use_is_not_frozen, need_root),
                cmocka_unit_test_setup(an_exec_keeps_it_awake, need_root),
                cmocka_unit_test_setup(a_carrel_without_a_freezer_is_refused, need_root),
                cmocka_unit_test_setup(requests_meet_a_slow_freeze, need_root),
                cmocka_unit_test_setup(one_that_does_not_freeze_runs_on, need_root),
                cmocka_unit_test_setup(a_thaw_gives_nobody_another_spec, need_root),
                cmocka_unit_test_setup(a_freeze_that_fails_is_no_use, need_root),
                cmocka_unit_test_setup(one_that_does_not_thaw_is_named, need_root),
                cmocka_unit_test_setup(an_admins_pause_stays_until_it_is_thawed, need_root),
                cmocka_unit_test_setup(it_is_thawed_before_it_is_removed, need_root),
                cmocka_unit_test_setup(a_removal_ends_either_flow, need_root),
                cmocka_unit_test_setup(its_end_is_noticed, need_root),
                cmocka_unit_test_setup(the_end_of_the_pool_answers_all, need_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
