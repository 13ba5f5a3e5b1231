#include "scripts.h"

#include <stdio.h>
#include <string.h>

#include "carreld.h"
#include "process.h"

static const char PRELUDE[] =
        "set -u; exec 2>&1; export CARREL_SOCKET=" CARREL_SOCKET "; export PATH=%s:$PATH; "
        "api() { curl -sS --unix-socket $CARREL_SOCKET \"$@\"; }; "
        "wait_end() { until api http://c/v1/execs/$1 | grep -q '\"state\":\"ended\"'; do sleep 0.05; done; }; "
        "d=$(mktemp -d /run/testbed/script.XXXXXX); cd $d; umask 022; ";

void scripts_run(const struct script *scripts, size_t n)
{
        static struct output output;
        char directory[512];
        char command[4096];

        (void)snprintf(directory, sizeof directory, "%s", built_program("cli/carrel"));
        *strrchr(directory, '/') = '\0';
        for (size_t i = 0; i < n; i++) {
                size_t length = (size_t)snprintf(command, sizeof command, PRELUDE, directory);

                (void)snprintf(command + length, sizeof command - length, "%s", scripts[i].text);
                RUN(&output, "sh", "-c", command);
                if (strcmp(output.text, scripts[i].expected) != 0)
                        fail_msg("%s: %s\n---- got\n%s\n---- expected\n%s", scripts[i].name, scripts[i].text,
                                 output.text, scripts[i].expected);
        }
}
