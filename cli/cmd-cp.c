#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api-path.h"
#include "calls.h"
#include "local-files.h"
#include "scope.h"
#include "verbs.h"

/* One side of a copy. */
struct place {
        char user[128];   /* "": here */
        const char *path; /* in the carrel: relative to /workspace */
};

enum remote_kind { REMOTE_ABSENT, REMOTE_DIRECTORY, REMOTE_OTHER };

/* "USER:PATH" has its colon before any slash; "./a:b" is a path here. */
static int read_place(const struct cli *cli, const char *text, struct place *place)
{
        size_t length = strcspn(text, ":/");

        *place = (struct place){ .path = text };
        if (text[length] != ':')
                return STATUS_OK;
        if (length == 0 || length >= sizeof place->user)
                return cli_fail_usage(cli, "cp", "\"%s\" has no user in front of its colon", text);
        memcpy(place->user, text, length);
        place->path = text[length + 1] == '\0' ? "/workspace" : text + length + 1;
        return STATUS_OK;
}

static const char *last_part(const char *path, char *target, size_t size)
{
        size_t length = strlen(path);
        size_t start;

        while (length > 1 && path[length - 1] == '/')
                length--;
        start = length;
        while (start > 0 && path[start - 1] != '/')
                start--;
        (void)snprintf(target, size, "%.*s", (int)(length - start), path + start);
        return target;
}

/* path, or what it becomes inside of a directory that is there. */
static int choose_target(const char *path, bool is_directory, const char *source, struct buffer *target)
{
        char name[256];

        (void)buffer_text(target, path);
        if (is_directory)
                (void)buffer_format(target, "/%s", last_part(source, name, sizeof name));
        return target->has_failed ? -ENOMEM : 0;
}

/* ".../files/PATH" or ".../archive?path=PATH". */
static int build_path(struct cli *cli, const char *user, const char *suffix, const char *remote, struct buffer *path)
{
        int status = cli_path(cli, "/v1/carrels", user, suffix, path);

        if (status != STATUS_OK)
                return status;
        if (str_equal(suffix, "/archive"))
                (void)api_path_query(path, "path", remote);
        else if (api_path_append(path, remote) < 0 && !path->has_failed)
                return cli_fail_usage(cli, "cp", "\"%s\" names no file", remote);
        return path->has_failed ? cli_no_memory(cli) : STATUS_OK;
}

static int probe(struct cli *cli, const struct place *place, enum remote_kind *ret_kind)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        struct api_error error;
        int status = build_path(cli, place->user, "/files", place->path, &path);

        if (status != STATUS_OK)
                return status;
        if (buffer_text(&path, "?list=1") < 0)
                return cli_no_memory(cli);
        if (api_call(cli->api, "GET", path.data, NULL, &answer, &error) == 0)
                *ret_kind = REMOTE_DIRECTORY;
        else if (str_equal(error.code, "not_found"))
                *ret_kind = REMOTE_ABSENT;
        else if (str_equal(error.code, "file_refused"))
                *ret_kind = REMOTE_OTHER;
        else
                return cli_fail(cli, &error);
        return STATUS_OK;
}

/* ---- into a carrel ---- */

static int send_file(struct cli *cli, const char *user, const char *suffix, const char *remote, int fd, int mode)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_json) cJSON *answer = NULL;
        struct api_error error;
        int status = build_path(cli, user, suffix, remote, &path);

        if (status != STATUS_OK)
                return status;
        if (mode >= 0 && buffer_format(&path, "?mode=%04o", (unsigned)mode & 07777) < 0)
                return cli_no_memory(cli);
        return api_send_file(cli->api, "PUT", path.data, fd, &answer, &error) < 0 ? cli_fail(cli, &error) : STATUS_OK;
}

static int complain_of(const struct cli *cli, const char *path, int err)
{
        cli_complain(cli, "%s: %s", path, strerror(err));
        return STATUS_FAILED;
}

static int upload(struct cli *cli, const char *source, const struct place *target)
{
        AUTO(auto_buffer) struct buffer remote = { 0 };
        enum remote_kind kind = REMOTE_ABSENT;
        struct stat file;
        int status;

        if (stat(source, &file) < 0)
                return complain_of(cli, source, errno);
        if (!S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode)) {
                cli_complain(cli, "%s is neither a file nor a directory", source);
                return STATUS_FAILED;
        }
        status = probe(cli, target, &kind);
        if (status != STATUS_OK)
                return status;
        if (choose_target(target->path, kind == REMOTE_DIRECTORY, source, &remote) < 0)
                return cli_no_memory(cli);
        AUTO(auto_close) int fd = S_ISDIR(file.st_mode) ? local_pack(source) : open(source, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return complain_of(cli, source, S_ISDIR(file.st_mode) ? -fd : errno);
        return S_ISDIR(file.st_mode) ? send_file(cli, target->user, "/archive", remote.data, fd, -1)
                                     : send_file(cli, target->user, "/files", remote.data, fd, (int)file.st_mode);
}

/* ---- out of a carrel ---- */

static int on_bytes(void *arg, const void *bytes, size_t length)
{
        return local_unpack_write(arg, bytes, length);
}

/* The archive of remote into a directory here. */
static int receive(struct cli *cli, const char *user, const char *remote, const char *directory)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        struct local_unpack unpack;
        struct api_error error;
        char problem[512] = "";
        int status = build_path(cli, user, "/archive", remote, &path);

        if (status != STATUS_OK)
                return status;
        int r = local_unpack_begin(&unpack, directory);
        if (r < 0)
                return complain_of(cli, directory, -r);
        r = api_receive(cli->api, path.data, on_bytes, &unpack, &error);
        int ended = local_unpack_end(&unpack, problem, sizeof problem);
        if (r < 0 && !error.is_abandoned)
                return cli_fail(cli, &error);
        if (r == 0 && ended == 0)
                return STATUS_OK;
        cli_complain(cli, "cannot unpack what came from the carrel: %s", problem);
        return STATUS_FAILED;
}

/* Through a directory beside the target, so that it is there as a whole or not at all. */
static int download_file(struct cli *cli, const struct place *source, const char *target)
{
        AUTO(auto_buffer) struct buffer beside = { 0 };
        const char *slash = strrchr(target, '/');
        char name[256];
        int status, r;

        (void)buffer_format(&beside, "%.*s.carrel-cp.XXXXXX", slash == NULL ? 0 : (int)(slash - target + 1), target);
        if (beside.has_failed)
                return cli_no_memory(cli);
        if (mkdtemp(beside.data) == NULL)
                return complain_of(cli, beside.data, errno);
        status = receive(cli, source->user, source->path, beside.data);
        r = status == STATUS_OK ? local_take_file(beside.data, last_part(source->path, name, sizeof name), target) : 0;
        if (r == -EPROTO) {
                cli_complain(cli, "what came from the carrel is not the file %s", name);
                status = STATUS_FAILED;
        } else if (r < 0) {
                status = complain_of(cli, target, -r);
        }
        (void)local_remove(beside.data);
        return status;
}

static int download(struct cli *cli, const struct place *source, const char *target_path)
{
        AUTO(auto_buffer) struct buffer target = { 0 };
        AUTO(auto_buffer) struct buffer content = { 0 };
        enum remote_kind kind = REMOTE_ABSENT;
        int status = probe(cli, source, &kind);

        if (status != STATUS_OK)
                return status;
        if (choose_target(target_path, local_is_directory(target_path) != 0, source->path, &target) < 0 ||
            buffer_format(&content, "%s/.", source->path) < 0)
                return cli_no_memory(cli);
        if (kind == REMOTE_DIRECTORY)
                return receive(cli, source->user, content.data, target.data);
        return download_file(cli, source, target.data);
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        struct place source, target;
        int status = read_place(cli, operands[0], &source);

        (void)values, (void)n_operands;
        if (status == STATUS_OK)
                status = read_place(cli, operands[1], &target);
        if (status != STATUS_OK)
                return status;
        if ((source.user[0] == '\0') == (target.user[0] == '\0'))
                return cli_fail_usage(cli, "cp", "one of the two must be USER:PATH, and the other a path here");
        return source.user[0] == '\0' ? upload(cli, source.path, &target) : download(cli, &source, target.path);
}

const struct verb CMD_CP = {
        .name = "cp",
        .operands = "SOURCE TARGET",
        .summary = "Copy a file or a directory into a carrel, or out of one",
        .help = "One of the two is USER:PATH, relative to /workspace unless it begins with a slash; the other is a "
                "path\n"
                "here. What is copied into a directory that is there goes below it, under its own name. Modes and "
                "times\n"
                "are kept, owners are not; out of a carrel no mode has more than the permissions. FIFOs, sockets and\n"
                "devices are left out, links are copied as links.",
        .examples = "  carrel cp src ada:\n  carrel cp ada:out/report.pdf .\n  carrel cp data.csv ada:/tmp/data.csv",
        .min_operands = 2,
        .max_operands = 2,
        .is_slow = true,
        .run = run,
};
