#include "dockerd.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "enclosure.h"
#include "process.h"
#include "request.h"

#define EVENTS_LOG "/run/testbed/events.log"
#define DATA_ROOT "/run/dockerd"
#define IMAGE_TAR "/run/testbed/sandbox.tar"

#define START_S 20.0
enum { STARTS_MAX = 4 };

struct dockerd {
        pid_t pid;
};

/* ---- its life ---- */

static bool does_answer(void *arg)
{
        struct answer answer = request_within(DOCKERD_SOCKET, "GET", "/_ping", NULL, 2.0);
        bool is_up = answer.status == 200;

        (void)arg;
        answer_release(&answer);
        return is_up;
}

static bool has_answered_or_ended(void *arg)
{
        const struct dockerd *dockerd = arg;

        return !process_is_running(dockerd->pid) || does_answer(NULL);
}

/* A dockerd that starts right after one was killed may find that one's containerd still alive, rely on it, and lose it:
 * then it ends or hangs, and is started again, as a service manager would do. */
void dockerd_start(struct dockerd *dockerd)
{
        const char *argv[] = { "dockerd",
                               "--host=unix://" DOCKERD_SOCKET,
                               "--data-root=" DATA_ROOT "/data",
                               "--exec-root=" DATA_ROOT "/exec",
                               "--pidfile=" DATA_ROOT "/docker.pid",
                               "--exec-opt=native.cgroupdriver=cgroupfs",
                               "--log-level=error",
                               "--cgroup-parent",
                               enclosure_cgroup(),
                               NULL };

        for (int i = 0; i < STARTS_MAX; i++) {
                unlink(DATA_ROOT "/docker.pid");
                dockerd->pid = process_spawn(argv, NULL, DOCKERD_LOG);
                if (wait_until(has_answered_or_ended, dockerd, START_S) && process_is_running(dockerd->pid))
                        return;
                process_end(dockerd->pid, SIGKILL, 5.0);
        }
        fail_msg("dockerd does not answer; see %s", DOCKERD_LOG);
}

static void load_image(void)
{
        const char *source = getenv("TESTBED_SOURCE_DIR");
        char recipe[512];

        assert_non_null(source);
        assert_true(snprintf(recipe, sizeof(recipe), "%s/image/build-sandbox", source) < (int)sizeof(recipe));
        MUST_RUN(recipe, IMAGE_TAR, SANDBOX_IMAGE);
        MUST_RUN("docker", "load", "--quiet", "--input", IMAGE_TAR);
        unlink(IMAGE_TAR);
}

struct dockerd *dockerd_new(void)
{
        struct dockerd *dockerd = calloc(1, sizeof(*dockerd));

        assert_non_null(dockerd);
        setenv("DOCKER_HOST", "unix://" DOCKERD_SOCKET, 1);
        mkdir("/run/testbed", 0755);
        mkdir(DATA_ROOT, 0711);
        MUST_RUN("ip", "link", "set", "lo", "up");
        dockerd_start(dockerd);
        load_image();
        return dockerd;
}

struct dockerd *dockerd_free(struct dockerd *dockerd)
{
        if (dockerd == NULL)
                return NULL;
        kill(dockerd->pid, SIGCONT);
        process_end(dockerd->pid, SIGTERM, 20.0);
        free(dockerd);
        return NULL;
}

/* A stop takes a moment to reach every thread, and one that still runs may answer: it has stopped when wait(2) says so.
 */
void dockerd_signal(struct dockerd *dockerd, int signal)
{
        siginfo_t info;

        assert_return_code(kill(dockerd->pid, signal), errno);
        if (signal == SIGSTOP)
                assert_return_code(waitid(P_PID, (id_t)dockerd->pid, &info, WSTOPPED), errno);
}

void dockerd_stop(struct dockerd *dockerd, int signal)
{
        process_end(dockerd->pid, signal, 30.0);
}

void dockerd_restart(struct dockerd *dockerd, int signal)
{
        dockerd_stop(dockerd, signal);
        dockerd_start(dockerd);
}

/* ---- questions ---- */

static bool has_label(const cJSON *container, const char *label)
{
        const cJSON *labels = cJSON_GetObjectItemCaseSensitive(container, "Labels");
        size_t key_length = strcspn(label, "=");
        char key[128];
        const char *value;

        assert_true(key_length < sizeof(key));
        memcpy(key, label, key_length);
        key[key_length] = '\0';
        value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, key));
        return value != NULL && (label[key_length] == '\0' || strcmp(value, label + key_length + 1) == 0);
}

size_t dockerd_count(const char *label)
{
        struct answer answer = request(DOCKERD_SOCKET, "GET", "/containers/json?all=1", NULL);
        const cJSON *container;
        size_t count = 0;

        assert_int_equal(answer.status, 200);
        cJSON_ArrayForEach(container, answer.json) count += label == NULL || has_label(container, label);
        answer_release(&answer);
        return count;
}

static struct answer inspect(const char *name)
{
        char path[256];

        assert_true(snprintf(path, sizeof(path), "/containers/%s/json", name) < (int)sizeof(path));
        return request(DOCKERD_SOCKET, "GET", path, NULL);
}

void dockerd_id(const char *name, char ret_id[static 80])
{
        struct answer answer = inspect(name);

        snprintf(ret_id, 80, "%s", answer_text(&answer, "Id"));
        answer_release(&answer);
}

int dockerd_pid(const char *name)
{
        struct answer answer = inspect(name);
        double pid = answer_number(&answer, "State.Pid");

        answer_release(&answer);
        return pid > 0 ? (int)pid : 0;
}

bool dockerd_is_running(const char *name)
{
        return dockerd_pid(name) > 0;
}

void dockerd_decoy(const char *name, const char *label, const char *other_label)
{
        MUST_RUN("docker", "run", "--detach", "--network=none", "--name", name, "--label",
                 label != NULL ? label : "testbed=decoy", "--label",
                 other_label != NULL ? other_label : "testbed=decoy", SANDBOX_IMAGE, "sleep", "1000000");
}

void dockerd_remove(const char *name)
{
        MUST_RUN("docker", "rm", "--force", name);
}

/* ---- events ---- */

struct dockerd_events {
        pid_t pid;
        unsigned marks;
};

struct dockerd_events *dockerd_events_new(void)
{
        struct dockerd_events *events = calloc(1, sizeof(*events));
        const char *argv[] = { "docker", "events", "--filter=type=container",
                               "--format={{.Action}} {{.Actor.Attributes.name}}", NULL };

        assert_non_null(events);
        unlink(EVENTS_LOG);
        events->pid = process_spawn(argv, NULL, EVENTS_LOG);
        return events;
}

struct dockerd_events *dockerd_events_free(struct dockerd_events *events)
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

        while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL)
                is_found = strstr(line, arg) != NULL;
        if (file != NULL)
                fclose(file);
        return is_found;
}

/* Events come in order, so one of our own marks the end of all that came before. The first mark may be lost, when the
 * follower is not connected yet: then it is made again. */
static bool catch_up(struct dockerd_events *events)
{
        char name[32];

        snprintf(name, sizeof(name), "mark-%u", ++events->marks);
        MUST_RUN("docker", "create", "--name", name, SANDBOX_IMAGE);
        MUST_RUN("docker", "rm", name);
        return wait_until(does_file_hold, name, 2.0);
}

static bool begins_with(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void read_events(struct dockerd_events *events, const char *prefix, void (*visit)(void *arg, const char *action),
                        void *arg)
{
        char line[256], action[64], name[160];
        FILE *file;

        for (unsigned i = 0; !catch_up(events); i++)
                assert_true(i < 10);
        file = fopen(EVENTS_LOG, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file) != NULL)
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

size_t dockerd_events_count(struct dockerd_events *events, const char *action, const char *prefix)
{
        struct tally tally = { .action = action };

        read_events(events, prefix, count_action, &tally);
        return tally.count;
}

size_t dockerd_events_peak(struct dockerd_events *events, const char *prefix)
{
        struct tally tally = { 0 };

        read_events(events, prefix, count_between, &tally);
        return tally.peak;
}
