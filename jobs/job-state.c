#include "jobs.h"

const char *job_state_name(enum job_state state)
{
        static const char *const NAMES[JOB_STATES] = { "waiting", "running", "ended", "failed" };

        return (unsigned)state < JOB_STATES ? NAMES[state] : "unknown";
}
