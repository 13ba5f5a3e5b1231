/* Programs in a container by the runtime's own exec: the fallback where there is no agent inside. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci-engine.h"
#include "scope.h"
#include "str.h"

/* Descriptors of the runtime; 3 is its log (oci-runtime.c). */
enum { PROCESS_FD = 4, PID_FD = 5 };

struct exec_run {
        struct exec_events events;
        struct oci_call *call;
        char exec_id[ENGINE_ID_BYTES];
        int pid_fd; /* the runtime writes the program's pid here; -1: it has */
        ev_io on_pid;
        bool is_told; /* on_started was called */
        char pid_text[16];
        size_t pid_length;
        struct exec_status status;
};

static void close_pid(struct exec_run *run)
{
        if (run->pid_fd < 0)
                return;
        ev_io_stop(run->call->oci->loop, &run->on_pid);
        close(TAKE_FD(run->pid_fd));
}

static void run_free(struct oci_call *call)
{
        struct exec_run *run = call->extra;

        close_pid(run);
        free(run);
}

/* ---- while it runs ---- */

/* Reads what the runtime has written of the pid so far. The pipe is closed at its end. */
static void read_pid(struct exec_run *run)
{
        size_t room = sizeof run->pid_text - 1 - run->pid_length;
        uint64_t pid;
        ssize_t n = 1;

        while (run->pid_fd >= 0 && n > 0 && room > 0) {
                n = read(run->pid_fd, run->pid_text + run->pid_length, room);
                run->pid_length += n > 0 ? (size_t)n : 0;
                room -= n > 0 ? (size_t)n : 0;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR) && run->pid_length == 0)
                return;
        if (str_parse_u64(run->pid_text, 2, INT32_MAX, &pid) == 0)
                run->status.pid = (int)pid;
        close_pid(run);
}

/* Calls on_started once, before any output. The pid is usually known by then. False: the call was cancelled in it and
 * is gone. */
static bool tell_started(struct exec_run *run)
{
        struct oci_call *call = run->call;

        if (run->is_told)
                return true;
        run->is_told = true;
        oci_call_enter(call);
        if (run->events.on_started != NULL)
                run->events.on_started(call->arg, run->exec_id);
        return oci_call_leave(call);
}

static void on_pid_event(struct ev_loop *loop, ev_io *watcher, int events)
{
        struct exec_run *run = watcher->data;

        read_pid(run);
        if (run->status.pid != 0)
                (void)tell_started(run);
}

static void on_output(void *arg, int fd, const char *bytes, size_t length)
{
        struct oci_call *call = arg;
        struct exec_run *run = call->extra;

        /* A cancel inside ends the child, which then does not come back here; leave frees the call. */
        read_pid(run);
        if (!tell_started(run))
                return;
        oci_call_enter(call);
        if (run->events.on_output != NULL)
                run->events.on_output(call->arg, fd, bytes, length);
        (void)oci_call_leave(call);
}

/* ---- at the end ---- */

/* The runtime itself failed: its message becomes the program's stderr, as on other engines. */
static int exit_code_of_complaint(const char *text)
{
        static const char *const MISSING[] = { "not found", "No such file", "no such file" };
        static const char *const REFUSED[] = { "ermission denied", "peration not permitted", "s a directory",
                                               "xec format error" };

        for (size_t i = 0; i < sizeof MISSING / sizeof *MISSING; i++)
                if (strstr(text, MISSING[i]) != NULL)
                        return 127;
        for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
                if (strstr(text, REFUSED[i]) != NULL)
                        return 126;
        return -1;
}

static void settle(struct oci_call *call, const struct child_result *result, const char *complaint)
{
        struct exec_run *run = call->extra;
        int code = run->status.pid == 0 || complaint[0] != '\0' ? exit_code_of_complaint(complaint) : -1;

        run->status.is_running = false;
        if (WIFSIGNALED(result->wait_status))
                run->status.exit_code = 128 + WTERMSIG(result->wait_status);
        else if (complaint[0] == '\0' || run->status.pid != 0)
                run->status.exit_code = WEXITSTATUS(result->wait_status);
        else if (code > 0)
                run->status.exit_code = code;
        else
                (void)fault_set(&call->why, FAULT_ENGINE_REFUSED, EIO, "cannot run a program: %s: %s",
                                call->oci->runtime.name, complaint);
        call->reply.exec = &run->status;
}

static void on_over(void *arg, const struct child_result *result)
{
        struct oci_call *call = arg;
        struct exec_run *run = call->extra;
        char complaint[256];

        call->child = NULL;
        oci_runtime_complaint(call, complaint, sizeof complaint);
        read_pid(run);
        if (!tell_started(run))
                return;
        settle(call, result, complaint);
        if (complaint[0] != '\0' && call->why.kind == FAULT_NONE && run->status.exit_code >= 126) {
                oci_call_enter(call);
                if (run->events.on_output != NULL)
                        run->events.on_output(call->arg, STDERR_FILENO, complaint, strlen(complaint));
                if (!oci_call_leave(call))
                        return;
        }
        oci_call_answer_now(call);
}

/* ---- the start ---- */

static int memory_file(const char *name, const void *bytes, size_t length)
{
        AUTO(auto_close) int fd = memfd_create(name, MFD_CLOEXEC);
        const char *at = bytes;

        if (fd < 0)
                return -errno;
        while (length > 0) {
                ssize_t n = write(fd, at, length);

                if (n < 0 && errno != EINTR)
                        return -errno;
                at += n > 0 ? n : 0;
                length -= n > 0 ? (size_t)n : 0;
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int open_pid_pipe(struct exec_run *run, int *ret_writer)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        run->pid_fd = ends[0];
        *ret_writer = ends[1];
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        ev_io_init(&run->on_pid, on_pid_event, run->pid_fd, EV_READ);
        run->on_pid.data = run;
        ev_io_start(run->call->oci->loop, &run->on_pid);
        return 0;
}

static int launch(struct oci_call *call, const struct oci_container *container, const struct exec_command *command)
{
        struct exec_run *run = call->extra;
        AUTO(auto_free) char *process = oci_config_encode_exec(container, command);
        AUTO(auto_close) int process_fd = process != NULL ? memory_file("process", process, strlen(process)) : -ENOMEM;
        AUTO(auto_close) int input = -1;
        AUTO(auto_close) int writer = -1;
        int r = process_fd < 0 ? process_fd : open_pid_pipe(run, &writer);

        if (r == 0 && command->input_length > 0) {
                input = memory_file("input", command->input, command->input_length);
                r = input < 0 ? input : 0;
        }
        if (r < 0)
                return r;
        const char *const words[] = { "exec",       "--process",       "/proc/self/fd/4",
                                      "--pid-file", "/proc/self/fd/5", container->info.id,
                                      NULL };
        const struct child_fd fds[] = { { process_fd, PROCESS_FD }, { writer, PID_FD } };
        const struct oci_command runtime = {
                .words = words,
                .cgroup = container->cgroup,
                .shares_cgroup = true,
                .dies_with_us = true, /* in a frozen group it would keep copies of carreld's descriptors */
                .has_streams = true,
                .stdin_fd = input,
                .fds = fds,
                .n_fds = 2,
                .on_output = on_output,
                .done = on_over,
        };

        return oci_runtime_run(call, &runtime);
}

static int run_new(struct oci_call *call, const struct exec_events *events)
{
        struct exec_run *run = calloc(1, sizeof *run);

        if (run == NULL)
                return -ENOMEM;
        run->call = call;
        run->pid_fd = -1;
        run->status.is_running = true;
        if (events != NULL)
                run->events = *events;
        (void)snprintf(run->exec_id, sizeof run->exec_id, "oci-%d-%u", getpid(), ++call->oci->n_execs);
        call->extra = run;
        call->free_extra = run_free;
        return 0;
}

static int find_running(struct oci *oci, const char *id, struct oci_container **ret_container, struct fault *why)
{
        struct oci_container *container = oci_store_find(oci, id);

        if (oci->unavailable.kind != FAULT_NONE)
                return fault_pass(why, &oci->unavailable);
        if (container == NULL)
                return fault_set(why, FAULT_NOT_FOUND, ENOENT, "there is no container %s", id);
        if (container->info.status != CONTAINER_RUNNING)
                return fault_set(why, FAULT_ENGINE_REFUSED, ESRCH, "the container is not running");
        *ret_container = container;
        return 0;
}

int oci_exec(struct engine *engine, const char *id, const struct exec_command *command,
             const struct exec_events *events, engine_done done, void *arg, struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        struct oci_call *call;
        struct oci_container *container = NULL;
        int r;

        if (command->argv == NULL || command->argv[0] == NULL)
                return -EINVAL;
        r = oci_call_new(&call, oci, "run a program", done, arg);
        if (r < 0)
                return r;
        *ret_call = &call->base;
        if (find_running(oci, id, &container, &call->why) == 0) {
                r = run_new(call, events);
                if (r == 0)
                        r = launch(call, container, command);
        }
        oci_runtime_begun(call, oci->runtime.path, r);
        return 0;
}

int oci_exec_inspect(struct engine *engine, const char *engine_exec_id, engine_done done, void *arg,
                     struct engine_call **ret_call)
{
        struct oci *oci = (struct oci *)engine;
        const struct exec_run *found = NULL;
        struct oci_call *call;
        struct exec_status *status;
        int r;

        LIST_EACH (&oci->calls, at) {
                const struct oci_call *other = LIST_ENTRY(at, struct oci_call, node);
                const struct exec_run *run = other->free_extra == run_free ? other->extra : NULL;

                if (run != NULL && strcmp(run->exec_id, engine_exec_id) == 0)
                        found = run;
        }
        r = oci_call_new(&call, oci, "inspect a program", done, arg);
        if (r < 0)
                return r;
        *ret_call = &call->base;
        status = &call->exec;
        if (found != NULL) {
                *status = found->status;
                call->reply.exec = status;
        } else {
                (void)fault_set(&call->why, FAULT_NOT_FOUND, ENOENT, "there is no exec %s", engine_exec_id);
        }
        oci_call_answer(call);
        return 0;
}
