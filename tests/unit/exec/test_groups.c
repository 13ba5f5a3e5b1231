/* The groups of execs in a real cgroup hierarchy: what is in them dies, and what is over does not stay. */
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

enum { LONG_MS = 20000, TRIES = 20000 };

struct fixture {
        struct cell cell;
        struct exec_cgroups groups;
        char path[CGROUP_PATH_BYTES + 128];
        bool is_ready;
};

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));
        struct cgroup_mounts mounts;
        const struct cgroup_mount *mount;

        if (fixture == NULL)
                return -1;
        *state = fixture;
        if (cell_make(&fixture->cell) != 0)
                return getenv("CARREL_MUST_RUN") != NULL ? -1 : 0;
        if (cgroup_read_mounts(&mounts) != 0)
                return -1;
        mount = mounts.of[CGROUP_FREEZER].point[0] != '\0' ? &mounts.of[CGROUP_FREEZER] : &mounts.of[CGROUP_UNIFIED];
        (void)snprintf(fixture->path, sizeof(fixture->path), "%s/groups-%s", mount->point, fixture->cell.id);
        if (mkdir(fixture->path, 0755) != 0)
                return -1;
        fixture->groups.kind = mount == &mounts.of[CGROUP_FREEZER] ? EXEC_CGROUP_FREEZER : EXEC_CGROUP_UNIFIED;
        fixture->groups.directory = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fixture->is_ready = true;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;
        int error = 0;

        if (fixture->is_ready) {
                exec_cgroups_close(&fixture->groups);
                cell_destroy(&fixture->cell);
                for (int i = 0; (error = rmdir(fixture->path)) != 0 && errno == EBUSY && i < TRIES; i++)
                        (void)usleep(100);
        }
        free(fixture);
        return error;
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

static struct exec_cgroup make_group(const struct fixture *fixture)
{
        struct exec_cgroup group = { 0 };
        int join;

        assert_int_equal(exec_cgroup_make(&fixture->groups, &group, &join), 0);
        close(join);
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
        close(group->directory);
}

static void check_end(const struct fixture *fixture, enum cell_shape shape,
                      void (*end)(const struct fixture *fixture, struct exec_cgroup *group))
{
        struct exec_cgroup group = make_group(fixture);
        struct cell_exec exec;

        assert_int_equal(cell_run(&fixture->cell, shape, &exec), 0);
        move(group.directory, exec.root);
        assert_false(cell_exec_is_gone(&exec, 0));
        end(fixture, &group);
        assert_true(cell_exec_is_gone(&exec, LONG_MS));
        assert_int_equal(count_groups(fixture), 0);
        cell_exec_end(&exec);
}

/* A process whose first thread has ended lives, though procfs calls it a zombie, in no cgroup. */
static void members_die(void **state)
{
        static const enum cell_shape SHAPES_HERE[] = { SHAPE_PLAIN, SHAPE_LEADERLESS };
        const struct fixture *fixture = fixture_of(state);

        for (size_t i = 0; i < sizeof(SHAPES_HERE) / sizeof(SHAPES_HERE[0]); i++) {
                check_end(fixture, SHAPES_HERE[i], kill_until_gone);
                check_end(fixture, SHAPES_HERE[i], clear_until_gone);
        }
}

static void signals_are_counted(void **state)
{
        const struct fixture *fixture = fixture_of(state);
        struct exec_cgroup group = make_group(fixture);
        struct cell_exec exec;

        assert_int_equal(cell_run(&fixture->cell, SHAPE_LEADERLESS, &exec), 0);
        move(group.directory, exec.root);
        assert_int_equal(exec_cgroup_signal(&group, SIGTERM), 1);
        assert_true(cell_exec_is_gone(&exec, LONG_MS));
        kill_until_gone(fixture, &group);
        cell_exec_end(&exec);
}

/* One that is never empty when it is retired, and always soon after. */
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
                move(fixture->groups.directory, exec.root);
                assert_true(count_groups(fixture) <= EXEC_CGROUPS_RETIRED_MAX);
        }
        assert_int_equal(exec_cgroups_tidy(&fixture->groups), 0);
        assert_int_equal(count_groups(fixture), 0);
        kill(exec.root, SIGKILL);
        cell_exec_end(&exec);
}

/* What was left in the background lives on, even when carreld begins again. */
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
        move(fixture->groups.directory, exec.root);
        exec_cgroups_tidy(&fixture->groups);
        assert_int_equal(count_groups(fixture), 0);
        kill(exec.root, SIGKILL);
        cell_exec_end(&exec);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(members_die, setup, teardown),
                cmocka_unit_test_setup_teardown(signals_are_counted, setup, teardown),
                cmocka_unit_test_setup_teardown(retired_groups_do_not_stay, setup, teardown),
                cmocka_unit_test_setup_teardown(what_is_retired_lives, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
