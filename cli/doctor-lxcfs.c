#include "doctor-lxcfs.h"

#include <string.h>

#include "view.h"

void doctor_judge_lxcfs(struct doctor_findings *findings, const cJSON *info)
{
        const char *state = view_text(info, "stats.lxcfs");
        bool is_required = strcmp(view_text(info, "settings.lxcfs"), "on") == 0;

        if (strcmp(state, "running") == 0)
                doctor_note(findings, CHECK_LXCFS, VERDICT_OK, "new carrels have its files in /proc");
        else if (strcmp(state, "ended") == 0)
                doctor_note(findings, CHECK_LXCFS, VERDICT_FAIL,
                            "it has ended: /proc/meminfo and the like cannot be read in carrels that have its files");
        else if (strcmp(state, "absent") == 0 && is_required)
                doctor_note(findings, CHECK_LXCFS, VERDICT_FAIL, "it does not run, and lxcfs = on requires it");
        else
                doctor_note(findings, CHECK_LXCFS, VERDICT_SKIP,
                            strcmp(state, "absent") == 0 ? "it does not run on this host" : "it is not used");
}
