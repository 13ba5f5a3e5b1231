/* config.json of the OCI runtime specification 1.0: the hardened profile with the spec's values. No value of the spec
 * can reach a key of the profile's tables. docker/create-body.c does the same for the Docker Engine API. */
#include <cJSON.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "inside.h"
#include "json-scope.h"
#include "oci-engine.h"
#include "profile.h"
#include "seccomp-profile.h"
#include "str.h"

enum { MOUNTS_LINE_BYTES = 4096 };

static void auto_endmntent(FILE **table)
{
        if (*table != NULL)
                (void)endmntent(*table);
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

/* Whether one of `others` sets the same variable as this "NAME=value". */
static bool is_overridden(const char *variable, const char *const *others)
{
        size_t length = strcspn(variable, "=");

        for (; others != NULL && *others != NULL; others++)
                if (strncmp(*others, variable, length) == 0 && (*others)[length] == '=')
                        return true;
        return false;
}

/* For an image without one; the same as Docker's and Podman's. */
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

/* getenv(3) finds the first of two equal names, so no name is written twice: `later` wins. */
static bool append_environment(cJSON *array, const char *const *earlier, const char *const *later)
{
        for (; earlier != NULL && *earlier != NULL; earlier++)
                if (!is_overridden(*earlier, later) && !append(array, cJSON_CreateString(*earlier)))
                        return false;
        return append_texts(array, later);
}

/* Adds the rules of the profile that are in this object of config.json. */
static bool add_rules(cJSON *object, const char *name)
{
        for (const struct profile_rule *rule = PROFILE.rules; rule->promise != NULL; rule++)
                if (rule->oci_object != NULL && strcmp(rule->oci_object, name) == 0 &&
                    !add_json(object, rule->oci_key, rule->oci_json))
                        return false;
        return true;
}

static uint64_t resolve_rlimit(const struct profile_rlimit *limit, const struct oci_container *container)
{
        struct rlimit ours;

        if (limit->is_nofile)
                return container->nofile;
        if (limit->per_user_title != NULL && getrlimit((__rlimit_resource_t)limit->resource, &ours) == 0 &&
            ours.rlim_max < limit->most)
                return ours.rlim_max;
        return limit->most;
}

static bool append_rlimits(cJSON *rlimits, const struct oci_container *container)
{
        for (const struct profile_rlimit *limit = PROFILE.rlimits; limit->oci_type != NULL; limit++) {
                uint64_t value = resolve_rlimit(limit, container);
                cJSON *rlimit = cJSON_CreateObject();

                if (!add_text(rlimit, "type", limit->oci_type) || !add_number(rlimit, "soft", value) ||
                    !add_number(rlimit, "hard", value)) {
                        cJSON_Delete(rlimit);
                        return false;
                }
                if (!append(rlimits, rlimit))
                        return false;
        }
        return true;
}

static bool fill_process(cJSON *process, const struct oci_container *container, const char *const *argv,
                         const char *working_dir, const char *const *more_environment)
{
        cJSON *user = add_object(process, "user");
        cJSON *rlimits = add_array(process, "rlimits");
        cJSON *environment = add_array(process, "env");

        return add_number(user, "uid", container->uid) && add_number(user, "gid", container->gid) &&
               append_rlimits(rlimits, container) &&
               append_environment(environment, (const char *const *)container->environment, more_environment) &&
               append_texts(add_array(process, "args"), argv) && add_text(process, "cwd", working_dir) &&
               add_rules(process, "process");
}

char *oci_config_encode_exec(const struct oci_container *container, const struct exec_command *command)
{
        AUTO(auto_json) cJSON *process = cJSON_CreateObject();

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

/* given: words separated by commas, or NULL. */
static bool append_words(cJSON *options, const char *given)
{
        AUTO(auto_free) char *copy = strdup(given != NULL ? given : "");
        char *rest = copy;
        const char *word;

        if (copy == NULL)
                return false;
        while ((word = strsep(&rest, ",")) != NULL)
                if (word[0] != '\0' && !append(options, cJSON_CreateString(word)))
                        return false;
        return options != NULL;
}

static bool append_profile_mounts(cJSON *mounts)
{
        for (const struct profile_mount *row = PROFILE.mounts; row->target != NULL; row++) {
                cJSON *mount;

                if ((row->engines & PROFILE_OCI) == 0)
                        continue;
                mount = append_mount(mounts, row->target, row->type, row->type);
                if (!append_words(add_array(mount, "options"), row->options))
                        return false;
        }
        return true;
}

/* Of contradicting options the last one counts, so the profile's come last. */
static bool append_tmpfs(cJSON *mounts, const char *target, const char *given, uint64_t inodes)
{
        cJSON *mount = append_mount(mounts, target, "tmpfs", "tmpfs");
        cJSON *options = add_array(mount, "options");
        struct buffer bound = { 0 };
        bool is_added = append_words(options, given) && append_words(options, PROFILE_BARE);

        if (inodes > 0)
                is_added = is_added && buffer_format(&bound, "nr_inodes=%" PRIu64, inodes) == 0 &&
                           append_words(options, bound.data);
        buffer_free(&bound);
        return is_added;
}

/* Maps the owner of the user's files on disk to uid:gid inside, in the carrel's range (crun(1), "idmap mount options").
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

/* Returns its options; NULL: out of memory. */
static cJSON *append_bind(cJSON *mounts, const char *source, const char *target, bool is_read_only)
{
        cJSON *mount = append_mount(mounts, target, "bind", source);
        cJSON *options = add_array(mount, "options");

        return append_words(options, is_read_only ? "bind,ro" : "bind,rw") &&
                               append_words(options, PROFILE_BARE "," PROFILE_PROPAGATION)
                       ? options
                       : NULL;
}

static bool append_mapped(cJSON *mounts, const struct oci_container *container, const struct container_spec *spec,
                          const struct bind_mount *bind)
{
        cJSON *options = append_bind(mounts, bind->source, bind->target, bind->is_read_only);
        bool is_mapped = !bind->is_read_only && container->userns_base > 0;

        return options != NULL && (!is_mapped || append_idmap(options, container, spec));
}

/* One bind for each mount below the source: with a user namespace, crun (1.8) ignores the recursion of "rbind". */
static bool append_below(cJSON *mounts, const struct oci_container *container, const struct container_spec *spec,
                         const struct bind_mount *bind)
{
        AUTO(auto_endmntent) FILE *table = setmntent("/proc/self/mounts", "re");
        size_t length = strlen(bind->source);
        char text[MOUNTS_LINE_BYTES];
        struct mntent entry;
        bool is_added = table != NULL;

        while (is_added && getmntent_r(table, &entry, text, sizeof text) != NULL) {
                struct buffer target = { 0 };
                struct bind_mount below = { entry.mnt_dir, NULL, bind->is_read_only, false };

                if (strncmp(entry.mnt_dir, bind->source, length) != 0 || entry.mnt_dir[length] != '/')
                        continue;
                is_added = buffer_format(&target, "%s%s", bind->target, entry.mnt_dir + length) == 0;
                below.target = target.data;
                is_added = is_added && append_mapped(mounts, container, spec, &below);
                buffer_free(&target);
        }
        return is_added;
}

static bool append_binds(cJSON *mounts, const struct oci_container *container, const struct container_spec *spec)
{
        for (size_t i = 0; i < spec->n_binds; i++)
                if (!append_mapped(mounts, container, spec, &spec->binds[i]) ||
                    (spec->binds[i].is_recursive && !append_below(mounts, container, spec, &spec->binds[i])))
                        return false;
        return true;
}

/* The name files that Docker gives every container, from the container's own directory. */
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
        bool is_added = buffer_format(&options, PROFILE_SHM_OPTIONS, bytes) == 0 &&
                        append_tmpfs(mounts, INSIDE_SHM, options.data, profile_inodes(bytes));

        buffer_free(&options);
        return is_added;
}

static bool fill_mounts(cJSON *mounts, const struct oci *oci, const struct oci_container *container,
                        const struct container_spec *spec, const struct stored_image *image)
{
        if (mounts == NULL || !append_profile_mounts(mounts) || !append_shm(mounts, spec->shm_bytes))
                return false;
        for (size_t i = 0; i < image->n_binds; i++)
                if (append_bind(mounts, image->binds[i].source, image->binds[i].target, true) == NULL)
                        return false;
        for (size_t i = 0; i < spec->n_tmpfs; i++)
                if (!append_tmpfs(mounts, spec->tmpfs[i].target, spec->tmpfs[i].options, spec->tmpfs[i].inodes))
                        return false;
        return append_binds(mounts, container, spec) && append_names(mounts, oci, container);
}

/* ---- the kernel's part ---- */

static bool fill_resources(cJSON *resources, const struct container_spec *spec)
{
        cJSON *memory = add_object(resources, "memory");
        cJSON *cpu = add_object(resources, "cpu");

        return add_rules(resources, "resources") && add_number(memory, "limit", spec->memory_bytes) &&
               add_number(memory, "swap", spec->memory_bytes) &&
               add_number(cpu, "quota", spec->cpu_millis * OCI_CPU_PERIOD_US / 1000) &&
               add_number(cpu, "period", OCI_CPU_PERIOD_US) &&
               add_number(add_object(resources, "pids"), "limit", spec->pids);
}

/* path: of a namespace to join; NULL: a new one. */
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
            add_number(map, "size", PROFILE_USERNS_IDS))
                return append(array, map);
        cJSON_Delete(map);
        return false;
}

/* crun takes the compiled filter (an annotation); other runtimes compile it from the profile at each start. */
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

static bool append_paths(cJSON *array, bool is_masked)
{
        for (const struct profile_path *path = PROFILE.paths; path->path != NULL; path++)
                if (path->is_masked == is_masked && !append(array, cJSON_CreateString(path->path)))
                        return false;
        return array != NULL;
}

static bool add_sysctls(cJSON *sysctls, bool has_userns, bool has_ipv6)
{
        for (const struct profile_sysctl *sysctl = PROFILE.sysctls; sysctl->key != NULL; sysctl++) {
                bool is_other = has_userns && sysctl->value_in_userns != NULL;

                if ((has_ipv6 || !sysctl->is_ipv6) &&
                    !add_text(sysctls, sysctl->key, is_other ? sysctl->value_in_userns : sysctl->value))
                        return false;
        }
        return sysctls != NULL;
}

static bool fill_linux(cJSON *linux_, const struct oci *oci, const struct oci_container *container,
                       const struct container_spec *spec)
{
        cJSON *namespaces = add_array(linux_, "namespaces");

        for (const struct profile_namespace *row = PROFILE.namespaces; row->oci_type != NULL; row++)
                if (!append_namespace(namespaces, row->oci_type, NULL))
                        return false;
        if (!append_paths(add_array(linux_, "maskedPaths"), true) ||
            !append_paths(add_array(linux_, "readonlyPaths"), false) || !add_rules(linux_, "linux"))
                return false;
        if (container->userns_base > 0 && (!append_namespace(namespaces, "user", OCI_USERNS_PATH) ||
                                           !add_id_map(linux_, "uidMappings", container->userns_base) ||
                                           !add_id_map(linux_, "gidMappings", container->userns_base)))
                return false;
        return add_text(linux_, "cgroupsPath", container->cgroup) &&
               add_sysctls(add_object(linux_, "sysctl"), container->userns_base > 0, oci->has_ipv6) &&
               fill_resources(add_object(linux_, "resources"), spec);
}

char *oci_config_encode(const struct oci *oci, const struct oci_container *container, const struct container_spec *spec,
                        const struct stored_image *image)
{
        AUTO(auto_json) cJSON *config = cJSON_CreateObject();
        cJSON *linux_ = add_object(config, "linux");
        cJSON *rootfs = add_object(config, "root");

        if (!add_text(config, "ociVersion", "1.0.2") || !add_text(config, "hostname", spec->hostname) ||
            !add_text(rootfs, "path", image->rootfs) || !add_rules(rootfs, "root") ||
            !fill_process(add_object(config, "process"), container, spec->argv, container->working_dir, NULL) ||
            !fill_mounts(add_array(config, "mounts"), oci, container, spec, image) ||
            !fill_linux(linux_, oci, container, spec) || !add_filter(config, linux_, oci))
                return NULL;
        return cJSON_PrintUnformatted(config);
}
