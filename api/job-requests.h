/* POST exec with `detach` or `exec_id`: a job. */
#pragma once

#include "exchange.h"
#include "parse.h"

/* Takes body. request's Accept has been read into body->request.is_streaming. */
void job_begin_request(struct request *request, struct exec_body *body);
