/* The probe inside a carrel, and judgements of its report. The scripts need /bin/sh in the image; the
 * judgements are pure. */
#pragma once

#include <stddef.h>

#include "doctor-findings.h"

/* Prints "Key: value" lines about the process, its mounts and its limits. */
extern const char DOCTOR_INSIDE_SCRIPT[];

/* Arguments: address, port. Tries to connect, with whatever the image has, first to a closed port of its own loopback
 * (the control: it must be refused), then to the address. Prints "Tool:", "Control:" and "Target:" lines. */
extern const char DOCTOR_EGRESS_SCRIPT[];

/* Argument: a name. Asks for its address, with whatever the image has. Prints "Tool:", and "Name:" with "resolved" and
 * the address, "unknown" (a resolver answered, but does not know it) or "silent" (none answered), and what was said. */
extern const char DOCTOR_NAMES_SCRIPT[];

/* The value of the last "key value" line of a report, without the spaces around it; "" without such a line. Returns
 * ret_value. */
const char *doctor_line(const char *report, const char *key, char *ret_value, size_t size);

/* CHECK_USER to CHECK_COUNTS. */
void doctor_judge_inside(struct doctor_findings *findings, const char *report);

/* target: as it is named in the findings; dropped: by how much the policy's counter rose meanwhile. */
void doctor_judge_denied(struct doctor_findings *findings, const char *target, const char *report, double dropped);
void doctor_judge_allowed(struct doctor_findings *findings, const char *target, const char *report);
/* resolvers: those that the carrel has been given. */
void doctor_judge_names(struct doctor_findings *findings, const char *name, const char *resolvers, const char *report);
