/* A terminal session driven by a real terminal: tmux is the screen and the keyboard in front of `carrel shell`. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

#define TMUX "tmux", "-S", "/run/testbed/tmux.sock", "-f", "/dev/null"
static const double SCREEN_DEADLINE_S = 60;

static void set_up(void)
{
        /* Without a session the server would end between two tests. */
        MUST_RUN(TMUX, "new-session", "-d", "-s", "enforcer", "sh");
        MUST_RUN(TMUX, "set-option", "-g", "status", "off");
}

static void tear_down(void)
{
        static struct output output;

        RUN(&output, TMUX, "kill-server");
}

/* ---- the screen and the keys ---- */

static struct output screen;

static bool shows(void *arg)
{
        RUN(&screen, TMUX, "capture-pane", "-p", "-t", "test");
        return strstr(screen.text, arg) != NULL;
}

static void await_screen(const char *text)
{
        if (!wait_until(shows, (char *)text, SCREEN_DEADLINE_S))
                fail_msg("the screen does not show \"%s\" but:\n%s", text, screen.text);
}

static void type(const char *keys)
{
        MUST_RUN(TMUX, "send-keys", "-t", "test", "-l", "--", keys);
}

static void press(const char *key)
{
        MUST_RUN(TMUX, "send-keys", "-t", "test", key);
}

static void enter(const char *line)
{
        type(line);
        press("Enter");
}

/* A local shell on the terminal, in which carrel is run; its prompt is "local>". */
static void open_terminal(void)
{
        char directory[256];
        char command[512];

        (void)snprintf(directory, sizeof directory, "%s", built_program("cli/carrel"));
        *strrchr(directory, '/') = '\0';
        (void)snprintf(command, sizeof command,
                       "CARREL_SOCKET=" CARREL_SOCKET " PATH=%s:$PATH PS1='local> ' TERM=xterm exec sh", directory);
        MUST_RUN(TMUX, "new-session", "-d", "-s", "test", "-x", "100", "-y", "30", command);
        MUST_RUN(TMUX, "resize-window", "-t", "test", "-x", "100", "-y", "30");
        await_screen("local>");
}

static void close_terminal(void)
{
        MUST_RUN(TMUX, "kill-session", "-t", "test");
}

/* The local terminal is as it was: lines are edited and echoed, and interrupts are signals. */
static void expect_sane(void)
{
        await_screen("local>");
        enter("clear; stty -a | tr ' ;' '\\n\\n' | grep -xE 'icanon|echo|isig|icrnl|opost' | sort | tr '\\n' '+'");
        await_screen("echo+icanon+icrnl+isig+opost+");
}

static void begin_shell(void)
{
        enter("clear; sh -c 'echo $$ > /run/testbed/shell.pid; exec carrel shell ada'");
        /* Not in the line as it is typed: it is the answer that is waited for. */
        enter("PS1='inside'; PS1=$PS1'> '; echo ready-$((6 * 7))");
        await_screen("ready-42");
        await_screen("inside>");
}

/* ---- what is tried ---- */

struct step {
        const char *line, *key; /* typed, then pressed; NULL: nothing */
        const char *shown;
};

static void walk(const struct step *steps, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (steps[i].line != NULL)
                        type(steps[i].line);
                if (steps[i].key != NULL)
                        press(steps[i].key);
                if (steps[i].shown != NULL)
                        await_screen(steps[i].shown);
        }
}

static void a_session(void **state)
{
        static const struct step STEPS[] = {
                { "clear; tty; id -u; echo $TERM-is", "Enter", "xterm-is" },
                { "clear; stty size", "Enter", "30 100" },
                /* A character of several bytes is erased whole (termios(3), IUTF8). Not as it is typed. */
                { "clear; stty -a | tr ' ;' '\n\n' | grep -x iutf8 | tr i I", "Enter", "Iutf8" },
                { "clear; echo go-$((1 + 1)); sleep 1000", "Enter", "go-2" },
                { NULL, "C-c", NULL },
                { "echo rc-$?", "Enter", "rc-130" },
                /* The shell reads keys in raw mode: what is typed before it has run the line stays as it is. */
                { "clear; echo cat-$((1 + 1)); cat > typed", "Enter", "cat-2" },
                { "some text", "Enter", "some text" },
                { NULL, "C-d", NULL },
                { "clear; cat typed", "Enter", "some text" },
                /* less: pages, jumps, and gives the screen back */
                { "clear; seq 1001 1500 > n; less n", "Enter", "1001" },
                { NULL, "G", "1500" },
                { NULL, "g", "1001" },
                { "q", NULL, "inside>" },
                /* vi: draws all lines, takes text, writes the file */
                { "clear; vi t", "Enter", "~\n~\n~" },
                { "ihello from vi", NULL, "hello from vi" },
                { NULL, "Escape", "- t [Modified]" },
                { ":wq", "Enter", "inside>" },
                { "clear; wc -c t", "Enter", "14 t" },
        };

        (void)state;
        open_terminal();
        begin_shell();
        walk(STEPS, sizeof STEPS / sizeof *STEPS);
        MUST_RUN(TMUX, "resize-window", "-t", "test", "-x", "120", "-y", "40");
        /* The new size comes a moment after the window's. */
        enter("clear; until [ \"$(stty size)\" = '40 120' ]; do :; done; echo resized-$((1 + 1))");
        await_screen("resized-2");
        enter("exit 7");
        await_screen("local>");
        enter("clear; echo status-$?");
        await_screen("status-");
        expect_sane();
        close_terminal();
}

static void exit_statuses(void **state)
{
        static const struct step STEPS[] = {
                { "clear; carrel exec -t ada -- sh -c 'exit 7'; echo rc-$?", "Enter", "rc-7" },
                { "clear; carrel exec -t --timeout 0.5 ada -- sleep 1000; echo rc-$?", "Enter", "rc-124" },
                { "clear; carrel exec -t ada -- /no/such; echo rc-$?", "Enter", "rc-127" },
                { "clear; carrel exec -it ada -- cat; echo rc-$?", "Enter", NULL },
                { "typed", "Enter", "typed\ntyped" },
                { NULL, "C-c", "rc-130" },
        };

        (void)state;
        open_terminal();
        walk(STEPS, sizeof STEPS / sizeof *STEPS);
        expect_sane();
        close_terminal();
}

/* Killed by a signal, and left by a carreld that dies: the terminal is as it was. */
static void the_terminal_is_restored(void **state)
{
        (void)state;
        open_terminal();
        begin_shell();
        MUST_RUN("sh", "-c", "kill -TERM $(cat /run/testbed/shell.pid)");
        await_screen("local>");
        enter("echo rc-$?");
        await_screen("rc-143");
        expect_sane();
        begin_shell();
        (void)kill(carreld_pid(carreld), SIGKILL);
        carreld = carreld_kill(carreld);
        await_screen("before the program's end");
        enter("echo rc-$?");
        await_screen("rc-125");
        expect_sane();
        close_terminal();
        suite_start(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_session),
                cmocka_unit_test(exit_statuses),
                cmocka_unit_test(the_terminal_is_restored),
        };

        return suite_run(&(struct suite){
                .name = "terminal",
                .kind = SUITE_CARRELD,
                .set_up = set_up,
                .tear_down = tear_down,
                SUITE_TESTS(tests),
        });
}
