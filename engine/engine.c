#include "engine.h"

#include <stdlib.h>
#include <string.h>

const char *container_label(const struct container_info *info, const char *key)
{
        for (size_t i = 0; i < info->n_labels; i++)
                if (strcmp(info->labels[i].key, key) == 0)
                        return info->labels[i].value;
        return NULL;
}

struct engine_call *engine_cancel(struct engine_call *call)
{
        if (call != NULL)
                call->cancel(call);
        return NULL;
}

void engine_pause_output(struct engine_call *call, bool is_paused)
{
        if (call->pause != NULL)
                call->pause(call, is_paused);
}
