/* Carrels on gVisor (runsc), whose programs have a kernel of their own: the agent calls home through it, runs programs
 * in framed mode, and kills them without a cgroup of the host's; where it cannot call home the runtime's exec serves.
 * Each case is a script; what it prints is what is expected. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scripts.h"
#include "suite.h"

#define ON_GVISOR "CARREL_RUNTIME=runsc", "CARREL_POLICY=none", "CARREL_USERNS=off", "CARREL_PIDS=1024"

static const char *const SETTINGS[] = { ON_GVISOR, "CARREL_STARTUP=adopt", NULL };

static bool is_embedded(void)
{
        return strcmp(engine_kind(), "oci") == 0;
}

static void the_agent_runs_programs(void **state)
{
        static const struct script SCRIPTS[] = {
                { "the agent has called home, on a kernel that is not the host's",
                  "carrel ensure -q ada > /dev/null; carrel -o json inspect ada | grep -o '\"exec\":\"[a-z]*\"'; "
                  "carrel exec ada -- cat /proc/version > v; cmp -s v /proc/version || cut -d ' ' -f 1,2 v",
                  "\"exec\":\"agent\"\nLinux version\n" },
                { "exit codes",
                  "for i in 0 1 255; do carrel exec ada -- sh -c \"exit $i\"; echo $?; done; "
                  "carrel exec ada -- sh -c 'kill -9 $$'; echo $?; carrel exec ada -- /no/such; echo $?",
                  "0\n1\n255\n137\ncarrel: cannot execute: /no/such: No such file or directory\n127\n" },
                { "10 MiB of output, whole, whatever it is",
                  "carrel exec ada -- sh -c 'head -c 10485760 /dev/urandom > r; cat r; md5sum < r >&2' > out 2> sum; "
                  "md5sum < out | cmp - sum && wc -c < out",
                  "10485760\n" },
                { "input there and back",
                  "seq 1 300000 > in; carrel exec -i ada -- cat < in > out; cmp in out && echo same; "
                  "head -c 3000000 /dev/zero | carrel exec -i ada -- true; echo $?",
                  "same\n0\n" },
                { "a background child lives on",
                  "carrel exec ada -- sh -c 'sleep 4711 & echo whole'; "
                  "carrel exec ada -- sh -c 'ps -o args | grep -c \"^sleep 4711\"'",
                  "whole\n1\n" },
                { "a background that floods: nobody reads it any more, and it is not broken",
                  "carrel exec ada -- sh -c 'yes & echo $! > pid; exit 3' > out; echo $?; "
                  "carrel exec ada -- sh -c 'kill -0 $(cat pid) && echo lives; kill -9 $(cat pid); "
                  "while kill -0 $(cat pid) 2>/dev/null; do sleep 0.1; done; echo gone'",
                  "3\nlives\ngone\n" },
                { "a reader that leaves",
                  "carrel exec -i ada -- yes < /dev/null | head -n 1; "
                  "until ! carrel ps ada | grep -q yes; do sleep 0.05; done; "
                  "carrel exec ada -- sh -c 'ps -o args | grep -c \"^yes\"'",
                  "y\n0\n" },
                { "files",
                  "head -c 1000000 /dev/urandom > f; carrel cp f ada:f && carrel cp ada:f g && cmp f g && echo same",
                  "same\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void nothing_outlives_its_deadline(void **state)
{
        static const struct script SCRIPTS[] = {
                { "what is left of an earlier exec is no part of it, as a control",
                  "carrel exec ada -- sh -c '(setsid sleep 4712 &)'; "
                  "carrel exec ada -- sh -c 'ps -o args | grep -c \"^sleep 4712\"'",
                  "1\n" },
                { "a child that forked twice, in a session of its own, deaf to TERM",
                  "carrel exec --timeout 1 ada -- sh -c '(setsid sh -c \"trap : TERM; while :; do sleep 1; done\" 2> "
                  "/dev/null &); "
                  "(trap \"\" TERM; setsid sleep 4713 &); exec sleep 1000'; echo $?; "
                  "carrel exec ada -- sh -c 'ps -o args | grep -cE \"^(sleep 4713|sh -c trap)\"; "
                  "ps -o args | grep -c \"^sleep 4712\"'",
                  "carrel: the program was killed: it reached its timeout (timeout)\n124\n0\n1\n" },
                { "one that tries to pass for nobody's",
                  "carrel exec --timeout 1 ada -- sh -c '(ulimit -f 4242; setsid sleep 4714 &); exec sleep 1000'; echo "
                  "$?; "
                  "carrel exec ada -- sh -c 'ps -o args | grep -c \"^sleep 4714\"'",
                  "carrel: the program was killed: it reached its timeout (timeout)\n124\n0\n" },
                { "a signal of the user's",
                  "carrel exec --detach --id gv-1 ada -- sh -c 'trap \"echo caught; exit 5\" USR1; echo ready; while "
                  ":; "
                  "do sleep 0.1; done 2> /dev/null'; until carrel logs gv-1 | grep -q ready; do sleep 0.05; done; "
                  "carrel kill -q -s USR1 gv-1; wait_end gv-1; carrel logs gv-1 | tail -n 1; "
                  "api http://c/v1/execs/gv-1 | grep -o '\"exit_code\":5'",
                  "gv-1\ncaught\n\"exit_code\":5\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void a_terminal(void **state)
{
        static const struct script SCRIPTS[] = {
                { "size, its own session, exit code",
                  "mkfifo keys; sleep 60 > keys & script -qec 'stty rows 31 cols 97; carrel exec -it ada -- sh -c "
                  "\"stty size; tty; "
                  "exit 9\"; echo rc-$?' /dev/null < keys | tr -d '\\r'; kill $!",
                  "31 97\n/dev/pts/0\nrc-9\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

/* The agent finds the next carreld, which knows it by what the first one gave it, and lets nothing of before run on. */
static void the_agent_comes_back(void **state)
{
        static const struct script BEFORE[] = {
                { "it runs",
                  "carrel -o json inspect ada | grep -o '\"generation\":[0-9]*' > " CARREL_RUNTIME "/before; "
                  "carrel exec --detach --id gv-2 ada -- sh -c '(setsid sleep 4715 &); sleep 4716'; "
                  "until carrel exec ada -- sh -c 'ps -o args | grep \"^sleep 471[56]\"' | grep -c . | grep -q 2; do "
                  "sleep 0.1; done",
                  "gv-2\n" },
        };
        static const struct script AFTER[] = {
                { "the same container, and the agent's",
                  "carrel -o json inspect ada | grep -o '\"generation\":[0-9]*' | cmp - " CARREL_RUNTIME "/before; "
                  "carrel -o json inspect ada | grep -o '\"exec\":\"[a-z]*\"'",
                  "\"exec\":\"agent\"\n" },
                { "nothing of before", "carrel exec ada -- sh -c 'ps -o args | grep -c \"^sleep 471[56]\"'", "0\n" },
        };

        RUN_SCRIPTS(BEFORE);
        (void)kill(carreld_pid(carreld), SIGKILL);
        suite_restart(SETTINGS);
        RUN_SCRIPTS(AFTER);
}

static void what_is_promised_holds_inside(void **state)
{
        static const struct script EMBEDDED[] = {
                { "info says what is trusted",
                  "carrel info | grep -o 'each carrel has a kernel of its own, which is trusted for what runs "
                  "inside'",
                  "each carrel has a kernel of its own, which is trusted for what runs inside\n" },
        };
        static const struct script SCRIPTS[] = {
                { "no capability, one user, the filter, a read-only root",
                  "carrel exec ada -- sh -c 'grep -E \"^(Cap(Prm|Eff|Bnd)|Seccomp|Uid):\" /proc/self/status | tr -s "
                  "\"\\t\" "
                  "\" \"; touch /x 2>/dev/null || echo read-only; touch /tmp/x /workspace/x && echo writable'",
                  "Uid: 1000 1000 1000 1000\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\n"
                  "CapBnd: 0000000000000000\nSeccomp: 2\nread-only\nwritable\n" },
                { "no network can be had", "carrel ensure --policy internet eve; echo $?",
                  "carrel: a runtime with a kernel of its own sets its network up at the start, before carreld can "
                  "plug one: only policy none is possible (policy_not_in_force)\ncarrel: see `carrel policy`\n1\n" },
                { "the doctor agrees, and knows what it cannot know",
                  "carrel doctor > d; grep -c FAIL d; grep -o 'the runtime.s own kernel does not report it' d",
                  "0\nthe runtime's own kernel does not report it\n" },
                { "no interface but loopback", "carrel exec ada -- sh -c 'ls /sys/class/net; wc -l < /proc/net/route'",
                  "lo\n1\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
        if (is_embedded())
                RUN_SCRIPTS(EMBEDDED);
}

/* The runtime does not let the agent call home. */
static void the_runtimes_exec_serves_where_no_agent_calls(void **state)
{
        static const struct script SCRIPTS[] = {
                { "chosen automatically, and reported",
                  "carrel ensure -q bob > /dev/null; carrel -o json inspect bob | grep -o '\"exec\":\"[a-z]*\"'; "
                  "carrel exec bob -- sh -c 'echo out; echo err >&2; exit 4' 2> err; echo $?; cat err",
                  "\"exec\":\"engine\"\nout\n4\nerr\n" },
        };

        (void)state;
        if (!is_embedded())
                return; /* runtime_args are the embedded engine's */
        suite_end();
        SUITE_START(ON_GVISOR, "CARREL_STARTUP=adopt", "CARREL_RUNTIME_ARGS=--host-uds=none");
        RUN_SCRIPTS(SCRIPTS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_agent_runs_programs),
                cmocka_unit_test(nothing_outlives_its_deadline),
                cmocka_unit_test(a_terminal),
                cmocka_unit_test(the_agent_comes_back),
                cmocka_unit_test(what_is_promised_holds_inside),
                cmocka_unit_test(the_runtimes_exec_serves_where_no_agent_calls),
        };

        return suite_run(&(struct suite){
                .name = "gvisor",
                .kind = SUITE_CARRELD,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
