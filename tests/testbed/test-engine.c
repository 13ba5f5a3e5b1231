#include "test-engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process.h"
#include "test-engine-ops.h"

#define EVENTS_LOG "/run/testbed/events.log"

static const struct test_engine_ops *const KINDS[] = { &docker_test_engine, &podman_test_engine, &oci_test_engine };

static const struct test_engine_ops *find_kind(void)
{
        const char *wanted = getenv("TESTBED_ENGINE");

        for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
                if (strcmp(KINDS[i]->kind, wanted != NULL ? wanted : "docker") == 0)
                        return KINDS[i];
        fprintf(stderr, "testbed: TESTBED_ENGINE=%s is no engine\n", wanted);
        exit(EXIT_FAILURE);
}

static bool is_on_path(const char *program)
{
        static const char *const DIRECTORIES[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin" };
        char path[256];

        for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++) {
                snprintf(path, sizeof path, "%s/%s", DIRECTORIES[i], program);
                if (access(path, X_OK) == 0)
                        return true;
        }
        return false;
}

const char *engine_obstacle(void)
{
        static char sentence[128];

        for (const char *const *program = find_kind()->programs; *program != NULL; program++) {
                if (is_on_path(*program))
                        continue;
                snprintf(sentence, sizeof sentence, "needs %s", *program);
                return sentence;
        }
        return NULL;
}

const char *engine_kind(void)
{
        return find_kind()->kind;
}

const char *const *engine_settings(void)
{
        return find_kind()->settings();
}

const char *engine_socket(void)
{
        return find_kind()->socket;
}

/* ---- its life ---- */

struct test_engine {
        const struct test_engine_ops *ops;
};

struct test_engine *engine_new(void)
{
        struct test_engine *engine = calloc(1, sizeof *engine);

        assert_non_null(engine);
        engine->ops = find_kind();
        mkdir("/run/testbed", 0755);
        MUST_RUN("ip", "link", "set", "lo", "up");
        engine->ops->open();
        return engine;
}

struct test_engine *engine_free(struct test_engine *engine)
{
        if (engine == NULL)
                return NULL;
        engine->ops->close();
        free(engine);
        return NULL;
}

bool engine_has_daemon(void)
{
        return find_kind()->start != NULL;
}

bool engine_keeps_containers(void)
{
        return find_kind()->keeps_containers;
}

void engine_signal(struct test_engine *engine, int signal)
{
        engine->ops->signal(signal);
}

void engine_stop(struct test_engine *engine, int signal)
{
        engine->ops->stop(signal);
}

void engine_start(struct test_engine *engine)
{
        engine->ops->start();
}

void engine_restart(struct test_engine *engine, int signal)
{
        engine_stop(engine, signal);
        engine_start(engine);
}

/* ---- questions and deeds ---- */

size_t engine_count(const char *label)
{
        return find_kind()->count(label);
}

void engine_id(const char *name, char ret_id[static 80])
{
        find_kind()->id(name, ret_id);
}

int engine_pid(const char *name)
{
        return find_kind()->pid(name);
}

bool engine_is_running(const char *name)
{
        return engine_pid(name) > 0;
}

void engine_decoy(const char *name, const char *label, const char *other_label)
{
        find_kind()->decoy(name, label != NULL ? label : "testbed=decoy",
                           other_label != NULL ? other_label : "testbed=decoy");
}

void engine_revive(const char *name)
{
        find_kind()->revive(name);
}

void engine_remove(const char *name)
{
        find_kind()->remove(name);
}

void engine_end(const char *name)
{
        find_kind()->end(name);
}

void engine_run_plainly(const char *script)
{
        find_kind()->run_plainly(script);
}

void engine_add_foreign_network(void)
{
        find_kind()->add_foreign_network();
}

void engine_expect_foreign_network(void)
{
        find_kind()->expect_foreign_network();
}

void engine_forge(const char *user, const struct forgery *forgery)
{
        find_kind()->forge(user, forgery);
}

/* ---- events ---- */

struct engine_events {
        pid_t pid;
        unsigned marks;
};

struct engine_events *engine_events_new(void)
{
        struct engine_events *events = calloc(1, sizeof *events);

        assert_non_null(events);
        unlink(EVENTS_LOG);
        events->pid = find_kind()->follow(EVENTS_LOG);
        return events;
}

struct engine_events *engine_events_free(struct engine_events *events)
{
        if (events == NULL)
                return NULL;
        process_end(events->pid, SIGKILL, 5.0);
        free(events);
        return NULL;
}

static bool does_file_hold(void *arg)
{
        char line[256];
        FILE *file = fopen(EVENTS_LOG, "re");
        bool is_found = false;

        while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL)
                is_found = strstr(line, arg) != NULL;
        if (file != NULL)
                fclose(file);
        return is_found;
}

/* Events come in order, so after our own event all earlier ones have been recorded. The first one may be lost because
 * the follower is not connected yet. Then the caller makes another. */
static bool catch_up(struct engine_events *events)
{
        char name[32];

        snprintf(name, sizeof name, "mark-%u", ++events->marks);
        find_kind()->mark(name);
        return wait_until(does_file_hold, name, 2.0);
}

static bool begins_with(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void read_events(struct engine_events *events, const char *prefix, void (*visit)(void *arg, const char *action),
                        void *arg)
{
        char line[256], action[64], name[160];
        FILE *file;

        for (unsigned i = 0; !catch_up(events); i++)
                assert_true(i < 10);
        file = fopen(EVENTS_LOG, "re");
        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL)
                if (sscanf(line, "%63s %159s", action, name) == 2 && begins_with(name, prefix))
                        visit(arg, action);
        fclose(file);
}

struct tally {
        const char *action;
        size_t count, peak;
};

static void count_action(void *arg, const char *action)
{
        struct tally *tally = arg;

        tally->count += strcmp(action, tally->action) == 0;
}

static void count_between(void *arg, const char *action)
{
        struct tally *tally = arg;

        if (strcmp(action, "create") == 0)
                tally->count++;
        else if (strcmp(action, "start") == 0 && tally->count > 0)
                tally->count--;
        if (tally->count > tally->peak)
                tally->peak = tally->count;
}

size_t engine_events_count(struct engine_events *events, const char *action, const char *prefix)
{
        struct tally tally = { .action = action };

        read_events(events, prefix, count_action, &tally);
        return tally.count;
}

size_t engine_events_peak(struct engine_events *events, const char *prefix)
{
        struct tally tally = { 0 };

        read_events(events, prefix, count_between, &tally);
        return tally.peak;
}
