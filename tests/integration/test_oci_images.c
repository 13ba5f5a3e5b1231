/* The image store and a carreld that is killed: nothing half-made stays, and the image of a container that lives on is
 * not taken away meanwhile. */
#include <ctype.h>
#include <dirent.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

#define IMAGE_DIR CARREL_IMAGES
#define ROOT_TAR "/run/testbed/root.tar"

enum { PATH_BYTES = 512, PID_DIGITS_MAX = 10 };

static const char *const ADOPT[] = { "CARREL_STARTUP=adopt", NULL };

static void set_up(void)
{
        MUST_RUN("tar", "-C", "/run/testbed/plain", "-cf", ROOT_TAR, ".");
}

/* carrel-image by hand, as another carreld with the same store would run it. */
static int run_helper(const char *verb, const char *reference, struct output *ret_output)
{
        char program[PATH_BYTES];

        snprintf(program, sizeof program, "%s", built_program("importer/carrel-image"));
        RUN(ret_output, program, verb, "--store", IMAGE_DIR, reference);
        return ret_output->status;
}

/* ---- kill -9 during an import ---- */

/* The newest carrel-image that imports; 0: no such process. The enclosure has its own process namespace. */
static pid_t find_importer(void)
{
        DIR *directory = opendir("/proc");
        const struct dirent *entry;
        pid_t found = 0;

        while (directory != NULL && (entry = readdir(directory)) != NULL) {
                char path[64], words[PATH_BYTES] = "";
                FILE *file;
                size_t length;

                if (!isdigit((unsigned char)entry->d_name[0]) || strlen(entry->d_name) > PID_DIGITS_MAX)
                        continue;
                snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
                file = fopen(path, "re");
                length = file != NULL ? fread(words, 1, sizeof words - 1, file) : 0;
                if (file != NULL)
                        fclose(file);
                if (strstr(words, "/carrel-image") != NULL && strlen(words) + 1 < length &&
                    strcmp(words + strlen(words) + 1, "import") == 0)
                        found = (pid_t)strtol(entry->d_name, NULL, 10);
        }
        if (directory != NULL)
                closedir(directory);
        return found;
}

static bool is_unpacking(void *arg)
{
        glob_t found = { 0 };
        bool has_files = glob(IMAGE_DIR "/tmp/import-*/rootfs/bin", GLOB_NOSORT, NULL, &found) == 0;

        (void)arg;
        globfree(&found);
        return has_files && find_importer() > 0;
}

static bool has_no_importer(void *arg)
{
        (void)arg;
        return find_importer() == 0;
}

static bool is_tmp_empty(void *arg)
{
        static struct output output;

        (void)arg;
        RUN(&output, "sh", "-c", "ls -A " IMAGE_DIR "/tmp");
        return output.text[0] == '\0';
}

static void list_images(struct output *ret_output)
{
        RUN(ret_output, "sh", "-c", "ls -A " IMAGE_DIR " " IMAGE_DIR "/refs " IMAGE_DIR "/sha256 | grep -v '^lock$'");
}

static bool has_host_image(void *arg)
{
        struct answer answer = request(CARREL_SOCKET, "GET", "/v1/images/host", NULL);
        bool is_there = answer.status == 200;

        (void)arg;
        answer_release(&answer);
        return is_there;
}

/* The helper is stopped after its first files, so that it is certainly in the middle. */
static void a_killed_carreld_leaves_no_half_import(void **state)
{
        static struct output before, after, output;
        pid_t client, helper;
        char program[PATH_BYTES];

        (void)state;
        MUST_RUN("sh", "-c",
                 "head -c 300000000 /dev/zero > /run/testbed/plain/zeroes && tar -C /run/testbed/plain "
                 "-cf /run/testbed/large.tar ./bin ./zeroes && rm /run/testbed/plain/zeroes");
        suite_start(NULL);
        assert_true(wait_until(has_host_image, NULL, PATIENCE_S)); /* made beside the start */
        list_images(&before);
        snprintf(program, sizeof program, "%s", built_program("cli/carrel"));
        client = process_spawn((const char *const[]){ program, "--socket", CARREL_SOCKET, "image", "import",
                                                      "/run/testbed/large.tar", "half:1", NULL },
                               NULL, "/run/testbed/client.log");
        assert_true(wait_until(is_unpacking, NULL, PATIENCE_S));
        helper = find_importer();
        assert_true(helper > 0 && kill(helper, SIGSTOP) == 0);
        assert_false(is_tmp_empty(NULL));
        carreld = carreld_kill(carreld);
        assert_true(wait_until(has_no_importer, NULL, PATIENCE_S));
        assert_int_not_equal(process_end(client, 0, PATIENCE_S), 0);

        suite_start(NULL);
        assert_true(wait_until(is_tmp_empty, NULL, PATIENCE_S));
        list_images(&after);
        assert_string_equal(after.text, before.text);
        RUN(&output, program, "--socket", CARREL_SOCKET, "image", "import", "/run/testbed/large.tar", "whole:1");
        if (output.status != 0)
                fail_msg("%s", output.text);
        request_expect(CARREL_SOCKET, "GET", "/v1/images/half:1", NULL, 404);
        request_expect(CARREL_SOCKET, "DELETE", "/v1/images/whole:1", NULL, 200);
        suite_end();
}

/* ---- an image in use while nobody says so ---- */

static void the_image_of_a_living_carrel_stays(void **state)
{
        static struct output output;
        char text[256];

        (void)state;
        suite_start(ADOPT);
        carreld_must_ensure("ada");
        carreld = carreld_kill(carreld);
        assert_true(engine_is_running(CARREL_PREFIX "ada"));
        assert_int_equal(run_helper("remove", SANDBOX_IMAGE, &output), 1);
        assert_non_null(strstr(output.text, "image_in_use"));
        assert_int_equal(run_helper("clear", NULL, &output), 0);

        suite_start(ADOPT);
        carreld_must_exec("ada", "ls /bin >/dev/null && echo there", text, sizeof text);
        assert_string_equal(text, "there");
        request_expect(CARREL_SOCKET, "DELETE", "/v1/carrels/ada", NULL, 200);
        RUN(&output, "sh", "-c", "ls -A " IMAGE_DIR "/sha256/*/pins");
        assert_string_equal(output.text, "");
        suite_end();
}

/* A container that a reboot ends does not take its pin back. The last test, because the image is removed. */
static void a_container_that_is_no_more_holds_nothing(void **state)
{
        static struct output output;

        (void)state;
        suite_start(NULL);
        carreld_must_ensure("ada");
        carreld = carreld_kill(carreld);
        engine_remove(CARREL_PREFIX "ada");
        assert_int_equal(run_helper("remove", SANDBOX_IMAGE, &output), 0);
        RUN(&output, "ls", "-A", IMAGE_DIR "/refs");
        assert_null(strstr(output.text, "sandbox"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_ENGINE(a_killed_carreld_leaves_no_half_import),
                WITH_ENGINE(the_image_of_a_living_carrel_stays),
                WITH_ENGINE(a_container_that_is_no_more_holds_nothing),
        };

        return suite_run(&(struct suite){
                .name = "oci_images",
                .kind = SUITE_ENGINE,
                .engine = "oci",
                .set_up = set_up,
                SUITE_TESTS(tests),
        });
}
