/* Decides about each container that the engine lists for this pool. Pure. */
#pragma once

#include <stdbool.h>

#include "pool.h"

enum orphan_phase {
        ORPHANS_AT_START, /* before the first ensure: an earlier carreld left every container */
        ORPHANS_SERVING
};

enum orphan_verdict { ORPHAN_KEEP, ORPHAN_REMOVE, ORPHAN_ADOPT };

/* Adopts only at the start. While serving, an orphan is left from an operation with an unknown outcome, and its user
 * may have got the answer that it is gone. */
enum orphan_verdict orphans_judge(const struct survey_container *container, enum orphan_phase phase, bool is_adopting);
