/* POST exec with `detach` or `exec_id`: a job. */
#pragma once

#include "parse.h"
#include "request.h"

/* Takes body. request's Accept has been read into body->request.is_streaming. */
void job_begin_request(struct request *request, struct exec_body *body);
