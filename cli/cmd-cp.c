#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api-path.h"
#include "calls.h"
#include "inside.h"
#include "interrupt.h"
#include "local-files.h"
#include "scope.h"
#include "verbs.h"

/* Above this size the local disk is watched. */
static const double LOOK_BYTES = 1024 * 1024;
enum { SPARE_PERCENT = 5 };

struct cp_values {
        struct option_number limit;
        bool is_habit; /* -a, -r: no effect */
};

static const struct option_spec OPTIONS[] = {
        { 'a', "archive", OPTION_FLAG, offsetof(struct cp_values, is_habit),
          .help = "no effect: modes, times and links are always kept" },
        { 0, "limit", OPTION_SIZE, offsetof(struct cp_values, limit), 1, 9e15, .argument = "SIZE",
          .help = "out of a carrel: stop above SIZE; default: when the local disk is nearly full" },
        { 'r', "recursive", OPTION_FLAG, offsetof(struct cp_values, is_habit),
          .help = "no effect: directories are always copied whole" },
        { .name = NULL },
};

/* One side of a copy. */
struct place {
        char user[128];   /* "": here */
        const char *path; /* in the carrel: relative to /workspace */
        double limit;     /* of what comes from there, in bytes; 0: none is given */
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
                return cli_fail_usage(cli, "cp", "\"%s\" has no user before its colon", text);
        memcpy(place->user, text, length);
        place->path = text[length + 1] == '\0' ? INSIDE_WORKSPACE : text + length + 1;
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

/* A tar archive on stdin into a directory. */
static int upload_archive(struct cli *cli, const struct place *target)
{
        AUTO(auto_close) int fd = local_take_input(STDIN_FILENO);

        return fd < 0 ? complain_of(cli, "stdin", -fd) : send_file(cli, target->user, "/archive", target->path, fd, -1);
}

/* ---- out of a carrel ---- */

/* A copy out of a carrel. */
struct arrival {
        struct cli *cli;
        struct local_unpack unpack;
        const char *directory;
        double limit, received, looked_at; /* in bytes */
};

/* A file with holes, or one that grows while it is read, has no end that its owner would have to pay for. */
static int check_room(struct arrival *arrival, size_t length)
{
        struct statvfs disk;

        arrival->received += (double)length;
        if (arrival->limit > 0)
                return arrival->received <= arrival->limit ? 0 : -EFBIG;
        if (arrival->received - arrival->looked_at < LOOK_BYTES)
                return 0;
        arrival->looked_at = arrival->received;
        if (statvfs(arrival->directory, &disk) < 0)
                return 0;
        return disk.f_bavail >= disk.f_blocks / 100 * SPARE_PERCENT ? 0 : -ENOSPC;
}

static int on_bytes(void *arg, const void *bytes, size_t length)
{
        struct arrival *arrival = arg;
        int r = check_room(arrival, length);

        return r < 0 ? r : local_unpack_write(&arrival->unpack, bytes, length);
}

/* The end of a copy: r is what ended it. */
static int conclude(const struct arrival *arrival, int r, const struct api_error *error, const char *problem)
{
        const struct cli *cli = arrival->cli;

        if (r == -EFBIG && error->is_abandoned)
                cli_complain(cli, "the copy exceeds --limit and was stopped");
        else if (r == -ENOSPC && error->is_abandoned)
                cli_complain(cli,
                             "less than %d %% of the disk of %s is free: the copy was stopped; --limit SIZE permits up "
                             "to SIZE",
                             SPARE_PERCENT, arrival->directory);
        else if (r < 0 && !error->is_abandoned)
                return cli_fail(cli, error);
        else
                cli_complain(cli, "cannot unpack the data from the carrel: %s", problem);
        return STATUS_FAILED;
}

/* The archive of remote into a directory here. parent is one that is there. */
static int receive(struct cli *cli, const struct place *source, const char *remote, const char *directory,
                   const char *parent)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        struct arrival arrival = { .cli = cli, .directory = parent, .limit = source->limit };
        struct api_error error;
        char problem[512] = "";
        int status = build_path(cli, source->user, "/archive", remote, &path);

        if (status != STATUS_OK)
                return status;
        int r = local_unpack_begin(&arrival.unpack, directory);
        if (r < 0)
                return complain_of(cli, directory, -r);
        r = api_receive(cli->api, path.data, on_bytes, &arrival, &error);
        int ended = local_unpack_end(&arrival.unpack, problem, sizeof problem);
        return r == 0 && ended == 0 ? STATUS_OK : conclude(&arrival, r, &error, problem);
}

/* Moves what was received out of the directory beside the target. */
static int take(struct cli *cli, bool is_directory, const char *beside, const char *name, const char *target)
{
        int r = is_directory ? local_take_directory(beside, name, target) : local_take_file(beside, name, target);

        if (r == 0)
                return STATUS_OK;
        if (r != -EPROTO)
                return complain_of(cli, target, -r);
        cli_complain(cli, "the data from the carrel is not the file %s", name);
        return STATUS_FAILED;
}

/* Through a directory beside the target, so that it is there as a whole or not at all. */
static int download_beside(struct cli *cli, const struct place *source, const char *target, bool is_directory)
{
        AUTO(auto_buffer) struct buffer beside = { 0 };
        AUTO(auto_buffer) struct buffer content = { 0 };
        AUTO(auto_buffer) struct buffer inner = { 0 };
        const char *slash = strrchr(target, '/');
        char name[256] = "content";
        int status;

        (void)buffer_format(&beside, "%.*s.carrel-cp.XXXXXX", slash == NULL ? 0 : (int)(slash - target + 1), target);
        (void)buffer_format(&content, "%s%s", source->path, is_directory ? "/." : "");
        if (beside.has_failed || content.has_failed)
                return cli_no_memory(cli);
        if (mkdtemp(beside.data) == NULL)
                return complain_of(cli, beside.data, errno);
        (void)buffer_format(&inner, "%s%s", beside.data, is_directory ? "/content" : "");
        status = inner.has_failed ? cli_no_memory(cli) : receive(cli, source, content.data, inner.data, beside.data);
        if (status == STATUS_OK)
                status = take(cli, is_directory, beside.data,
                              is_directory ? name : last_part(source->path, name, sizeof name), target);
        (void)local_remove(beside.data);
        return status;
}

static int download(struct cli *cli, const struct place *source, const char *target_path)
{
        AUTO(auto_buffer) struct buffer target = { 0 };
        AUTO(auto_buffer) struct buffer content = { 0 };
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        enum remote_kind kind = REMOTE_ABSENT;
        int status;

        /* A signal ends the calls, not this process, which then removes its unfinished work. */
        api_client_heed(cli->api, interrupt_fd);
        status = probe(cli, source, &kind);
        if (status != STATUS_OK)
                return status;
        if (choose_target(target_path, local_is_directory(target_path) != 0, source->path, &target) < 0 ||
            buffer_format(&content, "%s/.", source->path) < 0)
                return cli_no_memory(cli);
        /* Into an existing directory: its other entries stay. */
        if (kind == REMOTE_DIRECTORY && local_is_directory(target.data))
                return receive(cli, source, content.data, target.data, target.data);
        return download_beside(cli, source, target.data, kind == REMOTE_DIRECTORY);
}

/* ---- a tar archive to stdout ---- */

static int on_archive(void *arg, const void *bytes, size_t length)
{
        return interrupt_write(STDOUT_FILENO, bytes, length, *(const int *)arg);
}

static int download_archive(struct cli *cli, const struct place *source)
{
        AUTO(auto_buffer) struct buffer path = { 0 };
        AUTO(auto_close) int interrupt_fd = interrupt_open();
        struct api_error error;
        int status = build_path(cli, source->user, "/archive", source->path, &path);

        if (status != STATUS_OK)
                return status;
        if (isatty(STDOUT_FILENO) == 1)
                return cli_fail_usage(cli, "cp", "a tar archive is not for a terminal: `carrel cp %s:... - | tar -t`",
                                      source->user);
        api_client_heed(cli->api, interrupt_fd);
        int r = api_receive(cli->api, path.data, on_archive, &interrupt_fd, &error);
        api_client_heed(cli->api, -1);
        if (r == -EINTR && error.is_abandoned)
                return 128 + interrupt_read(interrupt_fd);
        if (r < 0 && error.is_abandoned)
                return r == -EPIPE ? 128 + SIGPIPE : complain_of(cli, "stdout", -r);
        return r < 0 ? cli_fail(cli, &error) : STATUS_OK;
}

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        const struct cp_values *chosen = values;
        struct place source, target;
        int status = read_place(cli, operands[0], &source);

        (void)n_operands;
        if (status == STATUS_OK)
                status = read_place(cli, operands[1], &target);
        if (status != STATUS_OK)
                return status;
        if ((source.user[0] == '\0') == (target.user[0] == '\0'))
                return cli_fail_usage(cli, "cp", "one of the two must be USER:PATH, the other a local path");
        source.limit = chosen->limit.is_given ? chosen->limit.value : 0;
        if (source.user[0] == '\0')
                return str_equal(source.path, "-") ? upload_archive(cli, &target) : upload(cli, source.path, &target);
        return str_equal(target.path, "-") ? download_archive(cli, &source) : download(cli, &source, target.path);
}

const struct verb CMD_CP = {
        .name = "cp",
        .operands = "SOURCE TARGET",
        .summary = "Copy a file or a directory into a carrel, or out of one",
        .help = "One of the two is USER:PATH, relative to " INSIDE_WORKSPACE
                " unless it begins with a slash. The other is a\n"
                "local path, or \"-\": a tar archive from stdin into the directory PATH, or of PATH to stdout. If\n"
                "TARGET is a directory, SOURCE is placed inside it. Modes and times are kept, owners are not;\n"
                "setuid, setgid and sticky are dropped when copying out, and zeros become holes. Links are copied\n"
                "as links; FIFOs, sockets and devices are left out.",
        .examples = "  carrel cp src ada:\n  carrel cp ada:out/report.pdf .\n  carrel cp data.csv ada:/tmp/data.csv\n"
                    "  tar -c src | carrel cp - ada:\n  carrel cp ada:out - | tar -t",
        .options = OPTIONS,
        .values_size = sizeof(struct cp_values),
        .min_operands = 2,
        .max_operands = 2,
        .is_slow = true,
        .run = run,
};
