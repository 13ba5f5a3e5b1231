#include "doctor-warm.h"

#include "view.h"

void doctor_judge_warm(struct doctor_findings *findings, const cJSON *info)
{
        double wanted = view_number(info, "stats.warm.wanted", -1);
        double ready = view_number(info, "stats.warm.ready", 0);
        const char *detail = view_text(info, "stats.warm.detail");

        if (wanted < 0)
                doctor_note(findings, CHECK_WARM, VERDICT_SKIP, "carreld does not report it");
        else if (wanted == 0)
                doctor_note(findings, CHECK_WARM, VERDICT_SKIP, "the settings ask for none");
        else if (detail[0] != '\0')
                doctor_note(findings, CHECK_WARM, VERDICT_FAIL, "%.0f of %.0f are ready: %s", ready, wanted, detail);
        else
                doctor_note(findings, CHECK_WARM, VERDICT_OK, "%.0f of %.0f are ready%s", ready, wanted,
                            ready < wanted ? ", the rest is being made" : "");
}
