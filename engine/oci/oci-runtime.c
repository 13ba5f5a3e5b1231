/* Finds the OCI runtime and runs it. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

enum { WORDS_MAX = 40, LOG_FD = 3, LOG_BYTES = 1024, FDS_MAX = 8, COPY_BYTES = 1024 * 1024, COPY_FD_LEAST = 64 };

#define SYSTEM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const ENVIRONMENT[] = { SYSTEM_PATH, "LANG=C", NULL };

/* An older version lacks a feature that carrel needs: idmapped mounts with a mapping of their own (crun 1.8), a
 * compiled filter (crun 0.17), a private cgroup namespace (runc 1.1). Other runtimes are the operator's choice.
 *
 * gVisor: its carrels have no network, and the older versions refuse to start on new kernels if they look for one. A
 * program inside may connect to a socket in a mount, because the agent does. The filter applies to the programs of its
 * kernel, too. */
static const struct known {
        const char *name;
        const char *package;
        unsigned major, minor;
        bool has_machines;
        const char *arguments[4]; /* options before the command */
} KNOWN[] = {
        { "crun", "crun", 1, 8, false, { NULL } },
        { "runc", "runc", 1, 1, false, { NULL } },
        { "runsc", "runsc", 0, 0, true, { "--network=none", "--host-uds=open", "--oci-seccomp" } },
};

static const struct known *find_known(const char *name)
{
        for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
                if (strcmp(KNOWN[i].name, name) == 0)
                        return &KNOWN[i];
        return NULL;
}

/* ---- find the runtime ---- */

static bool find_program(const char *name, char ret_path[static 256])
{
        static const char *const DIRECTORIES[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                                   "/usr/bin",        "/sbin",          "/bin" };

        if (name[0] == '/')
                return str_copy(ret_path, 256, name) == 0 && access(name, X_OK) == 0;
        for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++)
                if (snprintf(ret_path, 256, "%s/%s", DIRECTORIES[i], name) < 256 && access(ret_path, X_OK) == 0)
                        return true;
        return false;
}

static int choose(struct oci *oci, struct fault *why)
{
        static const char *const NO_ARGUMENTS[] = { NULL };
        struct oci_runtime *runtime = &oci->runtime;
        const char *wanted = oci->runtime_wanted;
        const struct known *known;
        const char *slash;

        if (wanted[0] != '\0') {
                if (!find_program(wanted, runtime->path))
                        return fault_set(
                                why, FAULT_ENGINE_UNAVAILABLE, ENOENT,
                                "there is no OCI runtime %s: install it (apt-get install crun has one), or set "
                                "runtime",
                                wanted);
        } else if (!find_program("crun", runtime->path) && !find_program("runc", runtime->path)) {
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOENT,
                                 "there is no OCI runtime: apt-get install crun");
        }
        slash = strrchr(runtime->path, '/');
        (void)snprintf(runtime->name, sizeof runtime->name, "%.15s", slash + 1);
        known = find_known(runtime->name);
        runtime->is_crun = strcmp(runtime->name, "crun") == 0;
        runtime->has_machines = known == NULL || known->has_machines;
        runtime->arguments = known != NULL ? known->arguments : NO_ARGUMENTS;
        return 0;
}

/* ---- its version ---- */

struct question {
        struct ev_loop *loop;
        struct child *child;
        bool is_answered;
        int wait_status;
        char text[256];
};

static void on_version(void *arg, const struct child_result *result)
{
        struct question *question = arg;

        question->child = NULL;
        question->is_answered = true;
        question->wait_status = result->wait_status;
        (void)snprintf(question->text, sizeof question->text, "%s", result->out);
        ev_break(question->loop, EVBREAK_ALL);
}

/* On a loop of its own, because start-up waits for the answer. */
static int ask_version(const char *path, char *ret_text, size_t size)
{
        const char *const argv[] = { path, "--version", NULL };
        struct question question = { .loop = ev_loop_new(EVFLAG_AUTO) };
        const struct child_plan plan = {
                .path = path,
                .argv = argv,
                .envp = ENVIRONMENT,
                .stdin_fd = -1,
                .mount_namespace_fd = -1,
                .output_max = sizeof question.text - 1,
                .deadline_s = 10.0,
                .done = on_version,
                .arg = &question,
        };
        int r = question.loop != NULL ? child_start(&question.child, question.loop, &plan) : -ENOMEM;

        if (r == 0)
                (void)ev_run(question.loop, 0);
        child_cancel(question.child);
        if (question.loop != NULL)
                ev_loop_destroy(question.loop);
        if (r == 0 && (!WIFEXITED(question.wait_status) || WEXITSTATUS(question.wait_status) != 0))
                r = -EIO;
        return r == 0 ? str_copy(ret_text, size, question.text) : r;
}

/* The first number with a point in it: "crun version 1.8.1", "runc version 1.1.5+ds1", "1.0". */
static bool parse_version(const char *text, unsigned *ret_major, unsigned *ret_minor, char *ret_word, size_t size)
{
        for (; *text != '\0'; text++) {
                size_t length = strcspn(text, " \n\t");

                if (!isdigit((unsigned char)*text) || sscanf(text, "%9u.%9u", ret_major, ret_minor) != 2)
                        continue;
                (void)snprintf(ret_word, size, "%.*s", (int)(length < size ? length : size - 1), text);
                return true;
        }
        return false;
}

/* ---- a copy of it ---- */

/* crun runs from a sealed copy in memory, so that a container cannot write to the program that made it (CVE-2019-5736).
 * It makes that copy at each start, unless it already runs from one. If the kernel refuses to run the copy
 * (vm.memfd_noexec), the file is used. */
static int copy_program(const char *path)
{
        AUTO(auto_close) int from = open(path, O_RDONLY | O_CLOEXEC);
        AUTO(auto_close) int copy = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        ssize_t n = 1;

        if (from < 0 || copy < 0)
                return -errno;
        while (n > 0)
                n = sendfile(copy, from, NULL, COPY_BYTES);
        if (n < 0 || fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        n = fcntl(copy, F_DUPFD_CLOEXEC, COPY_FD_LEAST); /* above the numbers that the program gets */
        return n < 0 ? -errno : (int)n;
}

void oci_runtime_release(struct oci_runtime *runtime)
{
        if (runtime->copy_fd >= 0)
                close(runtime->copy_fd);
        runtime->copy_fd = -1;
}

static void choose_program(struct oci_runtime *runtime)
{
        char text[256];

        oci_runtime_release(runtime);
        runtime->copy_fd = runtime->is_crun ? copy_program(runtime->path) : -1;
        (void)snprintf(runtime->program, sizeof runtime->program, "/proc/self/fd/%d", runtime->copy_fd);
        if (runtime->copy_fd < 0 || ask_version(runtime->program, text, sizeof text) < 0) {
                oci_runtime_release(runtime);
                memcpy(runtime->program, runtime->path, sizeof runtime->program);
        }
}

int oci_runtime_find(struct oci *oci, struct fault *why)
{
        struct oci_runtime *runtime = &oci->runtime;
        const struct known *known;
        unsigned major = 0, minor = 0;
        char text[256] = "";
        int r = choose(oci, why);

        if (r < 0)
                return r;
        known = find_known(runtime->name);
        r = ask_version(runtime->path, text, sizeof text);
        if (r < 0 || !parse_version(text, &major, &minor, runtime->version, sizeof runtime->version))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, r < 0 ? -r : EBADMSG,
                                 "%s --version reports no version: install it again (apt-get install crun)",
                                 runtime->path);
        if (known != NULL && (major < known->major || (major == known->major && minor < known->minor)))
                return fault_set(why, FAULT_ENGINE_UNAVAILABLE, ENOTSUP,
                                 "%s %s is too old, carrel needs %u.%u or newer: apt-get install %s", runtime->name,
                                 runtime->version, known->major, known->minor, known->package);
        choose_program(runtime);
        return 0;
}

/* ---- run it ---- */

int oci_runtime_split_args(struct oci *oci, const char *text)
{
        size_t n = 0;
        char *rest;

        text += strspn(text, " ");
        if (text[0] == '\0')
                return 0;
        rest = strdup(text);
        oci->runtime_args[n++] = rest;
        if (rest == NULL)
                return -ENOMEM;
        (void)strsep(&rest, " ");
        for (const char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
                if (word[0] == '\0')
                        continue;
                if (n == OCI_RUNTIME_ARGS_MAX)
                        return -E2BIG;
                oci->runtime_args[n++] = (char *)word;
        }
        return 0;
}

static bool append_words(const char *argv[static WORDS_MAX], size_t *n, const char *const *words)
{
        for (; *words != NULL; words++) {
                if (*n == WORDS_MAX - 1)
                        return false;
                argv[(*n)++] = *words;
        }
        return true;
}

static int open_log(struct oci_call *call)
{
        if (call->log_fd >= 0)
                close(call->log_fd);
        call->log_fd = memfd_create("runtime-log", MFD_CLOEXEC);
        return call->log_fd < 0 ? -errno : 0;
}

/* The runtime's errors go to a descriptor of their own: its other streams belong to the program, or outlive the
 * runtime. */
int oci_runtime_run(struct oci_call *call, const struct oci_command *command)
{
        const struct oci *oci = call->oci;
        char root[300];
        char log[32];
        char null[32];
        const char *argv[WORDS_MAX] = { oci->runtime.path, "--root", root, "--log", log };
        struct child_fd fds[FDS_MAX] = { { .as = LOG_FD } };
        AUTO(oci_cgroup_close) struct cgroup_fds cgroup = CGROUP_FDS_NONE;
        size_t n = 5;
        int r = open_log(call);

        if (r == 0 && oci->makes_cgroups && command->cgroup != NULL)
                r = oci_cgroup_open(command->cgroup, &cgroup);
        if (r < 0)
                return r;
        if (snprintf(root, sizeof root, "%s/" OCI_RUNTIME_ROOT, oci->state_dir) >= (int)sizeof root)
                return -ENAMETOOLONG;
        (void)snprintf(log, sizeof log, "/proc/self/fd/%d", LOG_FD);
        (void)snprintf(null, sizeof null, "/proc/self/fd/%d", oci->null_fd);
        if (oci->runtime.is_crun)
                argv[n++] = cgroup.n > 0 ? "--cgroup-manager=disabled" : "--cgroup-manager=cgroupfs";
        if (!append_words(argv, &n, oci->runtime.arguments) ||
            !append_words(argv, &n, (const char *const *)oci->runtime_args) ||
            !append_words(argv, &n, command->words) || command->n_fds >= FDS_MAX)
                return -E2BIG;
        fds[0].fd = call->log_fd;
        for (size_t i = 0; i < command->n_fds; i++)
                fds[i + 1] = command->fds[i];
        const struct child_plan plan = {
                .path = oci->runtime.program,
                .argv = argv,
                .envp = ENVIRONMENT,
                .fds = fds,
                .n_fds = command->n_fds + 1,
                .stdin_fd = command->stdin_fd,
                .null_path = null,
                .cgroup_fds = cgroup.fds,
                .n_cgroup_fds = cgroup.n,
                .freezer = cgroup.freezer.release_fd >= 0 ? &cgroup.freezer : NULL,
                .shares_cgroup = command->shares_cgroup,
                .mount_namespace_fd = oci->mount_namespace_fd,
                .prepare = command->root != NULL ? oci_root_prepare : NULL,
                .prepare_arg = command->root,
                .streams = command->has_streams ? CHILD_COLLECT : CHILD_DISCARD,
                .output_max = LOG_BYTES,
                .deadline_s = command->deadline_s,
                .dies_with_us = command->dies_with_us,
                .on_output = command->on_output,
                .done = command->done,
                .arg = call,
        };
        return child_start(&call->child, oci->loop, &plan);
}

/* ---- its error messages ---- */

void oci_runtime_complaint(const struct oci_call *call, char *ret_text, size_t size)
{
        ssize_t n = call->log_fd >= 0 ? pread(call->log_fd, ret_text, size - 1, 0) : 0;
        char *end;

        ret_text[n > 0 ? n : 0] = '\0';
        end = ret_text + strcspn(ret_text, "\n");
        *end = '\0';
        for (char *at = ret_text; at < end; at++)
                if ((unsigned char)*at < ' ')
                        *at = ' ';
}

static const struct {
        int err;
        const char *resource;
} RESOURCES[] = {
        { ENOSPC, "disk space (or cgroups, or namespaces)" },
        { EDQUOT, "disk space" },
        { ENOMEM, "memory" },
        { EAGAIN, "processes (pids)" },
        { EMFILE, "open files" },
        { ENFILE, "open files" },
};
enum { N_RESOURCES = sizeof RESOURCES / sizeof *RESOURCES };

void oci_runtime_blame(struct oci_call *call, const struct child_result *result, struct fault *ret_why)
{
        char text[160];

        oci_runtime_complaint(call, text, sizeof text);
        if (result->is_late) {
                (void)fault_set(ret_why, FAULT_DEADLINE, ETIMEDOUT, "cannot %s: %s did not end in time", call->what,
                                call->oci->runtime.name);
                return;
        }
        /* crun and runc report errors of the kernel with strerror's text, each with its own capitals. */
        for (size_t i = 0; i < N_RESOURCES; i++) {
                if (strcasestr(text, strerrordesc_np(RESOURCES[i].err)) == NULL)
                        continue;
                (void)fault_set(ret_why, FAULT_RESOURCE_EXHAUSTED, RESOURCES[i].err,
                                "cannot %s: the host is out of %s: %s", call->what, RESOURCES[i].resource, text);
                return;
        }
        (void)fault_set(ret_why, FAULT_ENGINE_REFUSED, EIO, "cannot %s: %s: %s", call->what, call->oci->runtime.name,
                        text[0] != '\0' ? text : "the runtime exited without an error message");
}

void oci_runtime_begun(struct oci_call *call, const char *program, int r)
{
        size_t i = 0;

        while (i < N_RESOURCES && RESOURCES[i].err != -r)
                i++;
        if (i < N_RESOURCES)
                (void)fault_set(&call->why, FAULT_RESOURCE_EXHAUSTED, -r,
                                "cannot %s: the host is out of %s: cannot run %s", call->what, RESOURCES[i].resource,
                                program);
        else if (r < 0)
                (void)fault_set(&call->why, FAULT_ENGINE_UNAVAILABLE, -r, "cannot %s: cannot run %s: %s", call->what,
                                program, strerrordesc_np(-r));
        if (call->child == NULL)
                oci_call_answer(call);
}
