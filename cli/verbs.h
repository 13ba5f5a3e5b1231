/* The table of verbs. */
#pragma once

#include "verb.h"

/* Each is defined in its cmd-<verb>.c. */
extern const struct verb CMD_CP, CMD_DOCTOR, CMD_ENSURE, CMD_EVENTS, CMD_EXEC, CMD_HELP, CMD_IMAGE, CMD_INFO,
        CMD_INSPECT, CMD_FORK, CMD_FREEZE, CMD_KILL, CMD_LOGS, CMD_LS, CMD_POLICY, CMD_PS, CMD_REAP, CMD_RM, CMD_SHELL,
        CMD_SNAPSHOT, CMD_STATS, CMD_SWEEP, CMD_THAW, CMD_TOUCH, CMD_VERSION, CMD_WHY;

/* Alphabetical; ends with NULL. */
extern const struct verb *const VERBS[];

const struct verb *verb_find(const char *name); /* NULL: no such verb */

/* Reports that there is no such verb, and which one may be meant; the exit status. */
int verb_fail_unknown(const struct cli *cli, const char *name);

/* The help of one verb, and of carrel itself. */
void verb_print_help(const struct verb *verb, FILE *out);
void verbs_print_help(FILE *out);

/* The options every verb takes; the values are struct cli's. */
extern const struct option_spec COMMON_OPTIONS[];
