/* Decides about each container that the engine lists for this pool. Pure. */
#pragma once

#include <stdbool.h>

#include "pool.h"

enum orphan_phase {
        ORPHANS_AT_START, /* nobody is served yet: whatever runs was left by an earlier carreld */
        ORPHANS_SERVING
};

enum orphan_verdict { ORPHAN_KEEP, ORPHAN_REMOVE, ORPHAN_ADOPT };

/* Adoption is a matter of the start only. While serving, a container that nobody holds is the leftover of an
 * operation with an unknown outcome, and its user may have got the answer that it is gone. */
enum orphan_verdict orphans_judge(const struct survey_container *container, enum orphan_phase phase, bool is_adopting);
