/* Podman's differences from Docker, in one table. Facts are of podman 4.3.1's compatible API, tested by
 * tests/integration/test_engine.c. */
#include "podman.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "docker-call.h"
#include "docker-query.h"
#include "docker-quirks.h"
#include "podman-exec.h"
#include "podman-leftover.h"
#include "scope.h"
#include "seccomp-profile.h"
#include "str.h"

#define FILTER_FILE "seccomp.json"
#define UNFINISHED "." FILTER_FILE "."

struct podman {
        char *state_dir;
        struct podman_execs *execs;
};

/* ---- the system call filter is a file ---- */

static int write_whole(int fd, const struct buffer *text)
{
        for (size_t done = 0; done < text->length;) {
                ssize_t n = write(fd, text->data + done, text->length - done);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        done += (size_t)n;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

/* Writes it under a name of this process and renames it, so that the file is whole or absent. Existing files are
 * neither followed nor kept. */
static int write_profile(int dir, const struct buffer *profile)
{
        char name[64];

        snprintf(name, sizeof name, UNFINISHED "%d", (int)getpid());
        (void)unlinkat(dir, name, 0);
        AUTO(auto_close) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        int r = write_whole(fd, profile);
        if (r == 0 && renameat(dir, name, dir, FILTER_FILE) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(dir, name, 0);
        else if (fsync(dir) < 0)
                r = -errno;
        return r;
}

/* Another writer of the directory could loosen the filter of the next container. */
static int open_state_dir(const char *path)
{
        struct stat status;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 022) == 0)
                return fd;
        close(fd);
        return -EPERM;
}

static bool is_alive(const char *pid)
{
        uint64_t number = 0;

        return str_parse_u64(pid, 1, INT32_MAX, &number) == 0 && (kill((pid_t)number, 0) == 0 || errno != ESRCH);
}

/* Removes the unfinished file of a carreld that was killed. */
static void clear_unfinished(const char *state_dir)
{
        int fd = open_state_dir(state_dir);
        DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;

        if (directory == NULL) {
                if (fd >= 0)
                        close(fd);
                return;
        }
        while ((entry = readdir(directory)) != NULL)
                if (str_has_prefix(entry->d_name, UNFINISHED) && !is_alive(entry->d_name + strlen(UNFINISHED)))
                        (void)unlinkat(dirfd(directory), entry->d_name, 0);
        (void)closedir(directory);
}

/* Written for each container: it is 5 KB on a tmpfs, and a change to the file since the last one has no effect. */
static char *podman_seccomp_option(const struct docker *docker)
{
        const struct podman *podman = docker->extra;
        struct buffer profile = { 0 };
        AUTO(auto_close) int dir = open_state_dir(podman->state_dir);
        int r = dir < 0 ? dir : seccomp_profile_json(&profile);

        if (r == 0)
                r = write_profile(dir, &profile);
        buffer_free(&profile);
        if (r == 0)
                return docker_text("seccomp=%s/" FILTER_FILE, podman->state_dir);
        errno = -r;
        return NULL;
}

/* Podman sets RLIMIT_NPROC to 2^20 if a request names none. A runtime without CAP_SYS_RESOURCE cannot raise it above
 * its own hard limit, which is assumed to equal carreld's. The limit counts all processes of a uid on the host, so it
 * does not bound a carrel: the pids cgroup does. */
static uint64_t podman_nproc(void)
{
        enum { MOST = 1048576 };
        struct rlimit limit;

        if (getrlimit(RLIMIT_NPROC, &limit) < 0 || limit.rlim_max == 0 || limit.rlim_max > MOST)
                return MOST;
        return limit.rlim_max;
}

/* ---- the table ---- */

static void podman_after_exec(struct docker *docker, const char *exec_id)
{
        const struct podman *podman = docker->extra;

        podman_execs_add(podman->execs, exec_id);
}

static void podman_free_extra(void *extra)
{
        struct podman *podman = extra;

        podman_execs_free(podman->execs);
        free(podman->state_dir);
        free(podman);
}

static const char *const EVENT_ACTIONS[] = { "start", "died", "remove", "oom", "exec_died", NULL };

static const struct docker_rule RULES[] = {
        { 500, "is already in use", 409 }, /* create, claim: the name */
        { 500, "no such container", 404 }, /* removed between Podman's lookup and its action */
        { 500, "no such exec session", 404 },
        { 500, "could not be stopped", 409 }, /* remove: retried */
        { 0 },
};

/* Reports of unread input; which of the two appears is a race between the engine and conmon. */
static const char *const STRAY_WORDS[] = { "Error: write unixpacket @->", "Error: read unixpacket @->", NULL };

static const struct docker_quirks QUIRKS = {
        .kind = "podman",
        .known_api_version = "1.41", /* its /version runs conmon, the runtime and the package manager: 1-2 s */
        .pull_command = "podman pull",
        .service = "podman.socket",
        /* Not the compatible request, which stops first and waits ten seconds for a program that ignores SIGTERM. */
        .remove_path = "/libpod/containers/",
        .remove_query = "force=true&v=true&timeout=0",
        .event_actions = EVENT_ACTIONS,
        .rules = RULES,
        .seccomp_option = podman_seccomp_option,
        .stray_words = STRAY_WORDS,
        .imports_by_repository = true,
        .has_nameless_exec_ends = true,
        .engine = PROFILE_PODMAN,
        .nproc = podman_nproc,
        .on_name_taken = podman_clear_leftover,
        .after_exec = podman_after_exec,
        .free_extra = podman_free_extra,
};

static int podman_extra_new(struct podman **ret_podman, struct ev_loop *loop, const char *state_dir)
{
        struct podman *podman = calloc(1, sizeof *podman);

        if (podman == NULL)
                return -ENOMEM;
        podman->state_dir = strdup(state_dir);
        if (podman->state_dir == NULL || podman_execs_new(&podman->execs, loop) < 0) {
                free(podman->state_dir);
                free(podman);
                return -ENOMEM;
        }
        *ret_podman = podman;
        return 0;
}

int podman_new(struct engine **ret_engine, struct ev_loop *loop, const struct podman_options *options)
{
        struct podman *podman;
        int r = podman_extra_new(&podman, loop, options->state_dir);

        clear_unfinished(options->state_dir);
        return r < 0 ? r : docker_new_quirky(ret_engine, loop, &options->docker, &QUIRKS, podman);
}
