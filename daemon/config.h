/* carreld's settings: one table, alphabetical, with their bounds (carrel.conf(5)). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

#define CONFIG_DNS_AUTO "auto"
enum { CONFIG_RESOLVERS_BYTES = 256, CONFIG_MOUNT_SETS_MAX = 64, CONFIG_PROFILES_MAX = 32 };

enum config_engine {
        CONFIG_ENGINE_AUTO,
        CONFIG_ENGINE_DOCKER,
        CONFIG_ENGINE_OCI,
        CONFIG_ENGINE_PODMAN,
        CONFIG_ENGINE_FAKE
};
enum config_policy { CONFIG_POLICY_INTERNET, CONFIG_POLICY_NONE };
enum config_busy { CONFIG_BUSY_EXECS, CONFIG_BUSY_PROCESSES };
enum config_startup { CONFIG_STARTUP_ADOPT, CONFIG_STARTUP_CLEAR };
enum config_answer { CONFIG_NO, CONFIG_YES };
enum config_lxcfs { CONFIG_LXCFS_AUTO, CONFIG_LXCFS_OFF, CONFIG_LXCFS_ON };
enum config_disk { CONFIG_DISK_NONE, CONFIG_DISK_IMAGE };
enum config_userns { CONFIG_USERNS_AUTO, CONFIG_USERNS_OFF, CONFIG_USERNS_REQUIRE };

/* A section [profile NAME]. Fields without a value (settings_is_set) are open. */
struct config_profile {
        char *name;
        double cpus;
        char *env;
        char *image;
        uint64_t memory_bytes;
        char *mounts;
        uint64_t pids;
        int policy;
        uint64_t warm;
};

/* A section [mounts NAME]. */
struct config_mount_set {
        char *name;
        char *mounts; /* NULL: not set */
};

/* Texts are owned by the struct (settings_release). */
struct config {
        char *admin_group;
        char *allow;
        int busy;
        char *cgroup_parent;
        double cpus;
        char *deny;
        char *dns;
        int engine;
        char *engine_socket;
        double ensure_timeout_s;
        uint64_t exec_history_bytes;
        uint64_t exec_keep;
        double exec_keep_s;
        uint64_t exec_records;
        uint64_t exec_ring_bytes;
        double exec_timeout_s;
        double exec_wait_s;
        uint64_t file_max_bytes;
        uint64_t flows_max;
        uint64_t flows_new_per_s;
        double freeze_after_s;
        uint64_t freeze_pressure;
        char *gid;
        char *helper_dir;
        double idle_ttl_s;
        double warm_max_age_s;
        char *image;
        char *image_dir;
        char *spool_dir;
        uint64_t image_max_bytes;
        uint64_t uploads_bytes, outputs_bytes;
        uint64_t max_uploads;
        uint64_t snapshots_max, snapshots_bytes;
        uint64_t max_connections, max_peer_connections;
        uint64_t image_max_entries;
        int log_format;
        int log_level;
        int lxcfs;
        uint64_t max_carrels;
        uint64_t max_concurrent_starts;
        uint64_t max_execs;
        double max_lifetime_s;
        uint64_t max_queued_execs;
        uint64_t max_queued_starts;
        uint64_t memory_bytes;
        char *mounts;
        struct settings_list mount_sets; /* struct config_mount_set */
        char *network_cidr;
        uint64_t nofile;
        uint64_t pids;
        int policy;
        char *pool;
        char *prefix;
        char *profile;
        struct settings_list profiles; /* struct config_profile */
        double reap_interval_s;
        double reclaim_after_s;
        char *runtime;
        char *runtime_args;
        char *runtime_dir;
        uint64_t shm_bytes;
        char *socket;
        char *socket_group;
        int startup;
        double sweep_interval_s;
        uint64_t tmp_bytes;
        char *uid;
        int uid_is_shared;
        int disk;
        uint64_t disk_bytes, disk_files;
        int userns;
        uint64_t userns_base;
        char *users_dir;
        char *warm;

        /* No setting: the addresses that dns stands for on this host, as of the time that it was read. */
        char resolvers[CONFIG_RESOLVERS_BYTES];
        char skipped_resolvers[CONFIG_RESOLVERS_BYTES]; /* of auto: they lie in network_cidr, where none can be */
};

/* The table, ended by a NULL key. */
const struct setting *config_table(void);
/* The kinds of named sections, ended by a NULL kind. A reload takes over all sections. */
const struct settings_kind *config_kinds(void);

/* Defaults, then the file, then CARREL_* of environment. A missing file is an error only when is_required.
 * Returns 0 or a negative errno with the first failure in why. With a listener it goes on after a failure, and
 * *ret_config is what could be read; without, it is untouched then. */
__attribute__((warn_unused_result)) int config_load(struct config *ret_config, const char *path, bool is_required,
                                                    char *const *environment, const struct fault_listener *listener,
                                                    struct fault *why);
/* Fills in resolvers and skipped_resolvers again. config_load does that, too. */
void config_find_resolvers(struct config *config);

void config_release(struct config *config);

/* Whether SIGHUP takes this key over; the others need a restart. */
bool config_is_reloadable(const char *key);

/* All settings but those of named sections as a JSON object, malloc'd; NULL when out of memory. */
char *config_to_json(const struct config *config);
/* The named sections as a JSON object: {"profile":{"small":{"memory":"128m"}}}, with what is set; a key that may be
 * repeated is an array. malloc'd; NULL when out of memory. */
char *config_sections_to_json(const struct config *config);
