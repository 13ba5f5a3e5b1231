/* Inside the pool room only. */
#pragma once

#include "inside.h"
#include "spec.h"

/* The template by which a running container of this pool was made: its labels and spec hash are what we would make
 * today, or what a carreld before us made of these settings. TEMPLATE_NONE: it is not to be adopted. */
enum template_version survey_adoptable(const struct pool *pool, const struct container_info *info,
                                       struct carrel_spec *ret_spec);
/* For the pool's end: the survey's callback never runs. */
void survey_cancel(struct pool *pool);
