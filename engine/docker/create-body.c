/* The hardened template: what every carrel is, whoever asks (docs/threats.md, "Default profile"). CONFIG and
 * HOST_CONFIG are the constant part; the functions below put the spec's values beside them, and no value of the spec
 * can reach a key of the tables. Field names: Docker Engine API v1.41, "Create a container". */
#include "wire.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

struct constant {
        const char *key;
        const char *json;
};

static const struct constant CONFIG[] = {
        { "AttachStderr", "false" },
        { "AttachStdin", "false" },
        { "AttachStdout", "false" },
        { "Cmd", "[]" }, /* the image's own is not appended to our entrypoint */
        { "Domainname", "\"\"" },
        { "Healthcheck", "{\"Test\":[\"NONE\"]}" }, /* an image's health check would run programs in the carrel */
        { "OpenStdin", "false" },
        { "StopSignal", "\"SIGTERM\"" },
        { "Tty", "false" },
};

/* MaskedPaths and ReadonlyPaths are not named: an absent key is the engine's default list, an empty one is none.
 * AppArmor and SELinux likewise stay as the engine sets them. */
static const struct constant HOST_CONFIG[] = {
        { "AutoRemove", "false" }, /* who removes is the pool */
        { "CapAdd", "[]" },
        { "CapDrop", "[\"ALL\"]" },
        { "CgroupnsMode", "\"private\"" },
        { "DeviceCgroupRules", "[]" },
        { "DeviceRequests", "[]" },
        { "Devices", "[]" },
        { "DnsOptions", "[]" },
        { "DnsSearch", "[\".\"]" }, /* none; empty would copy the host's */
        { "ExtraHosts", "[]" },
        { "GroupAdd", "[]" },
        { "Init", "false" }, /* the entrypoint is our own init */
        { "IpcMode", "\"private\"" },
        { "Links", "[]" },
        { "LogConfig", "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"1\"}}" },
        { "NetworkMode", "\"none\"" }, /* carrel-netd plugs the network in */
        { "OomKillDisable", "false" },
        { "PidMode", "\"\"" },
        { "PortBindings", "{}" },
        { "Privileged", "false" },
        { "PublishAllPorts", "false" },
        { "ReadonlyRootfs", "true" },
        { "RestartPolicy", "{\"Name\":\"no\",\"MaximumRetryCount\":0}" },
        { "UTSMode", "\"\"" },
        { "UsernsMode", "\"\"" },
        { "VolumesFrom", "[]" },
};

/* Ports below 1024 and ping sockets (ip(7), icmp(7)) for all groups: the namespace is the carrel's own. */
#define FOR_ALL "\"net.ipv4.ip_unprivileged_port_start\":\"0\",\"net.ipv4.ping_group_range\":\"0 2147483647\""
/* `default` is what an interface gets that is plugged in later. */
#define NO_IPV6 ",\"net.ipv6.conf.all.disable_ipv6\":\"1\",\"net.ipv6.conf.default.disable_ipv6\":\"1\""

static void json_release(cJSON **json)
{
        cJSON_Delete(*json);
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
        return cJSON_AddStringToObject(object, key, text != NULL ? text : "") != NULL;
}

static bool add_number(cJSON *object, const char *key, uint64_t value)
{
        return cJSON_AddNumberToObject(object, key, (double)value) != NULL;
}

static bool add_constants(cJSON *object, const struct constant *constants, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                cJSON *value = cJSON_Parse(constants[i].json);

                if (!cJSON_AddItemToObject(object, constants[i].key, value)) {
                        cJSON_Delete(value);
                        return false;
                }
        }
        return true;
}

/* texts may be NULL: an empty array. */
static bool add_texts(cJSON *object, const char *key, const char *const *texts)
{
        cJSON *array = cJSON_AddArrayToObject(object, key);

        if (array == NULL)
                return false;
        for (; texts != NULL && *texts != NULL; texts++) {
                cJSON *text = cJSON_CreateString(*texts);

                if (!cJSON_AddItemToArray(array, text)) {
                        cJSON_Delete(text);
                        return false;
                }
        }
        return true;
}

/* An object at the end of an array, which owns it. */
static cJSON *append_object(cJSON *array)
{
        cJSON *object = cJSON_CreateObject();

        if (cJSON_AddItemToArray(array, object))
                return object;
        cJSON_Delete(object);
        return NULL;
}

static bool add_user(cJSON *config, const struct container_spec *spec)
{
        struct buffer user = { 0 };
        bool is_added = buffer_format(&user, "%u:%u", spec->uid, spec->gid) == 0 && add_text(config, "User", user.data);

        buffer_free(&user);
        return is_added;
}

static bool add_labels(cJSON *config, const struct container_spec *spec)
{
        cJSON *labels = cJSON_AddObjectToObject(config, "Labels");

        if (labels == NULL)
                return false;
        for (size_t i = 0; i < spec->n_labels; i++)
                if (!add_text(labels, spec->labels[i].key, spec->labels[i].value))
                        return false;
        return true;
}

/* Mounts, not Binds: the engine then refuses a source that does not exist instead of making it, and takes nothing that
 * is mounted below it. Neither form takes nosuid and nodev (Docker 20.10 refuses the words): a bind mount keeps
 * those of the mount its source is on; beyond that no-new-privileges, no CAP_MKNOD and the device cgroup stand. */
static bool add_mounts(cJSON *host, const struct container_spec *spec)
{
        cJSON *mounts = cJSON_AddArrayToObject(host, "Mounts");

        if (mounts == NULL)
                return false;
        for (size_t i = 0; i < spec->n_binds; i++) {
                cJSON *mount = append_object(mounts);
                cJSON *options = mount != NULL ? cJSON_AddObjectToObject(mount, "BindOptions") : NULL;

                if (options == NULL || !add_text(mount, "Type", "bind") ||
                    !add_text(mount, "Source", spec->binds[i].source) ||
                    !add_text(mount, "Target", spec->binds[i].target) ||
                    cJSON_AddBoolToObject(mount, "ReadOnly", spec->binds[i].is_read_only) == NULL ||
                    !add_text(options, "Propagation", "rprivate") ||
                    cJSON_AddTrueToObject(options, "NonRecursive") == NULL)
                        return false;
        }
        return true;
}

static bool is_word(const char *text, size_t length, const char *word)
{
        return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* What is not negotiable is left out of what the spec says, and added; "exec" is against the engines' own default. No
 * word comes twice and no two contradict each other: Docker takes the last, Podman refuses. */
static int resolve_tmpfs_options(struct buffer *ret_options, const char *given)
{
        static const char *const OURS[] = { "exec", "suid", "nosuid", "dev", "nodev" };
        bool has_noexec = false;

        for (const char *word = given != NULL ? given : ""; *word != '\0';) {
                size_t length = strcspn(word, ",");
                bool is_ours = length == 0;

                for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
                        is_ours |= is_word(word, length, OURS[i]);
                has_noexec |= is_word(word, length, "noexec");
                if (!is_ours)
                        (void)buffer_format(ret_options, "%.*s,", (int)length, word);
                word += length + (word[length] == ',');
        }
        return buffer_text(ret_options, has_noexec ? "nosuid,nodev" : "exec,nosuid,nodev");
}

static bool add_one_tmpfs(cJSON *object, const char *target, const char *given)
{
        struct buffer options = { 0 };
        bool is_added = resolve_tmpfs_options(&options, given) == 0 && add_text(object, target, options.data);

        buffer_free(&options);
        return is_added;
}

static const char *options_of_tmp(const struct container_spec *spec)
{
        for (size_t i = 0; i < spec->n_tmpfs; i++)
                if (strcmp(spec->tmpfs[i].target, "/tmp") == 0)
                        return spec->tmpfs[i].options;
        return "ro";
}

static bool add_tmpfs(cJSON *host, const struct container_spec *spec, const struct tmpfs_mount *extra)
{
        cJSON *object = cJSON_AddObjectToObject(host, "Tmpfs");
        bool is_added = object != NULL;

        for (size_t i = 0; is_added && i < spec->n_tmpfs; i++)
                is_added = add_one_tmpfs(object, spec->tmpfs[i].target, spec->tmpfs[i].options);
        for (; is_added && extra != NULL && extra->target != NULL; extra++)
                is_added = add_one_tmpfs(object, extra->target,
                                         extra->options != NULL ? extra->options : options_of_tmp(spec));
        return is_added;
}

static bool add_ulimit(cJSON *ulimits, const char *name, uint64_t limit)
{
        cJSON *ulimit = append_object(ulimits);

        return ulimit != NULL && add_text(ulimit, "Name", name) && add_number(ulimit, "Soft", limit) &&
               add_number(ulimit, "Hard", limit);
}

static bool add_limits(cJSON *host, const struct container_spec *spec, const struct wire_machine *machine)
{
        cJSON *ulimits = cJSON_AddArrayToObject(host, "Ulimits");

        return ulimits != NULL && add_ulimit(ulimits, "core", 0) && add_ulimit(ulimits, "nofile", spec->nofile) &&
               (machine->nproc == 0 || add_ulimit(ulimits, "nproc", machine->nproc)) &&
               add_number(host, "Memory", spec->memory_bytes) && add_number(host, "MemorySwap", spec->memory_bytes) &&
               add_number(host, "NanoCpus", spec->cpu_millis * 1000000) && add_number(host, "PidsLimit", spec->pids) &&
               add_number(host, "ShmSize", spec->shm_bytes);
}

static bool add_security(cJSON *host, const char *seccomp_option)
{
        const char *const options[] = { "no-new-privileges:true", seccomp_option, NULL };

        return add_texts(host, "SecurityOpt", options);
}

static bool add_host_config(cJSON *config, const struct container_spec *spec, const struct wire_machine *machine)
{
        cJSON *host = cJSON_AddObjectToObject(config, "HostConfig");
        const struct constant sysctls = { "Sysctls", machine->has_ipv6 ? "{" FOR_ALL NO_IPV6 "}" : "{" FOR_ALL "}" };

        return host != NULL && add_constants(host, HOST_CONFIG, sizeof HOST_CONFIG / sizeof HOST_CONFIG[0]) &&
               add_constants(host, &sysctls, 1) && add_limits(host, spec, machine) &&
               add_security(host, machine->seccomp_option) && add_mounts(host, spec) &&
               add_tmpfs(host, spec, machine->extra_tmpfs) && add_texts(host, "Dns", spec->dns) &&
               add_text(host, "Runtime", spec->runtime) && add_text(host, "CgroupParent", spec->cgroup_parent);
}

char *wire_encode_create(const struct container_spec *spec, const struct wire_machine *machine)
{
        AUTO(json_release) cJSON *config = cJSON_CreateObject();

        if (config == NULL || !add_constants(config, CONFIG, sizeof CONFIG / sizeof CONFIG[0]) ||
            !add_text(config, "Image", spec->image) || !add_texts(config, "Entrypoint", spec->argv) ||
            !add_texts(config, "Env", spec->environment) || !add_text(config, "WorkingDir", spec->working_dir) ||
            !add_text(config, "Hostname", spec->hostname) || !add_user(config, spec) || !add_labels(config, spec) ||
            !add_host_config(config, spec, machine))
                return NULL;
        return cJSON_PrintUnformatted(config);
}

/* Without input stdin is not attached and the program reads /dev/null. */
char *wire_encode_exec(const struct exec_command *command)
{
        AUTO(json_release) cJSON *exec = cJSON_CreateObject();

        if (exec == NULL || !add_texts(exec, "Cmd", command->argv) || !add_texts(exec, "Env", command->environment) ||
            (command->working_dir != NULL && !add_text(exec, "WorkingDir", command->working_dir)) ||
            cJSON_AddBoolToObject(exec, "AttachStdin", command->input_length > 0) == NULL ||
            cJSON_AddTrueToObject(exec, "AttachStdout") == NULL ||
            cJSON_AddTrueToObject(exec, "AttachStderr") == NULL || cJSON_AddFalseToObject(exec, "Privileged") == NULL ||
            cJSON_AddFalseToObject(exec, "Tty") == NULL)
                return NULL;
        return cJSON_PrintUnformatted(exec);
}
