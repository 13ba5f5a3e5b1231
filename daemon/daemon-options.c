#include "daemon-options.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "inside.h"
#include "listen.h"
#include "pressure.h"
#include "profile.h"
#include "str.h"

/* How often carrel-netd compares the kernel's rules with the policy. */
#define POLICY_CHECK_INTERVAL_S 1.0
/* mkfs.ext4 makes one inode for each of so many bytes, too (mke2fs.conf(5)). */
enum { DISK_FILE_BYTES = 16384 };

static const enum carrel_policy POLICIES[] = {
        [CONFIG_POLICY_INTERNET] = POLICY_INTERNET,
        [CONFIG_POLICY_NONE] = POLICY_NONE,
};

/* Runtimes with a kernel of their own for each container. The host sees only the monitor's process, and an interface
 * that is added after the start is not visible inside. */
static const struct own_kernel {
        const char *prefix; /* of the program's name */
        enum pool_hardening hardening;
} OWN_KERNELS[] = {
        { "runsc", POOL_HARDENING_MONITOR },
        { "kata", POOL_HARDENING_TRUSTED },
};

static const struct own_kernel *find_own_kernel(const char *runtime)
{
        const char *slash = strrchr(runtime, '/');
        const char *name = slash != NULL ? slash + 1 : runtime;

        for (size_t i = 0; i < sizeof OWN_KERNELS / sizeof *OWN_KERNELS; i++)
                if (str_has_prefix(name, OWN_KERNELS[i].prefix))
                        return &OWN_KERNELS[i];
        return NULL;
}

bool daemon_has_own_kernel(const struct config *config)
{
        return find_own_kernel(config->runtime) != NULL;
}

static uint64_t to_millis(double cpus)
{
        return (uint64_t)(cpus * 1000 + 0.5);
}

/* text: names separated by commas and blanks, at most 255 bytes; NULL: unset. A name that is not one stays in the
 * result, for which profiles_check finds no set. */
static void join_sets(const char *text, char ret_mounts[static POOL_MOUNTS_BYTES])
{
        const char *names[POOL_MOUNTS_BYTES / 2 + 1];
        char words[POOL_MOUNTS_BYTES];
        char *rest = words;
        const char *name;
        size_t n = 0;

        if (text == NULL || str_copy(words, sizeof words, text) < 0)
                return;
        while ((name = strsep(&rest, ", ")) != NULL && n < sizeof names / sizeof *names)
                if (name[0] != '\0')
                        names[n++] = name;
        if (pool_mounts_join(names, n, ret_mounts, NULL) < 0)
                (void)snprintf(ret_mounts, POOL_MOUNTS_BYTES, "%s", text);
}

static const enum pool_lxcfs LXCFS[] = {
        [CONFIG_LXCFS_AUTO] = POOL_LXCFS_AUTO,
        [CONFIG_LXCFS_OFF] = POOL_LXCFS_OFF,
        [CONFIG_LXCFS_ON] = POOL_LXCFS_ON,
};

static struct pool_profile profile_of(const struct config_profile *section)
{
        struct pool_profile profile = {
                .name = section->name,
                .spec = {
                        .policy = section->policy < 0 ? POLICY_UNSET : POLICIES[section->policy],
                        .memory_bytes = section->memory_bytes,
                        .cpu_millis = to_millis(section->cpus),
                        .pids = (uint32_t)section->pids,
                },
                .environment = section->env,
                .warm = (unsigned)section->warm,
        };

        if (section->image != NULL)
                (void)snprintf(profile.spec.image, sizeof profile.spec.image, "%s", section->image);
        join_sets(section->mounts, profile.spec.mounts);
        return profile;
}

bool daemon_wants_warm(const struct config *config)
{
        const struct config_profile *sections = config->profiles.items;

        for (size_t i = 0; i < config->profiles.count; i++)
                if (sections[i].warm > 0)
                        return true;
        return config->warm[0] != '\0';
}

static uint64_t count_files(const struct config *config)
{
        uint64_t files = config->disk_files != 0 ? config->disk_files : config->disk_bytes / DISK_FILE_BYTES;

        files = files > DISK_FILES_MIN ? files : DISK_FILES_MIN;
        return files < DISK_FILES_MAX ? files : DISK_FILES_MAX;
}

struct pool_options daemon_pool_options(const struct config *config, const struct pool_owner *owner,
                                        struct daemon_pool_room *room)
{
        const struct config_profile *sections = config->profiles.items;
        const struct config_mount_set *sets = config->mount_sets.items;
        const struct own_kernel *own_kernel = find_own_kernel(config->runtime);
        struct pool_options options = {
                .pool = config->pool,
                .prefix = config->prefix,
                .users_dir = config->users_dir,
                .runtime_dir = config->runtime_dir,
                .init_path = room->init_path,
                .defaults = {
                        .policy = POLICIES[config->policy],
                        .memory_bytes = config->memory_bytes,
                        .cpu_millis = to_millis(config->cpus),
                        .pids = (uint32_t)config->pids,
                },
                .profiles = room->profiles,
                .n_profiles = config->profiles.count,
                .profile = config->profile,
                .dns = config->resolvers,
                .dns_setting = config->dns,
                .runtime = config->runtime,
                .cgroup_parent = config->cgroup_parent,
                .tmp_bytes = config->tmp_bytes,
                .shm_bytes = config->shm_bytes,
                .owner = *owner,
                .nofile = (uint32_t)config->nofile,
                .max_carrels = (unsigned)config->max_carrels,
                .max_concurrent_starts = (unsigned)config->max_concurrent_starts,
                .max_queued_starts = (unsigned)config->max_queued_starts,
                .max_execs = (unsigned)config->max_execs,
                .max_queued_execs = (unsigned)config->max_queued_execs,
                .exec_timeout_s = config->exec_timeout_s,
                .exec_wait_s = config->exec_wait_s,
                .ensure_timeout_s = config->ensure_timeout_s,
                .mounts = config->mounts,
                .lxcfs = LXCFS[config->lxcfs],
                .mount_sets = room->mount_sets,
                .n_mount_sets = config->mount_sets.count,
                .has_images = config->disk == CONFIG_DISK_IMAGE,
                .disk_bytes = config->disk_bytes,
                .disk_files = count_files(config),
                .warm = config->warm,
                .warm_max_age_s = config->warm_max_age_s,
        };

        if (config->engine != CONFIG_ENGINE_FAKE) {
                options.hardening = own_kernel != NULL ? own_kernel->hardening : POOL_HARDENING_WHOLE;
                options.agent = own_kernel != NULL ? POOL_AGENT_OPTIONAL : POOL_AGENT_REQUIRED;
        }
        for (size_t i = 0; i < config->profiles.count; i++)
                room->profiles[i] = profile_of(&sections[i]);
        for (size_t i = 0; i < config->mount_sets.count; i++)
                room->mount_sets[i] =
                        (struct pool_mount_set){ sets[i].name, sets[i].mounts != NULL ? sets[i].mounts : "" };
        (void)snprintf(room->init_path, sizeof room->init_path, "%s/carrel-init%s", config->helper_dir,
                       own_kernel != NULL ? "-readable" : "");
        (void)snprintf(options.defaults.image, sizeof options.defaults.image, "%s", config->image);
        return options;
}

struct netpolicy_options daemon_netpolicy_options(const struct config *config,
                                                  char helper_path[static DAEMON_PATH_BYTES])
{
        (void)snprintf(helper_path, DAEMON_PATH_BYTES, "%s/carrel-netd", config->helper_dir);
        return (struct netpolicy_options){
                .helper_path = helper_path,
                .pool = config->pool,
                .network_cidr = config->network_cidr,
                .deny = config->deny,
                .allow = config->allow,
                .dns = config->resolvers,
                .check_interval_s = POLICY_CHECK_INTERVAL_S,
                .flows_max = (unsigned)config->flows_max,
                .flows_new_per_s = (unsigned)config->flows_new_per_s,
                .max_carrels = (unsigned)config->max_carrels,
        };
}

void daemon_storage_path(const struct config *config, char path[static DAEMON_PATH_BYTES])
{
        (void)snprintf(path, DAEMON_PATH_BYTES, "%s/carrel-storage", config->helper_dir);
}

void daemon_diskd_path(const struct config *config, char path[static DAEMON_PATH_BYTES])
{
        (void)snprintf(path, DAEMON_PATH_BYTES, "%s/carrel-diskd", config->helper_dir);
}

bool daemon_has_disks(const struct config *config)
{
        char path[DAEMON_PATH_BYTES * 2];

        (void)snprintf(path, sizeof path, "%s/" DISK_DIRECTORY, config->users_dir);
        return access(path, F_OK) == 0;
}

void daemon_mountd_path(const struct config *config, char path[static DAEMON_PATH_BYTES])
{
        (void)snprintf(path, DAEMON_PATH_BYTES, "%s/carrel-mountd", config->helper_dir);
}

struct oci_options daemon_oci_options(const struct config *config, char state_dir[static DAEMON_PATH_BYTES],
                                      char image_helper[static DAEMON_PATH_BYTES])
{
        static const enum oci_userns USERNS[] = {
                [CONFIG_USERNS_AUTO] = OCI_USERNS_AUTO,
                [CONFIG_USERNS_OFF] = OCI_USERNS_OFF,
                [CONFIG_USERNS_REQUIRE] = OCI_USERNS_REQUIRE,
        };

        (void)snprintf(state_dir, DAEMON_PATH_BYTES, "%s/oci", config->runtime_dir);
        (void)snprintf(image_helper, DAEMON_PATH_BYTES, "%s/carrel-image", config->helper_dir);
        return (struct oci_options){
                .state_dir = state_dir,
                .image_dir = config->image_dir,
                .image_helper = image_helper,
                .image_max_bytes = config->image_max_bytes,
                .image_max_entries = config->image_max_entries,
                .users_dir = config->users_dir,
                .runtime = config->runtime,
                .runtime_args = config->runtime_args,
                .userns = USERNS[config->userns],
                .userns_base = (uint32_t)config->userns_base / PROFILE_USERNS_IDS * PROFILE_USERNS_IDS,
        };
}

unsigned daemon_least_user_requests(const struct config *config)
{
        uint64_t programs = config->max_execs + config->max_queued_execs;
        uint64_t half = config->max_peer_connections / 2;

        return (unsigned)(programs < half ? programs : half);
}

struct jobs_options daemon_jobs_options(const struct config *config)
{
        return (struct jobs_options){
                .ring_bytes = (size_t)config->exec_ring_bytes,
                .total_bytes = (size_t)config->exec_history_bytes,
                .max_outputs = (unsigned)config->exec_keep,
                .max_records =
                        (unsigned)(config->exec_records > config->exec_keep ? config->exec_records : config->exec_keep),
                .keep_s = config->exec_keep_s,
        };
}

struct reaper_options daemon_reaper_options(const struct config *config)
{
        return (struct reaper_options){
                .idle_ttl_s = config->idle_ttl_s,
                .freeze_after_s = config->freeze_after_s,
                .reclaim_after_s = config->reclaim_after_s,
                .freeze_pressure = (unsigned)config->freeze_pressure,
                .interval_s = config->reap_interval_s,
                .max_lifetime_s = config->max_lifetime_s,
                .sweep_interval_s = config->sweep_interval_s,
                .is_adopting = config->startup == CONFIG_STARTUP_ADOPT,
                .counts_background = config->busy == CONFIG_BUSY_PROCESSES,
        };
}

/* ---- checks: each ends at its first failure; with a listener all of them run ---- */

typedef int (*check)(const struct config *config, struct fault *why);

static int run_checks(const check *checks, const struct config *config, const struct fault_listener *listener,
                      struct fault *why)
{
        int first = 0;

        for (; *checks != NULL && (first == 0 || listener != NULL); checks++) {
                struct fault own = { 0 };
                int r = (*checks)(config, &own);

                if (r == 0)
                        continue;
                if (first == 0)
                        first = fault_pass(why, &own);
                if (listener != NULL)
                        listener->on_fault(listener->arg, &own);
        }
        return first;
}

static int check_tmp_size(const struct config *config, struct fault *why)
{
        if (config->tmp_bytes <= config->memory_bytes)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, ERANGE,
                         "tmp_size is larger than memory: files in " INSIDE_TMP " count as memory, so lower it");
}

static int check_uploads_size(const struct config *config, struct fault *why)
{
        if (config->uploads_bytes >= config->image_max_bytes && config->uploads_bytes >= config->file_max_bytes)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, ERANGE,
                         "uploads_size is smaller than image_max_size or file_max_size: raise it, or lower those");
}

static int check_runtime_network(const struct config *config, struct fault *why)
{
        const struct config_profile *sections = config->profiles.items;
        const char *online = config->policy == CONFIG_POLICY_NONE ? NULL : "";

        for (size_t i = 0; i < config->profiles.count; i++)
                if (sections[i].policy == CONFIG_POLICY_INTERNET)
                        online = sections[i].name;
        if (find_own_kernel(config->runtime) == NULL || online == NULL)
                return 0;
        if (online[0] != '\0')
                return fault_set(why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                                 "profile %s: runtime %s reads its network configuration at the start, before carrel "
                                 "can add one: set policy = none",
                                 online, config->runtime);
        return fault_set(
                why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                "runtime %s reads its network configuration at the start, before carrel can add one: set policy = none",
                config->runtime);
}

/* The kernel of the host does not show what such a carrel has mounted. */
static int check_runtime_mounts(const struct config *config, struct fault *why)
{
        if (find_own_kernel(config->runtime) == NULL || (config->mounts[0] == '\0' && config->mount_sets.count == 0))
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                         "mounts of runtime %s cannot be verified: remove mounts and the sections [mounts NAME]",
                         config->runtime);
}

static int check_lxcfs(const struct config *config, struct fault *why)
{
        if (find_own_kernel(config->runtime) == NULL || config->lxcfs != CONFIG_LXCFS_ON)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                         "runtime %s has a /proc of its own: set lxcfs = auto or off", config->runtime);
}

static int check_disk(const struct config *config, struct fault *why)
{
        if (find_own_kernel(config->runtime) == NULL || config->disk == CONFIG_DISK_NONE)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                         "runtime %s takes no mount after the start, so users' images cannot be attached: set disk = "
                         "none, or another runtime",
                         config->runtime);
}

static int check_busy(const struct config *config, struct fault *why)
{
        if (find_own_kernel(config->runtime) == NULL || config->busy != CONFIG_BUSY_PROCESSES)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                         "the host cannot see the programs of runtime %s: set busy = execs", config->runtime);
}

static int check_freeze(const struct config *config, struct fault *why)
{
        if ((config->freeze_after_s > 0 || config->freeze_pressure > 0) && find_own_kernel(config->runtime) != NULL)
                return fault_set(why, FAULT_SETTING_INVALID, EOPNOTSUPP,
                                 "carreld cannot freeze the carrels of runtime %s: set freeze_after_s = 0 and "
                                 "freeze_pressure = 0",
                                 config->runtime);
        if (config->freeze_after_s >= config->idle_ttl_s)
                return fault_set(why, FAULT_SETTING_INVALID, ERANGE,
                                 "freeze_after_s is not less than idle_ttl_s: such a carrel is reaped before it is "
                                 "frozen");
        if (config->reclaim_after_s <= 0)
                return 0;
        if (config->freeze_after_s <= 0)
                return fault_set(why, FAULT_SETTING_INVALID, ERANGE,
                                 "reclaim_after_s needs freeze_after_s: only a frozen carrel gives its memory back");
        if (config->reclaim_after_s <= config->freeze_after_s || config->reclaim_after_s >= config->idle_ttl_s)
                return fault_set(why, FAULT_SETTING_INVALID, ERANGE,
                                 "reclaim_after_s is not between freeze_after_s and idle_ttl_s");
        return 0;
}

/* Container names are at most 63 characters where an engine also makes them host names; an id has up to 64, so the
 * prefix only has to keep the whole below ENGINE_NAME_BYTES, which its own bound of 32 does. */
static int check_pool(const struct config *config, struct fault *why)
{
        static const struct pool_owner ANY = { 1, 1 }; /* any valid owner: the real one depends on the host */
        struct daemon_pool_room room;
        struct pool_options options = daemon_pool_options(config, &ANY, &room);

        return pool_check(&options, why);
}

static int check_network(const struct config *config, struct fault *why)
{
        char helper_path[DAEMON_PATH_BYTES];
        struct netpolicy_options options = daemon_netpolicy_options(config, helper_path);

        return netpolicy_check(&options, why);
}

int daemon_check(const struct config *config, const struct fault_listener *listener, struct fault *why)
{
        static const check CHECKS[] = { check_tmp_size,
                                        check_uploads_size,
                                        check_runtime_network,
                                        check_runtime_mounts,
                                        check_lxcfs,
                                        check_disk,
                                        check_busy,
                                        check_freeze,
                                        check_pool,
                                        check_network,
                                        NULL };

        return run_checks(CHECKS, config, listener, why);
}

static int check_pressure(const struct config *config, struct fault *why)
{
        double percent;

        if (config->freeze_pressure == 0 || pressure_read(PRESSURE_MEMORY, &percent) == 0)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, ENOENT,
                         "freeze_pressure: this kernel does not report " PRESSURE_MEMORY
                         ": boot it with psi=1, or set freeze_pressure = 0");
}

static int check_group(const char *setting, const char *name, struct fault *why)
{
        if (name[0] == '\0' || getgrnam(name) != NULL)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, ENOENT,
                         "%s: there is no group \"%s\": create it with `groupadd --system %s`", setting, name, name);
}

static int check_socket_group(const struct config *config, struct fault *why)
{
        return check_group("socket_group", config->socket_group, why);
}

static int check_admin_group(const struct config *config, struct fault *why)
{
        return check_group("admin_group", config->admin_group, why);
}

static int check_helper(const struct config *config, const char *name, struct stat *ret_status, struct fault *why)
{
        char path[DAEMON_PATH_BYTES * 2];

        if (config->engine == CONFIG_ENGINE_FAKE) {
                *ret_status = (struct stat){ 0 };
                return 0;
        }
        (void)snprintf(path, sizeof path, "%s/%s", config->helper_dir, name);
        if (stat(path, ret_status) < 0)
                return fault_set(why, FAULT_SETTING_INVALID, errno,
                                 "helper_dir: %s: %s: install carrel completely, or set helper_dir to its directory",
                                 path, strerrordesc_np(errno));
        if (!S_ISREG(ret_status->st_mode) || (ret_status->st_mode & S_IXUSR) == 0)
                return fault_set(why, FAULT_SETTING_INVALID, EACCES,
                                 "helper_dir: %s is not a program: install it again", path);
        if (ret_status->st_uid != 0 || (ret_status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
                return fault_set(why, FAULT_SETTING_INVALID, EPERM,
                                 "helper_dir: %s must belong to root and be unwritable by others", path);
        return 0;
}

/* The kernel makes a program undumpable if its user may not read the file (execve(2)). */
static int check_init(const struct config *config, struct fault *why)
{
        bool is_readable_one = find_own_kernel(config->runtime) != NULL;
        struct stat status;
        int r = check_helper(config, is_readable_one ? "carrel-init-readable" : "carrel-init", &status, why);

        if (r < 0 || is_readable_one || (status.st_mode & (S_IRGRP | S_IROTH)) == 0)
                return r;
        return fault_set(why, FAULT_SETTING_INVALID, EPERM,
                         "carrel-init may be read by others (mode %04o), so that a program inside could read a file "
                         "operation's memory: chmod 0711 %s/carrel-init",
                         status.st_mode & 07777u, config->helper_dir);
}

static int check_image_helper(const struct config *config, struct fault *why)
{
        struct stat status;

        return check_helper(config, "carrel-image", &status, why);
}

static int check_netd(const struct config *config, struct fault *why)
{
        struct stat status;

        return check_helper(config, "carrel-netd", &status, why);
}

static int check_storage(const struct config *config, struct fault *why)
{
        struct stat status;

        return check_helper(config, "carrel-storage", &status, why);
}

static int check_diskd(const struct config *config, struct fault *why)
{
        struct stat status;

        return check_helper(config, "carrel-diskd", &status, why);
}

/* e2fsprogs is not needed otherwise. */
static int check_mkfs(const struct config *config, struct fault *why)
{
        if (config->disk == CONFIG_DISK_NONE || access(DISK_MKFS, X_OK) == 0)
                return 0;
        return fault_set(why, FAULT_SETTING_INVALID, errno,
                         "disk: " DISK_MKFS " is missing: install e2fsprogs, or set disk = none");
}

static int check_mountd(const struct config *config, struct fault *why)
{
        struct stat status;

        return check_helper(config, "carrel-mountd", &status, why);
}

static int check_runtime_dir(const struct config *config, struct fault *why)
{
        return check_claimable(config->runtime_dir, why);
}

static int check_users_dir(const struct config *config, struct fault *why)
{
        return check_claimable(config->users_dir, why);
}

static int check_image_dir(const struct config *config, struct fault *why)
{
        return check_claimable(config->image_dir, why);
}

static int check_spool_dir(const struct config *config, struct fault *why)
{
        return config->spool_dir[0] == '\0' ? 0 : check_claimable(config->spool_dir, why);
}

int daemon_check_mounts(const struct config *config, struct fault *why)
{
        static const struct pool_owner ANY = { 1, 1 };
        struct daemon_pool_room room;
        struct pool_options options = daemon_pool_options(config, &ANY, &room);

        return pool_check_mounts(&options, why);
}

int daemon_check_host(const struct config *config, const struct fault_listener *listener, struct fault *why)
{
        static const check CHECKS[] = { check_socket_group, check_admin_group, check_init,          check_image_helper,
                                        check_diskd,        check_mkfs,        check_mountd,        check_pressure,
                                        check_netd,         check_storage,     check_runtime_dir,   check_users_dir,
                                        check_image_dir,    check_spool_dir,   daemon_check_mounts, NULL };

        return run_checks(CHECKS, config, listener, why);
}
