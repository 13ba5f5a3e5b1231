/* Which rooms there are, in the order they come up, and what they tell the daemon. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "agent-listener.h"
#include "attach.h"
#include "daemon-options.h"
#include "daemon.h"
#include "disk.h"
#include "engine-execs.h"
#include "engine.h"
#include "exec.h"
#include "job-registry.h"
#include "journal.h"
#include "listen.h"
#include "log.h"
#include "metrics-table.h"
#include "netpolicy.h"
#include "scope.h"
#include "server.h"
#include "space.h"
#include "storage.h"
#include "str.h"
#include "turns.h"
#include "userfiles.h"

/* STORAGE_JOBS: processes of carrel-storage at a time. */
enum { LOCK_PATIENCE_MS = 5000, STORAGE_JOBS = 4 };

/* ---- what the rooms tell the daemon ---- */

static void on_step(void *arg, const char *flow, const char *step, double duration_s, bool has_succeeded)
{
        struct daemon *daemon = arg;

        (void)has_succeeded;
        metrics_observe(daemon->metrics, METRIC_STEP_DURATION, duration_s, flow, step, NULL);
}

/* A failed undo is reported only here; the next sweep removes the container that it left. */
static void on_undo(void *arg, const char *flow, const char *step, double duration_s, const struct fault *why)
{
        struct daemon *daemon = arg;

        (void)duration_s;
        if (why != NULL)
                log_event(daemon->log, LOG_LEVEL_WARNING, "undo_failed", "flow", flow, "step", step, "reason",
                          why->message, NULL);
}

static void on_policy_change(void *arg, const struct netpolicy_status *status)
{
        struct daemon *daemon = arg;
        struct pool_event event = {
                .kind = POOL_POLICY_CHANGED,
                .user = "",
                .container_id = "",
                .detail = status->detail,
        };

        log_event(daemon->log,
                  !status->is_in_force       ? LOG_LEVEL_ERROR
                  : status->is_table_filling ? LOG_LEVEL_WARNING
                                             : LOG_LEVEL_INFO,
                  status->is_in_force ? "policy_in_force" : "policy_not_in_force", "detail", status->detail, NULL);
        if (daemon->pool != NULL)
                pool_announce(daemon->pool, &event);
}

static const char *spool_directory(const struct config *config)
{
        return config->spool_dir[0] != '\0' ? config->spool_dir : config->image_dir;
}

static void describe_disks(const struct daemon *daemon, struct api_state *state)
{
        const struct {
                const char *setting;
                struct space_watch *watch;
        } DISKS[API_DISKS_MAX] = { { "users_dir", daemon->users_space }, { "spool_dir", daemon->spool_space } };

        for (size_t i = 0; i < API_DISKS_MAX; i++) {
                struct api_disk *disk = &state->disks[state->n_disks];

                disk->setting = DISKS[i].setting;
                state->n_disks += space_watch_read(DISKS[i].watch, &disk->space);
        }
}

static void describe(void *arg, struct api_state *ret_state)
{
        const struct daemon *daemon = arg;
        struct engine_about about = { 0 };
        struct netpolicy_status policy = { 0 };

        daemon->engine->ops->about(daemon->engine, &about);
        netpolicy_status(daemon->netpolicy, &policy);
        *ret_state = (struct api_state){
                .settings_json = daemon->settings_json,
                .sections_json = daemon->sections_json,
                .is_engine_available = about.is_available,
                .is_policy_in_force = netpolicy_is_in_force(daemon->netpolicy),
                .can_connect = policy.can_connect,
                .policy_heals = policy.heals,
                .policy_alarms = policy.alarms,
                .policy_dropped_packets = policy.dropped_packets,
                .flows_refused_packets = policy.refused_packets,
                .flows = policy.flows,
                .flows_table_size = policy.table_size,
                .flows_max = policy.flows_max,
        };
        (void)snprintf(ret_state->engine_version, sizeof ret_state->engine_version, "%s", about.version);
        (void)snprintf(ret_state->engine_api_version, sizeof ret_state->engine_api_version, "%s", about.api_version);
        (void)snprintf(ret_state->engine_detail, sizeof ret_state->engine_detail, "%s", about.detail);
        for (size_t i = 0; i < daemon->engines.count && i < API_ENGINES_MAX; i++) {
                const struct engine_verdict *verdict = &daemon->engines.list[i];
                struct api_engine *engine = &ret_state->engines[ret_state->n_engines++];

                engine->kind = verdict->kind;
                engine->reason = verdict->reason;
                engine->is_chosen = verdict->is_chosen;
        }
        describe_disks(daemon, ret_state);
        ret_state->runtime_fs = daemon->runtime_fs;
        (void)snprintf(ret_state->resolvers, sizeof ret_state->resolvers, "%s", daemon->config.resolvers);
        (void)snprintf(ret_state->policy_detail, sizeof ret_state->policy_detail, "%s", policy.detail);
}

/* Without a choice those of all engines count; else the engine's own word, which says what to do, is better than the
 * failure of a call. */
static struct fault tell_what_is_missing(struct daemon *daemon, const struct fault *why)
{
        struct engine_about about = { 0 };
        struct fault reason = *why;

        daemon->engine->ops->about(daemon->engine, &about);
        if (!daemon->engines.has_choice)
                (void)fault_set(&reason, FAULT_ENGINE_UNAVAILABLE, ENODEV, "%s", daemon->engines.reasons);
        else if (!about.is_available && about.detail[0] != '\0')
                (void)fault_set(&reason, FAULT_ENGINE_UNAVAILABLE, ENODEV, "%s", about.detail);
        pool_set_waiting(daemon->pool, &reason);
        return reason;
}

static void on_reconcile_wait(void *arg, const struct fault *why)
{
        struct daemon *daemon = arg;
        struct fault reason = tell_what_is_missing(daemon, why);

        log_event(daemon->log, LOG_LEVEL_WARNING, "waiting_to_reconcile", "reason", reason.message, NULL);
        (void)sd_notifyf(0, "STATUS=waiting: %s", reason.message);
}

static void on_ready(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct daemon *daemon = arg;
        char removed[16];
        char adopted[16];

        (void)why;
        daemon->search = engine_search_free(daemon->search);
        engines_settle(&daemon->engines, &daemon->config);
        jobs_settle(daemon->jobs);
        (void)snprintf(removed, sizeof removed, "%u", report->removed);
        (void)snprintf(adopted, sizeof adopted, "%u", report->adopted);
        log_event(daemon->log, LOG_LEVEL_INFO, "ready", "socket", daemon->config.socket, "pool", daemon->config.pool,
                  "removed", removed, "adopted", adopted, NULL);
        daemon->is_ready = true;
        (void)sd_notify(0, "READY=1\nSTATUS=serving");
}

/* ---- each phase, up and down ---- */

/* One descriptor per carrel (its pidfd), two per exec, one per client. */
static int raise_limits(struct daemon *daemon, struct fault *why)
{
        struct rlimit limit;

        (void)why;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                        log_event(daemon->log, LOG_LEVEL_WARNING, "nofile_not_raised", "reason", strerror(errno), NULL);
        }
        return 0;
}

/* The engine's state and the records are synced at each change. */
static void look_at_runtime_dir(struct daemon *daemon)
{
        const char *directory = daemon->config.runtime_dir;

        daemon->runtime_fs = (struct file_system){ 0 };
        if (file_system_read(&daemon->runtime_fs, directory) == 0 && !daemon->runtime_fs.is_in_memory)
                log_event(daemon->log, LOG_LEVEL_WARNING, "runtime_dir_on_disk", "runtime_dir", directory,
                          "file_system", daemon->runtime_fs.name, "reason",
                          "each change of a record waits for the disk: mount a tmpfs there, or set another runtime_dir",
                          NULL);
}

static int claim_files(struct daemon *daemon, struct fault *why)
{
        int r = claim_directory(daemon->config.runtime_dir, 0755, why);

        if (r == 0)
                r = claim_directory(daemon->config.users_dir, 0711, why);
        if (r == 0)
                r = claim_directory(daemon->config.image_dir, 0711, why);
        if (r == 0 && daemon->config.spool_dir[0] != '\0')
                r = claim_directory(daemon->config.spool_dir, 0700, why);
        if (r == 0)
                r = claim_lock(daemon->config.runtime_dir, daemon->config.pool, LOCK_PATIENCE_MS, &daemon->lock_fd,
                               why);
        if (r == 0)
                look_at_runtime_dir(daemon);
        return r;
}

static void release_files(struct daemon *daemon)
{
        if (daemon->lock_fd >= 0)
                close(daemon->lock_fd);
        daemon->lock_fd = -1;
}

static void on_turn(void *arg, double seconds)
{
        const struct daemon *daemon = arg;

        metrics_observe(daemon->metrics, METRIC_LOOP_TURN, seconds, NULL, NULL, NULL);
}

static int make_metrics(struct daemon *daemon, struct fault *why)
{
        daemon->observer = (struct flow_observer){ .on_step = on_step, .on_undo = on_undo, .arg = daemon };
        daemon->settings_json = config_to_json(&daemon->config);
        daemon->sections_json = config_sections_to_json(&daemon->config);
        if (daemon->settings_json == NULL || daemon->sections_json == NULL ||
            metrics_new(&daemon->metrics, METRICS_TABLE) < 0 ||
            turns_new(&daemon->turns, daemon->loop, CLOCK_MONOTONIC, on_turn, daemon) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        return 0;
}

static void free_metrics(struct daemon *daemon)
{
        daemon->turns = turns_free(daemon->turns);
        daemon->metrics = metrics_free(daemon->metrics);
        free(TAKE(daemon->settings_json));
        free(TAKE(daemon->sections_json));
}

static int watch_disks(struct daemon *daemon, struct fault *why)
{
        int r = space_watch_new(&daemon->users_space, daemon->config.users_dir);

        if (r == 0)
                r = space_watch_new(&daemon->spool_space, spool_directory(&daemon->config));
        return r < 0 ? fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot watch the free space of disks: %s",
                                 strerror(-r))
                     : 0;
}

static void unwatch_disks(struct daemon *daemon)
{
        daemon->users_space = space_watch_free(daemon->users_space);
        daemon->spool_space = space_watch_free(daemon->spool_space);
}

void daemon_warn_of_resolvers(const struct daemon *daemon)
{
        const struct config *config = &daemon->config;

        if (config->skipped_resolvers[0] != '\0')
                log_event(daemon->log, LOG_LEVEL_WARNING, "resolvers_skipped", "addresses", config->skipped_resolvers,
                          "reason",
                          "dns is auto, but these resolvers of the host are in network_cidr, whose addresses are the "
                          "carrels' own: set another network_cidr, or dns",
                          NULL);
        if (str_equal(config->dns, CONFIG_DNS_AUTO) && config->resolvers[0] == '\0')
                log_event(daemon->log, LOG_LEVEL_WARNING, "no_resolvers", "reason",
                          "dns is auto, but the host has no resolver that a carrel can reach: set dns", NULL);
}

static int make_netpolicy(struct daemon *daemon, struct fault *why)
{
        char helper[DAEMON_PATH_BYTES];
        struct netpolicy_options options = daemon_netpolicy_options(&daemon->config, helper);

        daemon_warn_of_resolvers(daemon);
        if (daemon->config.engine == CONFIG_ENGINE_FAKE)
                return netpolicy_new_fake(&daemon->netpolicy, daemon->loop);
        if (!netpolicy_has_privileges()) {
                log_event(daemon->log, LOG_LEVEL_WARNING, "without_network", "reason", NETPOLICY_POWERLESS, NULL);
                return netpolicy_new_powerless(&daemon->netpolicy, daemon->loop);
        }
        return netpolicy_new(&daemon->netpolicy, daemon->loop, &options, on_policy_change, daemon, why);
}

static void free_netpolicy(struct daemon *daemon)
{
        daemon->netpolicy = netpolicy_free(daemon->netpolicy);
}

/* A run without an engine has no state worth keeping: all rooms start again with the engine that was found. */
static void on_engine_found(void *arg, const char *kind)
{
        struct daemon *daemon = arg;

        log_event(daemon->log, LOG_LEVEL_INFO, "engine_found", "engine", kind, NULL);
        daemon->found_engine = kind;
        ev_break(daemon->loop, EVBREAK_ALL);
}

static void on_search_round(void *arg)
{
        static const struct fault NONE = { .kind = FAULT_ENGINE_UNAVAILABLE, .err = ENODEV };

        (void)tell_what_is_missing(arg, &NONE);
}

static int search_engines(struct daemon *daemon)
{
        const struct engine_search_events events = { on_engine_found, on_search_round, daemon };

        return engine_search_new(&daemon->search, daemon->loop, &daemon->config, &daemon->engines, &events);
}

static int make_engine(struct daemon *daemon, struct fault *why)
{
        int r = engines_choose(&daemon->engine, &daemon->engines, daemon->loop, &daemon->config,
                               TAKE(daemon->found_engine), why);

        for (size_t i = 0; i < daemon->engines.count; i++) {
                const struct engine_verdict *verdict = &daemon->engines.list[i];

                log_event(daemon->log, LOG_LEVEL_INFO, verdict->is_chosen ? "engine_chosen" : "engine_not_chosen",
                          "engine", verdict->kind, "reason", verdict->reason, NULL);
        }
        if (r < 0)
                return r;
        if (!daemon->engines.has_choice && search_engines(daemon) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        r = execs_new(&daemon->execs, daemon->loop);
        if (r == 0)
                r = agents_register(daemon->execs);
        if (r == 0)
                r = engine_execs_register(daemon->execs, daemon->engine);
        if (r < 0)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot follow programs: %s", strerror(-r));
        execs_bound_outputs(daemon->execs, daemon->config.outputs_bytes);
        return 0;
}

static void free_engine(struct daemon *daemon)
{
        daemon->search = engine_search_free(daemon->search);
        daemon->execs = execs_free(daemon->execs);
        if (daemon->engine != NULL)
                daemon->engine = daemon->engine->ops->free(daemon->engine);
}

int daemon_start_attach(struct daemon *daemon, struct fault *why)
{
        const struct config *config = &daemon->config;
        char path[DAEMON_PATH_BYTES];
        int r = 0;

        if (daemon->attach != NULL || (!daemon_wants_warm(config) && daemon->disk == NULL))
                return 0;
        if (daemon_has_own_kernel(config)) {
                log_event(daemon->log, LOG_LEVEL_WARNING, "no_warm_carrels", "reason",
                          "a runtime with a kernel of its own takes no mount after the start: warm is ignored", NULL);
                return 0;
        }
        daemon_mountd_path(config, path);
        r = config->engine == CONFIG_ENGINE_FAKE ? attach_new_fake(&daemon->attach, daemon->loop)
                                                 : attach_new(&daemon->attach, daemon->loop, path, why);
        if (r == 0)
                pool_use_attach(daemon->pool, daemon->attach);
        return r;
}

/* Also where no new images are wanted, but earlier ones serve. */
static int start_disk(struct daemon *daemon, struct fault *why)
{
        const struct config *config = &daemon->config;
        char path[DAEMON_PATH_BYTES];
        int r;

        if (config->engine == CONFIG_ENGINE_FAKE || daemon_has_own_kernel(config) ||
            (config->disk == CONFIG_DISK_NONE && !daemon_has_disks(config)))
                return 0;
        daemon_diskd_path(config, path);
        r = disk_new(&daemon->disk, daemon->loop, path, why);
        if (r == 0)
                pool_use_disk(daemon->pool, daemon->disk);
        return r;
}

static int make_pool(struct daemon *daemon, struct fault *why)
{
        struct daemon_pool_room room;
        struct pool_options options = daemon_pool_options(&daemon->config, &daemon->owner, &room);
        int r = pool_new(&daemon->pool, daemon->loop, daemon->engine, daemon->netpolicy, daemon->execs, &options,
                         &daemon->observer, why);

        if (r == 0)
                r = pool_listen(daemon->pool, journal_on_event, daemon->log);
        if (r == 0)
                r = start_disk(daemon, why);
        return r < 0 ? r : daemon_start_attach(daemon, why);
}

static void free_pool(struct daemon *daemon)
{
        daemon->pool = pool_free(daemon->pool);
        daemon->attach = attach_free(daemon->attach);
        daemon->disk = disk_free(daemon->disk);
}

static int make_jobs(struct daemon *daemon, struct fault *why)
{
        struct jobs_options options = daemon_jobs_options(&daemon->config);
        int r = job_registry_open(&daemon->registry, daemon->config.runtime_dir, daemon->config.pool, NULL, why);

        if (r < 0)
                return r;
        r = jobs_new(&daemon->jobs, daemon->loop, daemon->pool, daemon->registry, &options);
        return r < 0 ? fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "out of memory") : 0;
}

static void free_jobs(struct daemon *daemon)
{
        daemon->jobs = jobs_free(daemon->jobs);
        daemon->registry = job_registry_close(daemon->registry);
}

static int make_userfiles(struct daemon *daemon, struct fault *why)
{
        const struct userfiles_options options = { (unsigned)daemon->config.snapshots_max,
                                                   daemon->config.snapshots_bytes };
        char path[DAEMON_PATH_BYTES];
        int r;

        daemon_storage_path(&daemon->config, path);
        r = storage_new(&daemon->storage, daemon->loop, path, STORAGE_JOBS);
        if (r < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "out of memory");
        return userfiles_new(&daemon->userfiles, daemon->loop, daemon->pool, daemon->storage, &options, why);
}

static void free_userfiles(struct daemon *daemon)
{
        daemon->userfiles = userfiles_free(daemon->userfiles);
        daemon->storage = storage_free(daemon->storage);
}

static int make_reaper(struct daemon *daemon, struct fault *why)
{
        struct reaper_options options = daemon_reaper_options(&daemon->config);
        int r = reaper_new(&daemon->reaper, daemon->loop, daemon->pool, &options);

        if (r == 0)
                r = reaper_reconcile(daemon->reaper, on_ready, on_reconcile_wait, daemon);
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot set up the reaper: %s", strerror(-r)) : 0;
}

static void free_reaper(struct daemon *daemon)
{
        daemon->reaper = reaper_free(daemon->reaper);
}

static int find_admin_group(const struct config *config, gid_t *ret_gid, struct fault *why)
{
        const struct group *group;

        *ret_gid = (gid_t)-1;
        if (config->admin_group[0] == '\0')
                return 0;
        group = getgrnam(config->admin_group);
        if (group == NULL)
                return fault_set(why, FAULT_SETTING_INVALID, ENOENT, "admin_group: there is no group \"%s\"",
                                 config->admin_group);
        *ret_gid = group->gr_gid;
        return 0;
}

/* Half of the descriptor limit is for carrels and their programs. */
static unsigned count_connections(const struct daemon *daemon)
{
        uint64_t wanted = daemon->config.max_connections;
        struct rlimit limit;
        char text[24];

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || wanted <= limit.rlim_cur / 2)
                return (unsigned)wanted;
        (void)snprintf(text, sizeof text, "%ju", (uintmax_t)limit.rlim_cur / 2);
        log_event(daemon->log, LOG_LEVEL_WARNING, "connections_bounded", "by", "RLIMIT_NOFILE", "max_connections", text,
                  NULL);
        return (unsigned)(limit.rlim_cur / 2);
}

/* The API listens before the pool has reconciled with the engine. Until then every ensure gets a 503 with the reason,
 * which is clearer than a missing socket. READY=1 is sent after the reconciliation. */
static int make_api(struct daemon *daemon, struct fault *why)
{
        struct api_info info = {
                .version = CARREL_VERSION,
                .pool = daemon->config.pool,
                .engine = daemon->engine->ops->kind,
                .describe = describe,
                .arg = daemon,
        };
        struct api_options options = {
                .listen_fd = -1,
                .max_connections = count_connections(daemon),
                .least_user_requests = daemon_least_user_requests(&daemon->config),
                .max_peer_connections = (unsigned)daemon->config.max_peer_connections,
                .execs = daemon->execs,
                .jobs = daemon->jobs,
                .userfiles = daemon->userfiles,
                .spool_dir = spool_directory(&daemon->config),
                .spool_max_bytes = daemon->config.image_max_bytes,
                .file_max_bytes = daemon->config.file_max_bytes,
                .spools_max_bytes = daemon->config.uploads_bytes,
                .max_spools = (unsigned)daemon->config.max_uploads,
        };
        int r = find_admin_group(&daemon->config, &options.admin_gid, why);

        if (r == 0)
                r = listen_unix(daemon->config.socket, daemon->config.socket_group, &options.listen_fd, why);
        if (r < 0)
                return r;
        return api_new(&daemon->api, daemon->loop, daemon->pool, daemon->reaper, daemon->metrics, &info, &options, why);
}

static void free_api(struct daemon *daemon)
{
        if (daemon->api != NULL)
                (void)unlink(daemon->config.socket);
        daemon->api = api_free(daemon->api);
}

/* The helper process is forked before anything else holds descriptors or secrets. */
static const struct phase {
        const char *name;
        int (*up)(struct daemon *daemon, struct fault *why);
        void (*down)(struct daemon *daemon);
} PHASES[] = {
        { "limits", raise_limits, NULL },
        { "files", claim_files, release_files },
        { "netpolicy", make_netpolicy, free_netpolicy },
        { "metrics", make_metrics, free_metrics },
        { "disks", watch_disks, unwatch_disks },
        { "engine", make_engine, free_engine },
        { "pool", make_pool, free_pool },
        { "jobs", make_jobs, free_jobs },
        { "userfiles", make_userfiles, free_userfiles },
        { "reaper", make_reaper, free_reaper },
        { "api", make_api, free_api },
};
enum { N_PHASES = sizeof PHASES / sizeof *PHASES };

static void take_down(struct daemon *daemon, size_t up)
{
        while (up-- > 0)
                if (PHASES[up].down != NULL)
                        PHASES[up].down(daemon);
}

/* Also takes a failed phase down: it may be partly up. */
int phases_up(struct daemon *daemon)
{
        struct fault why = { 0 };

        for (size_t up = 0; up < N_PHASES; up++) {
                int r = PHASES[up].up(daemon, &why);

                if (r == 0)
                        continue;
                log_event(daemon->log, LOG_LEVEL_ERROR, "start_failed", "phase", PHASES[up].name, "reason", why.message,
                          NULL);
                take_down(daemon, up + 1);
                return r;
        }
        return 0;
}

void phases_down(struct daemon *daemon)
{
        take_down(daemon, N_PHASES);
}
