/* Inside the pool room only. */
#pragma once

#include "inside.h"

/* Whether a container of this pool runs, and its labels and spec hash are what we would make today. */
bool survey_is_adoptable(const struct pool *pool, const struct container_info *info, struct carrel_spec *ret_spec);
/* For the pool's end: the survey's callback never runs. */
void survey_cancel(struct pool *pool);
