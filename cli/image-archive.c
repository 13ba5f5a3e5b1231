#include "image-archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "program.h"
#include "scope.h"
#include "temporary.h"

#ifndef CARREL_HELPER_DIR
#define CARREL_HELPER_DIR "/usr/libexec/carrel"
#endif

void auto_archive(struct image_archive *archive)
{
        if (archive->fd >= 0)
                close(archive->fd);
        archive->fd = -1;
}

/* ---- temporary files ---- */

const char *scratch_directory(void)
{
        const char *directory = getenv("TMPDIR");

        return directory != NULL && directory[0] == '/' ? directory : "/var/tmp";
}

int scratch_open(const struct cli *cli, int *ret_fd)
{
        *ret_fd = temporary_open(scratch_directory());
        if (*ret_fd >= 0)
                return STATUS_OK;
        cli_complain(cli, "cannot create a temporary file in %s (set TMPDIR): %s", scratch_directory(),
                     strerror(-*ret_fd));
        return STATUS_FAILED;
}

static int copy(const struct cli *cli, int from_fd, int to_fd)
{
        char piece[65536];
        ssize_t n;

        while ((n = read(from_fd, piece, sizeof piece)) > 0) {
                for (ssize_t done = 0; done < n;) {
                        ssize_t written = write(to_fd, piece + done, (size_t)(n - done));

                        if (written <= 0) {
                                cli_complain(cli, "cannot write the archive to %s: %s", scratch_directory(),
                                             strerror(errno));
                                return STATUS_FAILED;
                        }
                        done += written;
                }
        }
        if (n == 0)
                return STATUS_OK;
        cli_complain(cli, "cannot read the archive: %s", strerror(errno));
        return STATUS_FAILED;
}

static int take_pipe(const struct cli *cli, int from_fd, struct image_archive *archive)
{
        int status = scratch_open(cli, &archive->fd);

        return status == STATUS_OK ? copy(cli, from_fd, archive->fd) : status;
}

/* ---- directories ---- */

static bool has_file(const char *directory, const char *name)
{
        AUTO(auto_buffer) struct buffer path = { 0 };

        (void)buffer_format(&path, "%s/%s", directory, name);
        return !path.has_failed && access(path.data, F_OK) == 0;
}

/* The engine provides a root tree's mount points, so current mounts are left out. */
static int take_directory(const struct cli *cli, const char *path, struct image_archive *archive)
{
        const char *const argv[] = { "tar",
                                     "--create",
                                     "--file=-",
                                     "--numeric-owner",
                                     "--sort=name",
                                     "--one-file-system",
                                     "--exclude=./dev/*",
                                     "--exclude=./proc/*",
                                     "--exclude=./sys/*",
                                     "--directory",
                                     path,
                                     ".",
                                     NULL };
        int status = scratch_open(cli, &archive->fd);
        int ended, signal;

        if (status != STATUS_OK)
                return status;
        archive->format = has_file(path, "oci-layout") ? "oci" : has_file(path, "manifest.json") ? "docker" : "rootfs";
        ended = program_run("tar", argv, archive->fd, &signal);
        if (signal != 0)
                return 128 + signal;
        if (ended == 0)
                return STATUS_OK;
        cli_complain(cli, "tar failed to pack %s%s%s", path, ended < 0 ? ": " : "", ended < 0 ? strerror(errno) : "");
        return STATUS_FAILED;
}

/* ---- any of them ---- */

static int take(const struct cli *cli, const char *path, int fd, mode_t mode, struct image_archive *archive)
{
        if (S_ISDIR(mode))
                return take_directory(cli, path, archive);
        if (!S_ISREG(mode))
                return take_pipe(cli, fd, archive);
        archive->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); /* 0 is no body for the http room */
        return archive->fd < 0 ? STATUS_FAILED : STATUS_OK;
}

int image_archive_open(const struct cli *cli, const char *path, struct image_archive *ret_archive)
{
        AUTO(auto_archive) struct image_archive archive = { .fd = -1, .format = "auto" };
        AUTO(auto_close) int opened = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
        struct stat about;
        int status;

        if (opened < 0 || fstat(opened, &about) < 0) {
                cli_complain(cli, "cannot open %s: %s", path, strerror(errno));
                return STATUS_FAILED;
        }
        status = take(cli, path, opened, about.st_mode, &archive);
        if (status != STATUS_OK)
                return status;
        if (lseek(archive.fd, 0, SEEK_SET) < 0 || fstat(archive.fd, &about) < 0) {
                cli_complain(cli, "cannot read the archive: %s", strerror(errno));
                return STATUS_FAILED;
        }
        *ret_archive = (struct image_archive){ TAKE_FD(archive.fd), (uint64_t)about.st_size, archive.format };
        return STATUS_OK;
}

/* ---- the recipe ---- */

static size_t add_option(const char **argv, size_t n, const char *name, const char *value)
{
        if (value != NULL) {
                argv[n++] = name;
                argv[n++] = value;
        }
        return n;
}

int image_archive_build(const struct cli *cli, const struct image_recipe *recipe)
{
        const char *directory = getenv("CARREL_HELPER_DIR");
        AUTO(auto_buffer) struct buffer program = { 0 };
        const char *argv[16] = { NULL };
        size_t n = 1;
        int ended, signal;

        (void)buffer_format(&program, "%s/build-debian", directory != NULL ? directory : CARREL_HELPER_DIR);
        if (program.has_failed)
                return cli_no_memory(cli);
        argv[0] = program.data;
        n = add_option(argv, n, "--packages", recipe->packages);
        n = add_option(argv, n, "--sources", recipe->sources);
        n = add_option(argv, n, "--suite", recipe->suite);
        argv[n++] = "--";
        argv[n++] = recipe->target;
        argv[n] = recipe->reference;
        ended = program_run(program.data, argv, -1, &signal);
        if (signal != 0)
                return 128 + signal;
        if (ended == 0)
                return STATUS_OK;
        if (ended < 0)
                cli_complain(cli, "cannot run %s: %s; set CARREL_HELPER_DIR to the directory that has it", program.data,
                             strerror(errno));
        return STATUS_FAILED;
}
