/* carreld's settings and command line as the options of each room. */
#pragma once

#include "config.h"
#include "jobs.h"
#include "netpolicy.h"
#include "oci.h"
#include "pool.h"
#include "reaper.h"

enum { DAEMON_PATH_BYTES = 256 };

/* Memory that pool_options points to beside the settings. */
struct daemon_pool_room {
        char init_path[DAEMON_PATH_BYTES];
        struct pool_profile profiles[CONFIG_PROFILES_MAX];
        struct pool_mount_set mount_sets[CONFIG_MOUNT_SETS_MAX];
};

struct pool_options daemon_pool_options(const struct config *config, const struct pool_owner *owner,
                                        struct daemon_pool_room *room);
/* Whether the settings ask for warm carrels. */
bool daemon_wants_warm(const struct config *config);
struct netpolicy_options daemon_netpolicy_options(const struct config *config,
                                                  char helper_path[static DAEMON_PATH_BYTES]);
/* Whether each source of mounts is there and may be mounted. A part of daemon_check_host. */
int daemon_check_mounts(const struct config *config, struct fault *why);
/* Whether each container of the runtime has a kernel of its own. */
bool daemon_has_own_kernel(const struct config *config);
/* Writes the path of carrel-storage (storage.h). */
void daemon_storage_path(const struct config *config, char path[static DAEMON_PATH_BYTES]);
/* Writes the path of carrel-diskd (disk.h). */
void daemon_diskd_path(const struct config *config, char path[static DAEMON_PATH_BYTES]);
/* Whether users_dir has images. */
bool daemon_has_disks(const struct config *config);
/* Writes the path of carrel-mountd (attach.h). */
void daemon_mountd_path(const struct config *config, char path[static DAEMON_PATH_BYTES]);
struct oci_options daemon_oci_options(const struct config *config, char state_dir[static DAEMON_PATH_BYTES],
                                      char image_helper[static DAEMON_PATH_BYTES]);
/* The API's least_user_requests: as many as one user's running and waiting programs, at most half of the connections.
 */
unsigned daemon_least_user_requests(const struct config *config);
struct jobs_options daemon_jobs_options(const struct config *config);
struct reaper_options daemon_reaper_options(const struct config *config);

/* Checks that the rooms accept the settings together, which no single setting shows. For the start, --check and before
 * a reload. Returns 0 or a negative errno with the first failure in why; a listener hears all of them. */
int daemon_check(const struct config *config, const struct fault_listener *listener, struct fault *why);
/* Checks the needs of a start on this host: the groups, the helpers, the directories. Changes nothing. As daemon_check.
 */
int daemon_check_host(const struct config *config, const struct fault_listener *listener, struct fault *why);
