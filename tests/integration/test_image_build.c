/* `carrel image build` works here, from where this machine's apt has its packages, and twice gives the same bytes. With
 * no package beside Debian's minimal base, which the recipe is the same for. In no enclosure: it needs the machine's
 * network. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "carreld.h"
#include "image-maker.h"
#include "process.h"
#include "scope.h"

enum { BUILDS = 2, WORDS_BYTES = 512 };
#define BUILD_S 800.0

static char helpers[WORDS_BYTES], temporary[WORDS_BYTES];

/* On the disk: two root trees at once are too much for a small machine's memory. */
static int set_up_build(void **state)
{
        static char template[] = "/var/tmp/carrel-test-build-XXXXXX";

        (void)state;
        assert_non_null(mkdtemp(template));
        snprintf(scratch, sizeof scratch, "%s", template);
        snprintf(store, sizeof store, "%s/store", scratch);
        snprintf(helpers, sizeof helpers, "CARREL_HELPER_DIR=%s/image", getenv("TESTBED_SOURCE_DIR"));
        snprintf(temporary, sizeof temporary, "TMPDIR=%s", scratch);
        max_bytes = "1073741824";
        max_entries = "100000";
        return 0;
}

static const char *path_copy(const char *name, char ret_path[static WORDS_BYTES])
{
        snprintf(ret_path, WORDS_BYTES, "%s", path_of(name));
        return ret_path;
}

/* Side by side: each works on one processor for the most part. The epoch is named, as somebody's `apt-get update`
 * between the two would move it. */
static pid_t begin_build(const char *archive, const char *log)
{
        const char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                            "SOURCE_DATE_EPOCH=1700000000", helpers, temporary, NULL };
        char program[WORDS_BYTES], packages[WORDS_BYTES], target[WORDS_BYTES], log_path[WORDS_BYTES];
        const char *const argv[] = { program,     "image", "build",  "--packages", packages,
                                     "--archive", target,  "base:1", NULL };

        snprintf(program, sizeof program, "%s", built_program("cli/carrel"));
        path_copy("none", packages);
        path_copy(archive, target);
        return process_spawn(argv, environment, path_copy(log, log_path));
}

static bool is_unreachable(const char *log)
{
        return strstr(log, "Temporary failure resolving") != NULL || strstr(log, "Could not connect") != NULL ||
               strstr(log, "Could not resolve") != NULL || strstr(log, "no source of") != NULL ||
               strstr(log, "mmdebstrap is missing") != NULL;
}

static void end_build(pid_t pid, const char *log)
{
        int status = process_end(pid, 0, BUILD_S);
        AUTO(auto_free) char *text = read_all(path_of(log), NULL);

        if (status == 0)
                return;
        if (getenv("CARREL_MUST_RUN") == NULL && is_unreachable(text)) {
                print_message("no packages can be had here: %s\n", text);
                skip();
        }
        fail_msg("carrel image build ended with %d: %s", status, text);
}

static void a_build_is_reproducible_and_an_image(void **state)
{
        static const char *const ARCHIVES[BUILDS] = { "one.tar", "two.tar" };
        static const char *const LOGS[BUILDS] = { "one.log", "two.log" };
        static const char *const FILES[] = { "bin/bash", "usr/bin/apt", "etc/debian_version", "workspace" };
        char hashes[BUILDS][SHA256_TEXT_BYTES], id[IMAGE_ID_BYTES];
        pid_t pids[BUILDS];
        struct stat about;

        (void)state;
        write_text("none", "# no package\n");
        for (int i = 0; i < BUILDS; i++)
                pids[i] = begin_build(ARCHIVES[i], LOGS[i]);
        for (int i = 0; i < BUILDS; i++)
                end_build(pids[i], LOGS[i]);
        for (int i = 0; i < BUILDS; i++)
                hash_of(ARCHIVES[i], hashes[i]);
        assert_string_equal(hashes[0], hashes[1]);
        must_import(ARCHIVES[0], "docker", "base:1", id);
        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
                if (!stored_has(id, FILES[i], &about))
                        fail_msg("the image lacks /%s", FILES[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_build_is_reproducible_and_an_image),
        };

        return cmocka_run_group_tests_name("image_build", tests, set_up_build, tear_down);
}
