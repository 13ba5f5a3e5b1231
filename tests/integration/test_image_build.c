/* `carrel image build` works here, from where this machine's apt has its packages, and twice gives the same bytes: one
 * of the two is the archive that the other tests use. In no enclosure: it needs the machine's network. */
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
#include <unistd.h>

#include <cmocka.h>

#include "carreld.h"
#include "default-image.h"
#include "image-maker.h"
#include "process.h"
#include "scope.h"

enum { WORDS_BYTES = 512 };
#define BUILD_S 800.0

static char helpers[WORDS_BYTES], temporary[WORDS_BYTES];

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

/* Beside the other, if that is not made yet: each works on one processor for the most part. The epoch is named, as
 * somebody's `apt-get update` between the two would move it. */
static pid_t begin_build(const char *archive, const char *log)
{
        const char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                            "SOURCE_DATE_EPOCH=" DEFAULT_IMAGE_EPOCH, helpers, temporary, NULL };
        char program[WORDS_BYTES], target[WORDS_BYTES], log_path[WORDS_BYTES];
        const char *const argv[] = { program, "image", "build", "--archive", target, NULL };

        snprintf(program, sizeof program, "%s", built_program("cli/carrel"));
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
        static const char *const FILES[] = { "bin/bash", "usr/bin/python", "usr/bin/npm", "etc/pip.conf", "workspace" };
        char shared[SHA256_TEXT_BYTES], again[SHA256_TEXT_BYTES], id[IMAGE_ID_BYTES];
        struct stat about;
        const char *archive;
        pid_t pid;

        (void)state;
        pid = begin_build("again.tar", "again.log");
        archive = default_image();
        end_build(pid, "again.log");
        assert_non_null(archive);
        assert_return_code(symlink(archive, path_of("shared.tar")), errno);
        hash_of("shared.tar", shared);
        hash_of("again.tar", again);
        assert_string_equal(shared, again);
        must_import("again.tar", "docker", "default:1", id);
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
