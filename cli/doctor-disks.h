/* Whether the disks that users and uploads share have room, and the records are on none: judged by what carreld says.
 * Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "doctor-findings.h"

/* CHECK_DISKS, of the answer of GET /v1/info. */
void doctor_judge_disks(struct doctor_findings *findings, const cJSON *info);
/* CHECK_RUNTIME, of the same answer. */
void doctor_judge_runtime(struct doctor_findings *findings, const cJSON *info);
