/* The embedded engine. It has no daemon. Its records are below carreld's runtime directory, and oci-tool is a small
 * client for them. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "carreld.h"
#include "enclosure.h"
#include "process.h"
#include "test-engine-ops.h"

#define STATE_DIR CARREL_RUNTIME "/oci"
#define IMAGE_DIR "/run/testbed/images"
#define IMAGE_TAR "/run/testbed/sandbox.tar"
#define PLAIN_ROOT "/run/testbed/plain"
#define PLAIN_STATE "/run/testbed/plain-state"
#define USERS_DISK "/run/testbed/users.img"
#define EVENTS_LOG "/run/testbed/events.log"

enum { WORDS_MAX = 24, RECORD_MAX = 1 << 20 };

static void tool_words(const char *argv[WORDS_MAX], const char *const *words)
{
        static char program[512];
        size_t n = 0;

        snprintf(program, sizeof program, "%s", built_program("tests/testbed/oci-tool"));
        argv[n++] = program;
        argv[n++] = STATE_DIR;
        argv[n++] = IMAGE_DIR;
        argv[n++] = enclosure_cgroup();
        for (; *words != NULL; words++) {
                assert_true(n < WORDS_MAX - 1);
                argv[n++] = *words;
        }
        argv[n] = NULL;
}

static void must_run_tool(const char *const *words)
{
        const char *argv[WORDS_MAX];

        tool_words(argv, words);
        process_must_run(argv);
}
#define TOOL(...) must_run_tool((const char *const[]){ __VA_ARGS__, NULL })

/* ---- the records ---- */

static cJSON *read_json(const char *path)
{
        char *text = malloc(RECORD_MAX);
        FILE *file = fopen(path, "re");
        cJSON *json = NULL;

        assert_non_null(text);
        if (file != NULL) {
                json = cJSON_ParseWithLength(text, fread(text, 1, RECORD_MAX, file));
                fclose(file);
        }
        free(text);
        return json;
}

static void write_json(const char *path, const cJSON *json)
{
        char *text = cJSON_PrintUnformatted(json);
        FILE *file = fopen(path, "we");

        assert_true(text != NULL && file != NULL);
        fputs(text, file);
        assert_return_code(fclose(file), errno);
        free(text);
}

static const char *text_of(const cJSON *object, const char *key)
{
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

        return text != NULL ? text : "";
}

/* visit returns false to stop. */
static void each_record(bool (*visit)(void *arg, const cJSON *record), void *arg)
{
        DIR *directory = opendir(STATE_DIR);
        const struct dirent *entry;
        bool goes_on = true;
        char path[512];

        while (directory != NULL && goes_on && (entry = readdir(directory)) != NULL) {
                cJSON *record;

                if (strlen(entry->d_name) != 64)
                        continue;
                snprintf(path, sizeof path, STATE_DIR "/%s/state.json", entry->d_name);
                record = read_json(path);
                goes_on = record == NULL || visit(arg, record);
                cJSON_Delete(record);
        }
        if (directory != NULL)
                closedir(directory);
}

struct tally {
        const char *label;
        size_t n;
};

static bool count_record(void *arg, const cJSON *record)
{
        struct tally *tally = arg;
        char key[128] = "";
        const cJSON *value;

        if (tally->label == NULL) {
                tally->n++;
                return true;
        }
        snprintf(key, sizeof key, "%.*s", (int)strcspn(tally->label, "="), tally->label);
        value = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(record, "labels"), key);
        if (value != NULL && (tally->label[strlen(key)] == '\0' ||
                              strcmp(cJSON_GetStringValue(value), tally->label + strlen(key) + 1) == 0))
                tally->n++;
        return true;
}

static size_t count(const char *label)
{
        struct tally tally = { label, 0 };

        each_record(count_record, &tally);
        return tally.n;
}

struct search {
        const char *name;
        char *ret_id;
};

static bool match_name(void *arg, const cJSON *record)
{
        struct search *search = arg;

        if (strcmp(text_of(record, "name"), search->name) != 0)
                return true;
        snprintf(search->ret_id, 80, "%s", text_of(record, "id"));
        return false;
}

static void id(const char *name, char ret_id[static 80])
{
        struct search search = { name, ret_id };

        ret_id[0] = '\0';
        each_record(match_name, &search);
}

static int pid(const char *name)
{
        char box[80], path[256], text[4096] = "";
        FILE *file;
        int number = 0;

        id(name, box);
        snprintf(path, sizeof path, STATE_DIR "/%s/pid", box);
        file = box[0] != '\0' ? fopen(path, "re") : NULL;
        if (file == NULL || fscanf(file, "%d", &number) != 1)
                number = 0;
        if (file != NULL)
                fclose(file);
        snprintf(path, sizeof path, "/proc/%d/cgroup", number);
        file = number > 0 ? fopen(path, "re") : NULL;
        if (file != NULL) {
                text[fread(text, 1, sizeof text - 1, file)] = '\0';
                fclose(file);
        }
        return strstr(text, box) != NULL && box[0] != '\0' ? number : 0;
}

/* ---- its life ---- */

static const char *const *settings(void)
{
        static char cgroup_parent[128];
        static const char *const SETTINGS[] = { "CARREL_ENGINE=oci", "CARREL_IMAGE_DIR=" IMAGE_DIR, cgroup_parent,
                                                NULL };

        snprintf(cgroup_parent, sizeof cgroup_parent, "CARREL_CGROUP_PARENT=%s", enclosure_cgroup());
        return SETTINGS;
}

/* The archive's only layer, for containers that are not carrels. */
static void unpack(const char *root)
{
        char script[512];

        snprintf(script, sizeof script,
                 "set -e; mkdir -p %1$s; tar -xOf " IMAGE_TAR " manifest.json > /run/testbed/manifest.json; "
                 "layer=$(sed 's/.*\"Layers\": *\\[\"\\([^\"]*\\)\".*/\\1/' /run/testbed/manifest.json); "
                 "tar -xOf " IMAGE_TAR " \"$layer\" | tar -x -C %1$s",
                 root);
        MUST_RUN("sh", "-c", script);
}

/* If tmpfs does not support idmapped mounts, the users' directories are on an ext4 inside the enclosure. */
static void furnish_users(void)
{
        if (enclosure_tmpfs_maps_owners())
                return;
        MUST_RUN("mkdir", "-p", "-m711", CARREL_USERS);
        MUST_RUN("truncate", "-s1g", USERS_DISK);
        MUST_RUN("mkfs.ext4", "-q", USERS_DISK);
        MUST_RUN("mount", "-oloop", USERS_DISK, CARREL_USERS);
        MUST_RUN("rmdir", CARREL_USERS "/lost+found");
        MUST_RUN("chmod", "711", CARREL_USERS);
}

static void open_engine(void)
{
        const char *source = getenv("TESTBED_SOURCE_DIR");
        char recipe[512], helper[512], script[2048];

        assert_non_null(source);
        assert_true(snprintf(recipe, sizeof recipe, "%s/image/build-sandbox", source) < (int)sizeof recipe);
        MUST_RUN(recipe, IMAGE_TAR, SANDBOX_IMAGE);
        snprintf(helper, sizeof helper, "%s", built_program("importer/carrel-image"));
        MUST_RUN("sh", "-c",
                 (snprintf(script, sizeof script, "%s import --store %s %s < %s", helper, IMAGE_DIR, SANDBOX_IMAGE,
                           IMAGE_TAR),
                  script));
        MUST_RUN("ip", "addr", "add", "172.17.0.1/32", "dev", "lo"); /* as an engine's bridge would have */
        unpack(PLAIN_ROOT);
        MUST_RUN("mkdir", "-p", PLAIN_STATE, CARREL_RUNTIME);
        unlink(IMAGE_TAR);
        furnish_users();
}

static void close_engine(void)
{
}

/* ---- deeds ---- */

static void decoy(const char *name, const char *label, const char *other_label)
{
        TOOL("run", name, label, other_label);
}

/* Here nothing ends containers. */
static void revive(const char *name)
{
        assert_true(engine_is_running(name));
}

static bool has_ended(void *arg)
{
        return pid(arg) == 0;
}

static void end(const char *name)
{
        int init = pid(name);

        if (init > 0)
                kill(init, SIGKILL);
        assert_true(wait_until(has_ended, (void *)(uintptr_t)name, 10.0));
}

static void remove_container(const char *name)
{
        end(name);
        TOOL("remove", name);
}

/* With its own device nodes, as the engine configures it. For cgroup2 see enclosure_hide_cgroup2(). */
static void crun(const char *root, const char *words)
{
        char script[2048];

        assert_true(snprintf(script, sizeof script,
                             "mount -t tmpfs -o mode=755 dev /dev; n() { mknod -m 666 /dev/$1 c $2 $3; }; n null 1 3; "
                             "n zero 1 5; n full 1 7; n random 1 8; n urandom 1 9; n tty 5 0; "
                             "umount /sys/fs/cgroup/unified 2>/dev/null && mount --bind /sys/fs/cgroup/pids "
                             "/sys/fs/cgroup/unified; exec crun --cgroup-manager=cgroupfs --root %s "
                             "%s </dev/null",
                             root, words) < (int)sizeof script);
        MUST_RUN("unshare", "-m", "sh", "-c", script);
}

#define ALL_CAPABILITIES                                                                                               \
        "[\"CAP_SYS_ADMIN\",\"CAP_NET_ADMIN\",\"CAP_MKNOD\",\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\","                       \
        "\"CAP_FOWNER\",\"CAP_NET_RAW\",\"CAP_SETUID\",\"CAP_SETGID\",\"CAP_KILL\",\"CAP_SYS_CHROOT\"]"

static void run_plainly(const char *script)
{
        static unsigned n;
        char words[128], cgroup[160];
        cJSON *config =
                cJSON_Parse("{\"ociVersion\":\"1.0.0\",\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\","
                            "\"env\":[\"PATH=/bin\"],\"capabilities\":{\"bounding\":" ALL_CAPABILITIES
                            ",\"effective\":" ALL_CAPABILITIES ",\"permitted\":" ALL_CAPABILITIES "}},"
                            "\"root\":{\"path\":\"/run/testbed/plain-run\"},\"mounts\":["
                            "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
                            "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"},"
                            "{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\"},"
                            "{\"destination\":\"/tmp\",\"type\":\"tmpfs\",\"source\":\"tmpfs\"}],"
                            "\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
                            "{\"type\":\"uts\"},{\"type\":\"network\"}],\"resources\":{\"devices\":["
                            "{\"allow\":true,\"access\":\"rwm\"}]}}}");
        const char *const argv[] = { "sh", "-c", script };

        assert_non_null(config);
        snprintf(cgroup, sizeof cgroup, "%s/plain%u", enclosure_cgroup(), ++n);
        cJSON_AddStringToObject(cJSON_GetObjectItem(config, "linux"), "cgroupsPath", cgroup);
        cJSON_AddItemToObject(cJSON_GetObjectItem(config, "process"), "args", cJSON_CreateStringArray(argv, 3));
        MUST_RUN("mkdir", "-p", "/run/testbed/plain-bundle");
        MUST_RUN("cp", "-a", PLAIN_ROOT, "/run/testbed/plain-run");
        write_json("/run/testbed/plain-bundle/config.json", config);
        cJSON_Delete(config);
        snprintf(words, sizeof words, "run --bundle /run/testbed/plain-bundle plain%u", n);
        crun(PLAIN_STATE, words);
        MUST_RUN("rm", "-r", "/run/testbed/plain-run");
}

/* This engine has no networks. Instead: a network namespace and an interface of the host. */
static void add_foreign_network(void)
{
        MUST_RUN("ip", "netns", "add", "decoy-network");
        MUST_RUN("ip", "link", "add", "decoy-network", "type", "veth", "peer", "name", "decoy-peer");
}

static void expect_foreign_network(void)
{
        MUST_RUN("ip", "netns", "exec", "decoy-network", "true");
        MUST_RUN("ip", "link", "show", "decoy-network");
}

/* ---- forgeries ---- */

static void set_text(cJSON *object, const char *key, const char *text)
{
        cJSON_DeleteItemFromObject(object, key);
        cJSON_AddStringToObject(object, key, text);
}

static void forge_mounts(cJSON *config, const char *owner)
{
        char source[256];
        cJSON *mount;

        snprintf(source, sizeof source, CARREL_USERS "/%s", owner);
        cJSON_ArrayForEach(mount, cJSON_GetObjectItem(config, "mounts")) if (strcmp(text_of(mount, "destination"),
                                                                                    "/workspace") == 0)
                set_text(mount, "source", source);
}

/* The host's network: without its own network namespace it can have no sysctls of one. */
static void forge_network(cJSON *config, const char *network)
{
        cJSON *lin = cJSON_GetObjectItem(config, "linux");
        cJSON *namespaces = cJSON_GetObjectItem(lin, "namespaces");

        if (strcmp(network, "host") != 0)
                return;
        for (int i = 0; i < cJSON_GetArraySize(namespaces); i++)
                if (strcmp(text_of(cJSON_GetArrayItem(namespaces, i), "type"), "network") == 0)
                        cJSON_DeleteItemFromArray(namespaces, i);
        cJSON_DeleteItemFromObject(lin, "sysctl");
}

/* The runtime joins the user namespace at descriptor 5 (OCI_USERNS_FD of engine/oci/oci-engine.h). It is the namespace
 * of the container that is replaced, which has its own id range. */
static void hold_userns(const char *name)
{
        char path[64];
        int fd;

        snprintf(path, sizeof path, "/proc/%d/ns/user", pid(name));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_return_code(fd, errno);
        assert_return_code(dup2(fd, 5), errno);
        if (fd != 5)
                close(fd);
}

static void forge(const char *user, const struct forgery *forgery)
{
        static unsigned n;
        char name[128], box[80], path[256], cgroup[256], words[1024], number[16];
        cJSON *record, *config, *resources;

        snprintf(name, sizeof name, CARREL_PREFIX "%s", user);
        id(name, box);
        snprintf(path, sizeof path, STATE_DIR "/%s/state.json", box);
        record = read_json(path);
        snprintf(path, sizeof path, STATE_DIR "/%s/config.json", box);
        config = read_json(path);
        assert_true(record != NULL && config != NULL);
        hold_userns(name);
        remove_container(name);

        snprintf(box, sizeof box, "%064x", 0xf0000000U + ++n);
        snprintf(cgroup, sizeof cgroup, "%s/%s", enclosure_cgroup(), box);
        set_text(record, "id", box);
        set_text(record, "cgroup", cgroup);
        set_text(cJSON_GetObjectItem(config, "linux"), "cgroupsPath", cgroup);
        forge_mounts(config, forgery->owner);
        forge_network(config, forgery->network);
        resources = cJSON_GetObjectItem(cJSON_GetObjectItem(config, "linux"), "resources");
        cJSON_SetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(resources, "pids"), "limit"), forgery->pids);

        MUST_RUN("mkdir", "-p", (snprintf(path, sizeof path, STATE_DIR "/%s", box), path));
        snprintf(words, sizeof words, "cp " PLAIN_ROOT "/etc/hosts %1$s/hosts; : > %1$s/hostname; : > %1$s/resolv.conf",
                 path);
        MUST_RUN("sh", "-c", words);
        cJSON *mount;
        cJSON_ArrayForEach(mount, cJSON_GetObjectItem(config, "mounts"))
        {
                const char *target = text_of(mount, "destination");

                if (strncmp(text_of(mount, "source"), STATE_DIR "/", strlen(STATE_DIR "/")) != 0)
                        continue;
                snprintf(words, sizeof words, STATE_DIR "/%s/%s", box, target + 5);
                set_text(mount, "source", words);
        }
        snprintf(path, sizeof path, STATE_DIR "/%s/config.json", box);
        write_json(path, config);
        snprintf(words, sizeof words,
                 "run --detach --bundle " STATE_DIR "/%1$s --pid-file " STATE_DIR "/%1$s/pid %1$s >/dev/null 2>&1",
                 box);
        crun(STATE_DIR "/runtime", words);
        close(5);
        snprintf(path, sizeof path, STATE_DIR "/%s/state.json", box);
        write_json(path, record);
        if (strcmp(forgery->network, "bridge") == 0) {
                snprintf(number, sizeof number, "%d", pid(name));
                MUST_RUN("ip", "link", "add", "forged0", "type", "veth", "peer", "name", "eth1", "netns", number);
                MUST_RUN("ip", "link", "set", "forged0", "up");
                MUST_RUN("nsenter", "-t", number, "-n", "ip", "addr", "add", "172.31.0.2/16", "dev", "eth1");
                MUST_RUN("nsenter", "-t", number, "-n", "ip", "link", "set", "eth1", "up");
        }
        cJSON_Delete(record);
        cJSON_Delete(config);
}

/* ---- events ---- */

static pid_t follow(const char *log)
{
        static const char *const WORDS[] = { "follow", NULL };
        const char *argv[WORDS_MAX];

        MUST_RUN("mkdir", "-p", "-m711", STATE_DIR);
        tool_words(argv, WORDS);
        return process_spawn(argv, NULL, log);
}

static bool is_told(void *arg)
{
        char wanted[256], line[256];
        FILE *log = fopen(EVENTS_LOG, "re");
        bool is_found = false;

        snprintf(wanted, sizeof wanted, "create %s\n", (const char *)arg);
        while (log != NULL && !is_found && fgets(line, sizeof line, log) != NULL)
                is_found = strcmp(line, wanted) == 0;
        if (log != NULL)
                fclose(log);
        return is_found;
}

/* Waits until the follower reports it. A follower that has not started yet misses it, and the caller marks again. */
static void mark(const char *name)
{
        static unsigned n;
        char path[128], from[256], to[256];
        cJSON *record = cJSON_CreateObject();

        snprintf(path, sizeof path, STATE_DIR "/%064x", 0xe0000000U + ++n);
        snprintf(from, sizeof from, "%s/new", path);
        snprintf(to, sizeof to, "%s/state.json", path);
        MUST_RUN("mkdir", "-p", path);
        cJSON_AddStringToObject(record, "name", name);
        write_json(from, record);
        cJSON_Delete(record);
        assert_return_code(rename(from, to), errno);
        (void)wait_until(is_told, (void *)(uintptr_t)name, 5.0);
        MUST_RUN("rm", "-r", path);
}

static const char *const PROGRAMS[] = { "crun", NULL };

const struct test_engine_ops oci_test_engine = {
        .kind = "oci",
        .programs = PROGRAMS,
        .settings = settings,
        .socket = "",
        .keeps_containers = true,
        .open = open_engine,
        .close = close_engine,
        .count = count,
        .id = id,
        .pid = pid,
        .decoy = decoy,
        .revive = revive,
        .remove = remove_container,
        .end = end,
        .run_plainly = run_plainly,
        .add_foreign_network = add_foreign_network,
        .expect_foreign_network = expect_foreign_network,
        .forge = forge,
        .follow = follow,
        .mark = mark,
};
