/* Execs that outlive their request, stdin while they run, files in and out: at the command line, as a backend's shell
 * would, against a real carreld and a real engine. Each case is a script; what it prints is what is expected. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scripts.h"
#include "suite.h"

static const char *const SETTINGS[] = { "CARREL_EXEC_RING_SIZE=64k", "CARREL_FILE_MAX_SIZE=8m", "CARREL_STARTUP=adopt",
                                        NULL };

static void execs_are_found_again(void **state)
{
        static const struct script SCRIPTS[] = {
                { "an id at once, its output later",
                  "carrel exec --detach --id find-1 ada -- sh -c 'echo one; sleep 0.2; echo two; exit 3'; "
                  "carrel logs -f find-1; api http://c/v1/execs/find-1 | grep -o '\"exit_code\":3'",
                  "find-1\none\ntwo\n\"exit_code\":3\n" },
                { "a retry is the same exec",
                  "for i in 1 2 3; do carrel exec --detach --id find-2 ada -- sh -c 'echo x >> /workspace/count'; "
                  "done; "
                  "wait_end find-2; carrel exec ada -- cat /workspace/count",
                  "find-2\nfind-2\nfind-2\nx\n" },
                { "another request with its id is not", "carrel exec --detach --id find-2 ada -- true; echo $?",
                  "carrel: the exec id find-2 is that of another request: choose another (exec_id_taken)\n125\n" },
                { "it goes on after what was read",
                  "carrel exec --detach --id find-3 ada -- sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.1; done'; "
                  "wait_end find-3; carrel -o json logs find-3 | sed -n 's/.*\"stdout\",\"seq\":\\([0-9]*\\).*/\\1/p' "
                  "> s; "
                  "carrel logs --after $(head -n 1 s) find-3 | tail -n 1; carrel logs find-3 | head -n 1",
                  "find-3\n5\n1\n" },
                { "history is bounded",
                  "carrel exec --detach --id find-4 ada -- sh -c 'seq 1 40000'; wait_end find-4; "
                  "api -o /dev/null -w '%{http_code}\\n' 'http://c/v1/execs/find-4/output?after=0'; "
                  "carrel logs find-4 | tail -n 1",
                  "find-4\n410\n40000\n" },
                { "a signal ends it",
                  "carrel exec --detach --id find-5 ada -- sleep 1000; "
                  "until carrel ps -q ada | grep -q find-5; do sleep 0.05; done; "
                  "until carrel kill -q -s KILL find-5 2>/dev/null; do sleep 0.05; done; wait_end find-5; "
                  "api http://c/v1/execs/find-5 | grep -o '\"cause\":\"signal\"'",
                  "find-5\n\"cause\":\"signal\"\n" },
                { "a deadline ends it",
                  "carrel exec --detach --id find-6 --timeout 0.3 ada -- sleep 1000; wait_end find-6; "
                  "carrel logs -f find-6",
                  "find-6\ncarrel: the program was killed: it reached its timeout (timeout)\n" },
                { "bytes that are no text",
                  "carrel exec --detach --id find-7 ada -- printf '\\377\\0x'; wait_end find-7; "
                  "carrel -o json logs find-7 | grep -o '\"encoding\":\"base64\"'; carrel logs find-7 | od -An -tx1",
                  "find-7\n\"encoding\":\"base64\"\n ff 00 78\n" },
                { "finished ones are listed",
                  "carrel ps -a ada | awk '$1 == \"find-1\" { print $3, $4, $5, $10 }'; "
                  "carrel ps --state ended -q ada | grep -cx 'find-[1-7]'",
                  "ended exit 3 sh\n7\n" },
                { "what is not kept", "carrel logs nobody; echo $?",
                  "carrel: there is no such exec, or it has ended and is not kept (not_found)\n"
                  "carrel: `carrel ls` and `carrel ps` list carrels and programs\n1\n" },
                { "what cannot be run",
                  "carrel exec --detach --id find-8 ada -- /no/such; wait_end find-8; "
                  "api http://c/v1/execs/find-8 | grep -o '\"exit_code\":127'",
                  "find-8\n\"exit_code\":127\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void output_and_signals_pass(void **state)
{
        static const struct script SCRIPTS[] = {
                { "output of any length and kind, and the exit status",
                  "{ carrel exec -n ada -- sh -c 'head -c 30000000 /dev/zero; echo end >&2; exit 5'; echo $? > s; } "
                  "2> e | tr -d '\\0' | wc -c; cat e s",
                  "0\nend\n5\n" },
                { "no byte is lost or changed",
                  "carrel exec -n ada -- seq 1 2000000 > out; seq 1 2000000 | cmp - out && echo same", "same\n" },
                { "a signal goes to the program",
                  "carrel exec -n ada -- sh -c 'trap \"echo caught; exit 4\" TERM; echo ready; "
                  "while :; do sleep 0.1; done' > o 2>/dev/null & p=$!; until grep -qs ready o; do sleep 0.05; done; "
                  "kill -TERM $p; "
                  "wait $p; echo $?; cat o",
                  "4\nready\ncaught\n" },
                { "a reader that leaves ends it", "carrel exec -n ada -- yes | head -n 1; echo done", "y\ndone\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void streams_are_opened_again(void **state)
{
        static const struct script SCRIPTS[] = {
                { "by their names in /dev",
                  "carrel exec -n ada -- sh -c 'echo a >/dev/stdout; echo b >/dev/stderr; echo c | tee /dev/stderr' "
                  ">o 2>e; cat o; echo; cat e; echo in | carrel exec -i ada -- cat /dev/stdin",
                  "a\nc\n\nb\nc\nin\n" },
                { "each in its own direction",
                  "carrel exec -i ada -- sh -c 'for s in \"</proc/self/fd/1\" \"<>/proc/self/fd/1\" "
                  "\">/proc/self/fd/0\"; do eval \"(: $s) 2>/dev/null\" && echo opened || echo refused; done; "
                  "chmod 666 /proc/self/fd/1 2>/dev/null || echo refused' </dev/null",
                  "refused\nrefused\nrefused\nrefused\n" },
                { "read by no other exec",
                  "carrel exec -d --id other ada -- sh -c 'echo $$ >/workspace/pid; exec sleep 1000' >/dev/null; "
                  "until p=$(carrel exec -n ada -- cat pid 2>/dev/null) && test -n \"$p\"; do sleep 0.05; done; "
                  "carrel exec -n ada -- sh -c \"kill -0 $p && echo there; (cat </proc/$p/fd/1) 2>/dev/null || "
                  "echo refused\"; carrel kill -q -s KILL other",
                  "there\nrefused\n" },
                { "and none of the agent's", "carrel exec -n ada -- sh -c 'ls /proc/1/fd 2>/dev/null || echo refused'",
                  "refused\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void the_background_keeps_its_streams(void **state)
{
        static const struct script SCRIPTS[] = {
                { "what it writes soon is output", "carrel exec -n ada -- sh -c '(sleep 0.6; echo late) & echo now'",
                  "now\nlate\n" },
                { "for as long as is asked for, in each form",
                  "for f in 'exec -n' 'exec -i' '-o json exec -n'; do carrel $f --drain 60 ada -- "
                  "sh -c '(sleep 2.5; echo late) & echo now' </dev/null | grep -oE 'late|streams_open\":[a-z]*'; done",
                  "late\nlate\nlate\nstreams_open\":false\n" },
                { "what is not waited for is said",
                  "body='{\"argv\":[\"sh\",\"-c\",\"sleep 1000 & echo now\"],\"drain_s\":0}'; "
                  "for a in application/json application/x-ndjson application/vnd.docker.multiplexed-stream; do "
                  "api -H \"Accept: $a\" -d \"$body\" http://c/v1/carrels/ada/exec | "
                  "grep -aoE 'now|streams_open\":[a-z]*'; done; "
                  "api -d '{\"argv\":[\"true\"],\"drain_s\":-1}' http://c/v1/carrels/ada/exec | grep -o "
                  "'drain_s.*86400'",
                  "streams_open\":true\nnow\nnow\nstreams_open\":true\nnow\nstreams_open\":true\n"
                  "drain_s must be a number from 0 to 86400\n" },
                { "a program that writes after the answer is not broken",
                  "carrel exec -n --drain 0 ada -- sh -c '(echo begun >life; n=0; while echo x; do n=$((n+1)); echo $n "
                  ">life; sleep 0.05; done; echo broken >life) & (yes; echo gone >yes) & (cat /dev/zero >&2; echo gone "
                  ">yes) &' >/dev/null 2>&1; "
                  "until n=$(carrel exec -n ada -- cat life 2>/dev/null); test \"$n\" = broken || test \"${n:-0}\" -gt "
                  "20 "
                  "2>/dev/null; do sleep 0.05; done; test \"$n\" -gt 20 && echo lives; carrel exec -n ada -- sh -c "
                  "'test -e yes || pidof yes >/dev/null && echo lives'; carrel rm -q ada",
                  "lives\nlives\n" },
                { "a detached one gets the output of its background",
                  "carrel exec -d --id bg-1 --drain 60 ada -- sh -c '(sleep 0.5; echo late) & echo now'; "
                  "carrel logs -f bg-1; carrel exec -d --id bg-2 --drain 60 ada -- sh -c 'sleep 1000 & echo now'; "
                  "until carrel logs bg-2 | grep -q now; do sleep 0.05; done; carrel kill -q bg-2; wait_end bg-2; "
                  "api http://c/v1/execs/bg-2 | grep -oE 'streams_open\":[a-z]*'",
                  "bg-1\nnow\nlate\nbg-2\nstreams_open\":false\n" },
                { "a working directory that is missing is named", "carrel exec -n -w /not/there ada -- true; echo $?",
                  "carrel: cannot enter the working directory: /not/there: No such file or directory\n126\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void stdin_streams(void **state)
{
        static const struct script SCRIPTS[] = {
                { "of any length", "head -c 30000000 /dev/zero | carrel exec -i ada -- wc -c", "30000000\n" },
                { "there and back", "seq 1 200000 > in; carrel exec -i ada -- cat < in > out; cmp in out && echo same",
                  "same\n" },
                { "as it comes",
                  "mkfifo f; carrel exec -i ada -- sh -c 'read a; echo got $a; read b; echo got $b' < f > o & "
                  "exec 3> f; echo one >&3; until grep -qs one o; do sleep 0.05; done; echo two >&3; "
                  "wait $!; cat o",
                  "got one\ngot two\n" },
                { "with more arguments than a query holds",
                  "carrel exec -i ada -- sh -c 'echo $#; cat' sh $(seq 5000) < /dev/null; "
                  "echo in | carrel exec -i ada -- sh -c 'echo $#; cat' sh $(seq 100000 107000); "
                  "carrel exec -n ada -- sh -c 'echo $#' sh $(seq 5000)",
                  "5000\n7001\nin\n5000\n" },
                { "a program that does not read it", "head -c 3000000 /dev/zero | carrel exec -i ada -- true; echo $?",
                  "0\n" },
                { "exit codes",
                  "carrel exec -i ada -- sh -c 'exit 7' < /dev/null; echo $?; "
                  "carrel exec -i ada -- sh -c 'kill -9 $$' < /dev/null; echo $?; "
                  "carrel exec -i --timeout 0.3 ada -- sleep 1000 < /dev/null; echo $?",
                  "7\n137\ncarrel: the program was killed: it reached its timeout (timeout)\n124\n" },
                { "its reader leaves",
                  "carrel exec -i ada -- yes < /dev/null | head -n 1; "
                  "until ! carrel ps ada | grep -q yes; do sleep 0.05; done; carrel ps -q ada",
                  "y\n" },
                { "a signal goes to the program",
                  "carrel exec -i ada -- sh -c 'trap \"echo caught; exit 5\" TERM; echo ready; while :; do sleep 0.1; "
                  "done 2>/dev/null' "
                  "< /dev/null > o & until grep -qs ready o 2>/dev/null; do sleep 0.05; done; kill -TERM $!; wait $!; "
                  "echo $?; cat o",
                  "5\nready\ncaught\n" },
                { "the same without -i",
                  "carrel exec -n ada -- sh -c 'trap \"echo caught; exit 5\" TERM; echo ready; while :; do sleep 0.1; "
                  "done 2>/dev/null' "
                  " > o & until grep -qs ready o 2>/dev/null; do sleep 0.05; done; kill -TERM $!; wait $!; echo $?; "
                  "cat "
                  "o",
                  "5\nready\ncaught\n" },
                { "a terminal needs one", "carrel exec -t ada -- true < /dev/null; echo $?",
                  "carrel: -t needs a terminal as stdin; use -i for a pipe or a file\n"
                  "carrel: see `carrel exec --help`\n125\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

static void files_go_in_and_out(void **state)
{
        static const struct script SCRIPTS[] = {
                { "names of one file stay so, there and back",
                  "carrel exec -n ada -- sh -c 'mkdir hl; echo x >hl/a; ln hl/a hl/b'; carrel cp ada:hl out; "
                  "stat -c %h out/a; carrel cp out ada:hl2; carrel exec -n ada -- stat -c %h hl2/b",
                  "2\n2\n" },
                { "a file with holes is whole",
                  "printf begin >holes; truncate -s 1M holes; printf end >>holes; tar -cS --hole-detection=raw holes | "
                  "api -T - -o /dev/null -w '%{http_code}\n' http://c/v1/carrels/ada/archive; "
                  "carrel exec -n ada -- cat holes | cmp - holes && echo same",
                  "200\nsame\n" },
                { "a file and back",
                  "seq 1 100000 > in; chmod 640 in; carrel cp in ada:f && carrel exec ada -- stat -c '%a %u' f; "
                  "carrel cp ada:f out && cmp in out && stat -c %a out",
                  "640 1000\n640\n" },
                { "a directory and back",
                  "mkdir -p t/a/empty; echo x > t/a/x; chmod 700 t/a/x; ln -s x t/a/l; head -c 1000000 /dev/urandom > "
                  "t/r; "
                  "carrel cp t ada:tree && carrel exec ada -- sh -c 'cd tree; find . | sort; stat -c %a a/x; readlink "
                  "a/l'; "
                  "carrel cp ada:tree back && diff -r t back && stat -c %a back/a/x; readlink back/a/l",
                  ".\n./a\n./a/empty\n./a/l\n./a/x\n./r\n700\nx\n700\nx\n" },
                { "under its name, into what is there",
                  "mkdir t; echo y > t/y; carrel exec ada -- mkdir -p into; carrel cp t ada:into; carrel cp t/y "
                  "ada:into; "
                  "carrel exec ada -- sh -c 'find into | sort'; mkdir here; carrel cp ada:into here; find here | sort",
                  "into\ninto/t\ninto/t/y\ninto/y\nhere\nhere/into\nhere/into/t\nhere/into/t/y\nhere/into/y\n" },
                { "an absolute path", "echo z > z; carrel cp z ada:/tmp/z && carrel exec ada -- cat /tmp/z", "z\n" },
                { "ranges",
                  "printf 0123456789 > n; carrel cp n ada:n; api -r 2-4 http://c/v1/carrels/ada/files/n; echo; "
                  "api -r -3 http://c/v1/carrels/ada/files/n; echo; "
                  "api -o /dev/null -w '%{http_code}\\n' -r 50- http://c/v1/carrels/ada/files/n",
                  "234\n789\n416\n" },
                { "a file that is too large",
                  "head -c 9000000 /dev/zero > big; carrel cp big ada:big; echo $?; carrel exec ada -- ls big | tail "
                  "-c 5",
                  "carrel: the body has more than 8m (file_max_size) (request_too_large)\n1\n"
                  "ls: big: No such file or directory\n" },
                { "where nobody may write", "echo x > x; carrel cp x ada:/etc/x; echo $?",
                  "carrel: Read-only file system: /etc/x (file_refused)\n1\n" },
                { "what is not there", "carrel cp ada:nothing out; echo $?; ls",
                  "carrel: No such file or directory: nothing (not_found)\n"
                  "carrel: `carrel ls` and `carrel ps` list carrels and programs\n1\n" },
                { "removing",
                  "api -X DELETE 'http://c/v1/carrels/ada/files/tree?recursive=1'; echo; "
                  "carrel exec ada -- ls tree",
                  "{\"path\":\"tree\"}\nls: tree: No such file or directory\n" },
                { "removing what stays",
                  "api -X DELETE 'http://c/v1/carrels/ada/files//workspace?recursive=1' | grep -o 'a mount of the "
                  "carrel'; carrel exec ada -- test -e into/y && echo still there",
                  "a mount of the carrel\nstill there\n" },
                { "an archive into what is missing, deeply",
                  "echo x > x; tar -cf t x; api -X PUT --data-binary @t 'http://c/v1/carrels/ada/archive?path=u/v/w' "
                  "> /dev/null; carrel exec ada -- cat u/v/w/x",
                  "x\n" },
                { "a list",
                  "api 'http://c/v1/carrels/ada/files/into?list=1' | grep -o '\"name\":\"y\",\"kind\":\"file\"'",
                  "\"name\":\"y\",\"kind\":\"file\"\n" },
                { "a wrong archive",
                  "head -c 2000 /dev/urandom > w; api -X PUT --data-binary @w 'http://c/v1/carrels/ada/archive?path=w' "
                  "| "
                  "grep -o 'the input is not a tar archive'",
                  "the input is not a tar archive\n" },
                { "an archive that leads out",
                  "echo x > x; tar -cPf w --transform 's,^,../../tmp/,' x; "
                  "api -X PUT --data-binary @w 'http://c/v1/carrels/ada/archive?path=w' | grep -o 'file_refused'; "
                  "carrel exec ada -- ls /tmp/x",
                  "file_refused\nls: /tmp/x: No such file or directory\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

/* A copy from a carrel takes no more disk here than it holds there, and an interrupted one leaves nothing. */
static void copies_cost_what_they_hold(void **state)
{
        static const struct script SCRIPTS[] = {
                { "tar archives on stdin and stdout",
                  "mkdir t; echo x > t/x; tar -c t | carrel cp - ada:tarred && carrel exec ada -- cat tarred/t/x; tar "
                  "-cf f t; carrel cp - ada:tarred < f; carrel cp -a ada:tarred/t - | tar -t",
                  "x\nt/\nt/x\n" },
                { "zeros become holes",
                  "carrel exec ada -- sh -c 'truncate -s 314572800 hole; echo end >> hole; truncate -s 419430400 "
                  "hole'; "
                  "carrel cp ada:hole h; stat -c %s h; test $(du -k h | cut -f 1) -lt 1000 && echo small; "
                  "carrel exec ada -- cat hole | cmp - h && echo same",
                  "419430400\nsmall\nsame\n" },
                { "a bound of one's own", "carrel cp --limit 1MiB ada:hole h; echo $?; ls -A",
                  "carrel: the copy exceeds --limit and was stopped\n1\n" },
                { "a signal leaves nothing",
                  "carrel exec ada -- truncate -s 1099511627776 endless; carrel cp ada:endless e & "
                  "while ! ls -d .carrel-cp.*/endless > l 2>&1; do sleep 0.01; done; rm l; kill $!; wait $!; echo $?; "
                  "ls "
                  "-A; carrel exec ada -- rm endless",
                  "143\n" },
                { "nor of a directory that was not there",
                  "carrel exec ada -- sh -c 'mkdir d; truncate -s 1099511627776 d/endless'; carrel cp ada:d e & "
                  "while ! ls -d .carrel-cp.*/content/endless > l 2>&1; do sleep 0.01; done; rm l; kill $!; wait $!; "
                  "echo $?; ls -A; carrel exec ada -- rm -r d",
                  "143\n" },
                { "the disk here is not filled",
                  "mkdir small; mount -t tmpfs -o size=40m none small; "
                  "carrel exec ada -- sh -c 'head -c 60000000 /dev/urandom > big'; carrel cp ada:big small/b 2>&1 | "
                  "sed "
                  "'s/[.]carrel-cp[.].*;/X;/'; ls -A small; carrel exec ada -- rm big hole; umount small",
                  "carrel: less than 5 % of the disk of small/X; --limit SIZE permits up to SIZE\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

/* A program wrote for a terminal that is not this one: its sequences go to a file, and not to the person who looks. */
static void logs_are_safe_to_look_at(void **state)
{
        static const struct script SCRIPTS[] = {
                { "on a terminal",
                  "carrel exec --detach --id esc-1 ada -- printf 'a\\033]0;t\\007b\\033[2Jc\\10%%\\rd\\n' > id; "
                  "wait_end esc-1; script -qec 'carrel logs esc-1' typescript | od -An -c | tr -s ' '",
                  " a b c % \\r \\n d \\r \\n\n" },
                { "raw, when it is asked for",
                  "script -qec 'carrel logs --raw esc-1' typescript | grep -c \"$(printf '\\033')\"", "1\n" },
                { "a file has all of it", "carrel logs esc-1 > f; wc -c < f", "18\n" },
                { "the beginning of an id", "carrel logs esc > f; wc -c < f", "18\n" },
                { "the last lines",
                  "carrel exec --detach --id tail-1 ada -- seq 10 > id; wait_end tail-1; carrel logs --tail 2 tail-1",
                  "9\n10\n" },
                { "the last lines, and what comes",
                  "carrel exec --detach --id tail-2 ada -- sh -c 'seq 10; while [ ! -e go ]; do sleep 0.05; done; echo "
                  "went' > id; until carrel logs tail-2 | grep -q 10; do sleep 0.05; done; carrel logs -f -n 1 tail-2 "
                  "> f & until grep -qs 10 f; do sleep 0.05; done; carrel exec ada -- touch go; wait; cat f",
                  "10\nwent\n" },
                { "ids on a narrow terminal, and whole commands elsewhere",
                  "carrel exec --detach --id an-id-of-forty-characters-and-one-more-0 ada -- sh -c 'sleep 60 # why' > "
                  "id; "
                  "script -qec 'stty cols 40; carrel ps' typescript | grep -o 'an-id-of-[a-z0-9-]*'; "
                  "carrel ps | grep -o \"sh -c .*\"; "
                  "carrel kill an-id-of-forty-characters-and-one-more-0 > f",
                  "an-id-of-forty-characters-and-one-more-0\nsh -c 'sleep 60 # why'\n" },
                { "stdin is left to others",
                  "printf '1\\n2\\n' | while read -r i; do carrel exec ada -- echo $i; done; "
                  "mkfifo f; exec 9<>f; timeout 20 carrel exec ada -- echo at once <&9; echo $?",
                  "1\n2\nat once\n0\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

/* Whatever a user makes of a path, it never leads to the host, and nothing waits for it. The marker is on the host, at
 * a path that the user's links name. The control is a file of the same name inside. */
static void hostile_files_harm_nobody_else(void **state)
{
        static const struct script SCRIPTS[] = {
                { "links to the host's files",
                  "echo secret > /run/testbed/marker; "
                  "carrel exec ada -- sh -c 'ln -sf /run/testbed/marker m; ln -sf ../../../../run/testbed/marker r; "
                  "ln -sf /proc/1/root/run/testbed/marker p; ln -sf /etc/passwd control'; "
                  "for i in m r p; do api -o $i -w '%{http_code} ' http://c/v1/carrels/ada/files/$i; grep -c secret "
                  "$i; done; "
                  "carrel exec ada -- cat /etc/passwd > a; api http://c/v1/carrels/ada/files/control | cmp - a && echo "
                  "its own",
                  "404 0\n404 0\n409 0\nits own\n" },
                { "FIFOs, devices, loops",
                  "carrel exec ada -- sh -c 'mkfifo ff; ln -s a b; ln -s b a; ln -sf /dev/zero z; ln -sf /dev/tty t; "
                  "ln -sf /proc/self/fd/0 s'; "
                  "for i in ff a z t /dev/random /proc/self/mem; do "
                  "api -m 20 -o /dev/null -w '%{http_code}\\n' http://c/v1/carrels/ada/files/$(echo $i | sed "
                  "'s,/,%2F,g'); "
                  "done | sort | uniq -c | tr -s ' '",
                  " 6 409\n" }, /* the last because only root can open its memory */
                { "a put over a link stays here",
                  "echo before > /run/testbed/marker; carrel exec ada -- ln -sf /run/testbed/marker o; echo after > o; "
                  "carrel cp o ada:o; cat /run/testbed/marker; carrel exec ada -- sh -c 'test -L o || cat o'",
                  "before\nafter\n" },
                /* Of 64 places a user has 16, however long he makes each of them take. */
                { "one who stops his own file operations",
                  "carrel ensure bob > o; head -c 700000 /dev/zero > f; touch r0; "
                  "carrel exec -d ada -- sh -c 'while :; do kill -STOP -1; done' > o; "
                  "i=0; until [ $(cat r* | grep -c 429) -ge 4 ]; do i=$((i + 1)); "
                  "api -X PUT --data-binary @f -o /dev/null -w '%{http_code}\\n' "
                  "http://c/v1/carrels/ada/files/s$i > r$i & sleep 0.02; done; "
                  "echo mine > m; carrel cp m bob:m && carrel exec bob -- cat m; carrel rm ada > o; wait; "
                  "[ $(cat r* | grep -c 502) -ge 12 ] && echo held; carrel cp m ada:m && carrel exec ada -- cat m; "
                  "carrel rm bob > o",
                  "mine\nheld\nmine\n" },
                { "a hole of a terabyte",
                  "carrel exec ada -- truncate -s 1099511627776 hole 2>&1; api -r 5-8 "
                  "http://c/v1/carrels/ada/files/hole | od -An "
                  "-tx1; "
                  "carrel exec ada -- rm -f hole",
                  " 00 00 00 00\n" },
                { "an archive made inside leaves no directory here",
                  "carrel exec ada -- sh -c 'mkdir -p evil; ln -s /tmp evil/out; mkfifo evil/fifo; echo x > evil/x; "
                  "chmod 4777 evil/x'; carrel cp ada:evil got; find got | sort; stat -c %a got/x; readlink got/out",
                  "got\ngot/out\ngot/x\n777\n/tmp\n" },
                { "many and deep names",
                  "carrel exec ada -- sh -c 'd=deep; for i in $(seq 1 100); do d=$d/ddddddddddddddddddd; done; mkdir "
                  "-p $d; "
                  "echo x > $d/x'; carrel cp ada:deep got && find got -name x | wc -l",
                  "1\n" },
        };

        RUN_SCRIPTS(SCRIPTS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(execs_are_found_again),
                cmocka_unit_test(output_and_signals_pass),
                cmocka_unit_test(streams_are_opened_again),
                cmocka_unit_test(the_background_keeps_its_streams),
                cmocka_unit_test(stdin_streams),
                cmocka_unit_test(files_go_in_and_out),
                cmocka_unit_test(copies_cost_what_they_hold),
                cmocka_unit_test(logs_are_safe_to_look_at),
                cmocka_unit_test(hostile_files_harm_nobody_else),
        };

        return suite_run(&(struct suite){
                .name = "exec_streams",
                .kind = SUITE_CARRELD,
                .settings = SETTINGS,
                SUITE_TESTS(tests),
        });
}
