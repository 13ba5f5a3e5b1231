/* The groups of execs in each real cgroup hierarchy of this machine, v1's freezer and v2: their processes are killed,
 * and groups of finished execs are removed. */
#include <dirent.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cell.h"
#include "exec-cgroup.h"
#include "str.h"

enum { LONG_MS = 20000, TRIES = 20000 };

struct hierarchy {
        enum freezer_kind kind;
        enum cgroup_hierarchy mount;
};

static const struct hierarchy FREEZER = { FREEZER_V1, CGROUP_FREEZER };
static const struct hierarchy UNIFIED = { FREEZER_V2, CGROUP_UNIFIED };

struct fixture {
        struct cell cell;
        struct exec_cgroups groups;
        char path[CGROUP_PATH_BYTES + 128];
        bool is_ready;
};

static int setup(void **state)
{
        const struct hierarchy *hierarchy = *state;
        struct fixture *fixture = calloc(1, sizeof *fixture);
        struct cgroup_mounts mounts;

        if (fixture == NULL)
                return -1;
        *state = fixture;
        if (cell_make(&fixture->cell) != 0)
                return getenv("CARREL_MUST_RUN") != NULL ? -1 : 0;
        if (cgroup_read_mounts(&mounts) != 0)
                return -1;
        (void)snprintf(fixture->path, sizeof fixture->path, "%s/groups-%s", mounts.of[hierarchy->mount].point,
                       fixture->cell.id);
        if (mkdir(fixture->path, 0755) != 0)
                return -1;
        exec_cgroups_open_at(&fixture->groups, hierarchy->kind, fixture->path);
        fixture->is_ready = true;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;
        int r = 0;

        if (fixture->is_ready) {
                exec_cgroups_close(&fixture->groups);
                cell_destroy(&fixture->cell);
                for (int i = 0; (r = rmdir(fixture->path)) != 0 && errno == EBUSY && i < TRIES; i++)
                        (void)usleep(100);
        }
        free(fixture);
        return r;
}

static struct fixture *fixture_of(void **state)
{
        struct fixture *fixture = *state;

        if (!fixture->is_ready) {
                print_message("SKIP: no pid namespace or no writable cgroup here\n");
                skip();
        }
        return fixture;
}

static void move(int directory, pid_t pid)
{
        int fd = openat(directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_true(dprintf(fd, "%d", (int)pid) > 0);
        close(fd);
}

static struct exec_cgroup make_group(struct fixture *fixture)
{
        struct exec_cgroup group = { 0 };
        int join;

        assert_int_equal(exec_cgroup_make(&fixture->groups, &group, &join), 0);
        close(join);
        return group;
}

/* As an agent's child does: it moves itself from its container's group into the exec's. */
static struct exec_cgroup run_in_group(struct fixture *fixture, enum cell_shape shape, struct cell_exec *ret_exec)
{
        struct exec_cgroup group = { 0 };
        int *joins = fixture->cell.joins;

        joins[0] = openat(fixture->groups.freezer.directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        assert_true(joins[0] >= 0);
        assert_int_equal(exec_cgroup_make(&fixture->groups, &group, &joins[1]), 0);
        assert_int_equal(cell_run(&fixture->cell, shape, ret_exec), 0);
        for (size_t i = 0; i < CELL_JOINS; i++) {
                close(joins[i]);
                joins[i] = 0;
        }
        return group;
}

static unsigned count_groups(const struct fixture *fixture)
{
        DIR *directory = opendir(fixture->path);
        const struct dirent *entry;
        unsigned n = 0;

        assert_non_null(directory);
        while ((entry = readdir(directory)) != NULL)
                n += strncmp(entry->d_name, "carrel-exec-", strlen("carrel-exec-")) == 0;
        closedir(directory);
        return n;
}

static void kill_until_gone(const struct fixture *fixture, struct exec_cgroup *group)
{
        for (int i = 0; exec_cgroup_remove(&fixture->groups, group) != 0 && i < TRIES; i++)
                exec_cgroup_kill(&fixture->groups, group);
        assert_string_equal(group->name, "");
}

static void clear_until_gone(const struct fixture *fixture, struct exec_cgroup *group)
{
        for (int i = 0; exec_cgroups_clear(&fixture->groups) != 0 && i < TRIES; i++)
                ;
        exec_cgroup_close(group);
}

static void check_end(struct fixture *fixture, enum cell_shape shape,
                      void (*end)(const struct fixture *fixture, struct exec_cgroup *group))
{
        struct cell_exec exec;
        struct exec_cgroup group = run_in_group(fixture, shape, &exec);

        assert_true(exec_cgroup_holds(&fixture->groups, &group, exec.root));
        assert_false(cell_exec_is_gone(&exec, 0));
        end(fixture, &group);
        assert_true(cell_exec_is_gone(&exec, LONG_MS));
        assert_int_equal(count_groups(fixture), 0);
        cell_exec_end(&exec);
}

/* A process whose first thread has ended lives, though procfs calls it a zombie, in no cgroup. */
static void members_die(void **state)
{
        static const enum cell_shape SHAPES_HERE[] = { SHAPE_PLAIN, SHAPE_FORKING, SHAPE_LEADERLESS };
        struct fixture *fixture = fixture_of(state);

        for (size_t i = 0; i < sizeof SHAPES_HERE / sizeof SHAPES_HERE[0]; i++) {
                check_end(fixture, SHAPES_HERE[i], kill_until_gone);
                check_end(fixture, SHAPES_HERE[i], clear_until_gone);
        }
}

static void signals_are_counted(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct cell_exec exec;
        struct exec_cgroup group = run_in_group(fixture, SHAPE_LEADERLESS, &exec);

        assert_int_equal(exec_cgroup_signal(&fixture->groups, &group, SIGTERM), 1);
        assert_true(cell_exec_is_gone(&exec, LONG_MS));
        kill_until_gone(fixture, &group);
        cell_exec_end(&exec);
}

/* A group that is never empty when it is retired, and always soon after. */
static void retired_groups_do_not_stay(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct cell_exec exec;

        assert_int_equal(cell_run(&fixture->cell, SHAPE_PLAIN, &exec), 0);
        for (int i = 0; i < 4 * EXEC_CGROUPS_RETIRED_MAX; i++) {
                struct exec_cgroup group = make_group(fixture);

                move(group.directory, exec.root);
                exec_cgroup_retire(&fixture->groups, &group);
                assert_int_equal(group.directory, -1);
                move(fixture->groups.freezer.directory, exec.root);
                assert_true(count_groups(fixture) <= EXEC_CGROUPS_RETIRED_MAX);
        }
        assert_int_equal(exec_cgroups_tidy(&fixture->groups), 0);
        assert_int_equal(count_groups(fixture), 0);
        kill(exec.root, SIGKILL);
        cell_exec_end(&exec);
}

/* Processes in the background live on, even when carreld starts again. */
static void what_is_retired_lives(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct exec_cgroup group = make_group(fixture);
        struct cell_exec exec;

        assert_int_equal(cell_run(&fixture->cell, SHAPE_PLAIN, &exec), 0);
        move(group.directory, exec.root);
        assert_true(exec_cgroup_retire(&fixture->groups, &group));
        assert_int_equal(exec_cgroups_tidy(&fixture->groups), 1);
        assert_int_equal(exec_cgroups_clear(&fixture->groups), 0);
        assert_int_equal(count_groups(fixture), 1);
        assert_false(cell_exec_is_gone(&exec, 0));
        move(fixture->groups.freezer.directory, exec.root);
        exec_cgroups_tidy(&fixture->groups);
        assert_int_equal(count_groups(fixture), 0);
        kill(exec.root, SIGKILL);
        cell_exec_end(&exec);
}

/* An empty group serves again, whatever it held before; only the allowed number is kept. */
static void empty_groups_serve_again(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct exec_cgroup groups[EXEC_CGROUPS_SPARE_MAX + 1], again;
        char name[EXEC_CGROUP_NAME_BYTES];
        struct cell_exec exec;

        assert_int_equal(cell_run(&fixture->cell, SHAPE_PLAIN, &exec), 0);
        for (int i = 0; i <= EXEC_CGROUPS_SPARE_MAX; i++)
                groups[i] = make_group(fixture);
        move(groups[0].directory, exec.root);
        assert_false(exec_cgroup_spare(&fixture->groups, &groups[0]));
        assert_true(groups[0].directory >= 0);
        move(fixture->groups.freezer.directory, exec.root);
        memcpy(name, groups[0].name, sizeof name);
        for (int i = 0; i <= EXEC_CGROUPS_SPARE_MAX; i++)
                assert_int_equal(exec_cgroup_spare(&fixture->groups, &groups[i]), i < EXEC_CGROUPS_SPARE_MAX);
        assert_int_equal(exec_cgroup_remove(&fixture->groups, &groups[EXEC_CGROUPS_SPARE_MAX]), 0);
        for (int i = 0; i < EXEC_CGROUPS_SPARE_MAX; i++)
                groups[i] = make_group(fixture);
        assert_string_equal(groups[EXEC_CGROUPS_SPARE_MAX - 1].name, name);
        assert_int_equal(count_groups(fixture), EXEC_CGROUPS_SPARE_MAX);
        again = make_group(fixture);
        assert_int_equal(count_groups(fixture), EXEC_CGROUPS_SPARE_MAX + 1);
        assert_true(exec_cgroup_spare(&fixture->groups, &again));
        exec_cgroups_drop_spares(&fixture->groups);
        assert_int_equal(count_groups(fixture), EXEC_CGROUPS_SPARE_MAX);
        for (int i = 0; i < EXEC_CGROUPS_SPARE_MAX; i++)
                assert_int_equal(exec_cgroup_remove(&fixture->groups, &groups[i]), 0);
        kill(exec.root, SIGKILL);
        cell_exec_end(&exec);
}

/* In a group that served before, the processes of now are killed. */
static void a_spare_group_kills_as_a_new_one(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct exec_cgroup group = make_group(fixture);
        struct cell_exec exec;

        assert_true(exec_cgroup_spare(&fixture->groups, &group));
        group = make_group(fixture);
        assert_int_equal(count_groups(fixture), 1);
        assert_int_equal(cell_run(&fixture->cell, SHAPE_PLAIN, &exec), 0);
        move(group.directory, exec.root);
        kill_until_gone(fixture, &group);
        assert_int_equal(count_groups(fixture), 0);
        cell_exec_end(&exec);
}

static void freeze(const struct fixture *fixture)
{
        bool is_v1 = fixture->groups.freezer.kind == FREEZER_V1;
        int fd = openat(fixture->groups.freezer.directory, is_v1 ? "freezer.state" : "cgroup.freeze",
                        O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_true(dprintf(fd, is_v1 ? "FROZEN" : "1") > 0);
        close(fd);
}

/* Each time: the file of the state stays open. */
static void a_frozen_container_is_seen(void **state)
{
        struct fixture *fixture = fixture_of(state);
        bool is_frozen = false;

        for (int i = 0; i < 2; i++) {
                assert_false(freezer_is_frozen(&fixture->groups.freezer));
                freeze(fixture);
                for (int j = 0; !is_frozen && j < TRIES; j++)
                        is_frozen = freezer_is_frozen(&fixture->groups.freezer);
                assert_true(is_frozen);
                assert_int_equal(freezer_set(&fixture->groups.freezer, false), 0);
                for (int j = 0; is_frozen && j < TRIES; j++)
                        is_frozen = freezer_is_frozen(&fixture->groups.freezer);
        }
        assert_false(is_frozen);
}

/* A kill freezes a group and thaws it: it serves again. If it could not be thawed, the next program would not run. */
static void a_group_that_is_left_frozen_is_no_spare(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct exec_cgroup group = make_group(fixture);

        exec_cgroup_kill(&fixture->groups, &group);
        assert_false(group.is_left_frozen);
        assert_true(exec_cgroup_spare(&fixture->groups, &group));
        group = make_group(fixture);
        group.is_left_frozen = true;
        assert_false(exec_cgroup_spare(&fixture->groups, &group));
        assert_int_equal(exec_cgroup_remove(&fixture->groups, &group), 0);
}

/* Then a program moves itself without waiting for the kernel. */
static void groups_of_v2_are_threaded(void **state)
{
        struct fixture *fixture = fixture_of(state);
        struct exec_cgroup group = make_group(fixture);
        char type[16] = "";
        int fd = openat(group.directory, "cgroup.type", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0 && read(fd, type, sizeof type - 1) > 0);
        close(fd);
        assert_string_equal(type, "threaded\n");
        kill_until_gone(fixture, &group);
}

#define TEST(test, hierarchy)                                                                                          \
        cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, (void *)(uintptr_t)(hierarchy))

static bool is_mounted(const struct hierarchy *hierarchy)
{
        struct cgroup_mounts mounts;

        return cgroup_read_mounts(&mounts) == 0 && mounts.of[hierarchy->mount].point[0] != '\0';
}

/* Empty and frozen, however often, and gone at the end. */
static void a_freezer_is_pinned(void **state)
{
        const struct fixture *fixture = fixture_of(state);
        struct cgroup_mounts mounts = { 0 };
        char path[sizeof fixture->path + 64];
        char text[16] = "";
        int fd;

        assert_int_equal(str_copy(mounts.of[CGROUP_FREEZER].point, CGROUP_PATH_BYTES, fixture->path), 0);
        freezer_pin(&mounts);
        freezer_pin(&mounts);
        (void)snprintf(path, sizeof path, "%s/carrel-pin/freezer.state", fixture->path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, text, sizeof text), strlen("FROZEN\n"));
        close(fd);
        assert_string_equal(text, "FROZEN\n");
        freezer_unpin(&mounts);
        assert_int_equal(access(path, F_OK), -1);
        freezer_pin(&(struct cgroup_mounts){ 0 }); /* no freezer here */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(members_die, &UNIFIED),
                TEST(signals_are_counted, &UNIFIED),
                TEST(retired_groups_do_not_stay, &UNIFIED),
                TEST(what_is_retired_lives, &UNIFIED),
                TEST(empty_groups_serve_again, &UNIFIED),
                TEST(a_spare_group_kills_as_a_new_one, &UNIFIED),
                TEST(a_frozen_container_is_seen, &UNIFIED),
                TEST(a_group_that_is_left_frozen_is_no_spare, &UNIFIED),
                TEST(groups_of_v2_are_threaded, &UNIFIED),
                TEST(members_die, &FREEZER),
                TEST(signals_are_counted, &FREEZER),
                TEST(retired_groups_do_not_stay, &FREEZER),
                TEST(what_is_retired_lives, &FREEZER),
                TEST(empty_groups_serve_again, &FREEZER),
                TEST(a_spare_group_kills_as_a_new_one, &FREEZER),
                TEST(a_frozen_container_is_seen, &FREEZER),
                TEST(a_group_that_is_left_frozen_is_no_spare, &FREEZER),
                TEST(a_freezer_is_pinned, &FREEZER),
        };
        const size_t n_unified = 9, n_freezer = 9;
        size_t n = (is_mounted(&UNIFIED) ? n_unified : 0) + (is_mounted(&FREEZER) ? n_freezer : 0);

        /* A hierarchy that is not mounted is not reported as skipped: a machine with v1 or v2 alone has nothing to test
         * there. */
        return _cmocka_run_group_tests("groups", tests + (is_mounted(&UNIFIED) ? 0 : n_unified), n, NULL, NULL);
}
