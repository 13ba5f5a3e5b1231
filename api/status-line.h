/* The result of an exec for channel 3 of v5.channel.k8s.io: a metav1.Status of Kubernetes, with our own fields added.
 * NULL when out of memory. */
#pragma once

#include "exec.h"
#include "fault.h"

struct json;

struct json *status_line_result(const struct exec_result *result);
struct json *status_line_fault(const struct fault *why);
