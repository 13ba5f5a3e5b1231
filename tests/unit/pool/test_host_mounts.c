/* The operator's mounts: their text, the names of sets, and the safety of a source. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host-mounts.h"
#include "rig.h"
#include "scope.h"

static void test_texts(void **state)
{
        static const struct {
                const char *mounts;
                size_t n;         /* 0 with a message: refused */
                const char *says; /* NULL: accepted */
        } CASES[] = {
                { NULL, 0, NULL },
                { "", 0, NULL },
                { " , ,", 0, NULL },
                { "/srv/models:/models", 1, NULL },
                { "/srv/models:/models:ro, /srv/a:/a:rw", 2, NULL },
                { "/srv/a:/data/a,/srv/a:/data/ab,/srv/a:/data/b", 3, NULL },
                { "/srv/a:/etc/a", 1, NULL },
                { "/srv/a:/usr/share/a", 1, NULL },
                { "/srv/a:/processed", 1, NULL },
                { "/srv/models", 0, "SOURCE:TARGET" },
                { "/srv/models:/models:", 0, "SOURCE:TARGET" },
                { "/srv/models:/models:rx", 0, "SOURCE:TARGET" },
                { "/srv/models:/models:ro:ro", 0, "SOURCE:TARGET" },
                { "srv:/models", 0, "absolute" },
                { "/srv:models", 0, "absolute" },
                { "/:/models", 0, "absolute" },
                { "/srv:/", 0, "absolute" },
                { "/srv/:/models", 0, "absolute" },
                { "/srv//a:/models", 0, "absolute" },
                { "/srv/../a:/models", 0, "absolute" },
                { "/srv:/a/./b", 0, "absolute" },
                { "/srv/a b:/models", 0, "absolute" },
                { "/srv:/a\\040b", 0, "absolute" },
                { "/srv:/workspace", 0, "every carrel has" },
                { "/srv:/workspace/x", 0, "every carrel has" },
                { "/srv:/tmp/x", 0, "every carrel has" },
                { "/srv:/proc", 0, "every carrel has" },
                { "/srv:/sys/fs", 0, "every carrel has" },
                { "/srv:/sys/fs/cgroup/x", 0, "every carrel has" },
                { "/srv:/dev/shm", 0, "every carrel has" },
                { "/srv:/etc", 0, "every carrel has" },
                { "/srv:/etc/resolv.conf", 0, "every carrel has" },
                { "/srv:/.carrel/home", 0, "every carrel has" },
                { "/srv:/run/x", 0, "every carrel has" },
                { "/srv:/var", 0, "every carrel has" },
                { "/srv/a:/a, /srv/b:/a", 0, "/a and /a" },
                { "/srv/a:/a/b, /srv/b:/a", 0, "/a/b and /a" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                const struct pool_options options = { .mounts = CASES[i].mounts };
                struct host_mounts mounts = { 0 };
                struct fault why = { 0 };
                int r = host_mounts_check(&options, &why);

                if ((r == 0) != (CASES[i].says == NULL))
                        fail_msg("\"%s\": %s", CASES[i].mounts, r < 0 ? why.message : "is accepted");
                if (r < 0) {
                        assert_int_equal(why.kind, FAULT_SETTING_INVALID);
                        if (strstr(why.message, CASES[i].says) == NULL)
                                fail_msg("\"%s\": no \"%s\" in: %s", CASES[i].mounts, CASES[i].says, why.message);
                        continue;
                }
                assert_int_equal(host_mounts_find(&options, "", &mounts, NULL), 0);
                assert_int_equal(mounts.n, CASES[i].n);
                host_mounts_release(&mounts);
        }
}

static void test_there_is_a_most(void **state)
{
        char text[64 * (HOST_MOUNTS_MAX + 1)] = "";
        const struct pool_options options = { .mounts = text };
        size_t length = 0;

        (void)state;
        for (int i = 0; i < HOST_MOUNTS_MAX; i++)
                length += (size_t)snprintf(text + length, sizeof text - length, "/srv/a:/a%d,", i);
        assert_int_equal(host_mounts_check(&options, NULL), 0);
        (void)snprintf(text + length, sizeof text - length, "/srv/a:/b");
        assert_true(host_mounts_check(&options, NULL) < 0);
}

static const struct pool_mount_set SETS[] = { { "data", "/srv/data:/data:rw" },
                                              { "models", "/srv/models:/models" },
                                              { "old-models", "/srv/old:/models" } };
static const struct pool_options WITH_SETS = { .mounts = "/srv/all:/all", .mount_sets = SETS, .n_mount_sets = 3 };

static void test_sets(void **state)
{
        static const struct {
                const char *names;
                const char *targets; /* NULL: refused */
                const char *says;
        } CASES[] = {
                { "", "/all", NULL },
                { "models", "/all /models", NULL },
                { "data,models", "/all /data /models", NULL },
                { "models,old-models", NULL, "/models and /models" },
                { "nothing", NULL, "data, models, old-models" },
                { "model", NULL, "no mount set \"model\"" },
                { "models,", "/all /models", NULL },
        };
        struct pool_options options = WITH_SETS;

        (void)state;
        assert_int_equal(host_mounts_check(&options, NULL), 0); /* two sets may exclude each other */
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct host_mounts mounts = { 0 };
                struct fault why = { 0 };
                char targets[128] = "";
                size_t length = 0;

                if (host_mounts_find(&options, CASES[i].names, &mounts, &why) < 0) {
                        assert_null(CASES[i].targets);
                        assert_int_equal(why.kind, FAULT_REQUEST_INVALID);
                        assert_non_null(strstr(why.message, CASES[i].says));
                        continue;
                }
                for (size_t k = 0; k < mounts.n; k++)
                        length += (size_t)snprintf(targets + length, sizeof targets - length, "%s%s", k > 0 ? " " : "",
                                                   mounts.at[k].target);
                assert_string_equal(targets, CASES[i].targets);
                host_mounts_release(&mounts);
        }
        options.mounts = "/srv/all:/data/x";
        assert_true(host_mounts_check(&options, NULL) < 0); /* a set that no ensure could ask for */
}

static void test_names(void **state)
{
        const char *names[] = { "models", "data", "models" }, *bad[] = { "a/b" }, *hidden[] = { ".a" },
                   *empty[] = { "" };
        const char *many[64];
        char mounts[POOL_MOUNTS_BYTES];

        (void)state;
        assert_int_equal(pool_mounts_join(names, 3, mounts, NULL), 0);
        assert_string_equal(mounts, "data,models");
        assert_true(host_mounts_are_names(mounts));
        assert_int_equal(pool_mounts_join(NULL, 0, mounts, NULL), 0);
        assert_string_equal(mounts, POOL_MOUNTS_NONE);
        assert_false(host_mounts_are_names(mounts));
        assert_true(pool_mounts_join(bad, 1, mounts, NULL) < 0);
        assert_true(pool_mounts_join(hidden, 1, mounts, NULL) < 0);
        assert_true(pool_mounts_join(empty, 1, mounts, NULL) < 0);
        for (size_t i = 0; i < 64; i++) {
                char *name = NULL;

                assert_true(asprintf(&name, "name-%02zu", i) > 0);
                many[i] = name;
        }
        assert_int_equal(pool_mounts_join(many, 32, mounts, NULL), 0);
        assert_int_equal(strlen(mounts), 32 * 8 - 1);
        assert_true(pool_mounts_join(many, 33, mounts, NULL) < 0);
        for (size_t i = 0; i < 64; i++)
                free((char *)many[i]);
}

/* ---- sources ---- */

static void test_sources(void **state)
{
        static const struct {
                const char *path; /* below the directory of the test */
                const char *says; /* NULL: accepted */
        } CASES[] = {
                { "roots/dir", NULL },
                { "roots/users", NULL }, /* its own owner does not matter: only root can replace it */
                { "roots/file", NULL },
                { "roots/users/dir", "does not belong to root" },
                { "roots/open/dir", "is writable by its group" },
                { "roots/link", "is a link" },
                { "roots/link/dir", "is a link" },
                { "roots/fifo", "neither a directory nor a file" },
                { "roots/nothing", "No such file" },
                { "roots/file/dir", "is a link or no directory" },
        };
        char directory[] = "/run/carrel-mounts-XXXXXX";
        char path[128];

        (void)state;
        rig_need_root();
        assert_non_null(mkdtemp(directory));
        assert_int_equal(chdir(directory), 0);
        assert_int_equal(mkdir("roots", 0755) | mkdir("roots/dir", 0755) | mkdir("roots/users", 0755) |
                                 mkdir("roots/users/dir", 0755) | mkdir("roots/open", 0755) |
                                 mkdir("roots/open/dir", 0755),
                         0);
        assert_int_equal(chmod("roots/open", 0775) | chown("roots/users", 1000, 1000) | symlink("dir", "roots/link") |
                                 mkfifo("roots/fifo", 0600) | mknod("roots/file", S_IFREG | 0644, 0),
                         0);
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                const struct host_mount mount = { path, "/x", true };
                AUTO(auto_close) int fd = -1;
                struct fault why = { 0 };
                int r;

                (void)snprintf(path, sizeof path, "%s/%s", directory, CASES[i].path);
                r = host_mount_open(&mount, &fd, &why);
                if ((r == 0) != (CASES[i].says == NULL) || (r == 0) != (fd >= 0))
                        fail_msg("%s: %s", CASES[i].path, r < 0 ? why.message : "is accepted");
                if (r < 0 && strstr(why.message, CASES[i].says) == NULL)
                        fail_msg("%s: no \"%s\" in: %s", CASES[i].path, CASES[i].says, why.message);
        }
        assert_int_equal(chdir("/"), 0);
        rig_remove_tree(directory);
}

int main(void)
{
        static const struct CMUnitTest TESTS[] = {
                cmocka_unit_test(test_texts), cmocka_unit_test(test_there_is_a_most), cmocka_unit_test(test_sets),
                cmocka_unit_test(test_names), cmocka_unit_test(test_sources),
        };

        return cmocka_run_group_tests(TESTS, NULL, NULL);
}
