#include "failpoint.h"

#ifdef CARREL_FAILPOINTS

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool word_is(const char *word, size_t length, const char *expected)
{
        return strlen(expected) == length && memcmp(word, expected, length) == 0;
}

static enum failpoint_action perform(const char *action, size_t length)
{
        if (word_is(action, length, "hang"))
                return FAILPOINT_HANG;
        if (!word_is(action, length, "kill"))
                return FAILPOINT_ERROR;
        (void)kill(getpid(), SIGKILL);
        for (;;)
                (void)pause();
}

enum failpoint_action failpoint_hit(const char *flow, const char *step, const char *moment)
{
        const char *at = getenv("CARREL_FAILPOINT");
        char name[128];
        int name_length = snprintf(name, sizeof name, "%s.%s.%s:", flow, step, moment);

        if (at == NULL || name_length < 0 || (size_t)name_length >= sizeof name)
                return FAILPOINT_NONE;
        for (;;) {
                size_t length = strcspn(at, ",");

                if (length >= (size_t)name_length && memcmp(at, name, (size_t)name_length) == 0)
                        return perform(at + name_length, length - (size_t)name_length);
                if (at[length] == '\0')
                        return FAILPOINT_NONE;
                at += length + 1;
        }
}

#endif
