/* carrel-image refuses hostile root trees with the name of the entry, and nothing of them stays. Needs root, no engine.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "image-maker.h"
#include "image-store.h"
#include "process.h"
#include "scope.h"
#include "tree-remove.h"
#include "unpack.h"

#define GIB (1 << 30)

/* ---- hostile root trees ---- */

static const struct hostile {
        const char *title;
        struct item items[ITEMS_MAX];
        const char *part; /* of the sentence: the entry's name as a rule */
} HOSTILE[] = {
        { "a way up", { { "../outside", 'f', "x", 0 } }, "entry \\\"../outside\\\" climbs out" },
        { "a way up further in", { { "a/../../outside", 'f', "x", 0 } }, "entry \\\"a/../../outside\\\"" },
        { "an absolute name", { { "/outside", 'f', "x", 0 } }, "entry \\\"/outside\\\" has an absolute path" },
        { "a link out", { { "etc/out", 'l', "../../outside", 0 } }, "entry \\\"etc/out\\\" is a symbolic link" },
        { "a file through an absolute link",
          { { "out", 'l', "/", 0 }, { "out/outside", 'f', "x", 0 } },
          "entry \\\"out/outside\\\" goes through a link" },
        { "a directory through an absolute link",
          { { "out", 'l', "/", 0 }, { "out/outside/deep", 'd', NULL, 0 } },
          "entry \\\"out/outside/deep/\\\" goes through a link" },
        { "a file through two links",
          { { "a", 'd', NULL, 0 }, { "a/b", 'l', "..", 0 }, { "c", 'l', "a/b/..", 0 }, { "c/outside", 'f', "x", 0 } },
          "entry \\\"c" },
        { "a hard link up", { { "passwd", 'h', "../../etc/passwd", 0 } }, "entry \\\"passwd\\\" is a hard link" },
        { "an absolute hard link", { { "passwd", 'h', "/etc/passwd", 0 } }, "entry \\\"passwd\\\" is a hard link" },
        { "a hard link through a link",
          { { "out", 'l', "/etc", 0 }, { "passwd", 'h', "out/passwd", 0 } },
          "entry \\\"passwd\\\" goes through a link" },
        { "a hard link to nothing", { { "passwd", 'h', "nothing", 0 } }, "entry \\\"passwd\\\" cannot be made" },
        { "a character device", { { "dev/null", 'c', NULL, 0 } }, "entry \\\"dev/null\\\" is a character device" },
        { "a block device", { { "dev/sda", 'b', NULL, 0 } }, "entry \\\"dev/sda\\\" is a block device" },
        { "a FIFO", { { "run/pipe", 'p', NULL, 0 } }, "entry \\\"run/pipe\\\" is a FIFO" },
        { "the root as a file", { { "./", 'l', "/etc", 0 } }, "is the root, and is no directory" },
        { "escape sequences in a name", { { "../a\033[31mb\n", 'f', "x", 0 } }, "../a?[31mb?" },
};

static void test_hostile_trees(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof HOSTILE / sizeof *HOSTILE; i++) {
                write_archive("hostile.tar", NULL, HOSTILE[i].items);
                assert_refused(HOSTILE[i].title, "hostile.tar", "rootfs", HOSTILE[i].part);
        }
}

/* Holes cost nothing on the disk, and count all the same. */
static void test_ten_gigabytes_of_nothing(void **state)
{
        struct output output;

        (void)state;
        write_text("sparse", "");
        assert_int_equal(truncate(path_of("sparse"), 10 * (off_t)GIB), 0);
        RUN(&output, "tar", "-C", scratch, "--sparse", "-cf", path_of("hostile.tar"), "sparse");
        assert_int_equal(output.status, 0);
        assert_refused("10 GB of nothing", "hostile.tar", "rootfs",
                       "entry \\\"sparse\\\" (10g) makes the image too large");
        assert_int_equal(unlink(path_of("sparse")), 0);
}

static void test_names_too_long_or_too_deep(void **state)
{
        char name[1024] = "";
        struct item items[2] = { { name, 'f', "x", 0 } };

        (void)state;
        memset(name, 'n', 256);
        name[256] = '\0';
        write_archive("hostile.tar", NULL, items);
        assert_refused("a name of 256", "hostile.tar", "rootfs", "too long or too deep");
        for (size_t i = 0; i < 400; i += 2)
                memcpy(name + i, "d/", 3);
        write_archive("hostile.tar", NULL, items);
        assert_refused("200 directories", "hostile.tar", "rootfs", "too long or too deep");
}

/* As deep by the way of a link as no name may be. */
static void test_too_deep_through_a_link(void **state)
{
        char down[201] = "";
        char through[256];
        const struct item items[] = { { down, 'd', NULL, 0 }, { "t", 'l', down, 0 }, { through, 'f', "x", 0 }, { 0 } };

        (void)state;
        for (size_t i = 0; i < 200; i += 2)
                memcpy(down + i, "d/", 2);
        down[199] = '\0';
        (void)snprintf(through, sizeof through, "t/%.100s", down);
        write_archive("hostile.tar", NULL, items);
        max_entries = "1000";
        assert_refused("150 directories, by a link", "hostile.tar", "rootfs", "too long or too deep");
        max_entries = "100";
}

/* Directories that the archive only implies count too. */
static void test_too_many_implied(void **state)
{
        char name[512] = "";
        const struct item items[] = { { "a", 'd', NULL, 0 }, { name, 'f', "x", 0 }, { 0 } };

        (void)state;
        for (size_t i = 0; i < 240; i += 2)
                memcpy(name + i, "d/", 2);
        name[240] = 'f';
        write_archive("hostile.tar", NULL, items);
        assert_refused("120 directories for one entry", "hostile.tar", "rootfs", "is one too many");
}

/* ---- what was unpacked, weighed by a process that believes nothing ---- */

static void make_deep(int at, unsigned levels)
{
        for (int here = dup(at); levels > 0; levels--) {
                int below;

                assert_int_equal(mkdirat(here, "d", 0700), 0);
                below = openat(here, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                close(here);
                here = below;
                if (levels == 1)
                        close(here);
        }
}

static void make_odd(int at, char what)
{
        AUTO(auto_close) int fd = openat(at, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        assert_int_equal(ftruncate(fd, 1000), 0);
        if (what == 'u')
                assert_int_equal(fchmod(fd, 04755), 0);
        if (what == 'w')
                assert_int_equal(fchmod(fd, 0666), 0);
        if (what == 'p')
                assert_int_equal(mkfifoat(at, "p", 0600), 0);
        if (what == 'l')
                for (char name[] = "l0"; name[1] < '9'; name[1]++)
                        assert_int_equal(linkat(at, "f", at, name, 0), 0);
        if (what == 'd')
                make_deep(at, ENTRY_DEPTH_MAX + 1);
        if (what == 'D')
                make_deep(at, ENTRY_DEPTH_MAX + 2);
}

static void test_weighing(void **state)
{
        static const struct {
                char what;
                struct budget limits;
                enum fault_kind kind;
                uint64_t bytes;
        } CASES[] = {
                { '-', { 1000, 1 }, FAULT_NONE, 1000 },       { '-', { 999, 1 }, FAULT_IMAGE_REFUSED, 0 },
                { '-', { 1000, 0 }, FAULT_IMAGE_REFUSED, 0 }, { 'u', { 1000, 9 }, FAULT_IMAGE_REFUSED, 0 },
                { 'w', { 1000, 9 }, FAULT_IMAGE_REFUSED, 0 }, { 'p', { 1000, 9 }, FAULT_IMAGE_REFUSED, 0 },
                { 'l', { 1000, 10 }, FAULT_NONE, 1000 }, /* read once, whatever it is called */
                { 'd', { 1000, 999 }, FAULT_NONE, 1000 },     { 'D', { 1000, 999 }, FAULT_IMAGE_REFUSED, 0 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
                AUTO(auto_close) int at = -1;
                struct fault why = { 0 };

                assert_int_equal(mkdir(path_of("weighed"), 0755), 0);
                at = open(path_of("weighed"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                make_odd(at, CASES[i].what);
                (void)!content_digest(at, &CASES[i].limits, &image, &why);
                if (why.kind != CASES[i].kind || image.bytes != CASES[i].bytes)
                        fail_msg("case %zu: %s", i, why.message);
                assert_int_equal(tree_remove(AT_FDCWD, path_of("weighed")), 0);
        }
}

static void test_too_many_entries(void **state)
{
        static char names[200][8];
        static struct item items[201];

        (void)state;
        for (size_t i = 0; i < 200; i++) {
                (void)snprintf(names[i], sizeof names[i], "f%zu", i);
                items[i] = (struct item){ names[i], 'f', "x", 0 };
        }
        write_archive("hostile.tar", NULL, items);
        assert_refused("200 entries", "hostile.tar", "rootfs", "entry \\\"f100\\\" is one too many");
}

/* A cut at every place of an archive, and rubbish. */
static void test_truncated(void **state)
{
        static const char *const FILTERS[] = { NULL, "gzip", "xz", "zstd" };

        (void)state;
        for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++) {
                size_t length;

                write_archive("whole.tar", FILTERS[i], PLAIN);
                AUTO(auto_free) char *bytes = read_all(path_of("whole.tar"), &length);
                for (size_t cut = FILTERS[i] == NULL ? 512 : 7; cut + 1024 < length; cut += length / 9 + 1) {
                        FILE *file = fopen(path_of("cut.tar"), "we");

                        assert_int_equal(fwrite(bytes, 1, cut, file), cut);
                        assert_int_equal(fclose(file), 0);
                        assert_refused("cut short", "cut.tar", "rootfs", "");
                }
        }
        /* Cut between two entries, and whole as a compressed file. */
        write_archive("cut.tar", NULL, PLAIN);
        assert_int_equal(truncate(path_of("cut.tar"), 512), 0);
        assert_refused("cut between entries", "cut.tar", "rootfs", "cut short after entry");
        struct output output;
        RUN(&output, "gzip", path_of("cut.tar"));
        assert_int_equal(output.status, 0);
        assert_refused("cut, then compressed", "cut.tar.gz", "rootfs", "cut short after entry");
        write_archive("twice.tar", "gzip", PLAIN);
        RUN(&output, "gzip", path_of("twice.tar"));
        assert_int_equal(output.status, 0);
        assert_refused("compressed twice", "twice.tar.gz", "auto", "compressed more than once");
        write_text("rubbish.tar", "this is no archive, whatever its name says");
        assert_refused("rubbish", "rubbish.tar", "auto", "the archive is no whole tar");
        write_text("rubbish.tar", "");
        assert_refused("nothing", "rubbish.tar", "auto", "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostile_trees),
                cmocka_unit_test(test_ten_gigabytes_of_nothing),
                cmocka_unit_test(test_names_too_long_or_too_deep),
                cmocka_unit_test(test_too_deep_through_a_link),
                cmocka_unit_test(test_too_many_implied),
                cmocka_unit_test(test_weighing),
                cmocka_unit_test(test_too_many_entries),
                cmocka_unit_test(test_truncated),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
