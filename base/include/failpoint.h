/* Failpoints of debug builds, for the fault tests. CARREL_FAILPOINT holds a comma-separated list of
 * NAME:ACTION, e.g. "ensure.create.after:kill". Flow steps have "<flow>.<step>.before", ".after" and ".undo";
 * actions are kill (SIGKILL to ourselves), error (the step fails), hang (the step never ends). An unknown action
 * counts as error, so that a mistyped fault test cannot pass.
 * In release builds (without CARREL_FAILPOINTS) the environment is never read. */
#pragma once

enum failpoint_action { FAILPOINT_NONE, FAILPOINT_ERROR, FAILPOINT_HANG };

#ifdef CARREL_FAILPOINTS
/* Looks up the name "<flow>.<step>.<moment>". Does not return for kill. */
enum failpoint_action failpoint_hit(const char *flow, const char *step, const char *moment);
#else
static inline enum failpoint_action failpoint_hit(const char *flow, const char *step, const char *moment)
{
        return FAILPOINT_NONE;
}
#endif
