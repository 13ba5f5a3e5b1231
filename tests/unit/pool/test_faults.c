/* Every step of ENSURE and RETIRE x everything that can happen to it, on the fake engine: whatever it is, each request
 * gets exactly one answer by its deadline, nothing that is not ours is touched, at most one container of the user
 * exists, and the next ensure succeeds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ensure-steps.h"
#include "rig.h"
#include "virtual-time.h"

#define USER "alice"

/* ---- what happens ---- */

static void set_all(struct rig *rig, enum fake_behaviour behaviour, unsigned times)
{
        for (int op = 0; op < FAKE_OPS; op++)
                fake_set(rig->engine, (enum fake_op)op, behaviour, times);
}

static void refuse_once(struct rig *rig)
{
        set_all(rig, FAKE_REFUSE, 1);
}

static void refuse_from_now(struct rig *rig)
{
        set_all(rig, FAKE_REFUSE, 0);
}

static void be_unavailable_once(struct rig *rig)
{
        set_all(rig, FAKE_UNAVAILABLE, 1);
}

static void be_unavailable_from_now(struct rig *rig)
{
        fake_set_available(rig->engine, false);
}

static void do_and_fail_once(struct rig *rig)
{
        set_all(rig, FAKE_DO_AND_FAIL, 1);
}

static void do_and_fail_from_now(struct rig *rig)
{
        set_all(rig, FAKE_DO_AND_FAIL, 0);
}

static void hang_once(struct rig *rig)
{
        set_all(rig, FAKE_HANG, 1);
}

static void hang_from_now(struct rig *rig)
{
        set_all(rig, FAKE_HANG, 0);
}

/* Every answer comes after the step's deadline, but what was asked for is still done: after the undo has looked. */
static void be_late(struct rig *rig)
{
        fake_set_latency(rig->engine, 25.0);
}

static void drop_policy(struct rig *rig)
{
        netpolicy_fake_set(rig->netpolicy, false);
}

static void kill_it(struct rig *rig)
{
        fake_kill(rig->engine, RIG_PREFIX USER, false);
}

static void kill_it_silently(struct rig *rig)
{
        fake_kill(rig->engine, RIG_PREFIX USER, true);
}

static void remove_it(struct rig *rig)
{
        fake_vanish(rig->engine, RIG_PREFIX USER, false);
}

static void remove_it_silently(struct rig *rig)
{
        fake_vanish(rig->engine, RIG_PREFIX USER, true);
}

static void retire_it(struct rig *rig)
{
        pool_retire(rig->pool, USER, "cancel", NULL, NULL, NULL);
}

static void take_the_name(struct rig *rig)
{
        if (rig_container(rig, USER) == NULL)
                rig_plant(rig, RIG_PREFIX USER, NULL, NULL, NULL, CONTAINER_RUNNING);
}

static void do_nothing(struct rig *rig)
{
}

static const struct happening {
        const char *name;
        void (*happen)(struct rig *rig);
} HAPPENINGS[] = {
        { "nothing", do_nothing }, /* the control: the answer must be a success */
        { "refuse once", refuse_once },
        { "refuse from now", refuse_from_now },
        { "unavailable once", be_unavailable_once },
        { "unavailable from now", be_unavailable_from_now },
        { "done but failed once", do_and_fail_once },
        { "done but failed from now", do_and_fail_from_now },
        { "hang once", hang_once },
        { "hang from now", hang_from_now },
        { "late", be_late },
        { "policy dropped", drop_policy },
        { "killed", kill_it },
        { "killed silently", kill_it_silently },
        { "removed", remove_it },
        { "removed silently", remove_it_silently },
        { "retired", retire_it },
        { "name taken", take_the_name },
};

enum { N_HAPPENINGS = sizeof HAPPENINGS / sizeof *HAPPENINGS };

/* ---- when it happens ---- */

/* Right before the flow's step with the number: at its request (0), or at the end of the step before. */
struct moment {
        const char *flow;
        unsigned number;
        unsigned steps_seen;
        void (*happen)(struct rig *rig);
};

static void count_step(struct rig *rig, const char *flow, const char *step)
{
        struct moment *moment = rig->on_step_arg;

        if (moment == NULL || strcmp(flow, moment->flow) != 0 || ++moment->steps_seen != moment->number)
                return;
        moment->happen(rig);
}

static void heal(struct rig *rig)
{
        const struct container_info *info = rig_container(rig, USER);

        rig->on_step_arg = NULL;
        fake_set_available(rig->engine, true);
        fake_set_latency(rig->engine, 0);
        set_all(rig, FAKE_OK, 0);
        netpolicy_fake_set(rig->netpolicy, true);
        rig_run(rig);
        if (info != NULL && rig_user_containers(rig, USER) < 0)
                fake_vanish(rig->engine, RIG_PREFIX USER, true); /* the administrator frees the name */
}

static void plant_decoys(struct rig *rig)
{
        rig_plant(rig, "another-product", "other", RIG_POOL, USER, CONTAINER_RUNNING);
        rig_plant(rig, "another-pool", "carrel", "elsewhere", USER, CONTAINER_RUNNING);
        rig_plant(rig, "unlabelled", NULL, NULL, NULL, CONTAINER_RUNNING);
}

/* The pool's own container of the user, and the decoys: nothing else ever. */
static void check_engine(const struct rig *rig)
{
        static const char *const DECOYS[] = { "another-product", "another-pool", "unlabelled" };
        size_t own = rig_container(rig, USER) != NULL;

        for (size_t i = 0; i < 3; i++) {
                assert_non_null(fake_find(rig->engine, DECOYS[i]));
                assert_int_equal(fake_find(rig->engine, DECOYS[i])->status, CONTAINER_RUNNING);
        }
        assert_int_equal(fake_containers(rig->engine), 3 + own);
}

static void check_answer(const struct rig *rig, const struct answer *answer, double asked_s)
{
        assert_int_equal(answer->count, 1);
        assert_true(answer->at_s - asked_s <= rig->options.ensure_timeout_s + 0.1);
}

static void check_idle(const struct rig *rig)
{
        struct pool_stats stats;

        pool_stats(rig->pool, &stats);
        assert_int_equal(stats.waiters, 0);
        assert_int_equal(stats.starts_in_flight, 0);
        assert_int_equal(stats.starts_queued, 0);
        assert_int_equal(
                stats.by_state[CARREL_STARTING] + stats.by_state[CARREL_QUEUED] + stats.by_state[CARREL_RETIRING], 0);
}

/* After everything is well again: one ensure, in one try; and then nothing is left. */
static void check_recovery(struct rig *rig)
{
        struct answer answer;

        heal(rig);
        /* The sweep finds containers that vanished without an event; tested elsewhere. */
        if (rig_state(rig, USER) == CARREL_READY &&
            (rig_container(rig, USER) == NULL || rig_container(rig, USER)->status != CONTAINER_RUNNING))
                pool_mark_lost(rig->pool, USER, "swept");
        rig_must_ensure(rig, USER, &answer);
        assert_non_null(rig_container(rig, USER));
        assert_string_equal(rig_container(rig, USER)->id, answer.container_id);
        assert_int_equal(rig_container(rig, USER)->status, CONTAINER_RUNNING);
        check_engine(rig);
        rig_retire(rig, USER, &answer);
        rig_run(rig);
        assert_true(answer.is_success);
        assert_null(rig_container(rig, USER));
        check_engine(rig);
        check_idle(rig);
}

static const struct carrel_spec SMALL = { .memory_bytes = 67108864 };

/* The state when the request arrives. */
enum before { BEFORE_NOTHING, BEFORE_READY, BEFORE_LOST, BEFORE_LEFT, BEFORE_KINDS };

static void prepare(struct rig *rig, enum before before)
{
        struct answer answer;

        plant_decoys(rig);
        if (before == BEFORE_LEFT)
                rig_plant(rig, RIG_PREFIX USER, "carrel", RIG_POOL, USER, CONTAINER_RUNNING);
        if (before == BEFORE_READY || before == BEFORE_LOST)
                rig_must_ensure(rig, USER, &answer);
        if (before == BEFORE_LOST)
                fake_kill(rig->engine, RIG_PREFIX USER, false);
        rig_run(rig);
}

/* Whether the request succeeded all the same. */
static bool try_ensure(enum before before, unsigned step, const struct happening *happening)
{
        struct moment moment = { .flow = "ensure", .number = step, .happen = happening->happen };
        struct rig rig;
        struct answer first;
        struct answer second;
        double asked_s;

        rig_open(&rig, NULL);
        prepare(&rig, before);
        rig.on_step = count_step;
        rig.on_step_arg = &moment;
        asked_s = virtual_time_s();
        rig_ensure_spec(&rig, USER, &SMALL, CONFLICT_REPLACE, &first);
        rig_ensure_spec(&rig, USER, &SMALL, CONFLICT_FAIL, &second);
        if (step == 0)
                happening->happen(&rig);
        rig_run(&rig);
        check_answer(&rig, &first, asked_s);
        check_answer(&rig, &second, asked_s);
        assert_int_equal(first.is_success, second.is_success);
        check_engine(&rig);
        check_idle(&rig);
        check_recovery(&rig);
        rig_close(&rig);
        return first.is_success;
}

static unsigned count_steps(const struct step *steps)
{
        unsigned count = 0;

        while (steps[count].name != NULL)
                count++;
        return count;
}

static void test_ensure(void **state)
{
        const unsigned n_steps = count_steps(ENSURE_STEPS);

        rig_need_root();
        for (size_t i = 0; i < N_HAPPENINGS; i++) {
                unsigned failures = 0;

                for (int before = 0; before < BEFORE_KINDS; before++)
                        for (unsigned step = 0; step < n_steps; step++) {
                                print_message("# ensure, before %d, step %u, %s\n", before, step, HAPPENINGS[i].name);
                                failures += !try_ensure((enum before)before, step, &HAPPENINGS[i]);
                        }
                /* Each fault has an effect somewhere, and no fault has none. */
                assert_true((failures > 0) == (HAPPENINGS[i].happen != do_nothing));
        }
}

static void try_retire(unsigned step, const struct happening *happening)
{
        struct moment moment = { .flow = "retire", .number = step, .happen = happening->happen };
        struct rig rig;
        struct answer retired;
        struct answer ensured;
        double asked_s;

        rig_open(&rig, NULL);
        prepare(&rig, BEFORE_READY);
        rig.on_step = count_step;
        rig.on_step_arg = &moment;
        asked_s = virtual_time_s();
        rig_retire(&rig, USER, &retired);
        rig_ensure(&rig, USER, &ensured);
        if (step == 0)
                happening->happen(&rig);
        rig_run(&rig);
        check_answer(&rig, &retired, asked_s);
        check_answer(&rig, &ensured, asked_s);
        if (happening->happen == do_nothing)
                assert_true(retired.is_success && ensured.is_success);
        check_engine(&rig);
        check_idle(&rig);
        check_recovery(&rig);
        rig_close(&rig);
}

static void test_retire(void **state)
{
        enum { STEPS = 2 };

        rig_need_root();
        for (unsigned step = 0; step < STEPS; step++)
                for (size_t i = 0; i < N_HAPPENINGS; i++) {
                        print_message("# retire, step %u, %s\n", step, HAPPENINGS[i].name);
                        try_retire(step, &HAPPENINGS[i]);
                }
}

/* Another file in the directory's place is left alone, and nothing is created. */
static void test_directory(void **state)
{
        struct rig rig;
        struct answer answer;
        char path[128];

        rig_need_root();
        rig_open(&rig, NULL);
        (void)snprintf(path, sizeof path, "%s/%s", rig.users_dir, USER);
        assert_int_equal(symlink("/etc", path), 0);
        rig_ensure(&rig, USER, &answer);
        rig_run(&rig);
        assert_false(answer.is_success);
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), 0);
        assert_int_equal(rig_state(&rig, USER), CARREL_STATES);
        assert_int_equal(unlink(path), 0);
        rig_must_ensure(&rig, USER, &answer);
        rig_close(&rig);
}

/* The undo of a create that was never answered finds a container of ours under the name, which another flow made (it
 * has another generation): that one is not its to remove. */
static void plant_another_flows(struct rig *rig)
{
        rig_plant(rig, RIG_PREFIX USER, "carrel", RIG_POOL, USER, CONTAINER_RUNNING);
        fake_set(rig->engine, FAKE_CREATE, FAKE_REFUSE, 1);
}

static void test_undo_spares_another_flows_container(void **state)
{
        struct moment moment = { .flow = "ensure", .number = 2, .happen = plant_another_flows };
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig.on_step = count_step;
        rig.on_step_arg = &moment;
        rig_ensure(&rig, USER, &answer);
        rig_run(&rig);
        assert_int_equal(answer.why.kind, FAULT_ENGINE_REFUSED);
        assert_non_null(rig_container(&rig, USER));
        rig_must_ensure(&rig, USER, &answer); /* a create that meets it clears it */
        assert_int_equal(answer.outcome, OUTCOME_REPLACED);
        rig_close(&rig);
}

/* One call of the start fails or is never heard of again, the engine is well otherwise: nothing is left of the start,
 * without any sweep. */
static void test_undo_leaves_nothing(void **state)
{
        static const enum fake_op OPS[] = { FAKE_CREATE, FAKE_START };
        static const enum fake_behaviour BEHAVIOURS[] = { FAKE_REFUSE, FAKE_UNAVAILABLE, FAKE_DO_AND_FAIL, FAKE_HANG };

        rig_need_root();
        for (size_t op = 0; op < sizeof OPS / sizeof *OPS; op++)
                for (size_t i = 0; i < sizeof BEHAVIOURS / sizeof *BEHAVIOURS; i++) {
                        struct rig rig;
                        struct answer answer;

                        rig_open(&rig, NULL);
                        plant_decoys(&rig);
                        fake_set(rig.engine, OPS[op], BEHAVIOURS[i], 1);
                        rig_ensure(&rig, USER, &answer);
                        rig_run(&rig);
                        assert_false(answer.is_success);
                        assert_null(rig_container(&rig, USER));
                        check_engine(&rig);
                        rig_close(&rig);
                }
}

/* It dies after the engine was asked for its process, and only an event shows it: it is not given out. */
static void test_death_behind_the_last_look(void **state)
{
        struct moment moment = { .flow = "ensure", .number = count_steps(ENSURE_STEPS) - 1, .happen = kill_it };
        struct rig rig;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig.on_step = count_step;
        rig.on_step_arg = &moment;
        rig_ensure(&rig, USER, &answer);
        rig_run(&rig);
        assert_false(answer.is_success);
        assert_int_equal(answer.why.kind, FAULT_CARREL_LOST);
        rig_close(&rig);
}

/* A container that could not be cleared is still known, as lost. */
static void test_failed_clear_leaves_it_lost(void **state)
{
        struct rig rig;
        struct answer first;
        struct answer second;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, USER, &first);
        fake_set(rig.engine, FAKE_REMOVE, FAKE_REFUSE, 1);
        rig_ensure_spec(&rig, USER, &SMALL, CONFLICT_REPLACE, &second);
        rig_run(&rig);
        assert_int_equal(second.why.kind, FAULT_ENGINE_REFUSED);
        assert_int_equal(rig_state(&rig, USER), CARREL_LOST);
        assert_string_equal(rig_container(&rig, USER)->id, first.container_id);
        rig_must_ensure(&rig, USER, &second);
        assert_int_equal(second.outcome, OUTCOME_REPLACED);
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ensure),
                cmocka_unit_test(test_retire),
                cmocka_unit_test(test_directory),
                cmocka_unit_test(test_undo_leaves_nothing),
                cmocka_unit_test(test_undo_spares_another_flows_container),
                cmocka_unit_test(test_death_behind_the_last_look),
                cmocka_unit_test(test_failed_clear_leaves_it_lost),
        };

        return cmocka_run_group_tests_name("pool_faults", tests, NULL, NULL);
}
