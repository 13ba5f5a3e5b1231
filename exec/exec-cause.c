#include "exec-cause.h"

#include <signal.h>

/* Engines and shells report a death by signal as 128 + its number. A program that exits with such a code looks the
 * same, unless an agent has seen its wait status. A shell exits with such a code, too, when its child was killed
 * because memory ran out. */
enum { SIGNAL_CODE_BASE = 128, SIGNAL_MAX = 64 };

static const char *const NAMES[EXEC_CAUSES] = {
        [EXEC_EXIT] = "exit", [EXEC_SIGNAL] = "signal",       [EXEC_TIMEOUT] = "timeout",         [EXEC_OOM] = "oom",
        [EXEC_PIDS] = "pids", [EXEC_CANCELLED] = "cancelled", [EXEC_CARREL_LOST] = "carrel_lost",
};

const char *exec_cause_name(enum exec_cause cause)
{
        return (unsigned)cause < EXEC_CAUSES ? NAMES[cause] : "unknown";
}

const char *exec_left_behind_name(enum exec_left_behind why)
{
        static const char *const LEFT_NAMES[LEFT_BEHINDS] = {
                [LEFT_UNKILLABLE] = "exec_unkillable",
                [LEFT_BROKE_PROTOCOL] = "agent_broke_protocol",
                [LEFT_AGENT_LOST] = "agent_lost",
        };

        return (unsigned)why < LEFT_BEHINDS ? LEFT_NAMES[why] : "unknown";
}

struct exec_end exec_decide_end(const struct exec_facts *facts)
{
        int signal = facts->exit_code - SIGNAL_CODE_BASE;
        bool is_signal = signal >= 1 && signal <= SIGNAL_MAX;

        if (facts->is_lost)
                return (struct exec_end){ facts->is_container_oom ? EXEC_OOM : EXEC_CARREL_LOST, EXEC_CODE_KILLED, 0 };
        if (facts->is_timed_out)
                return (struct exec_end){ EXEC_TIMEOUT, EXEC_CODE_TIMEOUT, 0 };
        if (facts->has_oom_risen && is_signal && signal == SIGKILL)
                return (struct exec_end){ EXEC_OOM, EXEC_CODE_KILLED, 0 };
        if (facts->has_pids_risen && facts->exit_code != 0)
                return (struct exec_end){ EXEC_PIDS, facts->exit_code, 0 };
        if (facts->is_exact ? facts->signal != 0 : is_signal)
                return (struct exec_end){ EXEC_SIGNAL, facts->exit_code, signal };
        return (struct exec_end){ EXEC_EXIT, facts->exit_code, 0 };
}
