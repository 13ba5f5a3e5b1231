/* Whether the warm carrels that the settings ask for are there: judged by what carreld says. Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "doctor-findings.h"

/* CHECK_WARM, of the answer of GET /v1/info. Some that are missing are a failure only while they cannot
 * be made. */
void doctor_judge_warm(struct doctor_findings *findings, const cJSON *info);
