/* Process 1 of every carrel: reaps orphans of the user's programs, and runs programs for carreld
 * (docs/exec-protocol.md).
 *
 * It is linked statically with musl, because it is bind-mounted into images that may have any libc or none. It runs
 * with the user's uid, so the user must not be able to reach into it: it is not dumpable (no ptrace, no /proc/1/mem, no
 * /proc/1/fd; prctl(2)), holds no descriptors except the log's and its connection to carreld, and takes no orders from
 * inside. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "files.h"

enum { EXIT_SETUP = 70, FIRST_FOREIGN_FD = 3, MOST_FDS_BY_HAND = 65536 };

static volatile sig_atomic_t has_child_news = 1; /* children may exist from before */
static volatile sig_atomic_t must_end;

/* An engine or a hook may have leaked descriptors into this process. Where close_range(2) is missing or filtered, they
 * are closed one by one, which takes gVisor two seconds. gVisor refuses a last descriptor beyond INT_MAX. */
static void close_foreign_fds(void)
{
        if (syscall(SYS_close_range, (unsigned)FIRST_FOREIGN_FD, (unsigned)INT_MAX, 0U) == 0)
                return;
        for (int fd = FIRST_FOREIGN_FD; fd < MOST_FDS_BY_HAND; fd++)
                close(fd);
}

/* No later descriptor may get the number of one of the first three. */
static bool has_standard_fds(void)
{
        for (int fd = 0; fd < FIRST_FOREIGN_FD; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
                        return false;
        return true;
}

static bool shut_in(void)
{
        umask(077);
        close_foreign_fds();
        /* The engine started us in /workspace, which we would keep busy. A subreaper reaps orphans even where the
         * runtime puts an init of its own before us. */
        return has_standard_fds() && chdir("/") == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
               prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

/* A sender outside our pid namespace has no pid in it, so the kernel reports 0 (pid_namespaces(7)). The user inside can
 * put a 0 into a queued signal, but not together with SI_USER (rt_sigqueueinfo(2)). */
static bool is_from_outside(const siginfo_t *info)
{
        return info->si_code == SI_USER && info->si_pid == 0;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
        (void)context;
        if (number == SIGCHLD)
                has_child_news = 1;
        else if (is_from_outside(info))
                must_end = 1;
}

/* The two signals are delivered only during ppoll(2), so that none is missed. All other signals keep their default
 * disposition: the kernel does not deliver those to process 1. */
static bool await_signals(sigset_t *ret_waiting)
{
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
        sigset_t all;

        sigfillset(&all);
        sigfillset(&action.sa_mask);
        sigfillset(ret_waiting);
        sigdelset(ret_waiting, SIGCHLD);
        sigdelset(ret_waiting, SIGTERM);
        return sigprocmask(SIG_SETMASK, &all, NULL) == 0 && sigaction(SIGCHLD, &action, NULL) == 0 &&
               sigaction(SIGTERM, &action, NULL) == 0;
}

static void reap_all(struct agent *agent)
{
        struct rusage usage;
        int status;
        pid_t pid;

        has_child_news = 0;
        do {
                pid = wait4(-1, &status, WNOHANG, &usage);
                if (pid > 0)
                        runs_reaped(agent, pid, status, &usage);
        } while (pid > 0);
        agent->has_children = pid == 0;
}

/* Lists the descriptors to wait for; the first is the connection. */
static size_t list_polls(const struct agent *agent, struct pollfd *polls)
{
        size_t count;

        polls[0] = (struct pollfd){ .fd = agent->connection, .events = POLLIN };
        if (runs_have_news(agent))
                polls[0].events |= POLLOUT;
        count = 1 + runs_poll(agent, polls + 1, AGENT_POLLS_MAX - 1);
        return count + kept_poll(agent, polls + count, AGENT_POLLS_MAX - count);
}

/* The longest wait: until the next try to connect, if there will be one. */
static const struct timespec *limit_wait(const struct agent *agent, struct timespec *wait)
{
        int64_t left_ms = agent->dial_at_ms - connection_now_ms();

        if (agent->connection >= 0 || agent->patience_ms < 0)
                return NULL;
        if (left_ms < 0)
                left_ms = 0;
        *wait = (struct timespec){ left_ms / 1000, left_ms % 1000 * 1000000L };
        return wait;
}

static void serve(struct agent *agent, const sigset_t *waiting)
{
        static struct pollfd polls[AGENT_POLLS_MAX];

        while (!must_end) {
                size_t count = list_polls(agent, polls);
                struct timespec wait;
                int ready = has_child_news ? 0 : ppoll(polls, count, limit_wait(agent, &wait), waiting);

                /* Not only after SIGCHLD: ppoll(2) delivers no signal while descriptors are ready, and a flood in the
                 * background keeps them ready for ever. */
                reap_all(agent);
                if (agent->connection < 0 && agent->patience_ms >= 0 && connection_now_ms() >= agent->dial_at_ms)
                        connection_dial(agent);
                else if (agent->connection >= 0 && ready > 0 && (polls[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
                        connection_receive(agent);
                runs_pump(agent);
                kept_drain(agent);
                runs_settle(agent);
        }
}

int main(int argc, char **argv)
{
        static struct agent agent = { .connection = -1 };
        sigset_t waiting;

        if (argc > 1 && strcmp(argv[1], "file") == 0 && getpid() != 1)
                return files_main(argc - 2, argv + 2);
        if (!await_signals(&waiting) || !shut_in())
                return EXIT_SETUP;
        connection_dial(&agent);
        serve(&agent, &waiting);
        return EXIT_SUCCESS;
}
