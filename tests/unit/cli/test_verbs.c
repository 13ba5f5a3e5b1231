#include "prelude.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server.h"
#include "verbs.h"

#define OK_STREAM "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
/* Without a length the body ends with the connection. */
#define OK_JSON "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
#define NOT_FOUND                                                                                                      \
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"                                                          \
        "{\"error\":{\"code\":\"not_found\",\"message\":\"nobody\\u001b[31m\",\"retryable\":false}}"

#define OK_MISSING                                                                                                     \
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"                                                          \
        "{\"error\":{\"code\":\"image_missing\",\"message\":\"none\",\"retryable\":false}}"
#define BROKEN                                                                                                         \
        "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n"                                                        \
        "{\"error\":{\"code\":\"engine_refused\",\"message\":\"no engine\",\"retryable\":false}}"

static void verbs_are_a_sorted_table(void **state)
{
        size_t count = 0;

        for (; VERBS[count] != NULL; count++) {
                const struct verb *verb = VERBS[count];

                if (count > 0)
                        assert_true(strcmp(VERBS[count - 1]->name, verb->name) < 0);
                assert_ptr_equal(verb_find(verb->name), verb);
                assert_non_null(verb->run);
                assert_non_null(verb->operands);
                assert_true(verb->min_operands <= verb->max_operands);
                assert_int_equal(verb->options != NULL, verb->values_size > 0);
        }
        assert_int_equal(count, 26);
        assert_null(verb_find("unknown"));
}

static void options_are_sorted_and_fit(void **state)
{
        for (size_t i = 0; VERBS[i] != NULL; i++) {
                const struct option_spec *options = VERBS[i]->options;

                for (size_t k = 0; options != NULL && options[k].name != NULL; k++) {
                        assert_true(k == 0 || strcmp(options[k - 1].name, options[k].name) < 0);
                        assert_true(options[k].offset < VERBS[i]->values_size);
                        assert_non_null(options[k].help);
                        assert_int_equal(options[k].argument != NULL, options[k].type != OPTION_FLAG);
                        for (size_t c = 0; COMMON_OPTIONS[c].name != NULL; c++) {
                                assert_string_not_equal(COMMON_OPTIONS[c].name, options[k].name);
                                assert_true(options[k].letter == 0 || COMMON_OPTIONS[c].letter != options[k].letter);
                        }
                }
        }
}

/* Help needs no carreld, comes on stdout, and shows an example of the very verb. */
static void every_help_has_an_example(void **state)
{
        for (size_t i = 0; VERBS[i] != NULL; i++) {
                const char *const by_option[] = { VERBS[i]->name, "--help", NULL };
                const char *const by_verb[] = { "help", VERBS[i]->name, NULL };
                struct outcome outcome, other;
                char example[64];

                run_carrel(&outcome, "/nonexistent", by_option);
                run_carrel(&other, "/nonexistent", by_verb);
                assert_int_equal(outcome.status, STATUS_OK);
                assert_string_equal(outcome.err, "");
                assert_string_equal(outcome.out, other.out);
                (void)snprintf(example, sizeof example, "\nExamples:\n  carrel %s", VERBS[i]->name);
                assert_non_null(strstr(outcome.out, example));
        }
}

static void usage_errors_exit_2(void **state)
{
        static const struct {
                const char *words[10];
                int status;
                const char *said;
        } CASES[] = {
                { { NULL }, 2, "Usage: carrel" },
                { { "fly" }, 2, "there is no verb \"fly\"" },
                { { "lss" }, 2, "did you mean `carrel ls`?" },
                { { "run" }, 2, "did you mean `carrel exec`?" },
                { { "help", "enshure" }, 2, "did you mean `carrel ensure`?" },
                { { "ensure", "ada", "--memroy", "1g" }, 2, "did you mean --memory?" },
                { { "--fly" }, 2, "--fly" },
                { { "help", "fly" }, 2, "there is no verb" },
                { { "ls", "ada" }, 2, "unexpected argument: ada" },
                { { "ensure" }, 2, "missing argument: USER\n" },
                { { "ensure", "ada", "--cpus", "0" }, 2, "--cpus wants" },
                { { "ensure", "ada", "--policy", "all" }, 2, "internet, none" },
                { { "ls", "-o", "xml" }, 2, "table, json" },
                { { "rm" }, 2, "missing argument: USER, or --all" },
                { { "image" }, 2, "missing argument: build [NAME[:TAG]] | import" },
                { { "rm", "--all", "ada" }, 2, "not both" },
                { { "rm", "--all", "--files" }, 2, "--files needs the names" },
                { { "rm", "--files", "ada" }, 2, "add --yes" },
                { { "doctor", "--allowed", "x" }, 2, "ADDRESS:PORT" },
                { { "exec", "ada" }, 125, "missing argument: PROGRAM\n" },
                { { "exec", "ada", "-x" }, 125, "see `carrel exec --help`" },
                { { "exec", "..", "true" }, 125, "is not an id" },
                { { "inspect", ".." }, 1, "is not an id" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct outcome outcome;

                run_carrel(&outcome, "/nonexistent", CASES[i].words);
                assert_int_equal(outcome.status, CASES[i].status);
                assert_string_equal(outcome.out, "");
                assert_non_null(strstr(outcome.err, CASES[i].said));
        }
}

static void without_carreld_verbs_exit_3(void **state)
{
        static const struct {
                const char *words[6];
                int status;
        } CASES[] = {
                { { "ensure", "a", "b" }, 3 },
                { { "events" }, 3 },
                { { "exec", "-n", "a", "b" }, 125 },
                { { "info" }, 3 },
                { { "inspect", "a" }, 3 },
                { { "kill", "1" }, 3 },
                { { "ls" }, 3 },
                { { "policy" }, 3 },
                { { "ps" }, 3 },
                { { "reap" }, 3 },
                { { "rm", "a", "b" }, 3 },
                { { "rm", "--all", "--yes" }, 3 },
                { { "stats" }, 3 },
                { { "sweep" }, 3 },
                { { "image", "ls" }, 3 },
                { { "touch", "a" }, 3 },
                { { "why", "a" }, 3 },
                { { "--socket", "/gone", "ls" }, 3 },
                { { "ls", "--socket=/gone" }, 3 },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct outcome outcome;
                const char *sentence;

                run_carrel(&outcome, "/nonexistent", CASES[i].words);
                assert_int_equal(outcome.status, CASES[i].status);
                sentence = strstr(outcome.err, "carreld does not answer at ");
                assert_non_null(sentence);
                assert_null(strstr(sentence + 1, "carreld does not answer")); /* said once, whatever the operands */
        }
}

static void doctor_and_version_do_without(void **state)
{
        static const char *const DOCTOR[] = { "doctor", NULL };
        static const char *const VERSION[] = { "--version", NULL };
        struct outcome outcome;

        run_carrel(&outcome, "/nonexistent", DOCTOR);
        assert_int_equal(outcome.status, STATUS_FAILED);
        assert_non_null(strstr(outcome.out, "socket                  FAIL"));
        assert_non_null(strstr(outcome.out, "./dev up"));
        run_carrel(&outcome, "/nonexistent", VERSION);
        assert_int_equal(outcome.status, STATUS_OK);
        assert_non_null(strstr(outcome.out, "carrel  "));
        assert_null(strstr(outcome.out, "carreld"));
}

#define CARREL(user) "{\"user\":\"" user "\",\"container\":\"carrel-" user "\",\"state\":\"ready\",\"idle_s\":61}"

static void answers_are_shown(void **state)
{
        static const struct {
                const char *words[10];
                const char *answers[4];
                int status;
                const char *out, *err, *asked;
        } CASES[] = {
                { { "ensure", "ada", "bob", "-q", "--memory", "1k" },
                  { OK_JSON CARREL("ada"), OK_JSON CARREL("bob") },
                  0,
                  "carrel-ada\ncarrel-bob\n",
                  "",
                  "PUT /v1/carrels/bob HTTP/1.1" },
                { { "ensure", "ada", "-q", "--memory", "1k", "--pids", "9" },
                  { OK_JSON CARREL("ada") },
                  0,
                  "carrel-ada\n",
                  "",
                  "{\"limits\":{\"memory\":1024,\"pids\":9}}" },
                { { "ls", "-q" },
                  { OK_JSON "{\"carrels\":[" CARREL("ada") "],\"next\":\"ada\"}",
                    OK_JSON "{\"carrels\":[" CARREL("b\\u001b[2Jc") "],\"next\":null}" },
                  0,
                  "ada\nbc\n",
                  "",
                  "GET /v1/carrels?limit=1000&after=ada HTTP/1.1" },
                { { "ls" },
                  { OK_JSON "{\"carrels\":[],\"next\":null}" },
                  0,
                  "USER  STATE  POLICY  AGE  IDLE  EXECS  BACKGROUND  PROFILE  IMAGE  CONTAINER\n",
                  "",
                  "GET /v1/carrels?limit=1000 " },
                { { "ls", "-o", "json" },
                  { OK_JSON "{\"carrels\":[],\"next\":null}" },
                  0,
                  "{\"carrels\":[]}\n",
                  "",
                  "GET " },
                { { "rm", "ghost", "ada" },
                  { NOT_FOUND, OK_JSON "{\"user\":\"ada\",\"outcome\":\"removed\"}" },
                  1,
                  "USER  OUTCOME\nada   removed\n",
                  "carrel: ghost: nobody (not_found)\ncarrel: `carrel ls` and `carrel ps` list carrels and programs\n",
                  "DELETE /v1/carrels/ghost HTTP/1.1" },
                { { "rm", "-f", "ghost" }, { NOT_FOUND }, 0, "", "", "DELETE /v1/carrels/ghost HTTP/1.1" },
                { { "rm", "-f", "ghost" }, { BROKEN }, 1, "", "carrel: no engine (engine_refused)\n", "DELETE " },
                { { "kill", "build-4" }, /* which is forgotten; build-42 is not meant */
                  { NOT_FOUND, OK_JSON "{\"execs\":[{\"exec_id\":\"8a\"},{\"exec_id\":\"build-42\"}]}" },
                  1,
                  "",
                  "carrel: no id is \"build-4\", which is only the beginning of build-42: give the whole "
                  "id\n",
                  "GET /v1/execs?state=all HTTP/1.1" },
                { { "kill", "build-4" }, /* the exact one, whatever else begins so */
                  { OK_JSON "{\"exec_id\":\"build-4\",\"signal\":15}" },
                  0,
                  "EXEC     SIGNAL\nbuild-4  15\n",
                  "",
                  "POST /v1/execs/build-4/signal HTTP/1.1" },
                { { "kill", "9b" },
                  { NOT_FOUND, OK_JSON "{\"execs\":[{\"exec_id\":\"9b00\"},{\"exec_id\":\"9b1d\"}]}" },
                  1,
                  "",
                  "carrel: 2 ids begin with \"9b\": 9b00, 9b1d\n",
                  "GET /v1/execs?state=all HTTP/1.1" },
                { { "kill", "9b" },
                  { NOT_FOUND, OK_JSON "{\"execs\":[{\"exec_id\":\"9b1d\"}],\"truncated\":true}" },
                  1,
                  "",
                  "carrel: too many execs to search for the beginning \"9b\": give the whole id\n",
                  "GET /v1/execs?state=all HTTP/1.1" },
                { { "kill", "7" },
                  { NOT_FOUND, OK_JSON "{\"execs\":[{\"exec_id\":\"9b1d\"}]}" },
                  1,
                  "",
                  "carrel: nobody (not_found)\ncarrel: `carrel ls` and `carrel ps` list carrels and programs\n",
                  "GET /v1/execs?state=all HTTP/1.1" },
                { { "logs", "9b" },
                  { NOT_FOUND, OK_JSON "{\"execs\":[{\"exec_id\":\"9b1d\"}]}",
                    OK_STREAM "{\"event\":\"stdout\",\"seq\":1,\"data\":\"a\",\"encoding\":\"utf-8\"}\n" },
                  0,
                  "a",
                  "",
                  "GET /v1/execs/9b1d/output?follow=0 HTTP/1.1" },
                { { "logs", "x", "-f", "--tail", "2" },
                  { OK_STREAM "{\"event\":\"stdout\",\"seq\":1,\"data\":\"a\\nb\",\"encoding\":\"utf-8\"}\n"
                              "{\"event\":\"stderr\",\"seq\":2,\"data\":\"E\",\"encoding\":\"utf-8\"}\n"
                              "{\"event\":\"stdout\",\"seq\":3,\"data\":\"Cmg=\",\"encoding\":\"base64\"}\n",
                    OK_STREAM "{\"event\":\"stdout\",\"seq\":4,\"data\":\"i\\n\",\"encoding\":\"utf-8\"}\n"
                              "{\"event\":\"exit\",\"cause\":\"exit\",\"exit_code\":0}\n" },
                  0,
                  "b\nhi\n",
                  "E",
                  "GET /v1/execs/x/output?follow=1&after=3 HTTP/1.1" },
                { { "ensure", "ada", "--on-conflict", "replace" },
                  { OK_JSON "{\"user\":\"ada\",\"outcome\":\"replaced\",\"killed\":[\"9b\",\"9c\"]}" },
                  0,
                  "USER  CONTAINER  OUTCOME   STATE  PROFILE  POLICY  IMAGE\nada   -          replaced  -      -       "
                  " -       "
                  "-\n",
                  "carrel: ada: the carrel was replaced, which ended these programs: 9b, 9c\n",
                  "{\"on_conflict\":\"replace\"}" },
                { { "ensure", "ada", "--profile", "small", "-q" },
                  { OK_JSON "{\"user\":\"ada\",\"container\":\"carrel-ada\"}" },
                  0,
                  "carrel-ada\n",
                  "",
                  "{\"profile\":\"small\"}" },
                { { "ensure", "ada", "--mounts", "models,data", "-q" },
                  { OK_JSON "{\"user\":\"ada\",\"container\":\"carrel-ada\"}" },
                  0,
                  "carrel-ada\n",
                  "",
                  "{\"mounts\":[\"models\",\"data\"]}" },
                { { "ensure", "ada", "--mounts", "", "-q" },
                  { OK_JSON "{\"user\":\"ada\",\"container\":\"carrel-ada\"}" },
                  0,
                  "carrel-ada\n",
                  "",
                  "{\"mounts\":[]}" },
                { { "info", "-q" },
                  { OK_JSON "{\"sections\":{\"profile\":{\"small\":{},\"full\":{}}}}" },
                  0,
                  "small\nfull\n",
                  "",
                  "GET /v1/info" },
                { { "image", "rm", "12abcdef" },
                  { OK_MISSING, OK_JSON "{\"images\":[{\"reference\":\"a:1\",\"id\":\"sha256:12abcdef99\"}]}",
                    OK_JSON "{\"reference\":\"a:1\",\"outcome\":\"removed\"}" },
                  0,
                  "IMAGE  OUTCOME\na:1    removed\n",
                  "",
                  "DELETE /v1/images/a%3A1 HTTP/1.1" },
                { { "rm", "--all", "--yes" },
                  { OK_JSON "{\"carrels\":[" CARREL("ada") "],\"next\":null}",
                    OK_JSON "{\"user\":\"ada\",\"outcome\":\"removed\"}" },
                  0,
                  "USER  OUTCOME\nada   removed\n",
                  "",
                  "DELETE /v1/carrels/ada HTTP/1.1" },
                { { "touch", "ada", "--lease", "5" },
                  { OK_JSON CARREL("ada") },
                  0,
                  "USER  STATE  IDLE   LEASE\nada   ready  1m01s  -\n",
                  "",
                  "{\"lease_s\":5}" },
                { { "reap", "--idle", "2.5" },
                  { OK_JSON "{\"retiring\":4}" },
                  0,
                  "retiring  4\n",
                  "",
                  "{\"idle_s\":2.5}" },
                { { "stats", "-q" },
                  { OK_JSON "{\"carrels\":[{\"user\":\"ada\"},{\"user\":\"bob\"}],\"next\":null}" },
                  0,
                  "ada\nbob\n",
                  "",
                  "GET /v1/usage?limit=1000 HTTP/1.1" },
                { { "stats", "ada", "-o", "json" },
                  { OK_JSON "{\"user\":\"ada\",\"io\":null}" },
                  0,
                  "{\"carrels\":[{\"user\":\"ada\",\"io\":null}]}\n",
                  "",
                  "GET /v1/carrels/ada/usage HTTP/1.1" },
                { { "sweep", "-q" }, { OK_JSON "{\"kept\":1,\"failed\":2}" }, 1, "", "", "POST /v1/sweep HTTP/1.1" },
                { { "kill", "9b", "-s", "9", "-o", "json" },
                  { OK_JSON "{\"exec_id\":\"9b\",\"signal\":9}" },
                  0,
                  "{\"exec_id\":\"9b\",\"signal\":9}\n",
                  "",
                  "{\"signal\":9}" },
                { { "kill", "9b", "-q" }, { OK_JSON "{}" }, 0, "", "", "{\"signal\":\"TERM\"}" },
                { { "ps", "a", "-q" },
                  { OK_JSON "{\"execs\":[{\"exec_id\":\"9b\"}]}" },
                  0,
                  "9b\n",
                  "",
                  "GET /v1/execs?user=a HTTP/1.1" },
                { { "ps", "-a", "a" },
                  { OK_JSON "{\"execs\":[{\"exec_id\":\"9b\",\"user\":\"a\",\"state\":\"ended\",\"cause\":\"exit\","
                            "\"exit_code\":3,\"usage\":{\"cpu_us\":2500000,\"memory_peak_bytes\":104857600},"
                            "\"age_s\":61,\"command\":\"make all\"},{\"exec_id\":\"9c\",\"state\":\"failed\","
                            "\"error\":{\"code\":\"pool_full\"}}],\"truncated\":true}" },
                  0,
                  "EXEC  USER  STATE   CAUSE  EXIT  ERROR      CPU     PEAK  AGE    COMMAND\n"
                  "9b    a     ended   exit   3     -          2.500s  100m  1m01s  make all\n"
                  "9c    -     failed  -      -     pool_full  -       -     -      -\n",
                  "carrel: there are more; these are the latest\n",
                  "GET /v1/execs?user=a&state=all HTTP/1.1" },
                { { "ps", "--state", "failed", "-o", "json" },
                  { OK_JSON "{\"execs\":[],\"truncated\":false}" },
                  0,
                  "{\"execs\":[],\"truncated\":false}\n",
                  "",
                  "GET /v1/execs?state=failed HTTP/1.1" },
                { { "image", "ls", "-q" },
                  { OK_JSON "{\"images\":[{\"reference\":\"a:1\"},{\"reference\":\"b:2\"}]}" },
                  0,
                  "a:1\nb:2\n",
                  "",
                  "GET /v1/images HTTP/1.1" },
                { { "image", "inspect", "team/a:1" },
                  { OK_JSON "{\"reference\":\"team/a:1\",\"id\":\"sha256:12\",\"size_bytes\":2048}" },
                  0,
                  "IMAGE  team/a:1\nSIZE   2k\nID     sha256:12\n",
                  "",
                  "GET /v1/images/team%2Fa%3A1 HTTP/1.1" },
                { { "image", "rm", "a:1" },
                  { OK_JSON "{\"reference\":\"a:1\",\"outcome\":\"removed\"}" },
                  0,
                  "IMAGE  OUTCOME\na:1    removed\n",
                  "",
                  "DELETE /v1/images/a%3A1 HTTP/1.1" },
                { { "policy" },
                  { OK_JSON "{\"policy\":{\"is_in_force\":false,\"detail\":\"gone\",\"heals\":1}}" },
                  1,
                  "in force  no\ndetail    gone\nheals     1\n",
                  "",
                  "GET /v1/info" },
                { { "events", "-n", "1", "-q" },
                  { OK_STREAM "{\"event\":\"listening\"}\n{\"event\":\"lost\"}\n{\"event\":\"more\"}\n" },
                  0,
                  "lost\n",
                  "",
                  "GET /v1/events" },
                { { "events" },
                  { OK_STREAM "{\"event\":\"lost\",\"time\":\"t\",\"user\":\"ada\",\"detail\":\"d\"}\n" },
                  3,
                  "t                         lost                  ada               d\n",
                  "carrel: carreld ended the stream\n",
                  "GET /v1/events" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct server server;
                struct outcome outcome;

                server_start(&server, CASES[i].answers, false);
                run_carrel(&outcome, server.path, CASES[i].words);
                server_stop(&server);
                assert_string_equal(outcome.err, CASES[i].err);
                assert_string_equal(outcome.out, CASES[i].out);
                assert_int_equal(outcome.status, CASES[i].status);
                assert_non_null(strstr(server.asked, CASES[i].asked));
                server_end(&server);
        }
}

#define STREAM(lines)                                                                                                  \
        {                                                                                                              \
                OK_STREAM "{\"event\":\"start\",\"exec_id\":\"9b\"}\n" lines                                           \
        }
#define EXIT(cause, code, signal)                                                                                      \
        "{\"event\":\"exit\",\"cause\":\"" cause "\",\"exit_code\":" #code ",\"signal\":" #signal "}\n"

static void exec_passes_everything_through(void **state)
{
        static const struct {
                const char *words[10];
                const char *answers[2];
                int status;
                const char *out, *err, *asked;
        } CASES[] = {
                { { "exec", "-n", "ada", "-e", "A=b", "--", "sh", "-c" },
                  STREAM("{\"event\":\"stdout\",\"data\":\"o\\u00e9\\n\",\"encoding\":\"utf-8\"}\n"
                         "{\"event\":\"stderr\",\"data\":\"ZQ==\",\"encoding\":\"base64\"}\n" EXIT("exit", 3, 0)),
                  3,
                  "o\xC3\xA9\n",
                  "e",
                  "{\"argv\":[\"sh\",\"-c\"],\"env\":[\"A=b\"]}" },
                { { "exec", "-n", "ada", "--timeout", "1.5", "-w", "/tmp", "x" },
                  STREAM(EXIT("timeout", 124, 0)),
                  124,
                  "",
                  "carrel: the program was killed: it reached its timeout (timeout)\n",
                  "{\"argv\":[\"x\"],\"cwd\":\"/tmp\",\"timeout_s\":1.5}" },
                { { "exec", "-n", "--profile", "small", "ada", "x" },
                  STREAM(EXIT("exit", 0, 0)),
                  0,
                  "",
                  "",
                  "{\"argv\":[\"x\"],\"profile\":\"small\"}" },
                { { "exec", "-nq", "ada", "x" },
                  STREAM(EXIT("oom", 137, 9)),
                  137,
                  "",
                  "",
                  "POST /v1/carrels/ada/exec " },
                { { "exec", "-n", "ada", "x" }, STREAM(EXIT("signal", 143, 15)), 143, "", "", "x-ndjson" },
                { { "exec", "-n", "ada", "x" },
                  STREAM(""),
                  125,
                  "",
                  "carrel: carreld ended the stream before the program's end: its result is unknown\n",
                  "POST" },
                { { "exec", "-n", "ada", "x" },
                  STREAM("{\"event\":\"stdout\",\"data\":\"Z\",\"encoding\":\"base64\"}\n" EXIT("exit", 0, 0)),
                  125,
                  "",
                  "carrel: cannot write the output: Invalid argument\n",
                  "POST" },
                { { "exec", "-n", "ada", "x" },
                  { NOT_FOUND },
                  125,
                  "",
                  "carrel: nobody (not_found)\ncarrel: `carrel ls` and `carrel ps` list carrels and programs\n",
                  "POST" },
                { { "exec", "-n", "-o", "json", "ada", "x" },
                  { OK_STREAM EXIT("exit", 7, 0) },
                  7,
                  EXIT("exit", 7, 0),
                  "",
                  "POST" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct server server;
                struct outcome outcome;

                server_start(&server, CASES[i].answers, false);
                run_carrel(&outcome, server.path, CASES[i].words);
                server_stop(&server);
                assert_string_equal(outcome.out, CASES[i].out);
                assert_string_equal(outcome.err, CASES[i].err);
                assert_int_equal(outcome.status, CASES[i].status);
                assert_non_null(strstr(server.asked, CASES[i].asked));
                server_end(&server);
        }
}

static void exec_sends_stdin(void **state)
{
        static const char *const WORDS[] = { "exec", "-di", "ada", "cat", NULL };
        static const char *const ANSWERS[] = { OK_JSON "{\"exec_id\":\"9b\"}", NULL };
        int saved = dup(STDIN_FILENO);
        struct server server;
        struct outcome outcome;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "fo\0", 3), 3);
        close(fds[1]);
        assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
        close(fds[0]);
        server_start(&server, ANSWERS, false);
        run_carrel(&outcome, server.path, WORDS);
        server_stop(&server);
        assert_int_equal(outcome.status, 0);
        assert_non_null(strstr(server.asked, "\"stdin_b64\":\"Zm8A\""));
        server_end(&server);
        if (saved >= 0) {
                assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
                close(saved);
        }
}

/* An open pipe that nobody ever writes to or closes, as a program's child has it: it is neither waited for nor read. */
static void without_i_stdin_is_not_read(void **state)
{
        static const char *const WORDS[] = { "exec", "ada", "cat", NULL };
        static const char *const ANSWERS[] = { OK_STREAM EXIT("exit", 0, 0), NULL };
        int saved = dup(STDIN_FILENO);
        struct server server;
        struct outcome outcome;
        char byte;
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
        server_start(&server, ANSWERS, false);
        run_carrel(&outcome, server.path, WORDS); /* hangs, if it reads to the end */
        server_stop(&server);
        assert_int_equal(outcome.status, 0);
        assert_non_null(strstr(server.asked, "{\"argv\":[\"cat\"]}"));
        server_end(&server);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        close(fds[0]);
        close(fds[1]);
        if (saved >= 0) {
                assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
                close(saved);
        }
}

static void a_name_alone_takes_our_value(void **state)
{
        static const char *const WORDS[] = { "exec", "-e",  "CARREL_TEST_A", "-e",  "CARREL_TEST_NONE",
                                             "-e",   "B=c", "ada",           "env", NULL };
        static const char *const ANSWERS[] = { OK_STREAM EXIT("exit", 0, 0), NULL };
        struct server server;
        struct outcome outcome;

        assert_int_equal(setenv("CARREL_TEST_A", "a b=c", 1), 0);
        assert_int_equal(unsetenv("CARREL_TEST_NONE"), 0);
        server_start(&server, ANSWERS, false);
        run_carrel(&outcome, server.path, WORDS);
        server_stop(&server);
        assert_int_equal(outcome.status, 0);
        assert_non_null(strstr(server.asked, "\"env\":[\"CARREL_TEST_A=a b=c\",\"B=c\"]"));
        server_end(&server);
}

/* A path that is not a socket of carreld's is reported, with what to do. */
static void a_wrong_socket_is_named(void **state)
{
        static const struct {
                const char *path, *said;
        } CASES[] = {
                { "/etc/passwd", "/etc/passwd is not a socket: name carreld's with --socket" },
                { "/tmp", "/tmp is not a socket" },
                { "/nonexistent", "no such socket" },
        };

        for (size_t i = 0; i < COUNT(CASES); i++) {
                const char *const words[] = { "ls", NULL };
                struct outcome outcome;

                run_carrel(&outcome, CASES[i].path, words);
                assert_int_equal(outcome.status, STATUS_UNREACHABLE);
                assert_non_null(strstr(outcome.err, CASES[i].said));
        }
}

/* The signal waits before the stream begins; the server holds the connection until the client closes it. */
static void signals_close_the_connection(void **state)
{
        static const struct {
                int signal;
                const char *words[5];
                int status;
        } CASES[] = {
                { SIGINT, { "exec", "-n", "ada", "sleep" }, 130 },
                { SIGTERM, { "exec", "-n", "ada", "sleep" }, 143 },
                { SIGINT, { "events" }, 130 },
        };
        static const char *const ANSWERS[] = { OK_STREAM "{\"event\":\"start\"}\n", NULL };
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        assert_int_equal(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
        (void)signal(SIGINT, SIG_DFL); /* a background shell may have ignored it */
        for (size_t i = 0; i < COUNT(CASES); i++) {
                struct server server;
                struct outcome outcome;

                server_start(&server, ANSWERS, true);
                assert_int_equal(kill(getpid(), CASES[i].signal), 0);
                run_carrel(&outcome, server.path, CASES[i].words);
                server_stop(&server); /* returns only because the client has left */
                server_end(&server);
                assert_int_equal(outcome.status, CASES[i].status);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(verbs_are_a_sorted_table),
                cmocka_unit_test(options_are_sorted_and_fit),
                cmocka_unit_test(every_help_has_an_example),
                cmocka_unit_test(usage_errors_exit_2),
                cmocka_unit_test(without_carreld_verbs_exit_3),
                cmocka_unit_test(doctor_and_version_do_without),
                cmocka_unit_test(answers_are_shown),
                cmocka_unit_test(exec_passes_everything_through),
                cmocka_unit_test(exec_sends_stdin),
                cmocka_unit_test(without_i_stdin_is_not_read),
                cmocka_unit_test(a_name_alone_takes_our_value),
                cmocka_unit_test(a_wrong_socket_is_named),
                cmocka_unit_test(signals_close_the_connection),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
