/* The body of a create request. Its constant part is the profile, and keys that only this API has (CONFIG and
 * HOST_CONFIG). The functions below add the spec's values; no value of the spec can reach a key of the tables. Field
 * names: Docker Engine API v1.41, "Create a container". */
#include "wire.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "inside.h"
#include "json-scope.h"
#include "profile.h"

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

/* MaskedPaths and ReadonlyPaths are absent: the engine then uses its default list, while an empty list would mean none.
 * AppArmor and SELinux also keep the engine's defaults. */
static const struct constant HOST_CONFIG[] = {
        { "AutoRemove", "false" }, /* the pool removes containers */
        { "DnsOptions", "[]" },
        { "DnsSearch", "[\"" PROFILE_DNS_SEARCH "\"]" },
        { "ExtraHosts", "[]" },
        { "Init", "false" }, /* the entrypoint is our own init */
        { "Links", "[]" },
        { "LogConfig", "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"1\"}}" },
        { "OomKillDisable", "false" },
        { "PortBindings", "{}" },
        { "PublishAllPorts", "false" },
        { "RestartPolicy", "{\"Name\":\"no\",\"MaximumRetryCount\":0}" },
        { "UsernsMode", "\"\"" },
        { "VolumesFrom", "[]" },
};

static bool add_text(cJSON *object, const char *key, const char *text)
{
        return cJSON_AddStringToObject(object, key, text != NULL ? text : "") != NULL;
}

static bool add_number(cJSON *object, const char *key, uint64_t value)
{
        return cJSON_AddNumberToObject(object, key, (double)value) != NULL;
}

static bool add_json(cJSON *object, const char *key, const char *json)
{
        cJSON *value = cJSON_Parse(json);

        if (cJSON_AddItemToObject(object, key, value))
                return true;
        cJSON_Delete(value);
        return false;
}

static bool add_constants(cJSON *object, const struct constant *constants, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (!add_json(object, constants[i].key, constants[i].json))
                        return false;
        return true;
}

/* Adds the profile's rules and namespaces. */
static bool add_profile(cJSON *host)
{
        for (const struct profile_rule *rule = PROFILE.rules; rule->promise != NULL; rule++)
                if (rule->docker_key != NULL && !add_json(host, rule->docker_key, rule->docker_json))
                        return false;
        for (const struct profile_namespace *namespace = PROFILE.namespaces; namespace->oci_type != NULL; namespace ++)
                if (namespace->docker_key != NULL && !add_json(host, namespace->docker_key, namespace->docker_json))
                        return false;
        return true;
}

static bool append_text(cJSON *array, const char *text)
{
        cJSON *item = cJSON_CreateString(text);

        if (cJSON_AddItemToArray(array, item))
                return true;
        cJSON_Delete(item);
        return false;
}

/* texts may be NULL: an empty array. */
static bool add_texts(cJSON *object, const char *key, const char *const *texts)
{
        cJSON *array = cJSON_AddArrayToObject(object, key);

        if (array == NULL)
                return false;
        for (; texts != NULL && *texts != NULL; texts++)
                if (!append_text(array, *texts))
                        return false;
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

/* Mounts, not Binds: with Binds the engine would make a source that does not exist, and include mounts below it.
 * Whether ReadOnly holds for mounts below depends on the engine's version: the pool's step "seal" sets it for those,
 * too. Neither form has nosuid and nodev (Docker 20.10 refuses the words): a bind mount keeps those of the mount that
 * its source is on, and the pool's step "seal" sets them. Even without them no-new-privileges, the missing CAP_MKNOD
 * and the device cgroup hold. */
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
                    !add_text(options, "Propagation", PROFILE_PROPAGATION) ||
                    cJSON_AddBoolToObject(options, "NonRecursive", !spec->binds[i].is_recursive) == NULL)
                        return false;
        }
        return true;
}

static bool is_word(const char *text, size_t length, const char *word)
{
        return strlen(word) == length && memcmp(text, word, length) == 0;
}

/* "nosuid" and its opposite, "suid". */
static bool is_bare_word(const char *text, size_t length)
{
        for (const struct profile_option *option = PROFILE.bare; option->word != NULL; option++)
                if (is_word(text, length, option->word) || is_word(text, length, option->word + strlen("no")))
                        return true;
        return false;
}

/* The profile's words replace those of the spec, and "exec" replaces the engines' default. No word comes twice and no
 * two contradict each other: Docker would use the last, Podman would refuse. */
static int resolve_tmpfs_options(struct buffer *ret_options, const char *given)
{
        bool has_noexec = false;

        for (const char *word = given != NULL ? given : ""; *word != '\0';) {
                size_t length = strcspn(word, ",");
                bool is_ours = length == 0 || is_word(word, length, "exec") || is_bare_word(word, length);

                has_noexec |= is_word(word, length, "noexec");
                if (!is_ours)
                        (void)buffer_format(ret_options, "%.*s,", (int)length, word);
                word += length + (word[length] == ',');
        }
        return buffer_text(ret_options, has_noexec ? PROFILE_BARE : "exec," PROFILE_BARE);
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
                if (strcmp(spec->tmpfs[i].target, INSIDE_TMP) == 0)
                        return spec->tmpfs[i].options;
        return "ro";
}

static bool add_tmpfs(cJSON *host, const struct container_spec *spec, enum profile_engine engine)
{
        cJSON *object = cJSON_AddObjectToObject(host, "Tmpfs");
        bool is_added = object != NULL;

        for (size_t i = 0; is_added && i < spec->n_tmpfs; i++)
                is_added = add_one_tmpfs(object, spec->tmpfs[i].target, spec->tmpfs[i].options);
        for (const struct profile_mount *mount = PROFILE.mounts; is_added && mount->target != NULL; mount++)
                if ((mount->engines & engine) != 0)
                        is_added = add_one_tmpfs(object, mount->target,
                                                 mount->options != NULL ? mount->options : options_of_tmp(spec));
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

        for (const struct profile_rlimit *limit = PROFILE.rlimits; limit->oci_type != NULL; limit++)
                if (limit->docker_name != NULL &&
                    !add_ulimit(ulimits, limit->docker_name, limit->is_nofile ? spec->nofile : limit->most))
                        return false;
        return (machine->nproc == 0 || add_ulimit(ulimits, "nproc", machine->nproc)) &&
               add_number(host, "Memory", spec->memory_bytes) && add_number(host, "MemorySwap", spec->memory_bytes) &&
               add_number(host, "NanoCpus", spec->cpu_millis * 1000000) && add_number(host, "PidsLimit", spec->pids) &&
               add_number(host, "ShmSize", spec->shm_bytes);
}

static bool add_sysctls(cJSON *host, bool has_ipv6)
{
        cJSON *sysctls = cJSON_AddObjectToObject(host, "Sysctls");

        if (sysctls == NULL)
                return false;
        for (const struct profile_sysctl *sysctl = PROFILE.sysctls; sysctl->key != NULL; sysctl++)
                if ((has_ipv6 || !sysctl->is_ipv6) && !add_text(sysctls, sysctl->key, sysctl->value))
                        return false;
        return true;
}

static bool add_host_config(cJSON *config, const struct container_spec *spec, const struct wire_machine *machine)
{
        cJSON *host = cJSON_AddObjectToObject(config, "HostConfig");

        return host != NULL && add_constants(host, HOST_CONFIG, sizeof HOST_CONFIG / sizeof HOST_CONFIG[0]) &&
               add_profile(host) && append_text(cJSON_GetObjectItem(host, "SecurityOpt"), machine->seccomp_option) &&
               add_sysctls(host, machine->has_ipv6) && add_limits(host, spec, machine) && add_mounts(host, spec) &&
               add_tmpfs(host, spec, machine->engine) && add_texts(host, "Dns", spec->dns) &&
               add_text(host, "Runtime", spec->runtime) && add_text(host, "CgroupParent", spec->cgroup_parent);
}

char *wire_encode_create(const struct container_spec *spec, const struct wire_machine *machine)
{
        AUTO(auto_json) cJSON *config = cJSON_CreateObject();

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
        AUTO(auto_json) cJSON *exec = cJSON_CreateObject();

        if (exec == NULL || !add_texts(exec, "Cmd", command->argv) || !add_texts(exec, "Env", command->environment) ||
            (command->working_dir != NULL && !add_text(exec, "WorkingDir", command->working_dir)) ||
            cJSON_AddBoolToObject(exec, "AttachStdin", command->input_length > 0) == NULL ||
            cJSON_AddTrueToObject(exec, "AttachStdout") == NULL ||
            cJSON_AddTrueToObject(exec, "AttachStderr") == NULL || cJSON_AddFalseToObject(exec, "Privileged") == NULL ||
            cJSON_AddFalseToObject(exec, "Tty") == NULL)
                return NULL;
        return cJSON_PrintUnformatted(exec);
}
