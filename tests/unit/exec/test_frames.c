/* Framed input for an agent that takes it late, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent-rig.h"

static const char WINDOW[AGENT_WINDOW_BYTES];

/* Everything that the credit allows at once is queued, for any number of execs, and each input has its END. */
static void every_input_arrives_whole(void **state)
{
        enum { EXECS = 60 };
        struct exec *execs[EXECS];
        size_t arrived = 0;
        struct rig rig;

        (void)state;
        open_rig(&rig, true);
        for (unsigned i = 0; i < EXECS; i++) {
                begin_exec(&rig, &(struct exec_request){ .is_input_open = true });
                execs[i] = rig.world.exec;
        }
        for (unsigned i = 0; i < EXECS; i++) {
                assert_int_equal(exec_write(execs[i], WINDOW, sizeof WINDOW), sizeof WINDOW);
                assert_int_equal(exec_close_input(execs[i]), 0);
        }
        for (unsigned ends = 0; ends < EXECS;) {
                enum agent_kind kind = hear(&rig, rig.agent);
                const void *bytes;
                unsigned stream;
                size_t length;

                ends += kind == AGENT_END;
                if (kind != AGENT_DATA)
                        continue;
                assert_int_equal(agent_read_data(heard.bytes, &stream, &bytes, &length), 0);
                arrived += length;
        }
        assert_int_equal(arrived, EXECS * sizeof WINDOW);
        assert_int_equal(rig.world.n_left_behind, 0);
        close_rig(&rig);
}

static void input_that_cannot_be_queued_is_not_its_end(void **state)
{
        struct rig rig;

        (void)state;
        open_rig(&rig, true);
        begin_exec(&rig, &(struct exec_request){ .is_input_open = true });
        assert_int_equal(hear(&rig, rig.agent), AGENT_START);
        say_started(rig.agent, 1);
        while (!(((struct agent_exec *)rig.world.exec)->seen & SAW_STARTED) && !rig.world.has_barked)
                ev_run(rig.world.loop, EVRUN_ONCE);
        while (rig.channel->unsent_bytes == 0)
                assert_true(exec_write(rig.world.exec, WINDOW, 1024) > 0);
        rig.channel->unsent_bytes += 1 << 30; /* as if so much had been queued for it */
        (void)exec_write(rig.world.exec, WINDOW, 1024);
        assert_int_equal(rig.world.n_answers, 0); /* never from inside */
        world_await_answers(&rig.world, 1);
        assert_int_equal(rig.world.n_left_behind, 1);
        assert_int_equal(rig.world.fault, FAULT_NONE);
        assert_int_equal(rig.world.result.cause, EXEC_CARREL_LOST);
        close_rig(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_input_arrives_whole),
                cmocka_unit_test(input_that_cannot_be_queued_is_not_its_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
