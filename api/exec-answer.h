/* The answer of a buffered exec. */
#pragma once

#include "request.h"

struct exec_result;
struct job;

/* Answers with how a program ended, and its outputs. job: the job whose result it is, which request->work follows;
 * NULL: the result is valid for this call only. */
void answer_exec_result(struct request *request, const struct exec_result *result, const struct job *job);
