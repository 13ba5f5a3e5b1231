/* The findings of `carrel doctor`: one line a check, and how to fix a failure. */
#pragma once

#include <stdbool.h>

#include <cjson/cJSON.h>

enum doctor_check {
        CHECK_SOCKET,
        CHECK_READY,
        CHECK_ENGINE,
        CHECK_POLICY,
        CHECK_FLOWS,
        CHECK_DISKS,
        CHECK_RUNTIME,
        CHECK_WARM,
        CHECK_LXCFS,
        CHECK_PROFILES,
        CHECK_ENSURE,
        CHECK_USER,
        CHECK_CAPABILITIES,
        CHECK_NEW_PRIVILEGES,
        CHECK_SECCOMP,
        CHECK_INIT,
        CHECK_ROOT,
        CHECK_TMP,
        CHECK_WORKSPACE,
        CHECK_PIDS,
        CHECK_MEMORY,
        CHECK_COUNTS,
        CHECK_EGRESS_DENIED,
        CHECK_EGRESS_ALLOWED,
        CHECK_NAMES,
        CHECK_REMOVE,
        CHECKS
};

enum doctor_verdict { VERDICT_OK, VERDICT_FAIL, VERDICT_SKIP };

/* A JSON array of {check,result,detail} with a "mend" where the result is FAIL. */
struct doctor_findings {
        cJSON *array; /* owned by the caller */
        unsigned failures;
        bool has_failed_to_note; /* out of memory: the array is incomplete */
};

void doctor_note(struct doctor_findings *findings, enum doctor_check check, enum doctor_verdict verdict,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Notes SKIP for every check from `first` to `last`. */
void doctor_skip(struct doctor_findings *findings, enum doctor_check first, enum doctor_check last, const char *reason);
