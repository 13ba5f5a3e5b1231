/* Failpoints of debug builds, for the fault tests. CARREL_FAILPOINT holds a comma-separated list of
 * NAME:ACTION, e.g. "ensure.create.after:kill". Flow steps have "<flow>.<step>.before", ".after" and ".undo";
 * actions are kill (SIGKILL to ourselves), error (the step fails), hang (the step never ends).
 * In release builds (without CARREL_FAILPOINTS) the environment is never read. */
#pragma once

enum failpoint_action { FAILPOINT_NONE, FAILPOINT_ERROR, FAILPOINT_HANG };

/* Looks name up; does not return for kill. */
enum failpoint_action failpoint_hit(const char *flow, const char *step, const char *moment);
