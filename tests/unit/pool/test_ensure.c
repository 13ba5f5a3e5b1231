/* The main road on the fake engine: who gets what, and how often the engine is asked. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_create_reuse_retire(void **state)
{
        struct rig rig;
        struct answer first;
        struct answer second;
        struct answer retired;
        unsigned creates;
        unsigned inspects;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &first);
        assert_int_equal(first.outcome, OUTCOME_CREATED);
        assert_int_equal(first.generation, 1);
        assert_string_equal(first.container_id, rig_container(&rig, "alice")->id);
        creates = fake_calls(rig.engine, FAKE_CREATE);
        inspects = fake_calls(rig.engine, FAKE_INSPECT);

        rig_ensure(&rig, "alice", &second);
        assert_int_equal(second.count, 1); /* from memory, inside the call */
        assert_int_equal(second.outcome, OUTCOME_REUSED);
        assert_string_equal(second.container_id, first.container_id);
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), creates);
        assert_int_equal(fake_calls(rig.engine, FAKE_INSPECT), inspects);

        rig_retire(&rig, "alice", &retired);
        rig_run(&rig);
        assert_true(retired.is_success);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_STATES);
        assert_int_equal(fake_containers(rig.engine), 0);
        assert_int_equal(rig.events[POOL_CREATED], 1);
        assert_int_equal(rig.events[POOL_REUSED], 1);
        assert_int_equal(rig.events[POOL_RETIRED], 1);

        rig_must_ensure(&rig, "alice", &first);
        assert_int_equal(first.outcome, OUTCOME_CREATED);
        assert_int_equal(first.generation, 2); /* his generations go on rising */
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_create_reuse_retire),
        };

        return cmocka_run_group_tests_name("pool_ensure", tests, NULL, NULL);
}
