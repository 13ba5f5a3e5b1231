#include "agent-slot.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "template.h"

int agent_slot_make(char ret_slot[static AGENT_SLOT_BYTES])
{
        uint8_t random[AGENT_SLOT_DIGITS / 2];

        if (getrandom(random, sizeof random, 0) < 0) /* so few bytes are never cut short */
                return -errno;
        for (size_t i = 0; i < sizeof random; i++)
                (void)snprintf(ret_slot + 2 * i, 3, "%02x", random[i]);
        return 0;
}

static bool is_slot(const char *text)
{
        return text != NULL && strnlen(text, AGENT_SLOT_DIGITS + 1) == AGENT_SLOT_DIGITS &&
               strspn(text, "0123456789abcdef") == AGENT_SLOT_DIGITS;
}

const char *agent_slot_of(const struct container_info *info)
{
        const char *slot = container_label(info, LABEL_SLOT);

        return is_slot(slot) ? slot : NULL;
}
