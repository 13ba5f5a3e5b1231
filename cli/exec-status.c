#include "exec-status.h"

#include <stddef.h>

#include "str.h"

enum { STATUS_OF_PROGRAM = -1, STATUS_OF_SIGNAL = -2, STATUS_KILLED = 137, STATUS_TIMEOUT = 124, STATUS_UNKNOWN = 125 };

static const struct {
        const char *cause;
        int status;
        const char *sentence;
} CAUSES[] = {
        { "cancelled", STATUS_KILLED, "the program was cancelled" },
        { "carrel_lost", STATUS_KILLED, "the carrel was removed while the program ran" },
        { "exit", STATUS_OF_PROGRAM, NULL },
        { "oom", STATUS_KILLED, "the program was killed: the carrel ran out of memory" },
        { "pids", STATUS_KILLED, "the program was killed: the carrel reached its limit of processes" },
        { "signal", STATUS_OF_SIGNAL, NULL },
        { "timeout", STATUS_TIMEOUT, "the program was killed: it reached its timeout" },
};

int exec_status(const char *cause, int exit_code, int signal)
{
        for (size_t i = 0; i < sizeof CAUSES / sizeof *CAUSES; i++) {
                if (!str_equal(CAUSES[i].cause, cause))
                        continue;
                if (CAUSES[i].status == STATUS_OF_PROGRAM)
                        return exit_code & 0xFF;
                return CAUSES[i].status == STATUS_OF_SIGNAL ? (128 + signal) & 0xFF : CAUSES[i].status;
        }
        return STATUS_UNKNOWN;
}

const char *exec_cause_sentence(const char *cause)
{
        for (size_t i = 0; i < sizeof CAUSES / sizeof *CAUSES; i++)
                if (str_equal(CAUSES[i].cause, cause))
                        return CAUSES[i].sentence;
        return "carreld reported a cause that this carrel does not know";
}
