#include "verbs.h"

#include <string.h>

#include "str.h"

const struct verb *const VERBS[] = { &CMD_CP,      &CMD_DOCTOR,   &CMD_ENSURE, &CMD_EVENTS, &CMD_EXEC,    &CMD_FORK,
                                     &CMD_FREEZE,  &CMD_HELP,     &CMD_IMAGE,  &CMD_INFO,   &CMD_INSPECT, &CMD_KILL,
                                     &CMD_LOGS,    &CMD_LS,       &CMD_POLICY, &CMD_PS,     &CMD_REAP,    &CMD_RM,
                                     &CMD_SHELL,   &CMD_SNAPSHOT, &CMD_STATS,  &CMD_SWEEP,  &CMD_THAW,    &CMD_TOUCH,
                                     &CMD_VERSION, &CMD_WHY,      NULL };

const struct option_spec COMMON_OPTIONS[] = {
        { 'h', "help", OPTION_FLAG, offsetof(struct cli, wants_help), .help = "show help and exit" },
        { 'o', "output", OPTION_CHOICE, offsetof(struct cli, output), .choices = OUTPUT_NAMES, .argument = "table|json",
          .help = "output format; default table" },
        { 'q', "quiet", OPTION_FLAG, offsetof(struct cli, is_quiet), .help = "print only names, or nothing" },
        { 0, "socket", OPTION_TEXT, offsetof(struct cli, socket_path), .argument = "PATH",
          .help = "carreld's socket; default $CARREL_SOCKET or /run/carrel/carrel.sock" },
        { .name = NULL },
};

const struct verb *verb_find(const char *name)
{
        for (size_t i = 0; VERBS[i] != NULL; i++)
                if (str_equal(VERBS[i]->name, name))
                        return VERBS[i];
        return NULL;
}

/* The names that other tools use. */
static const struct {
        const char *name, *verb;
} HABITS[] = {
        { "attach", "logs -f" },  { "build", "image build" },   { "create", "ensure" }, { "delete", "rm" },
        { "images", "image ls" }, { "import", "image import" }, { "list", "ls" },       { "load", "image import" },
        { "remove", "rm" },       { "rmi", "image rm" },        { "run", "exec" },      { "ssh", "shell" },
        { "start", "ensure" },    { "status", "info" },         { "stop", "rm" },       { "up", "ensure" },
};

static const char *guess(const char *name)
{
        enum { EDITS_MAX = 2 };
        const char *nearest = NULL;
        unsigned least = EDITS_MAX + 1;

        for (size_t i = 0; i < sizeof HABITS / sizeof *HABITS; i++)
                if (str_equal(HABITS[i].name, name))
                        return HABITS[i].verb;
        for (size_t i = 0; VERBS[i] != NULL; i++) {
                unsigned edits = str_distance(name, VERBS[i]->name);

                /* Two edits of "ls" leave nothing. */
                if (edits < least && edits < strlen(VERBS[i]->name)) {
                        least = edits;
                        nearest = VERBS[i]->name;
                }
        }
        return nearest;
}

int verb_fail_unknown(const struct cli *cli, const char *name)
{
        const char *guessed = guess(name);

        if (guessed == NULL)
                return cli_fail_usage(cli, NULL, "there is no verb \"%s\"", name);
        return cli_fail_usage(cli, NULL, "there is no verb \"%s\"; did you mean `carrel %s`?", name, guessed);
}

void verb_print_help(const struct verb *verb, FILE *out)
{
        (void)fprintf(out, "Usage: carrel %s [OPTION...]%s%s\n\n%s.\n", verb->name, *verb->operands != '\0' ? " " : "",
                      verb->operands, verb->summary);
        if (verb->help != NULL)
                (void)fprintf(out, "\n%s\n", verb->help);
        (void)fputs("\nOptions:\n", out);
        options_print(verb->options, out);
        options_print(COMMON_OPTIONS, out);
        (void)fprintf(out, "\nExamples:\n%s\n", verb->examples);
}

void verbs_print_help(FILE *out)
{
        (void)fputs("Usage: carrel [OPTION...] VERB [ARGUMENT...]\n\n"
                    "One hardened container per user: ensure it before each use, and run programs in it.\n\n"
                    "Verbs:\n",
                    out);
        for (size_t i = 0; VERBS[i] != NULL; i++)
                (void)fprintf(out, "  %-9s %s\n", VERBS[i]->name, VERBS[i]->summary);
        (void)fputs("\nOptions:\n", out);
        options_print(COMMON_OPTIONS, out);
        (void)fputs("\nExamples:\n"
                    "  carrel ensure ada\n"
                    "  carrel exec ada -- sh -c 'id; pwd'\n"
                    "  carrel doctor\n"
                    "\n`carrel VERB --help` explains a verb; carrel(1) lists the exit statuses.\n",
                    out);
}
