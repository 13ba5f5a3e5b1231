/* Claim: the same on every engine that can relabel, and what the records of the embedded engine promise: a kill -9 at
 * any system call leaves the old name and labels or the new ones. Docker and Podman: test_docker.c. */
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake-engine.h"
#include "oci.h"
#include "scope.h"

#define WARM "io.carrel.warm"
#define USER "io.carrel.user"
#define N_OF(array) (sizeof(array) / sizeof *(array))

enum { PATH_BYTES = 512, N_PLANTED = 2 };

/* Each engine begins with these. */
static const char *const NAMES[N_PLANTED] = { "warm-1", "warm-2" };
static const struct label ADA[] = { { USER, "ada" }, { "io.carrel.generation", "2" } };

struct world {
        struct ev_loop *loop;
        struct engine *engine;
        char directory[PATH_BYTES]; /* "": the fake engine */
        char ids[N_PLANTED][ENGINE_ID_BYTES];
};

/* ---- the embedded engine's directory ---- */

static const char *path_of(const struct world *world, const char *rest)
{
        static char path[PATH_BYTES];

        assert_true(snprintf(path, sizeof path, "%s/oci/%s", world->directory, rest) < (int)sizeof path);
        return path;
}

/* As carreld 0.1.0 wrote it. */
static void write_record(const struct world *world, const char *id, const char *name)
{
        char file[ENGINE_ID_BYTES + 16];
        FILE *record;

        assert_return_code(mkdir(path_of(world, id), 0700), errno);
        snprintf(file, sizeof file, "%s/state.json", id);
        record = fopen(path_of(world, file), "we");
        assert_non_null(record);
        fprintf(record,
                "{\"version\":1,\"id\":\"%s\",\"name\":\"%s\",\"image_id\":\"sha256:0\",\"cgroup\":"
                "\"/carrel-test-claim/%s\",\"working_dir\":\"/workspace\",\"userns_base\":0,\"uid\":1000,\"gid\":1000,"
                "\"nofile\":1024,\"labels\":{\"" WARM "\":\"yes\"},\"environment\":[\"PATH=/bin\"]}",
                id, name, id);
        assert_int_equal(fclose(record), 0);
}

static void make_link(const struct world *world, const char *name, const char *target)
{
        char file[ENGINE_NAME_BYTES + 16];

        (void)mkdir(path_of(world, "names"), 0700);
        snprintf(file, sizeof file, "names/%s", name);
        assert_return_code(symlink(target, path_of(world, file)), errno);
}

static size_t count_links(const struct world *world)
{
        DIR *directory = opendir(path_of(world, "names"));
        size_t n = 0;

        for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
                n += entry->d_name[0] != '.';
        if (directory != NULL)
                closedir(directory);
        return n;
}

/* Without a runtime. Records can be read and claimed. */
static struct engine *open_oci(const struct world *world)
{
        char state_dir[PATH_BYTES], image_dir[PATH_BYTES];
        const struct oci_options options = {
                .state_dir = state_dir,
                .image_dir = image_dir,
                .runtime = "/nonexistent/runtime",
                .userns = OCI_USERNS_OFF,
                .userns_base = 1879048192U,
        };
        struct engine *engine = NULL;
        struct fault why = { 0 };

        assert_true(snprintf(state_dir, sizeof state_dir, "%s/oci", world->directory) < PATH_BYTES);
        assert_true(snprintf(image_dir, sizeof image_dir, "%s/images", world->directory) < PATH_BYTES);
        if (oci_new(&engine, world->loop, &options, &why) < 0)
                fail_msg("%s", why.message);
        return engine;
}

/* ---- the worlds ---- */

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof *world);

        assert_non_null(world);
        world->loop = ev_loop_new(EVFLAG_AUTO);
        for (unsigned i = 0; i < N_PLANTED; i++)
                snprintf(world->ids[i], sizeof world->ids[i], "%064x", i + 1);
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;
        char command[PATH_BYTES + 16];

        if (world->engine != NULL)
                world->engine->ops->free(world->engine);
        ev_loop_destroy(world->loop);
        if (world->directory[0] != '\0') {
                snprintf(command, sizeof command, "rm -r %s", world->directory);
                assert_int_equal(system(command), 0);
        }
        free(world);
        return 0;
}

static int set_up_fake(void **state)
{
        struct world *world;

        set_up(state);
        world = *state;
        assert_int_equal(fake_new(&world->engine, world->loop), 0);
        for (size_t i = 0; i < N_PLANTED; i++) {
                struct label label = { WARM, "yes" };
                struct container_info info = { .status = CONTAINER_RUNNING, .labels = &label, .n_labels = 1 };

                memcpy(info.id, world->ids[i], sizeof info.id);
                snprintf(info.name, sizeof info.name, "%s", NAMES[i]);
                assert_int_equal(fake_plant(world->engine, &info), 0);
        }
        return 0;
}

/* The records are there, and no engine has read them. */
static int set_up_records(void **state)
{
        struct world *world;

        set_up(state);
        world = *state;
        snprintf(world->directory, sizeof world->directory, "/tmp/carrel-claim-XXXXXX");
        assert_non_null(mkdtemp(world->directory));
        assert_return_code(mkdir(path_of(world, ""), 0711), errno);
        for (size_t i = 0; i < N_PLANTED; i++)
                write_record(world, world->ids[i], NAMES[i]);
        return 0;
}

static int set_up_oci(void **state)
{
        struct world *world;

        set_up_records(state);
        world = *state;
        world->engine = open_oci(world);
        return 0;
}

/* ---- calls ---- */

struct answer {
        bool has_come;
        enum fault_kind kind;
        char id[ENGINE_ID_BYTES], name[ENGINE_NAME_BYTES];
        char warm[8], user[8]; /* labels; "": it does not have it */
        size_t n_labels;
};

static void copy_label(char ret_text[static 8], const struct container_info *info, const char *key)
{
        const char *value = container_label(info, key);

        snprintf(ret_text, 8, "%s", value != NULL ? value : "");
}

static void on_done(void *arg, const struct engine_reply *reply, const struct fault *why)
{
        struct answer *answer = arg;

        assert_false(answer->has_come);
        answer->has_come = true;
        answer->kind = why != NULL ? why->kind : FAULT_NONE;
        if (why != NULL || reply->n_containers == 0)
                return;
        memcpy(answer->id, reply->containers->id, sizeof answer->id);
        memcpy(answer->name, reply->containers->name, sizeof answer->name);
        copy_label(answer->warm, reply->containers, WARM);
        copy_label(answer->user, reply->containers, USER);
        answer->n_labels = reply->containers->n_labels;
}

static void await_answer(struct world *world, const struct answer *answer, int r)
{
        assert_int_equal(r, 0);
        assert_false(answer->has_come); /* never from inside */
        while (!answer->has_come)
                ev_run(world->loop, EVRUN_ONCE);
}

static enum fault_kind claim_by(struct world *world, struct engine *engine, const char *id, const char *name)
{
        struct answer answer = { 0 };
        struct engine_call *call;

        await_answer(world, &answer, engine->ops->claim(engine, id, name, ADA, N_OF(ADA), on_done, &answer, &call));
        return answer.kind;
}

static enum fault_kind claim(struct world *world, const char *id, const char *name)
{
        return claim_by(world, world->engine, id, name);
}

static struct answer inspect_by(struct world *world, struct engine *engine, const char *id)
{
        struct answer answer = { 0 };
        struct engine_call *call;

        await_answer(world, &answer, engine->ops->inspect(engine, id, on_done, &answer, &call));
        return answer;
}

static struct answer inspect(struct world *world, const char *id)
{
        return inspect_by(world, world->engine, id);
}

static void expect_claimed(const struct answer *found, const char *id, const char *name)
{
        assert_int_equal(found->kind, FAULT_NONE);
        assert_string_equal(found->id, id);
        assert_string_equal(found->name, name);
        assert_string_equal(found->user, "ada");
        assert_string_equal(found->warm, "");
        assert_int_equal(found->n_labels, N_OF(ADA));
}

static void expect_warm(const struct answer *found, const char *id, const char *name)
{
        assert_int_equal(found->kind, FAULT_NONE);
        assert_string_equal(found->id, id);
        assert_string_equal(found->name, name);
        assert_string_equal(found->user, "");
        assert_string_equal(found->warm, "yes");
        assert_int_equal(found->n_labels, 1);
}

/* ---- every engine that can relabel ---- */

static void a_claim_gives_a_name_and_labels(void **state)
{
        struct world *world = *state;
        struct engine_about about;
        struct answer found;

        world->engine->ops->about(world->engine, &about);
        assert_true(about.can_relabel);
        found = inspect(world, "warm-1");
        expect_warm(&found, world->ids[0], "warm-1");
        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NONE);
        found = inspect(world, "carrel-ada");
        expect_claimed(&found, world->ids[0], "carrel-ada");
        found = inspect(world, world->ids[0]);
        expect_claimed(&found, world->ids[0], "carrel-ada");
        found = inspect(world, "warm-1");
        assert_int_equal(found.kind, FAULT_NOT_FOUND);
        found = inspect(world, "warm-2");
        expect_warm(&found, world->ids[1], "warm-2");
}

static void a_taken_name_is_refused_and_nothing_changes(void **state)
{
        struct world *world = *state;
        struct answer found;

        assert_int_equal(claim(world, world->ids[0], "warm-2"), FAULT_NAME_TAKEN);
        found = inspect(world, "warm-1");
        expect_warm(&found, world->ids[0], "warm-1");
        found = inspect(world, "warm-2");
        expect_warm(&found, world->ids[1], "warm-2");
        assert_int_equal(claim(world, "no-such", "carrel-ada"), FAULT_NOT_FOUND);
        assert_int_equal(inspect(world, "carrel-ada").kind, FAULT_NOT_FOUND);
}

static void a_container_may_keep_its_name(void **state)
{
        struct world *world = *state;
        struct answer found;

        for (int i = 0; i < 2; i++) {
                assert_int_equal(claim(world, "warm-1", "warm-1"), FAULT_NONE);
                found = inspect(world, "warm-1");
                expect_claimed(&found, world->ids[0], "warm-1");
        }
}

static void a_former_name_is_free(void **state)
{
        struct world *world = *state;
        struct answer found;

        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NONE);
        assert_int_equal(claim(world, world->ids[1], "carrel-ada"), FAULT_NAME_TAKEN);
        assert_int_equal(claim(world, world->ids[1], "warm-1"), FAULT_NONE);
        found = inspect(world, "warm-1");
        expect_claimed(&found, world->ids[1], "warm-1");
        assert_int_equal(inspect(world, "warm-2").kind, FAULT_NOT_FOUND);
}

static void a_removed_container_has_no_name(void **state)
{
        struct world *world = *state;
        struct answer removed = { 0 };
        struct engine_call *call;

        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NONE);
        await_answer(world, &removed,
                     world->engine->ops->remove(world->engine, "carrel-ada", on_done, &removed, &call));
        assert_int_equal(removed.kind, FAULT_NONE);
        assert_int_equal(inspect(world, "carrel-ada").kind, FAULT_NOT_FOUND);
        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NOT_FOUND);
        if (world->directory[0] != '\0')
                assert_int_equal(count_links(world), 1);
        assert_int_equal(claim(world, world->ids[1], "carrel-ada"), FAULT_NONE);
}

/* Whether it is carried out is not promised. */
static void a_cancelled_claim_does_not_answer(void **state)
{
        struct world *world = *state;
        struct answer answer = { 0 }, found;
        struct engine_call *call;

        assert_int_equal(world->engine->ops->claim(world->engine, world->ids[0], "carrel-ada", ADA, N_OF(ADA), on_done,
                                                   &answer, &call),
                         0);
        engine_cancel(call);
        found = inspect(world, world->ids[0]); /* its answer comes after */
        assert_false(answer.has_come);
        assert_int_equal(found.kind, FAULT_NONE);
        assert_int_equal(strcmp(found.name, "carrel-ada") == 0, found.user[0] != '\0');
}

/* ---- the fake engine ---- */

static void the_fake_engine_does_as_it_is_asked(void **state)
{
        static const struct {
                enum fake_behaviour behaviour;
                enum fault_kind kind;
                bool is_done;
        } CASES[] = {
                { FAKE_REFUSE, FAULT_ENGINE_REFUSED, false },
                { FAKE_UNAVAILABLE, FAULT_ENGINE_UNAVAILABLE, false },
                { FAKE_DO_AND_FAIL, FAULT_DEADLINE, true },
        };
        struct world *world = *state;

        for (size_t i = 0; i < N_OF(CASES); i++) {
                fake_set(world->engine, FAKE_CLAIM, CASES[i].behaviour, 1);
                assert_int_equal(claim(world, world->ids[0], "carrel-ada"), CASES[i].kind);
                assert_int_equal(fake_find(world->engine, "carrel-ada") != NULL, CASES[i].is_done);
                assert_int_equal(fake_find(world->engine, "warm-1") != NULL, !CASES[i].is_done);
        }
        assert_int_equal(fake_calls(world->engine, FAKE_CLAIM), N_OF(CASES));
}

static void a_fake_claim_hangs_until_it_is_cancelled(void **state)
{
        struct world *world = *state;
        struct answer answer = { 0 };
        struct engine_call *call;

        fake_set(world->engine, FAKE_CLAIM, FAKE_HANG, 1);
        assert_int_equal(world->engine->ops->claim(world->engine, "warm-1", "carrel-ada", ADA, N_OF(ADA), on_done,
                                                   &answer, &call),
                         0);
        (void)inspect(world, "warm-1");
        assert_false(answer.has_come);
        engine_cancel(call);
        assert_null(fake_find(world->engine, "carrel-ada"));
}

static void a_fake_engine_may_keep_the_labels(void **state)
{
        struct world *world = *state;
        struct engine_about about;
        struct answer found;

        fake_set_can_relabel(world->engine, false);
        world->engine->ops->about(world->engine, &about);
        assert_false(about.can_relabel);
        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NONE);
        found = inspect(world, "carrel-ada");
        expect_warm(&found, world->ids[0], "carrel-ada");
}

/* ---- the embedded engine ---- */

static void a_bad_name_is_refused(void **state)
{
        static const char *const BAD[] = { "", ".", "..", ".a", "a/b", "../a", "a b", "a\nb" };
        struct label labels[65];
        struct world *world = *state;
        const struct engine_ops *ops = world->engine->ops;
        char longest[ENGINE_NAME_BYTES + 1] = "";
        struct engine_call *call;

        for (size_t i = 0; i < N_OF(BAD); i++)
                assert_int_equal(ops->claim(world->engine, world->ids[0], BAD[i], ADA, 1, on_done, NULL, &call),
                                 -EINVAL);
        for (size_t i = 0; i < N_OF(labels); i++)
                labels[i] = ADA[0];
        assert_int_equal(ops->claim(world->engine, world->ids[0], "a", labels, N_OF(labels), on_done, NULL, &call),
                         -EINVAL);
        memset(longest, 'a', ENGINE_NAME_BYTES);
        assert_int_equal(ops->claim(world->engine, world->ids[0], longest, ADA, 1, on_done, NULL, &call), -EINVAL);
        longest[ENGINE_NAME_BYTES - 1] = '\0';
        assert_int_equal(claim(world, world->ids[0], longest), FAULT_NONE);
        assert_string_equal(inspect(world, longest).name, longest);
}

static void the_next_carreld_sees_it(void **state)
{
        struct world *world = *state;
        struct answer found;

        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NONE);
        world->engine = world->engine->ops->free(world->engine);
        world->engine = open_oci(world);
        found = inspect(world, "carrel-ada");
        expect_claimed(&found, world->ids[0], "carrel-ada");
        assert_int_equal(inspect(world, "warm-1").kind, FAULT_NOT_FOUND);
        assert_int_equal(claim(world, world->ids[1], "carrel-ada"), FAULT_NAME_TAKEN);
}

/* Two carrelds on one directory. */
static void a_claim_of_another_process_counts(void **state)
{
        struct world *world = *state;
        struct engine *other = open_oci(world);
        struct answer found;

        assert_int_equal(claim_by(world, other, world->ids[0], "carrel-ada"), FAULT_NONE);
        assert_int_equal(claim(world, world->ids[1], "carrel-ada"), FAULT_NAME_TAKEN);
        assert_int_equal(inspect(world, "warm-1").kind, FAULT_NOT_FOUND);
        found = inspect(world, "carrel-ada");
        expect_claimed(&found, world->ids[0], "carrel-ada");
        assert_int_equal(claim(world, world->ids[1], "warm-1"), FAULT_NONE);
        found = inspect_by(world, other, "warm-1");
        expect_claimed(&found, world->ids[1], "warm-1");
        other->ops->free(other);
}

static void a_link_that_was_left_takes_no_name(void **state)
{
        struct world *world = *state;
        char absent[ENGINE_ID_BYTES];

        snprintf(absent, sizeof absent, "%064x", 0xabcU);
        make_link(world, "carrel-ada", absent);        /* its container has gone */
        make_link(world, "carrel-bob", world->ids[1]); /* its container has another name */
        world->engine = open_oci(world);
        assert_int_equal(count_links(world), N_PLANTED);
        make_link(world, "carrel-ada", absent); /* by a process that was killed since */
        make_link(world, "carrel-bob", world->ids[1]);
        assert_int_equal(inspect(world, "carrel-bob").kind, FAULT_NOT_FOUND);
        assert_int_equal(claim(world, world->ids[0], "carrel-ada"), FAULT_NONE);
        assert_int_equal(claim(world, world->ids[0], "carrel-bob"), FAULT_NONE);
        assert_int_equal(claim(world, world->ids[1], "carrel-ada"), FAULT_NONE);
        assert_int_equal(count_links(world), N_PLANTED);
}

/* ---- kill -9 ---- */

/* Claims the first container in a child. Stops it before the claim, and kills it at this stop of a system call: each
 * has one before and one after it. false: it had ended. */
static bool claim_and_kill(struct world *world, unsigned at, bool has_left_link)
{
        pid_t child = fork();
        int status = 0;

        if (child == 0) {
                world->loop = ev_loop_new(EVFLAG_AUTO);
                world->engine = open_oci(world);
                if (has_left_link)
                        make_link(world, "carrel-ada", world->ids[1]);
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                        _exit(2);
                (void)raise(SIGSTOP);
                _exit(claim(world, world->ids[0], "carrel-ada") != FAULT_NONE);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        for (unsigned i = 0; i < at && WIFSTOPPED(status); i++) {
                assert_return_code(ptrace(PTRACE_SYSCALL, child, NULL, NULL), errno);
                assert_int_equal(waitpid(child, &status, 0), child);
        }
        if (!WIFSTOPPED(status)) {
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
                return false;
        }
        assert_return_code(kill(child, SIGKILL), errno);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        return true;
}

struct kill_case {
        bool has_left_link; /* to a container that has another name: the claim must replace it */
        bool has_witness;   /* another carreld has read the records before, and lives on; else the next one looks */
};

/* Returns whether the claim is in the record. */
static bool expect_old_or_new(struct world *world)
{
        struct answer found = inspect(world, "carrel-ada");
        bool is_new = found.kind == FAULT_NONE;

        if (!is_new)
                found = inspect(world, "warm-1");
        if (is_new)
                expect_claimed(&found, world->ids[0], "carrel-ada");
        else
                expect_warm(&found, world->ids[0], "warm-1");
        assert_int_equal(inspect(world, is_new ? "warm-1" : "carrel-ada").kind, FAULT_NOT_FOUND);
        /* One of the two names is free, and the other is not. */
        assert_int_equal(claim(world, world->ids[1], is_new ? "carrel-ada" : "warm-1"), FAULT_NAME_TAKEN);
        assert_int_equal(claim(world, world->ids[1], is_new ? "warm-1" : "carrel-ada"), FAULT_NONE);
        return is_new;
}

/* Returns false when the claim had ended before. */
static bool kill_at(unsigned at, const struct kill_case *row, bool *ret_is_new)
{
        void *state;
        struct world *world;
        bool is_killed;

        set_up_records(&state);
        world = state;
        if (row->has_witness)
                world->engine = open_oci(world);
        is_killed = claim_and_kill(world, at, row->has_left_link);
        if (!row->has_witness) {
                world->engine = open_oci(world);
                assert_int_equal(count_links(world), N_PLANTED);
        }
        *ret_is_new = expect_old_or_new(world);
        assert_int_equal(count_links(world), N_PLANTED);
        tear_down(&state);
        return is_killed;
}

static void a_kill_leaves_the_old_or_the_new(void **state)
{
        static const struct kill_case CASES[] = { { false, false }, { false, true }, { true, true } };

        (void)state;
        for (size_t i = 0; i < N_OF(CASES); i++) {
                unsigned n_old = 0, n_new = 0;
                bool is_killed = true;

                for (unsigned at = 0; is_killed; at++) {
                        bool is_new;

                        is_killed = kill_at(at, &CASES[i], &is_new);
                        assert_true(is_new || (is_killed && n_new == 0)); /* from one system call on */
                        n_old += !is_new;
                        n_new += is_new;
                }
                assert_true(n_old > 10 && n_new > 5); /* so many were between the lines */
        }
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, set_up_fake, tear_down)
#define ON_OCI(test) cmocka_unit_test_setup_teardown(test, set_up_oci, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_FAKE(a_claim_gives_a_name_and_labels),
                ON_FAKE(a_taken_name_is_refused_and_nothing_changes),
                ON_FAKE(a_container_may_keep_its_name),
                ON_FAKE(a_former_name_is_free),
                ON_FAKE(a_removed_container_has_no_name),
                ON_FAKE(a_cancelled_claim_does_not_answer),
                ON_FAKE(the_fake_engine_does_as_it_is_asked),
                ON_FAKE(a_fake_claim_hangs_until_it_is_cancelled),
                ON_FAKE(a_fake_engine_may_keep_the_labels),
                ON_OCI(a_claim_gives_a_name_and_labels),
                ON_OCI(a_taken_name_is_refused_and_nothing_changes),
                ON_OCI(a_container_may_keep_its_name),
                ON_OCI(a_former_name_is_free),
                ON_OCI(a_removed_container_has_no_name),
                ON_OCI(a_cancelled_claim_does_not_answer),
                ON_OCI(a_bad_name_is_refused),
                ON_OCI(the_next_carreld_sees_it),
                ON_OCI(a_claim_of_another_process_counts),
                cmocka_unit_test_setup_teardown(a_link_that_was_left_takes_no_name, set_up_records, tear_down),
                cmocka_unit_test(a_kill_leaves_the_old_or_the_new),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
