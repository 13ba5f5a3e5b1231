/* The runs of the agent. A run begins with START. It is over when its first process was reaped, carreld got EXITED, and
 * its pumps are empty. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent-run.h"

enum { CODE_NOT_STARTED = 126 };

/* ---- the list ---- */

struct run *run_find(const struct agent *agent, uint32_t number)
{
        struct run *run = agent->runs;

        while (run != NULL && (run->number != number || run->is_forgotten))
                run = run->next;
        return run;
}

static struct run *add(struct agent *agent, uint32_t number)
{
        struct run *run = agent->n_runs < AGENT_RUNS_MAX ? calloc(1, sizeof *run) : NULL;

        if (run == NULL)
                return NULL;
        run->number = number;
        run->terminal = -1;
        for (int i = 0; i < AGENT_STREAMS; i++)
                run->pumps[i] = (struct pump){ .from = -1, .to = -1, .is_done = true };
        run->next = agent->runs;
        agent->runs = run;
        agent->n_runs++;
        return run;
}

static void release(struct run *run)
{
        for (int i = 0; i < AGENT_STREAMS; i++)
                pump_close(&run->pumps[i]);
        if (run->terminal >= 0)
                close(run->terminal);
        free(run);
}

static bool is_pumped_out(const struct run *run)
{
        return run->pumps[AGENT_STREAM_OUT].is_done && run->pumps[AGENT_STREAM_ERR].is_done;
}

static bool is_over(const struct run *run)
{
        if (run->pid != 0)
                return false;
        return run->is_forgotten || (!run->has_failed && !run->has_ended && is_pumped_out(run));
}

/* ---- reports ---- */

static bool tell_failure(struct agent *agent, struct run *run)
{
        agent_write_failed(connection_packet(), run->number, &run->failed);
        run->has_failed = !connection_send(agent, connection_packet());
        return !run->has_failed;
}

static void tell(struct agent *agent, struct run *run)
{
        if (run->is_forgotten || (run->has_failed && !tell_failure(agent, run)) || !run->has_ended)
                return;
        if (run_owes(run))
                return;
        agent_write_exited(connection_packet(), run->number, &run->exited);
        run->has_ended = !connection_send(agent, connection_packet());
}

static void end(struct run *run, uint32_t is_signal, int value)
{
        run->exited.is_signal = is_signal;
        run->exited.value = (uint32_t)value;
        run->has_ended = true;
        pump_close(&run->pumps[AGENT_STREAM_IN]);
}

static void refuse(struct run *run, enum agent_stage stage, int error)
{
        run->failed = (struct agent_failed){ (uint32_t)stage, (uint32_t)error };
        run->has_failed = true;
        end(run, 0, CODE_NOT_STARTED);
}

static uint64_t in_us(struct timeval time)
{
        return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

/* ru_maxrss is in KiB (getrusage(2)). */
static struct agent_usage count(const struct rusage *usage)
{
        return (struct agent_usage){
                .user_us = in_us(usage->ru_utime),
                .system_us = in_us(usage->ru_stime),
                .peak_bytes = (uint64_t)usage->ru_maxrss * 1024,
        };
}

void runs_reaped(struct agent *agent, pid_t pid, int status, const struct rusage *usage)
{
        struct run *run = agent->runs;

        while (run != NULL && run->pid != pid)
                run = run->next;
        if (run == NULL)
                return;
        run->pid = 0;
        run->exited.has_usage = agent->version >= AGENT_VERSION_USAGE;
        run->exited.usage = count(usage);
        if (WIFSIGNALED(status))
                end(run, 1, WTERMSIG(status));
        else
                end(run, 0, WEXITSTATUS(status));
        for (unsigned stream = AGENT_STREAM_OUT; agent->is_framed && stream <= AGENT_STREAM_ERR; stream++)
                run_count_owed(run, stream);
}

void runs_settle(struct agent *agent)
{
        for (struct run **at = &agent->runs; *at != NULL;) {
                struct run *run = *at;

                tell(agent, run);
                if (!is_over(run)) {
                        at = &run->next;
                        continue;
                }
                *at = run->next;
                agent->n_runs--;
                release(run);
        }
}

bool runs_have_news(const struct agent *agent)
{
        for (const struct run *run = agent->runs; run != NULL; run = run->next) {
                if (run->is_forgotten)
                        continue;
                if (run->has_failed || (run->has_ended && !run_owes(run)) ||
                    (agent->is_framed && run_has_bytes_to_send(run)))
                        return true;
        }
        return false;
}

static void kill_run(const struct run *run, int signal)
{
        if (run->pid == 0)
                return;
        /* Signals its session, and the process itself in case it has not made one yet. It was not reaped yet, so the
         * pid is still its own. */
        kill(-run->pid, signal);
        kill(run->pid, signal);
}

void runs_kill(struct agent *agent)
{
        for (struct run *run = agent->runs; run != NULL; run = run->next) {
                kill_run(run, SIGKILL);
                for (int i = 0; i < AGENT_STREAMS; i++)
                        pump_close(&run->pumps[i]);
                run->is_forgotten = true;
        }
}

/* ---- the start ---- */

int runs_spec(struct agent *agent, uint32_t number, const void *chunk, size_t length)
{
        uint8_t *spec;

        if (number <= agent->last_number)
                return -EBADMSG;
        if (agent->spec == NULL || agent->spec_number != number) {
                free(agent->spec);
                agent->spec = NULL;
                agent->spec_length = 0;
                agent->spec_number = number;
        }
        if (length > AGENT_SPEC_MAX - agent->spec_length)
                return -EBADMSG;
        spec = realloc(agent->spec, agent->spec_length + length);
        if (spec == NULL)
                return -ENOMEM;
        memcpy(spec + agent->spec_length, chunk, length);
        agent->spec = spec;
        agent->spec_length += length;
        return 0;
}

/* Assigns the descriptors, in the order of the protocol. */
static void place_fds(struct child *child, const int *fds, size_t n_fds)
{
        size_t next = 0;

        if (child->flags & AGENT_START_JOIN)
                child->join = fds[next++];
        if (n_fds == next)
                return; /* framed */
        if (child->flags & AGENT_START_INPUT)
                child->in = fds[next++];
        child->out = fds[next++];
        if (next < n_fds)
                child->err = fds[next];
}

static void close_child_ends(const struct child *child)
{
        const int ends[] = { child->join, child->in, child->out, child->err };

        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
                if (ends[i] >= 0)
                        close(ends[i]);
}

static void launch(struct agent *agent, struct run *run, struct child *child, const struct agent_start *start)
{
        pid_t pid;

        if (!run_attach(agent, run, child, start)) {
                refuse(run, AGENT_STAGE_TTY, errno != 0 ? errno : ENOMEM);
                return;
        }
        pid = fork();
        if (pid == 0)
                child_run(child);
        if (pid < 0)
                refuse(run, AGENT_STAGE_FORK, errno);
        else
                run->pid = pid;
        agent->has_children |= pid > 0;
        if (pid > 0 && agent->is_framed) /* it also does this itself, but perhaps later than the first signal comes */
                (void)family_mark(agent, pid, run->number);
}

/* The whole spec, from the SPEC messages and the rest in START. NULL: the lengths do not match, or memory ran out. */
static uint8_t *complete_spec(struct agent *agent, uint32_t number, const struct agent_start *start, const void *chunk,
                              size_t length)
{
        uint8_t *spec;

        if (length > 0 && runs_spec(agent, number, chunk, length) < 0)
                return NULL;
        if (agent->spec == NULL || agent->spec_number != number || agent->spec_length != start->spec_length)
                return NULL;
        spec = agent->spec;
        agent->spec = NULL;
        return spec;
}

static int begin(struct agent *agent, struct child *child, const struct agent_start *start, uint8_t *bytes)
{
        static char *texts[AGENT_TEXTS_MAX + 2];
        struct agent_spec spec;
        struct run *run;

        if (agent_spec_read(bytes, start->spec_length, texts, AGENT_TEXTS_MAX + 2, &spec) < 0)
                return -EBADMSG;
        run = add(agent, child->number);
        if (run == NULL)
                return -ENOMEM;
        child->spec = &spec;
        child->environment = environment_merge(environ, &spec);
        launch(agent, run, child, start);
        return 0;
}

int runs_start(struct agent *agent, uint32_t number, const uint8_t *packet, int *fds, size_t n_fds)
{
        struct child child = {
                .agent = agent, .number = number, .join = -1, .in = -1, .out = -1, .err = -1, .terminal = -1
        };
        struct agent_start start = { 0 };
        const void *chunk = NULL;
        uint8_t *spec = NULL;
        size_t length = 0;
        int r = agent_read_start(packet, &start, &chunk, &length);

        if (r == 0 && (number <= agent->last_number || n_fds != agent_start_fds(start.flags, agent->is_framed)))
                r = -EBADMSG;
        if (r < 0) {
                for (size_t i = 0; i < n_fds; i++)
                        close(fds[i]);
                return r;
        }
        child.flags = start.flags;
        place_fds(&child, fds, n_fds);
        spec = complete_spec(agent, number, &start, chunk, length);
        agent->last_number = number;
        r = spec != NULL ? begin(agent, &child, &start, spec) : -EBADMSG;
        free(spec);
        close_child_ends(&child);
        return r;
}

int runs_keep(struct agent *agent, uint32_t number, const int *fds, size_t n_fds)
{
        bool is_fine = number <= agent->last_number && n_fds > 0 && !agent->is_framed;

        for (size_t i = 0; i < n_fds; i++)
                if (is_fine)
                        kept_add(agent, fds[i]);
                else
                        close(fds[i]);
        return is_fine ? 0 : -EBADMSG;
}

/* ---- orders for a run; it may have ended meanwhile, which is no error ---- */

/* GONE answers signal 0 and SIGKILL, which carreld repeats until GONE comes. */
static void signal_family(struct agent *agent, uint32_t number, int signal)
{
        unsigned living = family_signal(agent, number, signal);

        if (living > 0 || (signal != 0 && signal != SIGKILL))
                return;
        agent_write_gone(connection_packet(), number);
        (void)connection_send(agent, connection_packet());
}

int runs_signal(struct agent *agent, uint32_t number, int signal)
{
        const struct run *run = run_find(agent, number);

        if (agent->is_framed && number <= agent->last_number)
                signal_family(agent, number, signal);
        else if (run != NULL && signal != 0)
                kill_run(run, signal);
        return 0;
}
