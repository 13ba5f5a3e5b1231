/* config.json of the OCI runtime specification 1.0: the hardened template (docs/threats.md, "Default profile") in this
 * engine's words. What is constant is in the tables; the functions put the spec's values beside them, and no value of
 * the spec can reach a key of the tables. template.c is the same for the Docker Engine API. */
#include <cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "oci-engine.h"
#include "scope.h"
#include "seccomp-profile.h"
#include "str.h"

/* No capability in any set (capabilities(7)). */
#define NO_CAPABILITIES "{\"bounding\":[],\"effective\":[],\"inheritable\":[],\"permitted\":[],\"ambient\":[]}"

#define FOR_ALL(last) "\"net.ipv4.ip_unprivileged_port_start\":\"0\",\"net.ipv4.ping_group_range\":\"0 " last "\""
#define NO_IPV6 ",\"net.ipv6.conf.all.disable_ipv6\":\"1\",\"net.ipv6.conf.default.disable_ipv6\":\"1\""

/* The paths that Docker 20.10 masks and makes read-only. */
#define MASKED                                                                                                         \
        "[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\","                     \
        "\"/proc/sched_debug\",\"/proc/scsi\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/sys/firmware\","           \
        "\"/sys/devices/virtual/powercap\"]"
#define READ_ONLY "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]"

struct constant {
        const char *key;
        const char *json;
};

static const struct constant LINUX[] = {
        { "maskedPaths", MASKED },
        { "readonlyPaths", READ_ONLY },
        { "rootfsPropagation", "\"rprivate\"" },
};

/* What the kernel serves inside. The options of the last two places are the spec's sizes. Terminals are counted for the
 * whole host (kernel.pty.max): one carrel has a share of them. */
static const struct place {
        const char *target, *type, *source, *options;
} PLACES[] = {
        { "/proc", "proc", "proc", "[\"nosuid\",\"noexec\",\"nodev\"]" },
        { "/dev", "tmpfs", "tmpfs", "[\"nosuid\",\"strictatime\",\"mode=755\",\"size=64k\"]" },
        { "/dev/pts", "devpts", "devpts",
          "[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"max=128\"]" },
        { "/dev/mqueue", "mqueue", "mqueue", "[\"nosuid\",\"noexec\",\"nodev\"]" },
        { "/sys", "sysfs", "sysfs", "[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]" },
        { "/sys/fs/cgroup", "cgroup", "cgroup", "[\"nosuid\",\"noexec\",\"nodev\",\"relatime\",\"ro\"]" },
};

static const char *const NAMESPACES[] = { "pid", "network", "ipc", "uts", "mount", "cgroup" };

static void json_release(cJSON **json)
{
        cJSON_Delete(*json);
}

/* value may be NULL: out of memory. */
static bool add(cJSON *object, const char *key, cJSON *value)
{
        if (object != NULL && value != NULL && cJSON_AddItemToObject(object, key, value))
                return true;
        cJSON_Delete(value);
        return false;
}

static bool append(cJSON *array, cJSON *value)
{
        if (array != NULL && value != NULL && cJSON_AddItemToArray(array, value))
                return true;
        cJSON_Delete(value);
        return false;
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
        return add(object, key, cJSON_CreateString(text));
}

static bool add_number(cJSON *object, const char *key, uint64_t value)
{
        return add(object, key, cJSON_CreateNumber((double)value));
}

static bool add_json(cJSON *object, const char *key, const char *json)
{
        return add(object, key, cJSON_Parse(json));
}

static cJSON *add_object(cJSON *object, const char *key)
{
        return object != NULL ? cJSON_AddObjectToObject(object, key) : NULL;
}

static cJSON *add_array(cJSON *object, const char *key)
{
        return object != NULL ? cJSON_AddArrayToObject(object, key) : NULL;
}

static bool append_texts(cJSON *array, const char *const *texts)
{
        for (; texts != NULL && *texts != NULL; texts++)
                if (!append(array, cJSON_CreateString(*texts)))
                        return false;
        return array != NULL;
}

/* ---- the process ---- */

/* Whether one of `others` has the name of this "NAME=value". */
static bool is_overridden(const char *variable, const char *const *others)
{
        size_t length = strcspn(variable, "=");

        for (; others != NULL && *others != NULL; others++)
                if (strncmp(*others, variable, length) == 0 && (*others)[length] == '=')
                        return true;
        return false;
}

/* Of an image that names none; the same as Docker's and Podman's. */
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

char **oci_config_environment(char *const *image, const char *const *spec)
{
        bool has_path = is_overridden(DEFAULT_PATH, (const char *const *)image) || is_overridden(DEFAULT_PATH, spec);
        size_t count = 1;
        size_t n = 0;
        char **environment;

        for (char *const *at = image; at != NULL && *at != NULL; at++)
                count++;
        for (const char *const *at = spec; at != NULL && *at != NULL; at++)
                count++;
        environment = calloc(count + 1, sizeof *environment);
        for (; environment != NULL && image != NULL && *image != NULL; image++)
                if (!is_overridden(*image, spec) && (environment[n++] = strdup(*image)) == NULL)
                        goto failed;
        for (; environment != NULL && spec != NULL && *spec != NULL; spec++)
                if ((environment[n++] = strdup(*spec)) == NULL)
                        goto failed;
        if (environment != NULL && !has_path && (environment[n++] = strdup(DEFAULT_PATH)) == NULL)
                goto failed;
        return environment;
failed:
        while (n-- > 0)
                free(environment[n]);
        free(environment);
        return NULL;
}

/* getenv(3) finds the first of two, so none is written twice: `later` wins. */
static bool append_environment(cJSON *array, const char *const *earlier, const char *const *later)
{
        for (; earlier != NULL && *earlier != NULL; earlier++)
                if (!is_overridden(*earlier, later) && !append(array, cJSON_CreateString(*earlier)))
                        return false;
        return append_texts(array, later);
}

/* No more than our own: nobody in a user namespace can raise one. */
static uint64_t bound_by_ours(__rlimit_resource_t resource, uint64_t limit)
{
        struct rlimit ours;

        return getrlimit(resource, &ours) == 0 && ours.rlim_max < limit ? ours.rlim_max : limit;
}

static bool append_rlimit(cJSON *rlimits, const char *type, uint64_t limit)
{
        cJSON *rlimit = cJSON_CreateObject();

        if (add_text(rlimit, "type", type) && add_number(rlimit, "soft", limit) && add_number(rlimit, "hard", limit))
                return append(rlimits, rlimit);
        cJSON_Delete(rlimit);
        return false;
}

static bool fill_process(cJSON *process, const struct oci_container *container, const char *const *argv,
                         const char *working_dir, const char *const *more_environment)
{
        cJSON *user = add_object(process, "user");
        cJSON *rlimits = add_array(process, "rlimits");
        cJSON *environment = add_array(process, "env");

        return add_number(user, "uid", container->uid) && add_number(user, "gid", container->gid) &&
               append_environment(environment, (const char *const *)container->environment, more_environment) &&
               append_texts(add_array(process, "args"), argv) && add_text(process, "cwd", working_dir) &&
               add_json(process, "capabilities", NO_CAPABILITIES) && add_json(process, "noNewPrivileges", "true") &&
               append_rlimit(rlimits, "RLIMIT_CORE", 0) && append_rlimit(rlimits, "RLIMIT_NOFILE", container->nofile) &&
               append_rlimit(rlimits, "RLIMIT_SIGPENDING", bound_by_ours(RLIMIT_SIGPENDING, ENGINE_SIGNALS_MAX)) &&
               append_rlimit(rlimits, "RLIMIT_MSGQUEUE", bound_by_ours(RLIMIT_MSGQUEUE, ENGINE_QUEUE_BYTES_MAX));
}

char *oci_config_encode_exec(const struct oci_container *container, const struct exec_command *command)
{
        AUTO(json_release) cJSON *process = cJSON_CreateObject();

        if (!fill_process(process, container, command->argv,
                          command->working_dir != NULL ? command->working_dir : container->working_dir,
                          command->environment))
                return NULL;
        return cJSON_PrintUnformatted(process);
}

/* ---- mounts ---- */

static cJSON *append_mount(cJSON *mounts, const char *target, const char *type, const char *source)
{
        cJSON *mount = cJSON_CreateObject();

        if (add_text(mount, "destination", target) && add_text(mount, "type", type) &&
            add_text(mount, "source", source))
                return append(mounts, mount) ? mount : NULL;
        cJSON_Delete(mount);
        return NULL;
}

static bool append_places(cJSON *mounts)
{
        for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
                cJSON *mount = append_mount(mounts, PLACES[i].target, PLACES[i].type, PLACES[i].source);

                if (!add_json(mount, "options", PLACES[i].options))
                        return false;
        }
        return true;
}

/* The options of a tmpfs are words separated by commas; the last of contradicting ones counts, and what is not
 * negotiable comes last. */
static bool append_tmpfs(cJSON *mounts, const char *target, const char *given)
{
        cJSON *mount = append_mount(mounts, target, "tmpfs", "tmpfs");
        cJSON *options = add_array(mount, "options");
        AUTO(auto_free) char *copy = strdup(given != NULL ? given : "");
        char *rest = copy;
        const char *word;

        if (copy == NULL)
                return false;
        while ((word = strsep(&rest, ",")) != NULL)
                if (word[0] != '\0' && !append(options, cJSON_CreateString(word)))
                        return false;
        return append(options, cJSON_CreateString("nosuid")) && append(options, cJSON_CreateString("nodev"));
}

/* Who owns the user's files on disk is uid:gid inside, whatever range his carrel has: crun(1), "idmap mount options".
 */
static bool append_idmap(cJSON *options, const struct oci_container *container, const struct container_spec *spec)
{
        struct buffer text = { 0 };
        bool is_added = buffer_format(&text, "idmap=uids=%" PRIu32 "-%" PRIu32 "-1;gids=%" PRIu32 "-%" PRIu32 "-1",
                                      spec->owner_uid, container->userns_base + container->uid, spec->owner_gid,
                                      container->userns_base + container->gid) == 0 &&
                        append(options, cJSON_CreateString(text.data));

        buffer_free(&text);
        return is_added;
}

/* Its options; NULL: out of memory. */
static cJSON *append_bind(cJSON *mounts, const char *source, const char *target, bool is_read_only)
{
        cJSON *mount = append_mount(mounts, target, "bind", source);
        cJSON *options = add_array(mount, "options");

        return append(options, cJSON_CreateString("bind")) &&
                               append(options, cJSON_CreateString(is_read_only ? "ro" : "rw")) &&
                               append(options, cJSON_CreateString("nosuid")) &&
                               append(options, cJSON_CreateString("nodev")) &&
                               append(options, cJSON_CreateString("rprivate"))
                       ? options
                       : NULL;
}

static bool append_binds(cJSON *mounts, const struct oci_container *container, const struct container_spec *spec)
{
        for (size_t i = 0; i < spec->n_binds; i++) {
                const struct bind_mount *bind = &spec->binds[i];
                cJSON *options = append_bind(mounts, bind->source, bind->target, bind->is_read_only);
                bool is_mapped = !bind->is_read_only && container->userns_base > 0;

                if (options == NULL || (is_mapped && !append_idmap(options, container, spec)))
                        return false;
        }
        return true;
}

/* The names that Docker gives every container, from the container's own directory. */
static bool append_names(cJSON *mounts, const struct oci *oci, const struct oci_container *container)
{
        static const char *const FILES[] = { "hostname", "hosts", "resolv.conf" };
        char source[512];
        char target[64];

        for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
                (void)snprintf(target, sizeof target, "/etc/%s", FILES[i]);
                if (oci_store_path(oci, container->info.id, FILES[i], source, sizeof source) < 0 ||
                    append_bind(mounts, source, target, true) == NULL)
                        return false;
        }
        return true;
}

static bool append_shm(cJSON *mounts, uint64_t bytes)
{
        struct buffer options = { 0 };
        bool is_added = buffer_format(&options, "noexec,mode=1777,size=%" PRIu64, bytes) == 0 &&
                        append_tmpfs(mounts, "/dev/shm", options.data);

        buffer_free(&options);
        return is_added;
}

static bool fill_mounts(cJSON *mounts, const struct oci *oci, const struct oci_container *container,
                        const struct container_spec *spec, const struct stored_image *image)
{
        if (mounts == NULL || !append_places(mounts) || !append_shm(mounts, spec->shm_bytes))
                return false;
        for (size_t i = 0; i < image->n_binds; i++)
                if (append_bind(mounts, image->binds[i].source, image->binds[i].target, true) == NULL)
                        return false;
        for (size_t i = 0; i < spec->n_tmpfs; i++)
                if (!append_tmpfs(mounts, spec->tmpfs[i].target, spec->tmpfs[i].options))
                        return false;
        return append_binds(mounts, container, spec) && append_names(mounts, oci, container);
}

/* ---- the kernel's part ---- */

static bool fill_resources(cJSON *resources, const struct container_spec *spec)
{
        cJSON *memory = add_object(resources, "memory");
        cJSON *cpu = add_object(resources, "cpu");

        return add_json(resources, "devices", "[{\"allow\":false,\"access\":\"rwm\"}]") &&
               add_number(memory, "limit", spec->memory_bytes) && add_number(memory, "swap", spec->memory_bytes) &&
               add_number(cpu, "quota", spec->cpu_millis * 100) && add_number(cpu, "period", 100000) &&
               add_number(add_object(resources, "pids"), "limit", spec->pids);
}

/* path: of one to join; NULL: a new one. */
static bool append_namespace(cJSON *namespaces, const char *type, const char *path)
{
        cJSON *namespace = cJSON_CreateObject();

        if (add_text(namespace, "type", type) && (path == NULL || add_text(namespace, "path", path)))
                return append(namespaces, namespace);
        cJSON_Delete(namespace);
        return false;
}

static bool add_id_map(cJSON *linux_, const char *key, uint32_t base)
{
        cJSON *array = add_array(linux_, key);
        cJSON *map = cJSON_CreateObject();

        if (add_number(map, "containerID", 0) && add_number(map, "hostID", base) &&
            add_number(map, "size", OCI_USERNS_IDS))
                return append(array, map);
        cJSON_Delete(map);
        return false;
}

/* crun takes the filter ready (an annotation), others compile it from the profile, at each start. */
static bool add_filter(cJSON *config, cJSON *linux_, const struct oci *oci)
{
        struct buffer profile = { 0 };
        bool is_added;

        if (oci->runtime.is_crun)
                return add_text(add_object(config, "annotations"), "run.oci.seccomp_bpf_data", oci->seccomp_bpf);
        is_added = seccomp_profile_json(&profile) == 0 && add_json(linux_, "seccomp", profile.data);
        buffer_free(&profile);
        return is_added;
}

/* Ports below 1024 and ping sockets for all groups that there are inside (ip(7), icmp(7)): by whether it has a user
 * namespace, and whether the kernel has IPv6. */
static const char *const SYSCTLS[2][2] = {
        { "{" FOR_ALL("2147483647") "}", "{" FOR_ALL("2147483647") NO_IPV6 "}" },
        { "{" FOR_ALL("65535") "}", "{" FOR_ALL("65535") NO_IPV6 "}" },
};

static bool fill_linux(cJSON *linux_, const struct oci *oci, const struct oci_container *container,
                       const struct container_spec *spec)
{
        cJSON *namespaces = add_array(linux_, "namespaces");

        for (size_t i = 0; i < sizeof NAMESPACES / sizeof *NAMESPACES; i++)
                if (!append_namespace(namespaces, NAMESPACES[i], NULL))
                        return false;
        for (size_t i = 0; i < sizeof LINUX / sizeof *LINUX; i++)
                if (!add_json(linux_, LINUX[i].key, LINUX[i].json))
                        return false;
        if (container->userns_base > 0 && (!append_namespace(namespaces, "user", OCI_USERNS_PATH) ||
                                           !add_id_map(linux_, "uidMappings", container->userns_base) ||
                                           !add_id_map(linux_, "gidMappings", container->userns_base)))
                return false;
        return add_text(linux_, "cgroupsPath", container->cgroup) &&
               add_json(linux_, "sysctl", SYSCTLS[container->userns_base > 0][oci->has_ipv6]) &&
               fill_resources(add_object(linux_, "resources"), spec);
}

char *oci_config_encode(const struct oci *oci, const struct oci_container *container, const struct container_spec *spec,
                        const struct stored_image *image)
{
        AUTO(json_release) cJSON *config = cJSON_CreateObject();
        cJSON *linux_ = add_object(config, "linux");
        cJSON *rootfs = add_object(config, "root");

        if (!add_text(config, "ociVersion", "1.0.2") || !add_text(config, "hostname", spec->hostname) ||
            !add_text(rootfs, "path", image->rootfs) || !add_json(rootfs, "readonly", "true") ||
            !fill_process(add_object(config, "process"), container, spec->argv, container->working_dir, NULL) ||
            !fill_mounts(add_array(config, "mounts"), oci, container, spec, image) ||
            !fill_linux(linux_, oci, container, spec) || !add_filter(config, linux_, oci))
                return NULL;
        return cJSON_PrintUnformatted(config);
}
