#include "measure.h"

#include "walk.h"

int measure_tree(int source_fd, struct progress *progress, struct fault *why)
{
        struct walk *walk = NULL;
        struct walk_step step = { .kind = WALK_END, .name = "" };
        int r = walk_new(&walk, source_fd);

        while (r == 0) {
                r = walk_next(walk, &step);
                if (r < 0 || step.kind == WALK_END)
                        break;
                if (step.kind != WALK_LEAVE && step.name[0] != '\0')
                        r = progress_count(progress, &step.status, why);
        }
        if (walk != NULL)
                progress->tally.changed = walk_changed(walk);
        (void)walk_free(walk);
        return r == 0 || why->kind != FAULT_NONE ? r : progress_fail("count the files", r, why);
}
