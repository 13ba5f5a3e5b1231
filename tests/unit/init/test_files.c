/* The file operations of carrel-init, as carreld runs them, on a directory of their own; tar(1) is the other side.
 * Each case is a script: $INIT is the program, and the working directory is empty at first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct script {
        const char *name;
        const char *text;
        const char *expected; /* of stdout */
};

static const struct script READING[] = {
        { "whole", "printf hello > a; chmod 640 a; touch -d @1000 a; $INIT file get a 0 -1",
          "ok 5 640 1000 0 5\nhello" },
        { "from", "printf hello > a; touch -d @1 a; $INIT file get a 2 -1", "ok 5 644 1 2 3\nllo" },
        { "part", "printf hello > a; touch -d @1 a; $INIT file get a 1 2", "ok 5 644 1 1 2\nel" },
        { "beyond the end", "printf hello > a; touch -d @1 a; $INIT file get a 3 99", "ok 5 644 1 3 2\nlo" },
        { "the last", "printf hello > a; touch -d @1 a; $INIT file get a -1 2", "ok 5 644 1 3 2\nlo" },
        { "more than all of the last", "printf hello > a; touch -d @1 a; $INIT file get a -1 9",
          "ok 5 644 1 0 5\nhello" },
        { "none of it", "printf hello > a; $INIT file get a 5 -1", "range 5\n" },
        { "empty", ": > a; touch -d @1 a; $INIT file get a 0 -1", "ok 0 644 1 0 0\n" },
        { "a hole", "truncate -s 1G a; touch -d @1 a; $INIT file get a 1073741820 -1 | tr '\\0' 0",
          "ok 1073741824 644 1 1073741820 4\n0000" },
        { "absent", "$INIT file get a 0 -1", "error 2 No such file or directory: a\n" },
        { "a directory", "$INIT file get . 0 -1", "error 21 Is a directory: .\n" },
        { "a FIFO", "mkfifo a; $INIT file get a 0 -1", "error 22 it is not a regular file: a\n" },
        { "a device", "$INIT file get /dev/zero 0 -1", "error 22 it is not a regular file: /dev/zero\n" },
        { "a terminal", "$INIT file get /dev/ptmx 0 -1 | cut -c 1-8", "error 22\n" },
        { "a loop of links", "ln -s b a; ln -s a b; $INIT file get a 0 -1 | cut -c 1-8", "error 40\n" },
        { "a line in a name", "$INIT file get 'a\nb' 0 -1", "error 2 No such file or directory: a?b\n" },
        { "no number", "$INIT file get a x 1", "error 22 a malformed range\n" },
};

static const struct script WRITING[] = {
        { "new", "printf hello | $INIT file put a 5 -1 0; stat -c %a a; cat a", "ok 5\n644\nhello" },
        { "with a mode", "printf hello | $INIT file put a 5 448 0; stat -c %a a", "ok 5\n700\n" },
        { "over another, whose mode stays",
          "echo old > a; chmod 600 a; printf hello | $INIT file put a 5 -1 0; "
          "stat -c %a a; cat a",
          "ok 5\n600\nhello" },
        { "over a link, which goes", "echo old > b; ln -s b a; printf hello | $INIT file put a 5 -1 0; cat a b",
          "ok 5\nhelloold\n" },
        { "empty", "$INIT file put a 0 -1 0 < /dev/null; stat -c %s a", "ok 0\n0\n" },
        { "large", "head -c 3000000 /dev/zero | $INIT file put a 3000000 -1 0; stat -c %s a", "ok 3000000\n3000000\n" },
        { "cut short", "echo old > a; printf hel | $INIT file put a 5 -1 0; cat a; ls -A",
          "error 71 Protocol error: a\nold\na\n" },
        { "too much", "printf hello | $INIT file put a 4 -1 0; ls -A", "error 71 Protocol error: a\n" },
        { "without its directory", "printf x | $INIT file put d/e/a 1 -1 0; ls -A",
          "error 2 No such file or directory: d/e/a\n" },
        { "with its directories", "printf x | $INIT file put d/e/a 1 -1 1; cat d/e/a", "ok 1\nx" },
        { "over a directory", "mkdir a; printf x | $INIT file put a 1 -1 0; ls -A", "error 21 Is a directory: a\na\n" },
        { "no name", "printf x | $INIT file put d/ 1 -1 1", "error 21 Is a directory: d/\n" },
        { "killed in the middle",
          "mkfifo f; $INIT file put a 5 -1 0 < f & exec 3> f; printf hel >&3; kill -9 $!; wait $! 2>/dev/null; ls -A",
          "f\n" },
        { "removed", "echo > a; $INIT file remove a 0; ls -A", "ok\n" },
        { "a link, not what it leads to", "echo > b; ln -s b a; $INIT file remove a 0; ls -A", "ok\nb\n" },
        { "a full directory", "mkdir a; echo > a/b; $INIT file remove a 0; ls -A",
          "error 39 Directory not empty: a\na\n" },
        { "all of a directory",
          "mkdir -p a/b/c; echo > a/b/d; ln -s /tmp a/e; mkfifo a/f; $INIT file remove a 1; ls -A", "ok\n" },
        { "much, which says that it gets on",
          "mkdir d; cd d; seq 2100 | xargs touch; cd ..; $INIT file remove d 1; ls -A", "on\non\nok\n" },
        { "what is not there", "$INIT file remove a 1", "error 2 No such file or directory: a\n" },
        { "itself", "$INIT file remove . 1", "error 21 Is a directory: .\n" },
        { "a mount, which keeps what is in it",
          "mkdir a; echo > a/b; unshare -m sh -c 'mount --bind a a; $INIT file remove a 1'; ls a",
          "error 16 it is a mount of the carrel and cannot be removed: name what is in it: a\nb\n" },
        { "where nothing can be removed",
          "mkdir -p d/a; echo > d/a/b; chmod 777 d/a d/a/b; chmod 555 d; chmod 711 .; "
          "setpriv --reuid 1 --regid 1 --clear-groups $INIT file remove d/a 1; ls d/a",
          "error 13 Permission denied: d/a\nb\n" },
        { "in a sticky directory of another's",
          "mkdir -p d/a; echo > d/a/b; chmod 777 d/a d/a/b; chmod 1777 d; chmod 711 .; "
          "setpriv --reuid 1 --regid 1 --clear-groups $INIT file remove d/a 1; ls d/a",
          "error 1 Operation not permitted: d/a\nb\n" },
};

static const struct script LISTING[] = {
        { "kinds",
          "printf hello > a; mkdir b; ln -s x c; mkfifo d; touch -hd @7 a b c d; "
          "$INIT file list . | tr '\\0' '\\n' | sed 's/ 4096 7 b/ 0 7 b/' | sort",
          "d 755 0 7 b\nf 644 5 7 a\nl 777 1 7 c\no 644 0 7 d\nok\n" },
        { "not a directory", "echo > a; $INIT file list a", "error 20 Not a directory: a\n" },
        { "a FIFO", "mkfifo a; $INIT file list a", "error 20 Not a directory: a\n" },
        { "bounded", "mkdir d; cd d; seq 11000 | xargs touch; cd ..; $INIT file list d | tr '\\0' '\\n' | wc -l",
          "10001\n" },
        { "unknown", "$INIT file sing a", "error 38 no such file operation\n" },
        { "nothing", "$INIT file", "error 38 no such file operation\n" },
};

#define TREE                                                                                                           \
        "mkdir -p d/e d/empty; printf hello > d/a; printf x > d/e/x; chmod 750 d/e; chmod 601 d/a; ln -s ../a d/e/l; " \
        "long=$(printf 'n%.0s' $(seq 200)); mkdir d/$long; printf long > d/$long/$long; touch -d @1000 d/a; "
#define UNPACKED(dir)                                                                                                  \
        "(cd " dir "; find . | sort | cut -c 1-20; stat -c '%a %Y' d/a; stat -c %a d/e; readlink d/e/l; cat d/a)"
#define TREE_SEEN                                                                                                      \
        ".\n./d\n./d/a\n./d/e\n./d/e/l\n./d/e/x\n./d/empty\n./d/nnnnnnnnnnnnnnnn\n./d/nnnnnnnnnnnnnnnn\n601 "          \
        "1000\n750\n"                                                                                                  \
        "../a\nhello"

static const struct script ARCHIVES[] = {
        { "packed for tar(1)",
          TREE "mkfifo d/f; mkdir o; $INIT file pack d > t; head -n 1 t; tail -n +2 t | tar -x -C o; " UNPACKED("o"),
          "ok d\n" TREE_SEEN },
        { "unpacked from tar(1), pax", TREE "tar -c --format=pax d | $INIT file unpack o; " UNPACKED("o"),
          "ok 8\n" TREE_SEEN },
        { "unpacked from tar(1), gnu", TREE "tar -c --format=gnu d | $INIT file unpack o; " UNPACKED("o"),
          "ok 8\n" TREE_SEEN },
        { "and back", TREE "$INIT file pack d | tail -n +2 | $INIT file unpack o; " UNPACKED("o"), "ok 8\n" TREE_SEEN },
        { "a link that is named",
          "mkdir d; printf hello > d/a; ln -s d l; ln -s d/a m; $INIT file pack l | tail -n +2 | tar -t; "
          "$INIT file pack m | tail -n +2 | tar -xO",
          "l/\nl/a\nhello" },
        { "one file", "printf hello > a; $INIT file pack a | tail -n +2 | tar -xO", "hello" },
        { "hard links", "printf x > a; ln a b; tar -c a b | $INIT file unpack o; stat -c %h o/a o/b", "ok 2\n2\n2\n" },
        { "and back, hard links",
          "mkdir d; printf x > d/a; ln d/a d/b; ln d/a d/c; printf y > d/e; $INIT file pack d | tail -n +2 > t; "
          "tar -tvf t | grep -c ' link to '; $INIT file unpack o < t; stat -c %h o/d/a o/d/b o/d/e; cat o/d/c",
          "2\nok 5\n3\n3\n1\nx" },
        { "with holes, in each form there is",
          "for i in $(seq 60); do echo $i | dd of=a bs=1 seek=${i}0000 conv=notrunc status=none; done; "
          "truncate -s 8M a; printf x > b; truncate -s 2M b; truncate -s 1M c; cp a d; echo end > e; "
          "for f in gnu pax,0.0 pax,0.1 pax,1.0; do v=${f#*,}; [ $v = gnu ] && v=1.0; "
          "tar -cS --hole-detection=raw --format=${f%,*} --sparse-version=$v a b c d e | tee t | "
          "$INIT file unpack o; tar -tf t | wc -l; for n in a b c d e; do cmp $n o/$n; done; ls o | wc -l; rm -r o; "
          "done",
          "ok 5\n5\n5\nok 5\n5\n5\nok 5\n5\n5\nok 5\n5\n5\n" },
        { "with a map that lies",
          "printf x > a; for o in XNU.sparse.major:=2 XNU.sparse.numbytes:=2,XNU.sparse.offset:=0,XNU.sparse.size:=9 "
          "XNU.sparse.numbytes:=1,XNU.sparse.offset:=0,XNU.sparse.size:=0 XNU.sparse.offset:=0 XNU.sparse.size:=9 "
          "XNU.sparse.major:=1,XNU.sparse.realsize:=9 XNU.sparse.what:=1 XNU.volume.offset:=5; do "
          "tar -c --format=pax --pax-option=$o a | sed s/XNU/GNU/g | $INIT file unpack o; done; "
          "tar -c --format=pax --pax-option=XNU.sparse.numbytes:=1,XNU.sparse.offset:=8,XNU.sparse.size:=9 a | sed "
          "s/XNU/GNU/g | "
          "$INIT file unpack o; od -An -c o/a",
          "error 22 a file with holes of an unknown version\n"
          "error 22 a malformed map of a file with holes: a\nerror 22 a malformed map of a file with holes: a\n"
          "error 22 a malformed map of a file with holes: a\nerror 22 a malformed map of a file with holes: a\n"
          "error 22 a malformed map of a file with holes: a\nerror 22 a malformed map of a file with holes\n"
          "error 22 a part of an archive of several volumes\nok 1\n  \\0  \\0  \\0  \\0  \\0  \\0  \\0  \\0   x\n" },
        { "with records for all that follows",
          "printf x > a; tar -c --format=pax --pax-option=comment=hello a | $INIT file unpack o; "
          "tar -c --format=pax --pax-option=path=b a | $INIT file unpack o; ls o",
          "ok 1\nerror 22 a global header that changes names, sizes or contents\na\n" },
        { "of before 1970, and of long ago",
          "mkdir d; printf x > d/a; touch -d @-5 d/a; for f in gnu pax v7; do [ $f = v7 ] && touch -d @5 d/a; "
          "tar -c --format=$f d | $INIT file unpack o; stat -c '%Y %F' o/d/a o/d | sed 's/[0-9]* dir/dir/'; rm -r o; "
          "done",
          "ok 2\n-5 regular file\ndirectory\nok 2\n-5 regular file\ndirectory\nok 2\n5 regular file\ndirectory\n" },
        { "over what is there",
          "mkdir -p o/d; ln -s /etc/passwd o/a; printf new > a; mkdir d; tar -c a d | $INIT file "
          "unpack o; cat o/a",
          "ok 2\nnew" },
        { "large", "head -c 200000 /dev/zero > a; $INIT file pack a | tail -n +2 | $INIT file unpack o; stat -c %s o/a",
          "ok 1\n200000\n" },
        { "absent", "$INIT file pack a", "error 2 No such file or directory: a\n" },
        { "a FIFO", "mkfifo a; $INIT file pack a", "error 22 it is neither a file nor a directory: a\n" },
        { "no archive", "head -c 1024 /dev/urandom | $INIT file unpack o",
          "error 22 the input is not a tar archive\n" },
        { "nothing", "$INIT file unpack o < /dev/null", "error 22 the archive ends too early\n" },
        { "cut in a file", "head -c 5000 /dev/zero > a; tar -c a | head -c 2000 | $INIT file unpack o",
          "error 22 the archive ends too early: a\n" },
        { "cut between", "printf x > a; tar -c a | head -c 1024 | $INIT file unpack o",
          "error 22 the archive ends too early\n" },
        { "out by dots", "printf x > a; tar -cP --transform 's,^,../,' a | $INIT file unpack o; ls -A",
          "error 22 a name with \"..\": ../a\na\no\n" },
        { "out by a root",
          "printf x > a; tar -cP --transform \"s,^,$PWD/x,\" a | $INIT file unpack o | cut -c 1-25; ls",
          "error 22 an absolute name\na\no\n" },
        { "out by a link",
          "mkdir d; printf x > d/a; tar -cf t --transform 's,^d,l,' d/a; mkdir o e; ln -s ../e o/l; "
          "$INIT file unpack o < t; ls e",
          "error 20 Not a directory: l/a\n" },
        { "out by a hard link",
          "printf x > a; ln a b; tar -cP --transform 's,^a,../a,' a b | $INIT file unpack o | "
          "cut -c 1-8",
          "error 22\n" },
        { "out by a hard link through a link",
          "mkdir d e; echo > e/x; ln -s ../e d/l; ln e/x d/y; tar -cf t -C d l; "
          "tar -rf t --transform 's,^e,l,' e/x -C d y; tar -f t --delete l/x; tar -tvf t | grep -o 'y link.*'; "
          "$INIT file unpack o < t; stat -c %h e/x; ls o",
          "y link to l/x\nerror 20 Not a directory: y\n2\nl\n" },
        { "a hard link to a directory",
          "mkdir d; echo > x; ln x y; tar -cf t --transform 's,^x,d,' x y; tar -f t --delete d; tar -rf t d; "
          "mkdir -p o/d; $INIT file unpack o < t",
          "error 22 a link to something that is not a file: y\n" },
        { "a size that no number holds when it is padded",
          "printf x > a; tar -c --format=pax --pax-option=size:=9223372036854775807 a | $INIT file unpack o; ls o",
          "error 22 a malformed size\n" },
        { "a FIFO in it", "mkfifo a; tar -c a | $INIT file unpack o",
          "error 22 an entry that is not a file, directory or link: a\n" },
        { "a device in it", "tar -c -C /dev null | $INIT file unpack o",
          "error 22 an entry that is not a file, directory or link: null\n" },
        { "into what is missing, deeply", "printf x > a; tar -c a | $INIT file unpack o/p/q; cat o/p/q/a", "ok 1\nx" },
        { "into a file", "echo > o; $INIT file unpack o < /dev/null", "error 20 Not a directory: o\n" },
};

/* Whose /proc/PID/mem is, is who may write to it. $AS runs a program as somebody who is not root. */
#define AS_NOBODY                                                                                                      \
        "AS=; NOBODY=$(id -u); if [ $NOBODY = 0 ]; then NOBODY=65534; chmod 711 .; "                                   \
        "AS='setpriv --reuid 65534 --regid 65534 --clear-groups'; fi; cp $INIT i; chmod 755 i; "

static const struct script SHUT_IN[] = {
        { "nobody writes to its memory",
          AS_NOBODY "$AS sh -c '[ $(stat -c %u /proc/$$/mem) = '$NOBODY' ]; echo control $?'; "
                    "head -c 3000000 /dev/zero > a; mkfifo f; $AS ./i file get a 0 -1 > f 2> /dev/null & exec 3< f; "
                    "head -c 2 <&3; echo; stat -c %u /proc/$!/mem",
          "control 0\nok\n0\n" },
        { "itself it can still reach, unreadable and undumpable",
          AS_NOBODY "chmod 711 i; mkdir d; chmod 777 d; printf hello | $AS ./i file put d/a 5 -1 0; cat d/a; ls -A d",
          "ok 5\nhelloa\n" },
};

static const char *init_path;

static void run_script(const struct script *script)
{
        char directory[] = "/tmp/test-files.XXXXXX";
        char output[8192];
        char command[2048];
        size_t length;
        FILE *pipe;

        assert_non_null(mkdtemp(directory));
        (void)snprintf(command, sizeof command, "exec 2>&1; export LC_ALL=C INIT=%s; umask 022; cd %s; %s", init_path,
                       directory, script->text);
        pipe = popen(command, "r");
        assert_non_null(pipe);
        length = fread(output, 1, sizeof output - 1, pipe);
        output[length] = '\0';
        (void)pclose(pipe);
        (void)snprintf(command, sizeof command, "rm -rf %s", directory);
        assert_int_equal(system(command), 0);
        if (strcmp(output, script->expected) != 0)
                fail_msg("%s: %s\n---- got\n%s\n---- expected\n%s", script->name, script->text, output,
                         script->expected);
}

#define RUN(table)                                                                                                     \
        (void)state;                                                                                                   \
        for (size_t i = 0; i < sizeof table / sizeof *(table); i++)                                                    \
        run_script(&(table)[i])

static void test_reading(void **state)
{
        RUN(READING);
}

static void test_writing(void **state)
{
        RUN(WRITING);
}

static void test_listing(void **state)
{
        RUN(LISTING);
}

static void test_archives(void **state)
{
        RUN(ARCHIVES);
}

static void test_shut_in(void **state)
{
        RUN(SHUT_IN);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reading),  cmocka_unit_test(test_writing), cmocka_unit_test(test_listing),
                cmocka_unit_test(test_archives), cmocka_unit_test(test_shut_in),
        };

        if (argc < 2)
                return 2;
        init_path = realpath(argv[1], NULL); /* meson may say it relative to where we run */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
