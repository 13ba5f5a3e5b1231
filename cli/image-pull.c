#include "image-pull.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "program.h"
#include "scope.h"

enum { DIGEST_HEX = 64, DIGEST_BYTES = sizeof "sha256:" + DIGEST_HEX, NESTING_MAX = 16 };

static bool is_digest(const char *text)
{
        return strncmp(text, "sha256:", 7) == 0 && strlen(text) == DIGEST_BYTES - 1 &&
               strspn(text + 7, "0123456789abcdef") == DIGEST_HEX;
}

static bool is_source(const char *text)
{
        const char *digest = strchr(text, '@');

        return text[0] != '-' && text[0] != '\0' && (digest == NULL || is_digest(digest + 1)) &&
               strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@") == strlen(text);
}

/* In the part before the digest a colon after the last slash begins a tag, one before it a port. */
static size_t length_without_tag(const char *source)
{
        size_t length = strcspn(source, "@");
        const char *slash = memrchr(source, '/', length);
        const char *from = slash != NULL ? slash : source;
        const char *colon = memchr(from, ':', length - (size_t)(from - source));

        return colon != NULL ? (size_t)(colon - source) : length;
}

bool image_pull_name(const char *source, struct buffer *ret_name)
{
        return strchr(source, '@') == NULL && buffer_text(ret_name, source) == 0;
}

/* ---- skopeo ---- */

static int tell_end(const struct cli *cli, const struct image_pull *pull, int ended, int signal)
{
        if (signal != 0)
                return 128 + signal;
        if (ended == 0)
                return STATUS_OK;
        if (ended > 0)
                cli_complain(cli, "skopeo could not fetch %s; see above", pull->source);
        else if (errno == ENOENT)
                cli_complain(cli, "skopeo is not installed: apt-get install skopeo; or fetch the image elsewhere, and "
                                  "import its archive with `carrel image import`");
        else
                cli_complain(cli, "cannot run skopeo: %s", strerror(errno));
        return STATUS_FAILED;
}

static int run_skopeo(const struct cli *cli, const struct image_pull *pull, const char *const *words, int out_fd)
{
        char timeout[32];
        const char *argv[16] = { "skopeo", "--command-timeout", timeout };
        size_t n = 3;
        int signal = 0;
        int ended;

        (void)snprintf(timeout, sizeof timeout, "%.3fs", pull->timeout_s);
        for (; *words != NULL; words++)
                if ((*words)[0] != '\0')
                        argv[n++] = *words;
        ended = program_run("skopeo", argv, out_fd, &signal);
        return tell_end(cli, pull, ended, signal);
}

/* If the name has an index, this is its digest, which also fixes the choice of the image. */
static int ask_digest(const struct cli *cli, const struct image_pull *pull, char ret_digest[static DIGEST_BYTES])
{
        AUTO(auto_buffer) struct buffer source = { 0 };
        AUTO(auto_close) int fd = -1;
        const char *words[] = { "inspect", "--format", "{{.Digest}}", pull->is_insecure ? "--tls-verify=false" : "",
                                NULL,      NULL };
        char text[DIGEST_BYTES + 1] = "";
        ssize_t length;
        int status = scratch_open(cli, &fd);

        (void)buffer_format(&source, "docker://%s", pull->source);
        if (source.has_failed)
                return cli_no_memory(cli);
        words[4] = source.data;
        if (status == STATUS_OK)
                status = run_skopeo(cli, pull, words, fd);
        if (status != STATUS_OK)
                return status;
        length = pread(fd, text, sizeof text - 1, 0);
        text[length > 0 ? strcspn(text, "\n") : 0] = '\0';
        if (!is_digest(text)) {
                cli_complain(cli, "skopeo does not report a digest of %s", pull->source);
                return STATUS_FAILED;
        }
        memcpy(ret_digest, text, DIGEST_BYTES);
        return STATUS_OK;
}

/* ---- its temporary files ---- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
        (void)about, (void)kind, (void)where;
        (void)remove(path);
        return 0;
}

static int fetch(const struct cli *cli, const struct image_pull *pull, const char *digest, const char *scratch, int fd)
{
        AUTO(auto_buffer) struct buffer source = { 0 };
        AUTO(auto_buffer) struct buffer target = { 0 };
        const char *words[] = { "--tmpdir",
                                scratch,
                                "copy",
                                pull->is_insecure ? "--src-tls-verify=false" : "",
                                cli->is_quiet ? "--quiet" : "",
                                NULL,
                                NULL,
                                NULL };

        (void)buffer_format(&source, "docker://%.*s@%s", (int)length_without_tag(pull->source), pull->source, digest);
        (void)buffer_format(&target, "docker-archive:/proc/%d/fd/%d", (int)getpid(), fd);
        if (source.has_failed || target.has_failed)
                return cli_no_memory(cli);
        words[5] = source.data;
        words[6] = target.data;
        if (!cli->is_quiet)
                cli_complain(cli, "fetching %s", source.data + strlen("docker://"));
        return run_skopeo(cli, pull, words, STDERR_FILENO);
}

/* Everything that skopeo leaves when it is killed is in this directory. */
static int fetch_apart(const struct cli *cli, const struct image_pull *pull, const char *digest, int fd)
{
        AUTO(auto_buffer) struct buffer scratch = { 0 };
        int status;

        (void)buffer_format(&scratch, "%s/carrel-pull-XXXXXX", scratch_directory());
        if (scratch.has_failed)
                return cli_no_memory(cli);
        if (mkdtemp(scratch.data) == NULL) {
                cli_complain(cli, "cannot create a directory in %s (set TMPDIR): %s", scratch_directory(),
                             strerror(errno));
                return STATUS_FAILED;
        }
        status = fetch(cli, pull, digest, scratch.data, fd);
        (void)nftw(scratch.data, remove_one, NESTING_MAX, FTW_DEPTH | FTW_PHYS);
        return status;
}

int image_pull(const struct cli *cli, const struct image_pull *pull, struct image_archive *ret_archive)
{
        AUTO(auto_archive) struct image_archive archive = { .fd = -1 };
        const char *given = strchr(pull->source, '@');
        char digest[DIGEST_BYTES];
        struct stat about;
        int status = STATUS_OK;

        if (!is_source(pull->source)) {
                cli_complain(cli,
                             "%s is not the name of a registry's image: [HOST[:PORT]/]NAME[:TAG], or NAME@sha256:...",
                             pull->source);
                return STATUS_USAGE;
        }
        if (given != NULL)
                memcpy(digest, given + 1, DIGEST_BYTES);
        else
                status = ask_digest(cli, pull, digest);
        if (status == STATUS_OK)
                status = scratch_open(cli, &archive.fd);
        if (status == STATUS_OK)
                status = fetch_apart(cli, pull, digest, archive.fd);
        if (status != STATUS_OK)
                return status;
        if (fstat(archive.fd, &about) < 0 || lseek(archive.fd, 0, SEEK_SET) < 0) {
                cli_complain(cli, "cannot read the archive: %s", strerror(errno));
                return STATUS_FAILED;
        }
        *ret_archive = (struct image_archive){ TAKE_FD(archive.fd), (uint64_t)about.st_size, "docker" };
        return STATUS_OK;
}
