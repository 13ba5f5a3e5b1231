/* A hundred thousand users on the fake engine: counts, never times. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "rig.h"

enum { USERS = 100000 };

static void on_ensured(void *arg, const struct pool_ensured *ensured, const struct fault *why)
{
        ((unsigned *)arg)[why != NULL ? OUTCOMES : ensured->outcome]++;
}

static void ensure_all(struct rig *rig, unsigned counts[static OUTCOMES + 1])
{
        static const struct carrel_spec ANY = { .image = "" };

        memset(counts, 0, (OUTCOMES + 1) * sizeof *counts);
        for (int i = 0; i < USERS; i++) {
                struct pool_wait *wait;
                char user[16];

                (void)snprintf(user, sizeof user, "user%d", i);
                pool_ensure(rig->pool, user, &ANY, CONFLICT_REPLACE, on_ensured, counts, &wait);
        }
        rig_run(rig);
}

static bool count_one(void *arg, const struct carrel_view *view)
{
        ++*(unsigned *)arg;
        return true;
}

static bool retire_one(void *arg, const struct carrel_view *view)
{
        pool_retire(((struct rig *)arg)->pool, view->user, "test", NULL, NULL, NULL);
        return true;
}

/* The users' directories in memory, in a mount namespace of our own: it is not the disk that is on trial. */
static void use_memory(void)
{
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        assert_int_equal(mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"), 0);
}

static void test_a_hundred_thousand_users(void **state)
{
        struct pool_options options = rig_options();
        struct rig rig;
        unsigned counts[OUTCOMES + 1];
        unsigned listed = 0;
        struct pool_stats stats;

        rig_need_root();
        use_memory();
        options.max_carrels = USERS;
        options.max_queued_starts = USERS;
        options.ensure_timeout_s = 3600;
        rig_open(&rig, &options);
        ensure_all(&rig, counts);
        assert_int_equal(counts[OUTCOME_CREATED], USERS);
        assert_int_equal(fake_containers(rig.engine), USERS);
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), USERS);
        ensure_all(&rig, counts);
        assert_int_equal(counts[OUTCOME_REUSED], USERS);
        assert_int_equal(fake_calls(rig.engine, FAKE_INSPECT), USERS); /* one each, when it was made */
        pool_each(rig.pool, "", SIZE_MAX, count_one, &listed);
        assert_int_equal(listed, USERS);
        pool_each(rig.pool, "", SIZE_MAX, retire_one, &rig);
        rig_run(&rig);
        assert_int_equal(fake_containers(rig.engine), 0);
        pool_stats(rig.pool, &stats);
        assert_int_equal(stats.by_state[CARREL_READY] + stats.by_state[CARREL_RETIRING] + stats.by_state[CARREL_LOST],
                         0);
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_hundred_thousand_users),
        };

        return cmocka_run_group_tests_name("pool_scale", tests, NULL, NULL);
}
