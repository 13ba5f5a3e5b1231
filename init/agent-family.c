/* The processes of a run, in containers with a kernel of their own, where no cgroup of carreld's holds them.
 *
 * A process has a mark: its hard limit of RLIMIT_FSIZE, exabytes above the size of any file. Every process that it
 * starts inherits the mark, whatever its session or parent. Any process of the same uid may read it (prlimit(2)).
 * Without a capability it can be lowered, but never raised again. Later runs have lower marks. So a process can pretend
 * to belong to a later run or to none; processes of no run are killed with the run that is killed next. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent.h"

static const rlim_t FIRST_MARK = (rlim_t)1 << 62;

enum { PASSES = 8 };

static rlim_t mark_of(const struct agent *agent, uint32_t number)
{
        return FIRST_MARK - agent->n_earlier - number;
}

bool family_mark(const struct agent *agent, pid_t pid, uint32_t number)
{
        const struct rlimit mark = { mark_of(agent, number), mark_of(agent, number) };

        return prlimit(pid, RLIMIT_FSIZE, &mark, NULL) == 0;
}

static bool is_member(const struct agent *agent, pid_t pid, uint32_t number, bool or_nobodys)
{
        struct rlimit mark;

        return prlimit(pid, RLIMIT_FSIZE, NULL, &mark) == 0 &&
               (mark.rlim_max == mark_of(agent, number) ||
                (or_nobodys && mark.rlim_max < mark_of(agent, agent->last_number)));
}

/* SIGCONT follows, because a stopped process would not act on the signal. */
static void send_signal(pid_t pid, int signal)
{
        if (signal == 0 || kill(pid, signal) != 0)
                return;
        if (signal != SIGKILL && signal != SIGSTOP && signal != SIGTSTP)
                kill(pid, SIGCONT);
}

static unsigned look(const struct agent *agent, DIR *processes, uint32_t number, int signal)
{
        const struct dirent *entry;
        unsigned count = 0;

        rewinddir(processes);
        while ((entry = readdir(processes)) != NULL) {
                pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

                if (pid <= 1 || !is_member(agent, pid, number, signal == 0 || signal == SIGKILL))
                        continue;
                count++;
                send_signal(pid, signal);
        }
        return count;
}

unsigned family_signal(const struct agent *agent, uint32_t number, int signal)
{
        DIR *processes = opendir("/proc");
        unsigned count = 1; /* a process that cannot be read may live */

        if (processes == NULL)
                return count;
        for (int i = 0; i < (signal == SIGKILL ? PASSES : 1) && count > 0; i++)
                count = look(agent, processes, number, signal);
        closedir(processes);
        return count;
}

void family_end_all(void)
{
        if (getpid() == 1) /* then -1 means the processes inside, and never those of the host */
                kill(-1, SIGKILL);
}
