/* The reaper's view of the engine's list; adoption after kill -9; execs and idleness. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent-slot.h"
#include "rig.h"
#include "spec.h"
#include "template.h"

enum { MOST = 16 };

struct seen {
        unsigned count;
        struct fault why;
        size_t n_containers;
        struct survey_container containers[MOST];
        size_t n_missing;
        char missing[MOST][USER_ID_MAX + 1];
};

static void on_survey(void *arg, const struct survey *survey, const struct fault *why)
{
        struct seen *seen = arg;

        seen->count++;
        if (why != NULL) {
                seen->why = *why;
                return;
        }
        seen->n_containers = survey->n_containers;
        for (size_t i = 0; i < survey->n_containers && i < MOST; i++)
                seen->containers[i] = survey->containers[i];
        for (; survey->missing[seen->n_missing] != NULL && seen->n_missing < MOST; seen->n_missing++)
                (void)snprintf(seen->missing[seen->n_missing], sizeof *seen->missing, "%s",
                               survey->missing[seen->n_missing]);
}

static void survey(struct rig *rig, struct seen *ret_seen)
{
        *ret_seen = (struct seen){ 0 };
        assert_int_equal(pool_survey(rig->pool, on_survey, ret_seen), 0);
        assert_int_equal(pool_survey(rig->pool, on_survey, ret_seen), -EBUSY);
        assert_int_equal(ret_seen->count, 0);
        rig_run(rig);
        assert_int_equal(ret_seen->count, 1);
}

static const struct survey_container *find_seen(const struct seen *seen, const char *id)
{
        for (size_t i = 0; i < seen->n_containers; i++)
                if (strcmp(seen->containers[i].id, id) == 0)
                        return &seen->containers[i];
        return NULL;
}

static void on_done(void *arg, const struct fault *why)
{
        struct answer *answer = arg;

        answer->count++;
        answer->is_success = why == NULL;
        if (why != NULL)
                answer->why = *why;
}

static void test_claims(void **state)
{
        struct rig rig;
        struct seen seen;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        rig_must_ensure(&rig, "gone", &answer);
        rig_must_ensure(&rig, "dead", &answer);
        rig_plant(&rig, "x1", "carrel", RIG_POOL, "bob", CONTAINER_RUNNING);
        rig_plant(&rig, "x2", "carrel", RIG_POOL, "../bob", CONTAINER_DEAD);
        rig_plant(&rig, "x3", "carrel", RIG_POOL, "alice", CONTAINER_RUNNING); /* a second one */
        rig_plant(&rig, "x4", "other", RIG_POOL, "alice", CONTAINER_RUNNING);
        rig_plant(&rig, "x5", "carrel", "elsewhere", "alice", CONTAINER_RUNNING);
        fake_vanish(rig.engine, "carrel-gone", true);
        fake_kill(rig.engine, "carrel-dead", true);
        survey(&rig, &seen);
        assert_int_equal(seen.n_containers, 5);
        assert_int_equal(find_seen(&seen, rig_container(&rig, "alice")->id)->claim, CLAIM_OURS);
        assert_int_equal(find_seen(&seen, fake_find(rig.engine, "x1")->id)->claim, CLAIM_ORPHAN);
        assert_int_equal(find_seen(&seen, fake_find(rig.engine, "x2")->id)->claim, CLAIM_ORPHAN);
        assert_string_equal(find_seen(&seen, fake_find(rig.engine, "x2")->id)->user, "");
        assert_int_equal(find_seen(&seen, fake_find(rig.engine, "x3")->id)->claim, CLAIM_ORPHAN);
        assert_null(find_seen(&seen, fake_find(rig.engine, "x4")->id));
        assert_null(find_seen(&seen, fake_find(rig.engine, "x5")->id));
        assert_int_equal(seen.n_missing, 2);
        for (size_t i = 0; i < seen.n_missing; i++) {
                pool_mark_lost(rig.pool, seen.missing[i], "not listed");
                assert_int_equal(rig_state(&rig, seen.missing[i]), CARREL_LOST);
        }
        survey(&rig, &seen); /* of the lost, who has nothing left is forgotten */
        assert_int_equal(rig_state(&rig, "gone"), CARREL_STATES);
        assert_int_equal(rig_state(&rig, "dead"), CARREL_LOST);
        assert_int_equal(find_seen(&seen, rig_container(&rig, "dead")->id)->claim, CLAIM_ORPHAN);
        assert_int_equal(pool_discard(rig.pool, rig_container(&rig, "alice")->id, on_done, &answer), -EBUSY);
        answer = (struct answer){ 0 };
        assert_int_equal(pool_discard(rig.pool, rig_container(&rig, "dead")->id, on_done, &answer), 0);
        rig_run(&rig);
        assert_true(answer.is_success);
        assert_int_equal(rig_state(&rig, "dead"), CARREL_STATES);
        assert_null(rig_container(&rig, "dead"));
        rig_close(&rig);
}

/* The list is asked for, then the carrel becomes ready, then the list of before comes. */
static void test_ready_during_a_survey(void **state)
{
        struct rig rig;
        struct seen seen = { 0 };
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        fake_set(rig.engine, FAKE_LIST, FAKE_HANG, 1);
        assert_int_equal(pool_survey(rig.pool, on_survey, &seen), 0);
        rig_must_ensure(&rig, "alice", &answer);
        fake_vanish(rig.engine, "carrel-alice", true); /* so the list does not hold it */
        assert_int_equal(fake_release(rig.engine, FAKE_LIST), 1);
        rig_run(&rig);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.n_missing, 0);
        survey(&rig, &seen); /* the next one finds it */
        assert_int_equal(seen.n_missing, 1);
        rig_close(&rig);
}

static void test_survey_in_a_flow_and_without_engine(void **state)
{
        struct rig rig;
        struct seen seen = { 0 };
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        fake_set(rig.engine, FAKE_START, FAKE_HANG, 1);
        rig_ensure(&rig, "alice", &answer);
        rig_run_for(&rig, 1.0);
        assert_int_equal(pool_survey(rig.pool, on_survey, &seen), 0);
        rig_run_for(&rig, 1.0);
        assert_int_equal(seen.n_containers, 1);
        assert_int_equal(seen.containers[0].claim, CLAIM_IN_FLOW);
        assert_int_equal(pool_discard(rig.pool, seen.containers[0].id, on_done, &answer), -EBUSY);
        rig_run(&rig);
        fake_set_available(rig.engine, false);
        survey(&rig, &seen);
        assert_int_equal(seen.why.kind, FAULT_ENGINE_UNAVAILABLE);
        rig_close(&rig);
}

/* ---- adoption ---- */

static void check_idle_ms(void *arg, const struct carrel_view *view)
{
        assert_true(view->idle_ms >= *(int64_t *)arg);
        assert_int_equal(view->generation, 1);
}

static void test_adopt(void **state)
{
        struct rig rig;
        struct seen seen;
        struct answer before;
        struct answer adopted = { 0 };
        struct answer after;
        int64_t idle_ms = 200000;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &before); /* and 200 s pass */
        rig_restart(&rig);
        survey(&rig, &seen);
        assert_int_equal(seen.n_containers, 1);
        assert_int_equal(seen.containers[0].claim, CLAIM_ADOPTABLE);
        assert_int_equal(pool_adopt(rig.pool, seen.containers[0].id, on_done, &adopted), 0);
        rig_run_for(&rig, 1.0);
        assert_int_equal(adopted.count, 1);
        assert_true(adopted.is_success);
        assert_true(pool_inspect(rig.pool, "alice", check_idle_ms, &idle_ms)); /* idle since before the restart */
        pool_set_reconciled(rig.pool);
        rig_ensure(&rig, "alice", &after);
        assert_int_equal(after.outcome, OUTCOME_REUSED);
        assert_string_equal(after.container_id, before.container_id);
        assert_int_equal(fake_calls(rig.engine, FAKE_CREATE), 1);
        rig_close(&rig);
}

/* With another setting it is not what this pool would make. */
static void test_not_adoptable(void **state)
{
        struct rig rig;
        struct seen seen;
        struct answer answer;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        rig_must_ensure(&rig, "bob", &answer);
        fake_kill(rig.engine, "carrel-bob", true);
        rig.options.nofile = 2048;
        rig_restart(&rig);
        survey(&rig, &seen);
        assert_int_equal(seen.n_containers, 2);
        for (size_t i = 0; i < 2; i++) {
                answer = (struct answer){ 0 };
                assert_int_equal(seen.containers[i].claim, CLAIM_ORPHAN);
                assert_int_equal(pool_adopt(rig.pool, seen.containers[i].id, on_done, &answer), 0);
                rig_run(&rig);
                assert_int_equal(answer.count, 1);
                assert_false(answer.is_success); /* nor does it take a lying caller's word */
                assert_int_equal(pool_discard(rig.pool, seen.containers[i].id, on_done, &answer), 0);
                rig_run(&rig);
        }
        assert_int_equal(fake_containers(rig.engine), 0);
        pool_set_reconciled(rig.pool);
        rig_must_ensure(&rig, "alice", &answer);
        assert_true(answer.generation > 1);
        rig_close(&rig);
}

static void test_adoption_fails(void **state)
{
        static const enum fake_behaviour BEHAVIOURS[] = { FAKE_REFUSE, FAKE_UNAVAILABLE, FAKE_HANG };
        struct rig rig;
        struct answer answer;
        struct answer adopted;
        char id[CONTAINER_ID_BYTES];

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        memcpy(id, answer.container_id, sizeof id);
        for (size_t i = 0; i < 3; i++) {
                rig_restart(&rig);
                adopted = (struct answer){ 0 };
                assert_int_equal(pool_adopt(rig.pool, id, on_done, &adopted), 0);
                rig_run_for(&rig, 0.0);
                fake_set(rig.engine, FAKE_INSPECT, BEHAVIOURS[i], 1); /* the flow's own look */
                rig_run(&rig);
                assert_int_equal(adopted.count, 1);
                assert_false(adopted.is_success);
                assert_int_equal(rig_state(&rig, "alice"), CARREL_STATES);
        }
        rig_close(&rig);
}

/* ---- the directories of agents ---- */

/* No agent connects to the fake engine's containers, which serve without one after some patience. */
static void open_with_agents(struct rig *rig)
{
        struct pool_options options = rig_options();

        options.agent = POOL_AGENT_OPTIONAL;
        options.defaults.policy = POLICY_NONE;
        rig_open(rig, &options);
}

static const char *slot_of(const struct rig *rig, const char *user)
{
        return container_label(rig_container(rig, user), LABEL_SLOT);
}

static bool has_directory(const struct rig *rig, const char *slot)
{
        char path[256];

        (void)snprintf(path, sizeof path, "%s/agents/" RIG_POOL "/%s", rig->directory, slot);
        return access(path, F_OK) == 0;
}

static void make_directory(const struct rig *rig, const char *slot)
{
        char path[256];

        (void)snprintf(path, sizeof path, "%s/agents/" RIG_POOL "/%s", rig->directory, slot);
        assert_int_equal(mkdir(path, 0755), 0);
}

/* Adopts the user's container. */
static struct answer adopt(struct rig *rig, const char *user)
{
        struct answer adopted = { 0 };

        assert_int_equal(pool_adopt(rig->pool, rig_container(rig, user)->id, on_done, &adopted), 0);
        rig_run_for(rig, 20.0);
        assert_int_equal(adopted.count, 1);
        return adopted;
}

static void test_slots(void **state)
{
        struct rig rig;
        struct answer answer;
        char slots[2][AGENT_SLOT_BYTES];

        rig_need_root();
        open_with_agents(&rig);
        rig_must_ensure(&rig, "alice", &answer);
        rig_must_ensure(&rig, "bob", &answer);
        (void)snprintf(slots[0], sizeof slots[0], "%s", slot_of(&rig, "alice"));
        assert_true(has_directory(&rig, slots[0]));
        assert_true(has_directory(&rig, slot_of(&rig, "bob")));
        assert_false(has_directory(&rig, "alice"));

        /* The next container of the user has another. */
        fake_kill(rig.engine, "carrel-alice", false);
        rig_run_for(&rig, 1.0);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_LOST);
        assert_true(has_directory(&rig, slots[0]));
        rig_must_ensure(&rig, "alice", &answer);
        (void)snprintf(slots[1], sizeof slots[1], "%s", slot_of(&rig, "alice"));
        assert_string_not_equal(slots[1], slots[0]);
        assert_true(has_directory(&rig, slots[1]));
        assert_false(has_directory(&rig, slots[0]));

        /* A later carreld keeps those that it has adopted. */
        rig_restart(&rig);
        make_directory(&rig, slots[0]);
        make_directory(&rig, "alice");
        answer = adopt(&rig, "alice");
        assert_true(answer.is_success);
        (void)snprintf(slots[0], sizeof slots[0], "%s", slot_of(&rig, "bob"));
        assert_true(has_directory(&rig, slots[0]));
        pool_set_reconciled(rig.pool);
        assert_true(has_directory(&rig, slots[1]));
        assert_false(has_directory(&rig, slots[0]));
        assert_false(has_directory(&rig, "alice"));

        rig_retire(&rig, "alice", &answer);
        rig_run(&rig);
        assert_true(answer.is_success);
        assert_false(has_directory(&rig, slots[1]));
        rig_close(&rig);
}

/* Replaces the user's container by one with other labels. slot NULL: without that label. */
static void relabel(struct rig *rig, const char *user, enum template_version version, const char *slot)
{
        const struct container_info *old = rig_container(rig, user);
        struct label labels[TEMPLATE_LABELS];
        struct container_info info = { .status = old->status, .labels = labels };
        struct pool_options options = rig->options;
        char hash[SPEC_HASH_BYTES];

        options.dns = options.runtime = options.cgroup_parent = ""; /* as options_copy does */
        assert_int_equal(spec_hash(&options.defaults, &options, &options.owner, version, hash), 0);
        (void)snprintf(info.name, sizeof info.name, "%s", old->name);
        for (size_t i = 0; i < old->n_labels; i++) {
                const char *value = old->labels[i].value;

                if (strcmp(old->labels[i].key, LABEL_SPEC_HASH) == 0)
                        value = hash;
                if (strcmp(old->labels[i].key, LABEL_SLOT) == 0)
                        value = slot;
                if (value != NULL)
                        labels[info.n_labels++] = (struct label){ strdup(old->labels[i].key), strdup(value) };
        }
        fake_vanish(rig->engine, info.name, true);
        assert_int_equal(fake_plant(rig->engine, &info), 0);
        for (size_t i = 0; i < info.n_labels; i++) {
                free((char *)labels[i].key);
                free((char *)labels[i].value);
        }
}

static void test_slots_of_labels(void **state)
{
        static const struct {
                enum template_version version;
                const char *slot;
                const char *directory; /* NULL: it is not adopted */
        } CASES[] = {
                { TEMPLATE_3, "0123456789abcdef", "0123456789abcdef" },
                { TEMPLATE_3, NULL, NULL },
                { TEMPLATE_3, "../x", NULL },
                { TEMPLATE_3, "alice", NULL },
                { TEMPLATE_CURRENT, "0123456789abcdef", "0123456789abcdef" },
                { TEMPLATE_CURRENT, NULL, NULL },
        };

        rig_need_root();
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct rig rig;
                struct answer answer;
                struct seen seen;

                open_with_agents(&rig);
                rig_must_ensure(&rig, "alice", &answer);
                relabel(&rig, "alice", CASES[i].version, CASES[i].slot);
                rig_restart(&rig);
                survey(&rig, &seen);
                assert_int_equal(seen.n_containers, 1);
                assert_int_equal(seen.containers[0].claim, CASES[i].directory != NULL ? CLAIM_ADOPTABLE : CLAIM_ORPHAN);
                answer = adopt(&rig, "alice");
                assert_int_equal(answer.is_success, CASES[i].directory != NULL);
                pool_set_reconciled(rig.pool);
                if (CASES[i].directory != NULL)
                        assert_true(has_directory(&rig, CASES[i].directory));
                rig_close(&rig);
        }
}

/* Two containers that claim the same directory: the first that is adopted has it. */
static void test_slot_of_another(void **state)
{
        struct rig rig;
        struct answer answer;
        char slot[AGENT_SLOT_BYTES];

        rig_need_root();
        open_with_agents(&rig);
        rig_must_ensure(&rig, "alice", &answer);
        rig_must_ensure(&rig, "bob", &answer);
        (void)snprintf(slot, sizeof slot, "%s", slot_of(&rig, "alice"));
        relabel(&rig, "bob", TEMPLATE_3, slot);
        rig_restart(&rig);
        answer = adopt(&rig, "alice");
        assert_true(answer.is_success);
        answer = adopt(&rig, "bob");
        assert_false(answer.is_success);
        assert_true(has_directory(&rig, slot));
        assert_int_equal(rig_state(&rig, "alice"), CARREL_READY);
        assert_int_equal(rig_state(&rig, "bob"), CARREL_STATES);
        rig_close(&rig);
}

/* ---- execs ---- */

struct ended {
        unsigned count;
        enum exec_cause cause;
        int exit_code;
        char output[64];
};

static void on_exec_done(void *arg, const struct exec_result *result, const struct fault *why)
{
        struct ended *ended = arg;

        ended->count++;
        assert_non_null(result);
        ended->cause = result->cause;
        ended->exit_code = result->exit_code;
        (void)snprintf(ended->output, sizeof ended->output, "%.*s", (int)result->output_length, result->output);
}

static const char *const ECHO_HI[] = { "echo", "hi", NULL };
static const struct exec_request ECHO = { .argv = ECHO_HI, .max_output_bytes = 1024 };
static const struct exec_sink SINK = { .on_done = on_exec_done };

static void read_view(void *arg, const struct carrel_view *view)
{
        *(struct carrel_view *)arg = *view;
}

static void test_exec_keeps_busy(void **state)
{
        struct rig rig;
        struct answer answer;
        struct ended ended = { 0 };
        struct exec *exec;
        struct fault why;
        struct carrel_view view;

        rig_need_root();
        rig_open(&rig, NULL);
        assert_true(pool_exec(rig.pool, "alice", &ECHO, &SINK, &ended, &exec, &why) < 0);
        assert_int_equal(why.kind, FAULT_NOT_FOUND);
        rig_must_ensure(&rig, "alice", &answer);
        rig_run_for(&rig, 10.0);
        fake_set_latency(rig.engine, 5.0);
        assert_int_equal(pool_exec(rig.pool, "alice", &ECHO, &SINK, &ended, &exec, &why), 0);
        assert_string_equal(pool_exec_user(rig.pool, exec_id(exec)), "alice");
        rig_run_for(&rig, 4.0);
        assert_true(pool_inspect(rig.pool, "alice", read_view, &view));
        assert_int_equal(view.execs, 1);
        assert_int_equal(view.idle_ms, 0);
        rig_run_for(&rig, 60.0);
        assert_int_equal(ended.count, 1);
        assert_int_equal(ended.cause, EXEC_EXIT);
        assert_int_equal(ended.exit_code, 0);
        assert_string_equal(ended.output, "echo hi\n");
        assert_true(pool_inspect(rig.pool, "alice", read_view, &view));
        assert_int_equal(view.execs, 0);
        assert_true(view.idle_ms > 0 && view.idle_ms < 60000); /* since the end, not since the ensure */
        assert_int_equal(rig.events[POOL_EXEC_ENDED], 1);
        rig_close(&rig);
}

static void kill_carrel(struct rig *rig)
{
        fake_kill(rig->engine, "carrel-alice", false);
}

static void retire_carrel(struct rig *rig)
{
        pool_retire(rig->pool, "alice", "admin", NULL, NULL, NULL);
}

static void replace_carrel(struct rig *rig)
{
        static struct answer answer;
        const struct carrel_spec small = { .memory_bytes = 67108864 };

        rig_ensure_spec(rig, "alice", &small, CONFLICT_REPLACE, &answer);
}

static void test_exec_ends_with_its_carrel(void **state)
{
        void (*const ENDS[])(struct rig * rig) = { kill_carrel, retire_carrel, replace_carrel };
        struct rig rig;
        struct answer answer;
        struct exec *exec;
        struct fault why;
        struct pool_stats stats;

        rig_need_root();
        rig_open(&rig, NULL);
        for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
                struct ended ended = { 0 };

                rig_must_ensure(&rig, "alice", &answer);
                fake_set(rig.engine, FAKE_EXEC, FAKE_HANG, 1);
                assert_int_equal(pool_exec(rig.pool, "alice", &ECHO, &SINK, &ended, &exec, &why), 0);
                ENDS[i](&rig);
                rig_run(&rig);
                assert_int_equal(ended.count, 1);
                assert_int_equal(ended.cause, EXEC_CARREL_LOST);
                pool_stats(rig.pool, &stats);
                assert_int_equal(stats.execs, 0);
        }
        rig_close(&rig);
}

/* An engine with a program that runs on whatever one does. */
struct stuck {
        struct engine_ops ops;
        const struct engine_ops *truth;
        struct exec_events events;
        void *exec;
        engine_done done;
        void *arg;
};

static struct stuck *stuck_of(const struct engine *engine)
{
        return (struct stuck *)engine->ops;
}

static int stuck_exec(struct engine *engine, const char *id, const struct exec_command *command,
                      const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct stuck *stuck = stuck_of(engine);

        stuck->events = *events;
        stuck->exec = arg;
        fake_set(engine, FAKE_EXEC, FAKE_HANG, 1);
        return stuck->truth->exec(engine, id, command, events, done, arg, ret_call);
}

static void still_runs(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        const struct stuck *stuck = arg;
        const struct exec_status running = { .is_running = true };

        stuck->done(stuck->arg, &(struct engine_reply){ .exec = &running }, NULL);
}

static int stuck_inspect(struct engine *engine, const char *id, engine_done done, void *arg,
                         struct engine_call **ret_call)
{
        struct stuck *stuck = stuck_of(engine);

        stuck->done = done;
        stuck->arg = arg;
        return stuck->truth->exec_inspect(engine, id, still_runs, stuck, ret_call);
}

static void test_exec_that_cannot_be_killed(void **state)
{
        struct rig rig;
        struct answer answer;
        struct ended ended = { 0 };
        struct exec *exec;
        struct fault why;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        rig_must_ensure(&rig, "bob", &answer);
        struct stuck stuck = { .ops = *rig.engine->ops, .truth = rig.engine->ops };
        stuck.ops.exec = stuck_exec;
        stuck.ops.exec_inspect = stuck_inspect;
        rig.engine->ops = &stuck.ops;
        assert_int_equal(pool_exec(rig.pool, "alice", &ECHO, &SINK, &ended, &exec, &why), 0);
        stuck.events.on_started(stuck.exec, "feedfacefeedface");
        pool_exec_cancel(rig.pool, exec);
        rig_run_for(&rig, 5.0);
        assert_non_null(fake_find(rig.engine, "carrel-alice"));
        rig_run_for(&rig, 30.0);
        assert_null(fake_find(rig.engine, "carrel-alice"));
        assert_non_null(fake_find(rig.engine, "carrel-bob"));
        assert_int_equal(ended.count, 0);
        rig.engine->ops = stuck.truth;
        rig_close(&rig);
}

/* exec_timeout_s is a default and no ceiling, and a reload takes it over. */
static void test_exec_default_timeout(void **state)
{
        static const struct {
                double default_s, own_s;
                bool has_ended_in_20_s;
        } CASES[] = { { 0, 0, false }, { 5, 0, true }, { 5, 100, false }, { 100, 5, true } };
        struct rig rig;
        struct answer answer;
        struct fault why;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct pool_options options = rig.options;
                struct exec_request request = ECHO;
                struct ended ended = { 0 };
                struct exec *exec;

                options.exec_timeout_s = CASES[i].default_s;
                request.timeout_s = CASES[i].own_s;
                assert_int_equal(pool_reconfigure(rig.pool, &options, &why), 0);
                fake_set(rig.engine, FAKE_EXEC, FAKE_HANG, 1);
                assert_int_equal(pool_exec(rig.pool, "alice", &request, &SINK, &ended, &exec, &why), 0);
                rig_run_for(&rig, 4.0);
                assert_int_equal(ended.count, 0);
                rig_run_for(&rig, 16.0);
                assert_int_equal(ended.count, CASES[i].has_ended_in_20_s);
                if (ended.count > 0)
                        assert_int_equal(ended.cause, EXEC_TIMEOUT);
                else
                        pool_exec_cancel(rig.pool, exec);
        }
        rig_close(&rig);
}

static void test_exec_cancel(void **state)
{
        struct rig rig;
        struct answer answer;
        struct ended ended = { 0 };
        struct exec *exec;
        struct fault why;
        struct carrel_view view;

        rig_need_root();
        rig_open(&rig, NULL);
        rig_must_ensure(&rig, "alice", &answer);
        assert_int_equal(pool_exec(rig.pool, "alice", &ECHO, &SINK, &ended, &exec, &why), 0);
        assert_null(pool_exec_cancel(rig.pool, exec));
        rig_run(&rig);
        assert_int_equal(ended.count, 0);
        assert_true(pool_inspect(rig.pool, "alice", read_view, &view));
        assert_int_equal(view.execs, 0);
        rig_close(&rig);
}

/* ---- a real process: its end is known without the engine ---- */

static void test_pidfd(void **state)
{
        struct rig rig;
        struct answer answer;
        pid_t child;

        rig_need_root();
        rig_open(&rig, NULL);
        child = fork();
        if (child == 0) {
                (void)pause();
                _exit(0);
        }
        fake_set_pid(rig.engine, child);
        rig_must_ensure(&rig, "alice", &answer);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_READY);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        rig_run_for(&rig, 1.0);
        assert_int_equal(rig_state(&rig, "alice"), CARREL_LOST);
        assert_int_equal(rig.events[POOL_LOST], 1);
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_claims),
                cmocka_unit_test(test_ready_during_a_survey),
                cmocka_unit_test(test_survey_in_a_flow_and_without_engine),
                cmocka_unit_test(test_adopt),
                cmocka_unit_test(test_not_adoptable),
                cmocka_unit_test(test_adoption_fails),
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_slots_of_labels),
                cmocka_unit_test(test_slot_of_another),
                cmocka_unit_test(test_exec_keeps_busy),
                cmocka_unit_test(test_exec_ends_with_its_carrel),
                cmocka_unit_test(test_exec_that_cannot_be_killed),
                cmocka_unit_test(test_exec_cancel),
                cmocka_unit_test(test_exec_default_timeout),
                cmocka_unit_test(test_pidfd),
        };

        return cmocka_run_group_tests_name("pool_survey", tests, NULL, NULL);
}
