/* Compares the engine's list of containers with the carrels. */
#pragma once

#include "pool-inside.h"
#include "spec.h"

/* The template that made a running container of this pool, if its labels and spec hash are what we would make today, or
 * what an earlier carreld made of these settings. TEMPLATE_NONE: it must not be adopted. */
enum template_version survey_adoptable(const struct pool *pool, const struct container_info *info,
                                       struct carrel_spec *ret_spec);
/* Cancels the survey without a callback, for the pool's end. */
void survey_cancel(struct pool *pool);
