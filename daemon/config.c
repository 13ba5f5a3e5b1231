#include "config.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inside.h"
#include "resolvers.h"
#include "scope.h"
#include "str.h"

#ifndef CARREL_HELPER_DIR
#define CARREL_HELPER_DIR "/usr/libexec/carrel"
#endif

static const char *const ANSWERS[] = { "no", "yes", NULL };
static const char *const BUSY[] = { "execs", "processes", NULL };
static const char *const DISKS[] = { "none", "image", NULL };
static const char *const ENGINES[] = { "auto", "docker", "oci", "podman",
#ifdef CARREL_FAILPOINTS
                                       "fake",
#endif
                                       NULL };
static const char *const LOG_FORMATS[] = { "logfmt", "json", NULL };
static const char *const LOG_LEVELS[] = { "debug", "info", "warning", "error", NULL };
static const char *const LXCFS[] = { "auto", "off", "on", NULL };
static const char *const POLICIES[] = { "internet", "none", NULL };
static const char *const STARTUPS[] = { "adopt", "clear", NULL };
static const char *const USERNS[] = { "auto", "off", "require", NULL };

static const char *check_path(const char *value)
{
        return value[0] == '/' ? NULL : "must be an absolute path";
}

static const char *check_socket(const char *value)
{
        return value[0] == '\0' ? NULL : check_path(value);
}

static bool is_word(const char *value, const char *punctuation)
{
        for (; *value != '\0'; value++)
                if (!isalnum((unsigned char)*value) && strchr(punctuation, *value) == NULL)
                        return false;
        return true;
}

static const char *check_name(const char *value)
{
        return is_word(value, "._-") ? NULL : "may hold only letters, digits, '.', '_' and '-'";
}

static const char *check_runtime(const char *value)
{
        return is_word(value, "._-/") ? NULL : "may hold only letters, digits, '.', '_', '-' and '/'";
}

/* Docker's grammar of container names: the first character is a letter or a digit. */
static const char *check_prefix(const char *value)
{
        if (!isalnum((unsigned char)value[0]))
                return "must start with a letter or a digit";
        return check_name(value);
}

static const char *check_image(const char *value)
{
        return is_word(value, "._-/:@") ? NULL : "is not an image reference";
}

static const char *check_set_names(const char *value)
{
        return is_word(value, "._-, ") ? NULL : "may hold only names, separated by commas";
}

static const char *check_cgroup(const char *value)
{
        if (strstr(value, "..") != NULL || !is_word(value, "._-/"))
                return "is not a cgroup path";
        return NULL;
}

#define AT(field) offsetof(struct config, field)

static const struct setting TABLE[] = {
        { "admin_group", SETTING_TEXT, AT(admin_group), "", 0, 32, NULL,
          "group whose members are admins, beside root: they may reap, sweep, and load and remove images; empty: root "
          "only",
          check_name },
        { "allow", SETTING_TEXT, AT(allow), "", 0, 4096, NULL,
          "exceptions to the deny lists: CIDR[:port], separated by commas", NULL },
        { "busy", SETTING_CHOICE, AT(busy), "execs", 0, 0, BUSY,
          "activity that counts as use: execs, or processes (execs and background programs)", NULL },
        { "cgroup_parent", SETTING_TEXT, AT(cgroup_parent), "", 0, 200, NULL,
          "parent cgroup of the carrels; empty: the engine's default", check_cgroup },
        { "cpus", SETTING_DECIMAL, AT(cpus), "1.0", 0.01, 1024, NULL, "CPUs of each carrel", NULL },
        { "deny", SETTING_TEXT, AT(deny), "", 0, 8192, NULL,
          "CIDRs that no carrel may reach, in addition to the built-in list, separated by commas", NULL },
        { "disk", SETTING_CHOICE, AT(disk), "none", 0, 0, DISKS,
          "bound of each new user's files: none (the disk of users_dir), or image (a file system of his own)", NULL },
        { "disk_files", SETTING_NUMBER, AT(disk_files), "0", 0, 1000000000, NULL,
          "files and directories in a new image; 0: one for each 16 KiB of disk_size", NULL },
        { "disk_size", SETTING_SIZE, AT(disk_bytes), "1g", 16777216, 17592186044416.0, NULL,
          "size of an image, which is allocated at once; an image that is smaller grows at its user's next start",
          NULL },
        { "dns", SETTING_TEXT, AT(dns), CONFIG_DNS_AUTO, 0, 255, NULL,
          "resolver addresses, separated by commas, of which only port 53 is reachable; auto: the host's resolvers, or "
          "the upstream ones of a resolver on its loopback; empty: no name resolution",
          NULL },
        { "engine", SETTING_CHOICE, AT(engine), "auto", 0, 0, ENGINES,
          "the container engine; auto: the first of Podman, Docker and the embedded one (oci) that can keep every "
          "promise",
          NULL },
        { "engine_socket", SETTING_TEXT, AT(engine_socket), "", 0, 100, NULL,
          "unix socket of the engine's API; empty: /run/docker.sock or /run/podman/podman.sock", check_socket },
        { "ensure_timeout_s", SETTING_DECIMAL, AT(ensure_timeout_s), "60", 1, 3600, NULL,
          "seconds until a request for a carrel fails with deadline_exceeded", NULL },
        { "exec_history_size", SETTING_SIZE, AT(exec_history_bytes), "256m", 1048576, 1099511627776.0, NULL,
          "memory for the events of all detached execs together; beyond it the oldest are dropped", NULL },
        { "exec_keep", SETTING_NUMBER, AT(exec_keep), "256", 0, 100000, NULL,
          "how many finished detached execs keep their output; results are kept in any case", NULL },
        { "exec_keep_s", SETTING_DECIMAL, AT(exec_keep_s), "300", 0, 86400, NULL,
          "seconds for which a finished detached exec is remembered", NULL },
        { "exec_records", SETTING_NUMBER, AT(exec_records), "32768", 256, 200000, NULL,
          "how many detached execs, running or finished, are remembered; more get queue_full", NULL },
        { "exec_ring_size", SETTING_SIZE, AT(exec_ring_bytes), "1m", 65536, 1073741824, NULL,
          "memory for the events of one detached exec; beyond it its oldest are dropped", NULL },
        { "exec_timeout_s", SETTING_DECIMAL, AT(exec_timeout_s), "0", 0, 86400, NULL,
          "seconds after which an exec that names no timeout_s is killed; 0: it may run on", NULL },
        { "exec_wait_s", SETTING_DECIMAL, AT(exec_wait_s), "300", 0.1, 86400, NULL,
          "seconds for which a program waits for a free place (max_execs) before it gets queue_full", NULL },
        { "file_max_size", SETTING_SIZE, AT(file_max_bytes), "1g", 1048576, 1099511627776.0, NULL,
          "largest file or archive of an upload", NULL },
        { "flows_max", SETTING_NUMBER, AT(flows_max), "0", 0, 1000000, NULL,
          "concurrent connections of each carrel to the outside, including answered datagrams; 0: three quarters of "
          "the host's connection-tracking table divided by max_carrels, within 256 to 4096",
          NULL },
        { "flows_new_per_s", SETTING_NUMBER, AT(flows_new_per_s), "50", 1, 10000, NULL,
          "new connections of each carrel per second; bursts up to flows_max are allowed, and the excess must be sent "
          "again",
          NULL },
        { "freeze_after_s", SETTING_DECIMAL, AT(freeze_after_s), "0", 0, 31536000, NULL,
          "seconds without use after which a carrel is frozen until its next use; less than idle_ttl_s; 0: never",
          NULL },
        { "freeze_pressure", SETTING_NUMBER, AT(freeze_pressure), "0", 0, 100, NULL,
          "percent of memory pressure (PSI) from which on the carrels that have been idle longest are frozen and "
          "their memory is reclaimed; 0: never",
          NULL },
        { "gid", SETTING_TEXT, AT(gid), "", 0, 32, NULL,
          "group that owns the users' files on disk, a name or a number; empty: the group of uid", check_name },
        { "helper_dir", SETTING_TEXT, AT(helper_dir), CARREL_HELPER_DIR, 1, 200, NULL,
          "directory of carrel-diskd, carrel-image, carrel-init, carrel-mountd, carrel-netd and carrel-storage",
          check_path },
        { "idle_ttl_s", SETTING_DECIMAL, AT(idle_ttl_s), "300", 0.1, 31536000, NULL,
          "seconds without use after which a carrel is reaped", NULL },
        { "image", SETTING_TEXT, AT(image), "carrel-sandbox:latest", 1, 255, NULL, "image of new carrels",
          check_image },
        { "image_dir", SETTING_TEXT, AT(image_dir), "/var/lib/carrel/images", 1, 200, NULL,
          "directory of the embedded engine's images; every ancestor must belong to root and be unwritable by others",
          check_path },
        { "image_max_entries", SETTING_NUMBER, AT(image_max_entries), "500000", 1, 100000000, NULL,
          "files, directories and links in an imported image", NULL },
        { "image_max_size", SETTING_SIZE, AT(image_max_bytes), "8g", 1048576, 1099511627776.0, NULL,
          "bytes of an imported image archive, and of its unpacked content", NULL },
        { "log_format", SETTING_CHOICE, AT(log_format), "logfmt", 0, 0, LOG_FORMATS, "format of the log records",
          NULL },
        { "log_level", SETTING_CHOICE, AT(log_level), "info", 0, 0, LOG_LEVELS, "lowest level that is logged", NULL },
        { "lxcfs", SETTING_CHOICE, AT(lxcfs), "auto", 0, 0, LXCFS,
          "bind the files of lxcfs over those of /proc inside: auto (where it runs on the host), on (no carrel starts "
          "without it) or off",
          NULL },
        { "max_carrels", SETTING_NUMBER, AT(max_carrels), "1000", 1, 100000, NULL, "concurrent carrels", NULL },
        { "max_concurrent_starts", SETTING_NUMBER, AT(max_concurrent_starts), "8", 1, 1000, NULL,
          "concurrent starts in the engine", NULL },
        { "max_connections", SETTING_NUMBER, AT(max_connections), "1200", 16, 100000, NULL,
          "concurrent connections to the API, a sixteenth of them reserved for admins", NULL },
        { "max_execs", SETTING_NUMBER, AT(max_execs), "64", 1, 1000, NULL,
          "concurrent programs that carreld runs in one carrel", NULL },
        { "max_lifetime_s", SETTING_DECIMAL, AT(max_lifetime_s), "0", 0, 31536000, NULL,
          "seconds after which a carrel without an open exec or lease is reaped even if it is used; 0: never", NULL },
        { "max_peer_connections", SETTING_NUMBER, AT(max_peer_connections), "1000", 1, 100000, NULL,
          "concurrent connections of one uid", NULL },
        { "max_queued_execs", SETTING_NUMBER, AT(max_queued_execs), "256", 0, 10000, NULL,
          "programs that may wait for a free place in one carrel (max_execs); more get queue_full", NULL },
        { "max_queued_starts", SETTING_NUMBER, AT(max_queued_starts), "1000", 0, 100000, NULL,
          "users that may wait for a start; more get queue_full", NULL },
        { "max_uploads", SETTING_NUMBER, AT(max_uploads), "64", 1, 10000, NULL,
          "concurrent uploads of files, archives and images; more get queue_full", NULL },
        { "memory", SETTING_SIZE, AT(memory_bytes), "2g", 6291456, 1099511627776.0, NULL,
          "memory of each carrel, including swap", NULL },
        { "mounts", SETTING_TEXT, AT(mounts), "", 0, 4096, NULL,
          "host directories and files in every carrel: SOURCE:TARGET:ro or SOURCE:TARGET:rw, separated by commas",
          NULL },
        { "network_cidr", SETTING_TEXT, AT(network_cidr), "10.213.0.0/16", 9, 18, NULL,
          "IPv4 network for the carrels' addresses, /8 to /28", NULL },
        { "nofile", SETTING_NUMBER, AT(nofile), "1024", 64, 1048576, NULL, "open files of a process inside", NULL },
        { "outputs_size", SETTING_SIZE, AT(outputs_bytes), "256m", 1048576, 1099511627776.0, NULL,
          "memory for the outputs of all execs with buffered answers together; a quarter for each carrel", NULL },
        { "pids", SETTING_NUMBER, AT(pids), "256", 8, 65536, NULL, "processes and threads of each carrel", NULL },
        { "policy", SETTING_CHOICE, AT(policy), "internet", 0, 0, POLICIES,
          "default egress of a carrel: internet (all except denied addresses) or none (loopback only)", NULL },
        { "pool", SETTING_TEXT, AT(pool), "default", 1, 32, NULL, "name of this pool, in the containers' labels",
          check_prefix },
        { "prefix", SETTING_TEXT, AT(prefix), "carrel-", 1, 32, NULL, "prefix of container names", check_prefix },
        { "profile", SETTING_TEXT, AT(profile), "", 0, 32, NULL,
          "profile of new carrels for which the request names none; empty: none", check_name },
        { "reap_interval_s", SETTING_DECIMAL, AT(reap_interval_s), "5", 0.05, 3600, NULL,
          "seconds between two checks for idle carrels", NULL },
        { "reclaim_after_s", SETTING_DECIMAL, AT(reclaim_after_s), "0", 0, 31536000, NULL,
          "seconds without use after which a frozen carrel gives its memory back; between freeze_after_s and "
          "idle_ttl_s; 0: never",
          NULL },
        { "runtime", SETTING_TEXT, AT(runtime), "", 0, 200, NULL,
          "OCI runtime of the engine (runc, crun, runsc, kata; for oci also a path); empty: its default",
          check_runtime },
        { "runtime_args", SETTING_TEXT, AT(runtime_args), "", 0, 1000, NULL,
          "arguments for the runtime of the engine oci, before each command, e.g. --platform=kvm", NULL },
        { "runtime_dir", SETTING_TEXT, AT(runtime_dir), "/run/carrel", 1, 100, NULL,
          "directory on a tmpfs for the ledger, the record of execs and the lock", check_path },
        { "shm_size", SETTING_SIZE, AT(shm_bytes), "64m", 65536, 1099511627776.0, NULL, "size of " INSIDE_SHM " inside",
          NULL },
        { "snapshots_max", SETTING_NUMBER, AT(snapshots_max), "8", 0, 1000, NULL,
          "snapshots that one user may have; 0: none", NULL },
        { "snapshots_size", SETTING_SIZE, AT(snapshots_bytes), "0", 0, 1099511627776.0, NULL,
          "bytes of one user's snapshots together; 0: no bound", NULL },
        { "socket", SETTING_TEXT, AT(socket), "/run/carrel/carrel.sock", 1, 100, NULL, "unix socket of the API",
          check_path },
        { "socket_group", SETTING_TEXT, AT(socket_group), "carrel", 0, 32, NULL,
          "group that may use the socket; empty: root only", check_name },
        { "spool_dir", SETTING_TEXT, AT(spool_dir), "", 0, 200, NULL,
          "directory for uploads in progress; empty: image_dir", check_socket },
        { "startup", SETTING_CHOICE, AT(startup), "clear", 0, 0, STARTUPS,
          "action for containers found at start: clear removes all of this pool, adopt keeps those that match", NULL },
        { "sweep_interval_s", SETTING_DECIMAL, AT(sweep_interval_s), "30", 0.1, 86400, NULL,
          "seconds between two comparisons with the engine's containers", NULL },
        { "tmp_size", SETTING_SIZE, AT(tmp_bytes), "512m", 65536, 1099511627776.0, NULL,
          "size of " INSIDE_TMP " inside", NULL },
        { "uid", SETTING_TEXT, AT(uid), "carrel-user", 1, 32, NULL,
          "account that owns the users' files on disk, a name or a number; not a person's account", check_name },
        { "uid_is_shared", SETTING_CHOICE, AT(uid_is_shared), "no", 0, 0, ANSWERS,
          "whether uid may be an account with a login, whose owner then owns every user's files", NULL },
        { "uploads_size", SETTING_SIZE, AT(uploads_bytes), "16g", 1048576, 1099511627776.0, NULL,
          "disk space below spool_dir for all concurrent uploads together", NULL },
        { "userns", SETTING_CHOICE, AT(userns), "require", 0, 0, USERNS,
          "give each carrel of the engine oci its own user-namespace id range: require, auto (if possible) or off",
          NULL },
        { "userns_base", SETTING_NUMBER, AT(userns_base), "1879048192", 65536, 4293918720.0, NULL,
          "first host id of the carrels' ranges of 65536 ids", NULL },
        { "users_dir", SETTING_TEXT, AT(users_dir), "/var/lib/carrel/users", 1, 200, NULL,
          "directory of the users' directories; every ancestor must belong to root and be unwritable by others",
          check_path },
        { "warm", SETTING_TEXT, AT(warm), "", 0, 4000, NULL,
          "warm carrels to keep for the next users: a number, or image:number for each image, separated by commas",
          NULL },
        { "warm_max_age_s", SETTING_DECIMAL, AT(warm_max_age_s), "3600", 0, 31536000, NULL,
          "seconds after which an unused warm carrel is replaced; 0: never", NULL },
        { .key = NULL },
};

#define AT_PROFILE(field) offsetof(struct config_profile, field)

static const struct setting PROFILE[] = {
        { "cpus", SETTING_DECIMAL, AT_PROFILE(cpus), NULL, 0.01, 1024, NULL, "CPUs of each carrel with this profile",
          NULL },
        { "env", SETTING_LINES, AT_PROFILE(env), NULL, 1, 8192, NULL,
          "a variable of each program, NAME=value; may be repeated, up to 64 times", settings_check_variable },
        { "image", SETTING_TEXT, AT_PROFILE(image), NULL, 1, 255, NULL, "image, which a request cannot change then",
          check_image },
        { "memory", SETTING_SIZE, AT_PROFILE(memory_bytes), NULL, 6291456, 1099511627776.0, NULL,
          "memory of each carrel with this profile, including swap", NULL },
        { "mounts", SETTING_TEXT, AT_PROFILE(mounts), NULL, 1, 255, NULL,
          "names of mount sets, separated by commas, which a request cannot change then", check_set_names },
        { "pids", SETTING_NUMBER, AT_PROFILE(pids), NULL, 8, 65536, NULL,
          "processes and threads of each carrel with this profile", NULL },
        { "policy", SETTING_CHOICE, AT_PROFILE(policy), NULL, 0, 0, POLICIES,
          "egress: internet, which a request can narrow, or none", NULL },
        { "warm", SETTING_NUMBER, AT_PROFILE(warm), "0", 0, 65535, NULL,
          "warm carrels to keep with this profile, in addition to those of the setting warm", NULL },
        { .key = NULL },
};

#define AT_MOUNTS(field) offsetof(struct config_mount_set, field)

static const struct setting MOUNT_SET[] = {
        { "mounts", SETTING_TEXT, AT_MOUNTS(mounts), NULL, 1, 4096, NULL,
          "host directories and files in carrels whose ensure names this set, as in the setting mounts", NULL },
        { .key = NULL },
};

static const struct settings_kind KINDS[] = {
        { "profile", PROFILE, AT(profiles), sizeof(struct config_profile), CONFIG_PROFILES_MAX },
        { "mounts", MOUNT_SET, AT(mount_sets), sizeof(struct config_mount_set), CONFIG_MOUNT_SETS_MAX },
        { .kind = NULL },
};

/* CARREL_* variables that are not settings of carreld: failpoints and what the CLI, the tests and ./dev use. */
static const char *const NOT_SETTINGS[] = { "DEV_STATE", "FAILPOINT", "MUST_RUN", NULL };

/* Alphabetical. The other settings are already built into containers, descriptors or the kernel. */
static const char *const RELOADABLE[] = {
        "allow",
        "busy",
        "cpus",
        "deny",
        "dns",
        "ensure_timeout_s",
        "exec_history_size",
        "exec_keep",
        "exec_keep_s",
        "exec_records",
        "exec_ring_size",
        "exec_timeout_s",
        "exec_wait_s",
        "flows_max",
        "flows_new_per_s",
        "freeze_after_s",
        "freeze_pressure",
        "idle_ttl_s",
        "image",
        "log_format",
        "log_level",
        "lxcfs",
        "max_carrels",
        "max_concurrent_starts",
        "max_execs",
        "max_lifetime_s",
        "max_queued_execs",
        "max_queued_starts",
        "memory",
        "mounts",
        "pids",
        "policy",
        "profile",
        "reap_interval_s",
        "reclaim_after_s",
        "sweep_interval_s",
        "warm",
        "warm_max_age_s",
};

const struct setting *config_table(void)
{
        return TABLE;
}

const struct settings_kind *config_kinds(void)
{
        return KINDS;
}

void config_find_resolvers(struct config *config)
{
        _Static_assert((int)RESOLVERS_BYTES <= (int)CONFIG_RESOLVERS_BYTES, "what is found has room");

        config->skipped_resolvers[0] = '\0';
        if (str_equal(config->dns, CONFIG_DNS_AUTO))
                resolvers_find("", config->network_cidr != NULL ? config->network_cidr : "", config->resolvers,
                               config->skipped_resolvers);
        else if (config->dns != NULL)
                (void)snprintf(config->resolvers, sizeof config->resolvers, "%s", config->dns);
}

int config_load(struct config *ret_config, const char *path, bool is_required, char *const *environment,
                const struct fault_listener *listener, struct fault *why)
{
        AUTO(config_release) struct config config = { 0 };
        bool is_missing = access(path, F_OK) < 0 && errno == ENOENT;
        int file = 0, variables;
        int r = settings_defaults(TABLE, &config, why);

        if (r < 0)
                return r;
        if (is_required || !is_missing)
                file = settings_read_file(TABLE, KINDS, &config, path, listener, why);
        if (file < 0 && listener == NULL)
                return file;
        variables =
                settings_read_environment(TABLE, &config, environment, NOT_SETTINGS, listener, file < 0 ? NULL : why);
        r = file < 0 ? file : variables;
        if (r < 0 && listener == NULL)
                return r;
        config_find_resolvers(&config);
        *ret_config = config;
        config = (struct config){ 0 };
        return r;
}

void config_release(struct config *config)
{
        settings_release(TABLE, KINDS, config);
}

bool config_is_reloadable(const char *key)
{
        for (size_t i = 0; i < sizeof RELOADABLE / sizeof *RELOADABLE; i++)
                if (strcmp(RELOADABLE[i], key) == 0)
                        return true;
        return false;
}

char *config_to_json(const struct config *config)
{
        cJSON *object = cJSON_CreateObject();
        char *text = NULL;

        for (const struct setting *setting = TABLE; object != NULL && setting->key != NULL; setting++) {
                AUTO(auto_free) char *value = settings_format(setting, config);

                if (value == NULL || cJSON_AddStringToObject(object, setting->key, value) == NULL)
                        goto out;
        }
        text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
out:
        cJSON_Delete(object);
        return text;
}

/* Splits lines in place. */
static bool add_lines(cJSON *object, const char *key, char *lines)
{
        cJSON *array = cJSON_AddArrayToObject(object, key);
        bool is_good = array != NULL;

        for (char *rest = lines; is_good && rest != NULL && rest[0] != '\0';) {
                cJSON *line = cJSON_CreateString(strsep(&rest, "\n"));

                is_good = line != NULL && cJSON_AddItemToArray(array, line);
        }
        return is_good;
}

static bool add_section(cJSON *sections, const struct settings_kind *kind, const void *item)
{
        cJSON *object = cJSON_AddObjectToObject(sections, *(char *const *)item);
        bool is_good = object != NULL;

        for (const struct setting *setting = kind->table; is_good && setting->key != NULL; setting++) {
                AUTO(auto_free) char *value = settings_format(setting, item);

                if (value == NULL)
                        is_good = false;
                else if (settings_is_set(setting, item))
                        is_good = setting->type == SETTING_LINES
                                          ? add_lines(object, setting->key, value)
                                          : cJSON_AddStringToObject(object, setting->key, value) != NULL;
        }
        return is_good;
}

char *config_sections_to_json(const struct config *config)
{
        cJSON *object = cJSON_CreateObject();
        bool is_good = object != NULL;
        char *text;

        for (const struct settings_kind *kind = KINDS; is_good && kind->kind != NULL; kind++) {
                const struct settings_list *list = (const void *)((const char *)config + kind->offset);
                cJSON *sections = cJSON_AddObjectToObject(object, kind->kind);

                is_good = sections != NULL;
                for (size_t i = 0; is_good && i < list->count; i++)
                        is_good = add_section(sections, kind, (const char *)list->items + i * kind->item_bytes);
        }
        text = is_good ? cJSON_PrintUnformatted(object) : NULL;
        cJSON_Delete(object);
        return text;
}
