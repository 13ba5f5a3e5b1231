/* Docker and Podman: a daemon with Docker's API on a socket, and a command-line client with the same verbs. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "carreld.h"
#include "enclosure.h"
#include "process.h"
#include "request.h"
#include "test-engine-ops.h"

#define DOCKER_SOCKET "/run/docker.sock"
#define PODMAN_SOCKET "/run/podman/podman.sock"
#define DATA_ROOT "/run/engine"
#define ENGINE_LOG "/run/testbed/engine.log"
#define IMAGE_TAR "/run/testbed/sandbox.tar"
#define CONTAINERS_CONF "/run/testbed/containers.conf"

#define CONTAINERD_PID_FILE DATA_ROOT "/exec/containerd/containerd.pid"

#define START_S 45.0
enum { STARTS_MAX = 3, WORDS_MAX = 40 };

static pid_t daemon_pid;

/* ---- the client ---- */

static bool is_podman(void)
{
        return strcmp(engine_kind(), "podman") == 0;
}

/* Puts the client of this kind and the words (NULL-terminated) into argv. */
static void client_words(const char *argv[WORDS_MAX], const char *const *words)
{
        size_t n = 0;

        argv[n++] = engine_kind();
        if (is_podman())
                argv[n++] = "--url=unix://" PODMAN_SOCKET;
        for (; *words != NULL; words++) {
                assert_true(n < WORDS_MAX - 1);
                argv[n++] = *words;
        }
        argv[n] = NULL;
}

static void must_run_client(const char *const *words)
{
        const char *argv[WORDS_MAX];

        client_words(argv, words);
        process_must_run(argv);
}
#define CLIENT(...) must_run_client((const char *const[]){ __VA_ARGS__, NULL })

/* ---- the daemon ---- */

static bool has_answered_or_ended(void *arg)
{
        struct answer answer;
        bool is_up;

        (void)arg;
        if (!process_is_running(daemon_pid))
                return true;
        answer = request_within(engine_socket(), "GET", "/_ping", NULL, 2.0);
        is_up = answer.status == 200;
        answer_release(&answer);
        return is_up;
}

/* gVisor, set up as docs/engines.md says. dockerd starts even if the runtime is not installed. */
static void write_docker_config(void)
{
        FILE *file = fopen(DATA_ROOT "/daemon.json", "we");

        assert_non_null(file);
        fputs("{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[\"--network=none\","
              "\"--host-uds=open\",\"--oci-seccomp\"]}}}",
              file);
        assert_return_code(fclose(file), errno);
}

static void spawn_dockerd(void)
{
        const char *argv[] = { "dockerd",
                               "--config-file=" DATA_ROOT "/daemon.json",
                               "--host=unix://" DOCKER_SOCKET,
                               "--data-root=" DATA_ROOT "/data",
                               "--exec-root=" DATA_ROOT "/exec",
                               "--pidfile=" DATA_ROOT "/docker.pid",
                               "--exec-opt=native.cgroupdriver=cgroupfs",
                               "--log-level=error",
                               "--cgroup-parent",
                               enclosure_cgroup(),
                               NULL };

        unlink(DATA_ROOT "/docker.pid");
        write_docker_config();
        daemon_pid = process_spawn(argv, NULL, ENGINE_LOG);
}

static void spawn_podman(void)
{
        const char *argv[] = { "podman",
                               "--root=" DATA_ROOT "/data",
                               "--runroot=" DATA_ROOT "/run",
                               "--cgroup-manager=cgroupfs",
                               "--log-level=error",
                               "system",
                               "service",
                               "--time=0",
                               "unix://" PODMAN_SOCKET,
                               NULL };

        daemon_pid = process_spawn(argv, NULL, ENGINE_LOG);
}

/* A daemon that ends or hangs is started again, as a service manager would do. */
static void start(void)
{
        for (int i = 0; i < STARTS_MAX; i++) {
                if (is_podman())
                        spawn_podman();
                else
                        spawn_dockerd();
                if (wait_until(has_answered_or_ended, NULL, START_S) && process_is_running(daemon_pid))
                        return;
                process_end(daemon_pid, SIGKILL, 5.0);
        }
        fail_msg("%s does not answer; see %s", engine_kind(), ENGINE_LOG);
}

/* SIGSTOP takes a moment to reach every thread, and a thread that still runs may answer. The daemon has stopped when
 * wait(2) reports it. */
static void signal_daemon(int signal)
{
        siginfo_t info;

        assert_return_code(kill(daemon_pid, signal), errno);
        if (signal == SIGSTOP)
                assert_return_code(waitid(P_PID, (id_t)daemon_pid, &info, WSTOPPED), errno);
}

static bool has_no_containerd(void *arg)
{
        FILE *file = fopen(CONTAINERD_PID_FILE, "re");
        int pid = 0;

        (void)arg;
        if (file == NULL)
                return true;
        if (fscanf(file, "%d", &pid) != 1)
                pid = 0;
        fclose(file);
        return pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH);
}

/* The kernel kills the containerd of a dockerd a moment after it. A dockerd started within that moment would rely on
 * the dying containerd. */
static void stop(int signal)
{
        process_end(daemon_pid, signal, PATIENCE_S);
        if (!wait_until(has_no_containerd, NULL, PATIENCE_S))
                fail_msg("the containerd of a dockerd that has ended goes on");
}

static void close_engine(void)
{
        kill(daemon_pid, SIGCONT);
        process_end(daemon_pid, SIGTERM, 20.0);
}

static void load_image(void)
{
        const char *source = getenv("TESTBED_SOURCE_DIR");
        char recipe[512];

        assert_non_null(source);
        assert_true(snprintf(recipe, sizeof recipe, "%s/image/build-sandbox", source) < (int)sizeof recipe);
        MUST_RUN(recipe, IMAGE_TAR, SANDBOX_IMAGE);
        CLIENT("load", "--quiet", "--input", IMAGE_TAR);
        unlink(IMAGE_TAR);
}

static void open_docker(void)
{
        setenv("DOCKER_HOST", "unix://" DOCKER_SOCKET, 1);
        mkdir(DATA_ROOT, 0711);
        start();
        load_image();
}

/* At most our own hard limits: Podman's defaults exceed those of a guest without CAP_SYS_RESOURCE. */
static void write_containers_conf(void)
{
        struct rlimit files, processes;
        FILE *conf = fopen(CONTAINERS_CONF, "we");

        assert_non_null(conf);
        assert_return_code(getrlimit(RLIMIT_NOFILE, &files), errno);
        assert_return_code(getrlimit(RLIMIT_NPROC, &processes), errno);
        fprintf(conf,
                "[containers]\ndefault_ulimits = [\"nofile=%1$llu:%1$llu\", \"nproc=%2$llu:%2$llu\"]\n"
                "[engine]\nruntime = \"crun\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
                "[network]\nnetwork_config_dir = \"" DATA_ROOT "/networks\"\n",
                (unsigned long long)(files.rlim_max < 20000 ? files.rlim_max : 20000),
                (unsigned long long)(processes.rlim_max < 32768 ? processes.rlim_max : 32768));
        assert_return_code(fclose(conf), errno);
}

/* Podman would use the host's locks (/dev/shm/libpod_lock), caches and networks, so
 * other directories are mounted over them. */
static void open_podman(void)
{
        static const char *const PRIVATE[] = { "/dev/shm", "/var/lib/containers", "/var/lib/cni" };

        enclosure_hide_cgroup2();
        for (size_t i = 0; i < sizeof PRIVATE / sizeof *PRIVATE; i++) {
                struct stat found;

                if (stat(PRIVATE[i], &found) == 0)
                        assert_return_code(mount("tmpfs", PRIVATE[i], "tmpfs", 0, "mode=0755"), errno);
        }
        write_containers_conf();
        setenv("CONTAINERS_CONF", CONTAINERS_CONF, 1);
        mkdir(DATA_ROOT, 0711);
        mkdir("/run/podman", 0755);
        start();
        load_image();
}

/* ---- questions ---- */

static bool has_label(const cJSON *container, const char *label)
{
        const cJSON *labels = cJSON_GetObjectItemCaseSensitive(container, "Labels");
        size_t key_length = strcspn(label, "=");
        char key[128];
        const char *value;

        assert_true(key_length < sizeof key);
        memcpy(key, label, key_length);
        key[key_length] = '\0';
        value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(labels, key));
        return value != NULL && (label[key_length] == '\0' || strcmp(value, label + key_length + 1) == 0);
}

static size_t count(const char *label)
{
        struct answer answer = request(engine_socket(), "GET", "/containers/json?all=1", NULL);
        const cJSON *container;
        size_t n = 0;

        assert_int_equal(answer.status, 200);
        cJSON_ArrayForEach(container, answer.json) n += label == NULL || has_label(container, label);
        answer_release(&answer);
        return n;
}

static struct answer inspect(const char *name)
{
        char path[256];

        assert_true(snprintf(path, sizeof path, "/containers/%s/json", name) < (int)sizeof path);
        return request(engine_socket(), "GET", path, NULL);
}

static void id(const char *name, char ret_id[static 80])
{
        struct answer answer = inspect(name);

        snprintf(ret_id, 80, "%s", answer_text(&answer, "Id"));
        answer_release(&answer);
}

static int pid(const char *name)
{
        struct answer answer = inspect(name);
        double number = answer_number(&answer, "State.Pid");

        answer_release(&answer);
        return number > 0 ? (int)number : 0;
}

/* ---- deeds ---- */

/* dockerd has this as its default. The service of Podman has no such option. */
static const char *cgroup_word(void)
{
        static char word[128];

        snprintf(word, sizeof word, "--cgroup-parent=%s", enclosure_cgroup());
        return word;
}

static void decoy(const char *name, const char *label, const char *other_label)
{
        CLIENT("run", "--detach", "--network=none", cgroup_word(), "--name", name, "--label", label, "--label",
               other_label, SANDBOX_IMAGE, "sleep", "1000000");
}

static void revive(const char *name)
{
        CLIENT("start", name);
}

static void remove_container(const char *name)
{
        if (is_podman())
                CLIENT("rm", "--force", "--time=0", name);
        else
                CLIENT("rm", "--force", name);
}

static void end(const char *name)
{
        CLIENT("stop", "--time=5", name);
}

static void run_plainly(const char *script)
{
        CLIENT("run", "--rm", "--network=none", "--user=0", cgroup_word(), "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN",
               "--cap-add=MKNOD", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
               SANDBOX_IMAGE, "sh", "-c", script);
}

static void add_foreign_network(void)
{
        CLIENT("network", "create", "--label", (LABEL_POOL "=default"), "decoy-network");
}

static void expect_foreign_network(void)
{
        CLIENT("network", "inspect", "decoy-network");
}

/* Finds "KEY":"VALUE" among the labels in the engine's description of an image. */
static void find_label(const struct answer *image, const char *key, char *ret_value, size_t size)
{
        char start[128];
        const char *at;

        snprintf(start, sizeof start, "\"%s\":\"", key);
        at = image->status == 200 ? strstr(image->body, start) : NULL;
        if (at == NULL)
                fail_msg("no label %s: %d %s", key, image->status, image->body);
        at += strlen(start);
        assert_true(strcspn(at, "\"") < size);
        snprintf(ret_value, size, "%.*s", (int)strcspn(at, "\""), at);
}

/* An image that is made from a container has its labels and its entrypoint. */
static void forge(const char *user, const struct forgery *forgery)
{
        struct answer made = request(engine_socket(), "GET", "/images/forged:latest/json", NULL);
        char name[128], slot[64], directory[256], home[256], target[300], network[64], pids[64];

        snprintf(name, sizeof name, CARREL_PREFIX "%s", user);
        snprintf(directory, sizeof directory, "--volume=" CARREL_USERS "/%s:/workspace", forgery->owner);
        snprintf(network, sizeof network, "--network=%s", forgery->network);
        snprintf(pids, sizeof pids, "--pids-limit=%u", forgery->pids);
        if (made.status != 200)
                CLIENT("commit", name, "forged:latest");
        answer_release(&made);
        made = request(engine_socket(), "GET", "/images/forged:latest/json", NULL);
        find_label(&made, LABEL_SLOT, slot, sizeof slot);
        answer_release(&made);
        snprintf(home, sizeof home, CARREL_RUNTIME "/agents/default/%s", slot);
        snprintf(target, sizeof target, "--volume=%s:/.carrel/home:ro", home);
        MUST_RUN("mkdir", "-p", home); /* carreld may have removed it with an earlier container */
        remove_container(name);
        CLIENT("run", "--detach", "--name", name, is_podman() ? "--read-only-tmpfs=false" : "--read-only",
               "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp:nosuid,nodev",
               "--volume=" CARREL_HELPERS "/carrel-init:/.carrel/init:ro", "--memory=64m", "--memory-swap=64m",
               cgroup_word(), network, directory, target, pids, "forged:latest");
}

/* ---- events ---- */

static pid_t follow(const char *log)
{
        const char *argv[WORDS_MAX];
        const char *words[] = { "events", "--filter=type=container",
                                is_podman() ? "--format={{.Status}} {{.Name}}"
                                            : "--format={{.Action}} {{.Actor.Attributes.name}}",
                                NULL };

        client_words(argv, words);
        return process_spawn(argv, NULL, log);
}

static void mark(const char *name)
{
        CLIENT("create", cgroup_word(), "--name", name, SANDBOX_IMAGE);
        CLIENT("rm", name);
}

#define API_ENGINE                                                                                                     \
        .close = close_engine, .signal = signal_daemon, .stop = stop, .start = start, .count = count, .id = id,        \
        .pid = pid, .decoy = decoy, .revive = revive, .remove = remove_container, .end = end,                          \
        .run_plainly = run_plainly, .add_foreign_network = add_foreign_network,                                        \
        .expect_foreign_network = expect_foreign_network, .forge = forge, .follow = follow, .mark = mark

static const char *const DOCKER_PROGRAMS[] = { "dockerd", "docker", NULL };

static const char *const *docker_settings(void)
{
        static const char *const SETTINGS[] = { "CARREL_ENGINE=docker", "CARREL_ENGINE_SOCKET=" DOCKER_SOCKET, NULL };

        return SETTINGS;
}

const struct test_engine_ops docker_test_engine = {
        .kind = "docker",
        .programs = DOCKER_PROGRAMS,
        .settings = docker_settings,
        .socket = DOCKER_SOCKET,
        .open = open_docker,
        API_ENGINE,
};

static const char *const PODMAN_PROGRAMS[] = { "podman", "conmon", "crun", NULL };

static const char *const *podman_settings(void)
{
        static char cgroup_parent[128];
        static const char *const SETTINGS[] = { "CARREL_ENGINE=podman", "CARREL_ENGINE_SOCKET=" PODMAN_SOCKET,
                                                cgroup_parent, NULL };

        snprintf(cgroup_parent, sizeof cgroup_parent, "CARREL_CGROUP_PARENT=%s", enclosure_cgroup());
        return SETTINGS;
}

const struct test_engine_ops podman_test_engine = {
        .kind = "podman",
        .programs = PODMAN_PROGRAMS,
        .settings = podman_settings,
        .keeps_containers = true,
        .socket = PODMAN_SOCKET,
        .open = open_podman,
        API_ENGINE,
};
