/* Inside the engine room only: what every implementation's call begins with. */
#pragma once

#include "engine.h"

struct engine_call {
        void (*cancel)(struct engine_call *call);                /* frees it; its done never runs */
        void (*pause)(struct engine_call *call, bool is_paused); /* NULL: has no output */
};
