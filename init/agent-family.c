/* The processes of a run if no cgroup of carreld's contains them, which is so on a kernel of the container's own.
 *
 * A process is identified by its hard limit of RLIMIT_FSIZE, exabytes above any file: it is inherited by all that it
 * starts, whatever session or parent those have, anybody of the same uid may read it (prlimit(2)), and without a
 * capability it can be lowered, but never be raised again. Later runs have lower marks: so a process can pass itself
 * off as a later run's or as nobody's, and nobody's are killed with whatever is killed next. */
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

/* SIGCONT, as a stopped process would keep the signal. */
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
        unsigned count = 1; /* what cannot be looked at may live */

        if (processes == NULL)
                return count;
        for (int i = 0; i < (signal == SIGKILL ? PASSES : 1) && count > 0; i++)
                count = look(agent, processes, number, signal);
        closedir(processes);
        return count;
}

void family_end_all(void)
{
        if (getpid() == 1) /* then -1 is what is inside, and never the host */
                kill(-1, SIGKILL);
}
