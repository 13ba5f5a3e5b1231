/* Whether the files of lxcfs in carrels can be read: judged by what carreld says. Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "doctor-findings.h"

/* CHECK_LXCFS, of the answer of GET /v1/info. */
void doctor_judge_lxcfs(struct doctor_findings *findings, const cJSON *info);
