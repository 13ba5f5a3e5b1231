/* The tables of rules for the end of an exec, in one form for both backends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rule {
        unsigned states; /* bits */
        unsigned event;
        bool has_guard;
        unsigned next; /* `same`: it does not change */
};

enum { RULES_MAX = 64 };

struct rules {
        const char *name;
        struct rule list[RULES_MAX];
        size_t count;
        unsigned running, over, same;    /* states; those before `over` are all but it */
        unsigned always_handled, timers; /* events, as bits; timers with the events that actions cause */
};

void agent_rules(struct rules *ret_rules);
void engine_rules(struct rules *ret_rules);
