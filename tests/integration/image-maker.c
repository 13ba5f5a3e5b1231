#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carreld.h"
#include "content.h"
#include "entry.h"
#include "image-maker.h"
#include "scope.h"
#include "str.h"
#include "tree-remove.h"

char store[PATH_BYTES];
char scratch[PATH_BYTES / 4];
const char *max_bytes = "67108864";
const char *max_entries = "100";
rlim_t n_open_max;

/* ---- archives ---- */

static void add_item(struct archive *archive, const struct item *item)
{
        static const struct {
                char type;
                mode_t is;
        } TYPES[] = { { 'f', AE_IFREG }, { 'd', AE_IFDIR }, { 'l', AE_IFLNK }, { 'h', AE_IFREG },
                      { 'c', AE_IFCHR }, { 'b', AE_IFBLK }, { 'p', AE_IFIFO }, { 's', AE_IFSOCK } };
        struct archive_entry *entry = archive_entry_new();
        const char *content = item->type == 'f' ? item->target : NULL;

        archive_entry_set_pathname(entry, item->name);
        archive_entry_set_perm(entry, item->mode == 0 ? 0755 : item->mode);
        for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
                if (TYPES[i].type == item->type)
                        archive_entry_set_filetype(entry, TYPES[i].is);
        if (item->type == 'l')
                archive_entry_set_symlink(entry, item->target);
        if (item->type == 'h')
                archive_entry_set_hardlink(entry, item->target);
        if (content != NULL)
                archive_entry_set_size(entry, (la_int64_t)strlen(content));
        assert_true(archive_write_header(archive, entry) >= ARCHIVE_WARN);
        if (content != NULL && content[0] != '\0')
                assert_int_equal(archive_write_data(archive, content, strlen(content)), strlen(content));
        archive_entry_free(entry);
}

const char *path_of(const char *name)
{
        static char path[2 * PATH_BYTES];

        (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
        return path;
}

void write_archive(const char *name, const char *filter, const struct item *items)
{
        struct archive *archive = archive_write_new();

        assert_int_equal(archive_write_set_format_pax_restricted(archive), ARCHIVE_OK);
        if (filter != NULL)
                assert_int_equal(archive_write_add_filter_by_name(archive, filter), ARCHIVE_OK);
        assert_int_equal(archive_write_open_filename(archive, path_of(name)), ARCHIVE_OK);
        for (; items->type != 0; items++)
                add_item(archive, items);
        assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
}

void hash_of(const char *name, char text[static SHA256_TEXT_BYTES])
{
        AUTO(auto_close) int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(sha256_file(fd, text, NULL), 0);
}

char *read_all(const char *path, size_t *ret_length)
{
        struct buffer text = { 0 };
        char piece[4096];
        size_t n;
        FILE *file = fopen(path, "re");

        assert_non_null(file);
        while ((n = fread(piece, 1, sizeof piece, file)) > 0)
                assert_int_equal(buffer_append(&text, piece, n), 0);
        (void)fclose(file);
        if (ret_length != NULL)
                *ret_length = text.length;
        return buffer_take(&text);
}

void write_text(const char *name, const char *text)
{
        FILE *file = fopen(path_of(name), "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

void pack(const char *name, const struct member *members, size_t count)
{
        struct archive *archive = archive_write_new();

        assert_int_equal(archive_write_set_format_gnutar(archive), ARCHIVE_OK);
        assert_int_equal(archive_write_open_filename(archive, path_of(name)), ARCHIVE_OK);
        for (size_t i = 0; i < count; i++) {
                struct archive_entry *entry = archive_entry_new();
                size_t length = 0;
                AUTO(auto_free) char *content = read_all(path_of(members[i].file), &length);

                archive_entry_set_pathname(entry, members[i].name);
                archive_entry_set_perm(entry, 0644);
                archive_entry_set_filetype(entry, AE_IFREG);
                archive_entry_set_size(entry, (la_int64_t)length);
                assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
                assert_int_equal(archive_write_data(archive, content, length), length);
                archive_entry_free(entry);
        }
        assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
}

/* ---- the program ---- */

int run_image(const char *const *arguments, const char *input, char answer[static ANSWER_BYTES])
{
        const char *argv[16] = { built_program("importer/carrel-image") };
        size_t length = 0;
        ssize_t n;
        int pipes[2];
        int status;
        pid_t pid;

        for (size_t i = 0; arguments[i] != NULL; i++)
                argv[i + 1] = arguments[i];
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                const struct rlimit few = { n_open_max, n_open_max };
                int fd = open(input == NULL ? "/dev/null" : input, O_RDONLY);

                if (n_open_max > 0 && setrlimit(RLIMIT_NOFILE, &few) < 0)
                        _exit(126);
                if (fd >= 0 && dup2(fd, STDIN_FILENO) >= 0 && dup2(pipes[1], STDOUT_FILENO) >= 0)
                        execv(argv[0], (char *const *)argv);
                _exit(126);
        }
        close(pipes[1]);
        while ((n = read(pipes[0], answer + length, ANSWER_BYTES - 1 - length)) > 0)
                length += (size_t)n;
        answer[length] = '\0';
        close(pipes[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

int import(const char *archive, const char *format, const char *reference, char answer[static ANSWER_BYTES])
{
        const char *arguments[] = { "import",  "--store",       store,       "--format", format, "--max-bytes",
                                    max_bytes, "--max-entries", max_entries, reference,  NULL };

        return run_image(arguments, path_of(archive), answer);
}

void must_import(const char *archive, const char *format, const char *reference, char id[static IMAGE_ID_BYTES])
{
        char answer[ANSWER_BYTES];

        if (import(archive, format, reference, answer) != 0)
                fail_msg("%s as %s: %s", archive, reference, answer);
        assert_non_null(strstr(answer, "\"id\":\"sha256:"));
        (void)snprintf(id, IMAGE_ID_BYTES, "%.71s", strstr(answer, "sha256:"));
}

char *list_store(void)
{
        char command[3 * PATH_BYTES];
        AUTO(buffer_free) struct buffer text = { 0 };
        char piece[4096];
        size_t n;

        (void)snprintf(command, sizeof command,
                       "find %s -type d -printf '%%P %%y %%m\\n' -o -printf '%%P %%y %%m %%s %%l %%T@\\n' | sort",
                       store);
        FILE *pipe = popen(command, "re");
        assert_non_null(pipe);
        while ((n = fread(piece, 1, sizeof piece, pipe)) > 0)
                assert_int_equal(buffer_append(&text, piece, n), 0);
        assert_int_equal(pclose(pipe), 0);
        return buffer_take(&text);
}

bool stored_has(const char *id, const char *path, struct stat *ret_about)
{
        char whole[3 * PATH_BYTES];

        (void)snprintf(whole, sizeof whole, "%s/sha256/%s/rootfs/%s", store, id + strlen("sha256:"), path);
        return lstat(whole, ret_about) == 0;
}

/* ---- the world ---- */

const struct item PLAIN[] = {
        { "./", 'd', NULL, 0 },
        { "./bin/", 'd', NULL, 0 },
        { "./bin/tool", 'f', "#!", 04755 },
        { "./bin/again", 'h', "./bin/tool", 0 },
        { "./bin/link", 'l', "/bin/tool", 0 },
        { "./tmp", 'd', NULL, 01777 },
        { 0 },
};

int set_up(void **state)
{
        char id[IMAGE_ID_BYTES];

        (void)state;
        (void)snprintf(scratch, sizeof scratch, "/tmp/carrel-test-images-XXXXXX");
        assert_non_null(mkdtemp(scratch));
        (void)snprintf(store, sizeof store, "%s/store", scratch);
        write_archive("plain.tar", NULL, PLAIN);
        must_import("plain.tar", "auto", "enforcer", id);
        return 0;
}

int tear_down(void **state)
{
        (void)state;
        return tree_remove(AT_FDCWD, scratch) < 0 ? -1 : 0;
}

void assert_refused(const char *title, const char *archive, const char *format, const char *part)
{
        AUTO(auto_free) char *before = list_store();
        char answer[ANSWER_BYTES];
        int status = import(archive, format, "hostile", answer);

        AUTO(auto_free) char *after = list_store();
        if (status == 0 || strstr(answer, "\"code\":\"image_refused\"") == NULL || strstr(answer, part) == NULL)
                fail_msg("%s: %s", title, answer);
        assert_string_equal(before, after);
        assert_int_equal(access(path_of("outside"), F_OK), -1);
        assert_int_equal(access("/outside", F_OK), -1);
}

const struct item LOWER[] = {
        { "bin", 'd', NULL, 0 },
        { "bin/tool", 'f', "#!", 04755 },
        { "bin/again", 'h', "bin/tool", 0 },
        { "gone", 'f', "g", 0 },
        { "emptied", 'd', NULL, 0 },
        { "emptied/old", 'f', "o", 0 },
        { "bin/link", 'l', "/wrong", 0 },
        { 0 },
};
const struct item UPPER[] = {
        { ".wh.gone", 'f', "", 0 },          { "emptied/new", 'f', "n", 0 }, { "emptied/.wh..wh..opq", 'f', "", 0 },
        { "bin/link", 'l', "/bin/tool", 0 }, { "tmp", 'd', NULL, 01777 },    { 0 },
};
