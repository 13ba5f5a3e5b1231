/* carrel-image: hostile archives are refused with the entry's name and leave nothing behind; the same content has the
 * same id whatever it comes from; what a killed import leaves is cleared. Needs root, and no engine. */
#include <archive.h>
#include <archive_entry.h>
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
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "carreld.h"
#include "content.h"
#include "entry.h"
#include "image-store.h"
#include "process.h"
#include "scope.h"
#include "str.h"
#include "tree.h"
#include "unpack.h"

enum { PATH_BYTES = 256, ANSWER_BYTES = 4096, ITEMS_MAX = 8 };
#define GIB (1 << 30)

static char store[PATH_BYTES];
static char scratch[PATH_BYTES / 4];
static const char *max_bytes = "67108864";
static const char *max_entries = "100";
static rlim_t n_open_max; /* of the program's descriptors; 0: as many as we may have */

/* ---- archives ---- */

struct item {
        const char *name;
        char type;          /* f(ile) d(irectory) l(ink) h(ard link) c b p s(ocket); 0 ends the list */
        const char *target; /* of a link; of a file its content */
        mode_t mode;        /* 0: 0755 */
};

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

static const char *path_of(const char *name)
{
        static char path[2 * PATH_BYTES];

        (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
        return path;
}

static void write_archive(const char *name, const char *filter, const struct item *items)
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

static void hash_of(const char *name, char text[static SHA256_TEXT_BYTES])
{
        AUTO(auto_close) int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(sha256_file(fd, text, NULL), 0);
}

static char *read_all(const char *path, size_t *ret_length)
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

static void write_text(const char *name, const char *text)
{
        FILE *file = fopen(path_of(name), "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* Puts files of the scratch directory under other names into an archive. */
struct member {
        const char *file;
        char name[PATH_BYTES];
};

static void pack(const char *name, const struct member *members, size_t count)
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

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#else
#define ARCHITECTURE "arm64"
#endif

/* ---- the program ---- */

/* Runs it to its end; its JSON is in answer. */
static int run_image(const char *const *arguments, const char *input, char answer[static ANSWER_BYTES])
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

static int import(const char *archive, const char *format, const char *reference, char answer[static ANSWER_BYTES])
{
        const char *arguments[] = { "import",  "--store",       store,       "--format", format, "--max-bytes",
                                    max_bytes, "--max-entries", max_entries, reference,  NULL };

        return run_image(arguments, path_of(archive), answer);
}

static void must_import(const char *archive, const char *format, const char *reference, char id[static IMAGE_ID_BYTES])
{
        char answer[ANSWER_BYTES];

        if (import(archive, format, reference, answer) != 0)
                fail_msg("%s as %s: %s", archive, reference, answer);
        assert_non_null(strstr(answer, "\"id\":\"sha256:"));
        (void)snprintf(id, IMAGE_ID_BYTES, "%.71s", strstr(answer, "sha256:"));
}

/* Everything in the store, as find(1) prints it. */
static char *list_store(void)
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

static bool stored_has(const char *id, const char *path, struct stat *ret_about)
{
        char whole[3 * PATH_BYTES];

        (void)snprintf(whole, sizeof whole, "%s/sha256/%s/rootfs/%s", store, id + strlen("sha256:"), path);
        return lstat(whole, ret_about) == 0;
}

/* ---- the world ---- */

static const struct item PLAIN[] = {
        { "./", 'd', NULL, 0 },
        { "./bin/", 'd', NULL, 0 },
        { "./bin/tool", 'f', "#!", 04755 },
        { "./bin/again", 'h', "./bin/tool", 0 },
        { "./bin/link", 'l', "/bin/tool", 0 },
        { "./tmp", 'd', NULL, 01777 },
        { 0 },
};

static int set_up(void **state)
{
        char id[IMAGE_ID_BYTES];

        (void)state;
        (void)snprintf(scratch, sizeof scratch, "/tmp/carrel-test-images-XXXXXX");
        assert_non_null(mkdtemp(scratch));
        (void)snprintf(store, sizeof store, "%s/store", scratch);
        write_archive("plain.tar", NULL, PLAIN);
        must_import("plain.tar", "auto", "keeper", id);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        return tree_remove(AT_FDCWD, scratch) < 0 ? -1 : 0;
}

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

static void assert_refused(const char *title, const char *archive, const char *format, const char *part)
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
                       "entry \\\"sparse\\\" (10737418240 bytes) makes the image too large");
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

/* ---- archives of layers ---- */

struct layers {
        const char *archive;                   /* to be written */
        const char *config_name, *config_hash; /* NULL: the true ones */
        const char *diff_id;                   /* of the upper layer; NULL: the true one */
        const char *architecture;              /* NULL: this machine's */
        uint64_t extra_bytes;                  /* added to the descriptor's size */
        bool lacks_layer;
};

static const struct item LOWER[] = {
        { "bin", 'd', NULL, 0 },
        { "bin/tool", 'f', "#!", 04755 },
        { "bin/again", 'h', "bin/tool", 0 },
        { "gone", 'f', "g", 0 },
        { "emptied", 'd', NULL, 0 },
        { "emptied/old", 'f', "o", 0 },
        { "bin/link", 'l', "/wrong", 0 },
        { 0 },
};
static const struct item UPPER[] = {
        { ".wh.gone", 'f', "", 0 },          { "emptied/new", 'f', "n", 0 }, { "emptied/.wh..wh..opq", 'f', "", 0 },
        { "bin/link", 'l', "/bin/tool", 0 }, { "tmp", 'd', NULL, 01777 },    { 0 },
};

static void write_config(const struct layers *layers, const char *lower, const char *upper)
{
        AUTO(buffer_free) struct buffer config = { 0 };

        (void)buffer_format(&config,
                            "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/bin\"]},"
                            "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}}",
                            layers->architecture != NULL ? layers->architecture : ARCHITECTURE, lower,
                            layers->diff_id != NULL ? layers->diff_id : upper);
        write_text("config", config.data);
}

static void write_docker(const struct layers *layers)
{
        struct member members[4] = { { "manifest", "manifest.json" },
                                     { "config", "" },
                                     { "lower.tar", "a/layer.tar" },
                                     { "upper.tar", "b/layer.tar" } };
        AUTO(buffer_free) struct buffer manifest = { 0 };
        char lower[SHA256_TEXT_BYTES], upper[SHA256_TEXT_BYTES], config[SHA256_TEXT_BYTES];

        write_archive("lower.tar", NULL, LOWER);
        write_archive("upper.tar", NULL, UPPER);
        hash_of("lower.tar", lower);
        hash_of("upper.tar", upper);
        write_config(layers, lower, upper);
        hash_of("config", config);
        (void)snprintf(members[1].name, PATH_BYTES, "%s.json",
                       layers->config_hash != NULL ? layers->config_hash : config);
        (void)buffer_format(&manifest,
                            "[{\"Config\":\"%s\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"a/layer.tar\",\"b/layer.tar\"]}]",
                            layers->config_name != NULL ? layers->config_name : members[1].name);
        write_text("manifest", manifest.data);
        pack(layers->archive, members, layers->lacks_layer ? 3 : 4);
}

static void write_oci(const struct layers *layers)
{
        struct member members[6] = {
                { "oci-layout", "oci-layout" }, { "index", "index.json" }, { "manifest", "" }, { "config", "" },
                { "lower.tar.gz", "" },         { "upper.tar.gz", "" }
        };
        char lower[SHA256_TEXT_BYTES], upper[SHA256_TEXT_BYTES], hashes[4][SHA256_TEXT_BYTES];
        uint64_t sizes[4];
        AUTO(buffer_free) struct buffer text = { 0 };
        AUTO(buffer_free) struct buffer index = { 0 };

        write_archive("lower.tar", NULL, LOWER);
        write_archive("upper.tar", NULL, UPPER);
        write_archive("lower.tar.gz", "gzip", LOWER);
        write_archive("upper.tar.gz", "gzip", UPPER);
        hash_of("lower.tar", lower);
        hash_of("upper.tar", upper);
        write_config(layers, lower, upper);
        for (int i = 3; i < 6; i++) {
                struct stat about;

                hash_of(members[i].file, hashes[i - 2]);
                assert_int_equal(stat(path_of(members[i].file), &about), 0);
                sizes[i - 2] = (uint64_t)about.st_size + (i == 5 ? layers->extra_bytes : 0);
        }
        (void)buffer_format(&text,
                            "{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:%s\",\"size\":%llu},\"layers\":["
                            "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\","
                            "\"size\":%llu},"
                            "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\","
                            "\"size\":%llu}]}",
                            hashes[1], (unsigned long long)sizes[1], hashes[2], (unsigned long long)sizes[2], hashes[3],
                            (unsigned long long)sizes[3]);
        write_text("manifest", text.data);
        hash_of("manifest", hashes[0]);
        if (layers->config_hash != NULL)
                (void)snprintf(hashes[0], sizeof hashes[0], "%s", layers->config_hash);
        (void)buffer_format(&index, "{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":%zu}]}",
                            hashes[0], text.length);
        write_text("index", index.data);
        write_text("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        for (int i = 0; i < 4; i++)
                (void)snprintf(members[i + 2].name, PATH_BYTES, "blobs/sha256/%.64s", hashes[i]);
        pack(layers->archive, members, layers->lacks_layer ? 5 : 6);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void test_hostile_layers(void **state)
{
        static const struct {
                void (*write)(const struct layers *layers);
                struct layers layers;
                const char *part;
        } CASES[] = {
                { write_docker, { .config_hash = ZEROS }, ZEROS ".json has the digest" },
                { write_docker, { .config_name = "../config.json" }, "names a file that cannot be in it" },
                { write_docker, { .config_name = "/etc/passwd" }, "names a file that cannot be in it" },
                { write_docker, { .config_name = "absent.json" }, "lacks the file absent.json" },
                { write_docker, { .config_name = "a\\u001b[31mb.json" }, "lacks the file a?[31mb.json" },
                { write_docker, { .diff_id = ZEROS }, "layer b/layer.tar unpacks to the digest" },
                { write_docker, { .diff_id = "../../x" }, "diff_id that is no sha256" },
                { write_docker, { .lacks_layer = true }, "lacks the file b/layer.tar" },
                { write_docker, { .architecture = "pdp11" }, "another operating system or architecture" },
                { write_oci, { .config_hash = ZEROS }, ZEROS " has the digest" },
                { write_oci, { .diff_id = ZEROS }, "unpacks to the digest" },
                { write_oci, { .extra_bytes = 1 }, "its descriptor says" },
                { write_oci, { .lacks_layer = true }, "lacks the file blobs/sha256/" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
                struct layers layers = CASES[i].layers;

                layers.archive = "layers.tar";
                CASES[i].write(&layers);
                assert_refused(CASES[i].part, "layers.tar", "auto", CASES[i].part);
        }
}

/* Each layer alone is small enough. */
static void test_layers_in_total(void **state)
{
        const struct layers layers = { .archive = "layers.tar" };

        (void)state;
        write_oci(&layers);
        max_bytes = "8000";
        assert_refused("two layers of 6144 and 4096", "layers.tar", "oci", "the layers unpack to more");
        max_bytes = "67108864";
}

/* A layer's whiteouts do not go through a link of the layers below that leads out. In this very process, unconfined. */
static void test_whiteouts_stay_inside(void **state)
{
        char kept[PATH_BYTES];
        const struct item links[] = { { "out", 'l', kept, 0 }, { "up", 'd', NULL, 0 }, { 0 } };
        static const struct item MARKS[] = { { "out/.wh.file", 'f', "", 0 }, { "out/.wh..wh..opq", 'f', "", 0 },
                                             { "up/.wh...", 'f', "", 0 },    { "up/.wh..", 'f', "", 0 },
                                             { ".wh.", 'f', "", 0 },         { 0 } };
        AUTO(auto_close) int root = -1;
        struct budget budget = { 1 << 20, 100 };

        (void)state;
        assert_int_equal(str_copy(kept, sizeof kept, path_of("kept")), 0);
        assert_int_equal(mkdir(kept, 0755), 0);
        write_text("kept/file", "x");
        assert_int_equal(mkdir(path_of("root"), 0755), 0);
        root = open(path_of("root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        write_archive("one.tar", NULL, links);
        write_archive("two.tar", NULL, MARKS);
        for (int i = 0; i < 2; i++) {
                AUTO(auto_close) int fd = open(path_of(i == 0 ? "one.tar" : "two.tar"), O_RDONLY | O_CLOEXEC);
                struct fault why = { 0 };

                if (unpack_tar(fd, root, true, &budget, &why) < 0)
                        fail_msg("%s", why.message);
        }
        assert_int_equal(access(path_of("root/up"), F_OK), 0);
        assert_int_equal(access(path_of("kept/file"), F_OK), 0);
        assert_int_equal(tree_remove(AT_FDCWD, path_of("root")), 0);
}

/* ---- the same content ---- */

static void test_one_content_one_id(void **state)
{
        const struct layers docker = { .archive = "docker.tar" };
        const struct layers oci = { .archive = "oci.tar" };
        char ids[5][IMAGE_ID_BYTES];
        struct stat about;

        (void)state;
        write_docker(&docker);
        write_oci(&oci);
        must_import("docker.tar", "auto", "one", ids[0]);
        must_import("oci.tar", "auto", "two", ids[1]);
        must_import("oci.tar", "oci", "two", ids[2]);
        assert_string_equal(ids[0], ids[1]);
        assert_string_equal(ids[0], ids[2]);
        assert_false(stored_has(ids[0], "gone", &about));
        assert_false(stored_has(ids[0], "emptied/old", &about));
        assert_true(stored_has(ids[0], "emptied/new", &about));
        assert_true(stored_has(ids[0], "workspace", &about));
        assert_true(stored_has(ids[0], "bin/tool", &about));
        assert_int_equal(about.st_mode & 07777, 0755); /* the set-user-id bit is gone */
        assert_true(stored_has(ids[0], "tmp", &about));
        assert_int_equal(about.st_mode & 07777, 0755);
        assert_int_equal(about.st_uid, 0);
        for (int i = 3; i < 5; i++) {
                write_archive("plain.tar.xz", i == 3 ? "xz" : "zstd", PLAIN);
                must_import("plain.tar.xz", "auto", "three", ids[i]);
        }
        assert_string_equal(ids[3], ids[4]);
}

/* ---- names, holds and the end of an image ---- */

static void test_removal(void **state)
{
        const char *remove_it[] = { "remove", "--store", store, "twice", NULL };
        const char *remove_other[] = { "remove", "--store", store, "other", NULL };
        char answer[ANSWER_BYTES];
        char id[IMAGE_ID_BYTES];
        struct image_store *reader;
        struct stored_image image = STORED_IMAGE_NONE;
        struct stat about;

        (void)state;
        write_archive("plain.tar.gz", "gzip", UPPER);
        must_import("plain.tar.gz", "rootfs", "twice", id);
        must_import("plain.tar.gz", "rootfs", "other", id);
        assert_int_equal(run_image(remove_it, NULL, answer), 0);
        assert_true(stored_has(id, "tmp", &about));
        assert_int_equal(image_store_new(&reader, store), 0);
        assert_int_equal(image_store_find(reader, "other", &image, NULL), 0);
        assert_int_equal(run_image(remove_other, NULL, answer), 1);
        assert_non_null(strstr(answer, "\"code\":\"image_in_use\""));
        assert_true(stored_has(id, "tmp", &about));
        stored_image_release(&image);
        assert_int_equal(run_image(remove_other, NULL, answer), 0);
        assert_false(stored_has(id, "tmp", &about));
        assert_int_equal(run_image(remove_other, NULL, answer), 1);
        assert_non_null(strstr(answer, "\"code\":\"image_missing\""));
        image_store_free(reader);
}

/* A name that moves on leaves no image behind, unless somebody holds it. */
static void test_replaced(void **state)
{
        char ids[2][IMAGE_ID_BYTES];
        struct stat about;

        (void)state;
        write_archive("one.tar", NULL, LOWER);
        write_archive("two.tar", NULL, PLAIN + 1);
        must_import("one.tar", "rootfs", "moving", ids[0]);
        assert_true(stored_has(ids[0], "bin/tool", &about));
        must_import("two.tar", "rootfs", "moving", ids[1]);
        assert_false(stored_has(ids[0], "bin/tool", &about));
        assert_true(stored_has(ids[1], "bin/tool", &about));
}

/* An image whose name cannot be read, for want of descriptors or because it is damaged, stays; the clearing says so. */
static void test_unreadable_names(void **state)
{
        const char *clear[] = { "clear", "--store", store, NULL };
        const char *remove_it[] = { "remove", "--store", store, "damaged", NULL };
        char answer[ANSWER_BYTES];
        char id[IMAGE_ID_BYTES];
        struct stat about;
        unsigned n_failures = 0;

        (void)state;
        write_archive("named.tar", NULL, LOWER);
        must_import("named.tar", "rootfs", "named", id);
        for (rlim_t limit = 4; limit < 24; limit++) {
                n_open_max = limit;
                n_failures += run_image(clear, NULL, answer) != 0;
                n_open_max = 0;
                assert_true(stored_has(id, "bin/tool", &about));
        }
        assert_true(n_failures > 0);
        write_text("store/refs/damaged:latest", "nonsense");
        assert_int_equal(unlink(path_of("store/refs/named:latest")), 0);
        assert_int_equal(run_image(clear, NULL, answer), 1);
        assert_non_null(strstr(answer, "cannot be read"));
        assert_true(stored_has(id, "bin/tool", &about));
        assert_int_equal(run_image(remove_it, NULL, answer), 0);
        assert_int_equal(run_image(clear, NULL, answer), 0);
        assert_false(stored_has(id, "bin/tool", &about));
}

/* Deeper than there are descriptors, or a path can say. */
static void test_deep_tree_is_removed(void **state)
{
        AUTO(auto_close) int at = -1;

        (void)state;
        assert_int_equal(mkdir(path_of("deep"), 0700), 0);
        at = open(path_of("deep"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned depth = 0; depth < 5000; depth++) {
                int below;

                assert_int_equal(mkdirat(at, "d", 0700), 0);
                assert_int_equal(mkdirat(at, depth % 2 == 0 ? ".gone-0" : ".gone-1", 0700), 0);
                assert_int_equal(symlinkat("/", at, "link"), 0);
                below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                close(at);
                at = below;
        }
        assert_int_equal(tree_remove(AT_FDCWD, path_of("deep")), 0);
        assert_int_equal(access(path_of("deep"), F_OK), -1);
}

/* ---- kill -9 ---- */

/* The archive comes through a FIFO, so that the import is surely in the middle when it is killed. */
static void test_killed_import_is_cleared(void **state)
{
        const char *clear[] = { "clear", "--store", store, NULL };
        char answer[ANSWER_BYTES];
        size_t length;
        AUTO(auto_free) char *bytes = read_all(path_of("plain.tar"), &length);
        int status;

        (void)state;
        assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
        pid_t pid = fork();
        if (pid == 0) {
                int fd = open(path_of("fifo"), O_RDONLY);

                if (fd >= 0 && dup2(fd, STDIN_FILENO) >= 0)
                        execl(built_program("importer/carrel-image"), "carrel-image", "import", "--store", store,
                              "killed", (char *)NULL);
                _exit(126);
        }
        AUTO(auto_close) int fifo = open(path_of("fifo"), O_WRONLY | O_CLOEXEC);
        /* What the reader has taken out of the pipe it takes after it has made its directory. */
        assert_int_equal(write(fifo, bytes, length), (ssize_t)length);
        for (int waiting = 1; waiting > 0;)
                assert_int_equal(ioctl(fifo, FIONREAD, &waiting), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        AUTO(auto_free) char *between = list_store();
        assert_non_null(strstr(between, "tmp/import-"));
        assert_int_equal(run_image(clear, NULL, answer), 0);
        AUTO(auto_free) char *after = list_store();
        assert_null(strstr(after, "tmp/import-"));
        assert_null(strstr(after, "refs/killed"));
        assert_int_equal(unlink(path_of("fifo")), 0);
}

static void test_host(void **state)
{
        const char *host[] = { "host", "--store", store, "host", NULL };
        char answer[ANSWER_BYTES];
        AUTO(stored_image_release) struct stored_image image = STORED_IMAGE_NONE;
        struct image_store *reader;
        struct stat about;

        (void)state;
        if (run_image(host, NULL, answer) != 0)
                fail_msg("%s", answer);
        assert_int_equal(image_store_new(&reader, store), 0);
        assert_int_equal(image_store_find(reader, "host", &image, NULL), 0);
        assert_int_equal(image.n_binds, 1);
        assert_string_equal(image.binds[0].source, "/usr");
        assert_string_equal(image.binds[0].target, "/usr");
        assert_true(stored_has(image.id, "bin", &about) && S_ISLNK(about.st_mode));
        assert_true(stored_has(image.id, "etc/passwd", &about));
        assert_false(stored_has(image.id, "etc/shadow", &about));
        assert_false(stored_has(image.id, "etc/ssl/private", &about));
        image_store_free(reader);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostile_trees),
                cmocka_unit_test(test_ten_gigabytes_of_nothing),
                cmocka_unit_test(test_names_too_long_or_too_deep),
                cmocka_unit_test(test_too_deep_through_a_link),
                cmocka_unit_test(test_too_many_implied),
                cmocka_unit_test(test_too_many_entries),
                cmocka_unit_test(test_weighing),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_hostile_layers),
                cmocka_unit_test(test_layers_in_total),
                cmocka_unit_test(test_whiteouts_stay_inside),
                cmocka_unit_test(test_one_content_one_id),
                cmocka_unit_test(test_removal),
                cmocka_unit_test(test_replaced),
                cmocka_unit_test(test_unreadable_names),
                cmocka_unit_test(test_deep_tree_is_removed),
                cmocka_unit_test(test_killed_import_is_cleared),
                cmocka_unit_test(test_host),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
