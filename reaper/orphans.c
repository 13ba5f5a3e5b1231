#include "orphans.h"

enum orphan_verdict orphans_judge(const struct survey_container *container, enum orphan_phase phase, bool is_adopting)
{
        switch (container->claim) {
        case CLAIM_OURS:
        case CLAIM_IN_FLOW:
                return ORPHAN_KEEP;
        case CLAIM_ADOPTABLE:
                if (phase == ORPHANS_AT_START && is_adopting && container->is_running)
                        return ORPHAN_ADOPT;
                return ORPHAN_REMOVE;
        case CLAIM_ORPHAN:
                return ORPHAN_REMOVE;
        }
        /* Leaves a container with an unknown claim alone. */
        return ORPHAN_KEEP;
}
