/* carreld: builds one struct daemon phase by phase, runs the loop, and takes the phases down in reverse. */
#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "config.h"
#include "docker.h"
#include "exec.h"
#include "fake.h"
#include "flow.h"
#include "journal.h"
#include "listen.h"
#include "log.h"
#include "metrics-table.h"
#include "metrics.h"
#include "netpolicy.h"
#include "options.h"
#include "pool.h"
#include "reaper.h"
#include "scope.h"
#include "server.h"

#define DEFAULT_CONFIG "/etc/carrel/carrel.conf"

enum exit_status { EXIT_SETTINGS = 2, EXIT_START = 3 };

struct daemon {
        struct config config;
        const char *config_path;
        bool is_config_required;
        struct ev_loop *loop;
        struct log *log;
        struct metrics *metrics;
        struct engine *engine;
        struct netpolicy *netpolicy;
        struct execs *execs;
        struct pool *pool;
        struct reaper *reaper;
        struct api_server *api;
        struct flow_observer observer;
        char *settings_json;
        int lock_fd;
        ev_signal terminate;
        ev_signal interrupt;
        ev_signal hangup;
        ev_timer watchdog;
};

/* ---- what the rooms tell the daemon ---- */

static void on_step(void *arg, const char *flow, const char *step, double duration_s, bool has_succeeded)
{
        struct daemon *daemon = arg;

        (void)has_succeeded;
        metrics_observe(daemon->metrics, METRIC_STEP_DURATION, duration_s, flow, step, NULL);
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

        if (daemon->pool != NULL)
                pool_announce(daemon->pool, &event);
}

static void describe(void *arg, struct api_state *ret_state)
{
        const struct daemon *daemon = arg;
        struct engine_about about = { 0 };
        struct netpolicy_status policy = { 0 };

        daemon->engine->ops->about(daemon->engine, &about);
        netpolicy_status(daemon->netpolicy, &policy);
        *ret_state = (struct api_state){
                .is_engine_available = about.is_available,
                .is_policy_in_force = netpolicy_is_in_force(daemon->netpolicy),
                .policy_heals = policy.heals,
                .policy_alarms = policy.alarms,
                .policy_dropped_packets = policy.dropped_packets,
        };
        (void)snprintf(ret_state->engine, sizeof ret_state->engine, "%s", about.kind);
        (void)snprintf(ret_state->engine_version, sizeof ret_state->engine_version, "%s", about.version);
        (void)snprintf(ret_state->engine_api_version, sizeof ret_state->engine_api_version, "%s", about.api_version);
        (void)snprintf(ret_state->policy_detail, sizeof ret_state->policy_detail, "%s", policy.detail);
}

static void on_reconcile_wait(void *arg, const struct fault *why)
{
        struct daemon *daemon = arg;

        log_event(daemon->log, LOG_LEVEL_WARNING, "waiting_to_reconcile", "reason", why->message, NULL);
        (void)sd_notifyf(0, "STATUS=waiting: %s", why->message);
}

static void on_ready(void *arg, const struct sweep_report *report, const struct fault *why)
{
        struct daemon *daemon = arg;
        char removed[16];
        char adopted[16];

        (void)why;
        (void)snprintf(removed, sizeof removed, "%u", report->removed);
        (void)snprintf(adopted, sizeof adopted, "%u", report->adopted);
        log_event(daemon->log, LOG_LEVEL_INFO, "ready", "socket", daemon->config.socket, "pool", daemon->config.pool,
                  "removed", removed, "adopted", adopted, NULL);
        (void)sd_notify(0, "READY=1\nSTATUS=serving");
}

/* ---- phases ---- */

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

static int claim_files(struct daemon *daemon, struct fault *why)
{
        int r = claim_directory(daemon->config.runtime_dir, 0755, why);

        if (r == 0)
                r = claim_directory(daemon->config.users_dir, 0711, why);
        if (r == 0)
                r = claim_lock(daemon->config.runtime_dir, daemon->config.pool, &daemon->lock_fd, why);
        return r;
}

static void release_files(struct daemon *daemon)
{
        if (daemon->lock_fd >= 0)
                close(daemon->lock_fd);
        daemon->lock_fd = -1;
}

static int make_metrics(struct daemon *daemon, struct fault *why)
{
        daemon->observer = (struct flow_observer){ .on_step = on_step, .arg = daemon };
        daemon->settings_json = config_to_json(&daemon->config);
        if (daemon->settings_json == NULL || metrics_new(&daemon->metrics, METRICS_TABLE) < 0)
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, ENOMEM, "out of memory");
        return 0;
}

static void free_metrics(struct daemon *daemon)
{
        daemon->metrics = metrics_free(daemon->metrics);
        free(TAKE(daemon->settings_json));
}

static int make_netpolicy(struct daemon *daemon, struct fault *why)
{
        char helper[DAEMON_PATH_BYTES];
        struct netpolicy_options options = daemon_netpolicy_options(&daemon->config, helper);

        if (daemon->config.engine == CONFIG_ENGINE_FAKE)
                return netpolicy_new_fake(&daemon->netpolicy, daemon->loop);
        return netpolicy_new(&daemon->netpolicy, daemon->loop, &options, on_policy_change, daemon, why);
}

static void free_netpolicy(struct daemon *daemon)
{
        daemon->netpolicy = netpolicy_free(daemon->netpolicy);
}

static int make_engine(struct daemon *daemon, struct fault *why)
{
        struct docker_options docker = { .socket_path = daemon->config.engine_socket };
        int r = daemon->config.engine == CONFIG_ENGINE_FAKE ? fake_new(&daemon->engine, daemon->loop)
                                                            : docker_new(&daemon->engine, daemon->loop, &docker);

        if (r == 0)
                r = execs_new(&daemon->execs, daemon->loop, daemon->engine);
        return r < 0 ? fault_set(why, FAULT_INTERNAL, -r, "cannot set up the engine: %s", strerror(-r)) : 0;
}

static void free_engine(struct daemon *daemon)
{
        daemon->execs = execs_free(daemon->execs);
        if (daemon->engine != NULL)
                daemon->engine = daemon->engine->ops->free(daemon->engine);
}

static int make_pool(struct daemon *daemon, struct fault *why)
{
        char init_path[DAEMON_PATH_BYTES];
        struct pool_options options = daemon_pool_options(&daemon->config, init_path);
        int r = pool_new(&daemon->pool, daemon->loop, daemon->engine, daemon->netpolicy, daemon->execs, &options,
                         &daemon->observer, why);

        return r < 0 ? r : pool_listen(daemon->pool, journal_on_event, daemon->log);
}

static void free_pool(struct daemon *daemon)
{
        daemon->pool = pool_free(daemon->pool);
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

/* The socket is there before the engine has been reconciled: until then every ensure is told so (503), which is
 * plainer than a missing socket. READY=1 comes with the reconciliation. */
static int make_api(struct daemon *daemon, struct fault *why)
{
        struct api_info info = {
                .version = CARREL_VERSION,
                .pool = daemon->config.pool,
                .settings_json = daemon->settings_json,
                .describe = describe,
                .arg = daemon,
        };
        struct api_options options = { .listen_fd = -1, .read_deadline_s = 10 };
        int r = find_admin_group(&daemon->config, &options.admin_gid, why);

        if (r == 0)
                r = listen_unix(daemon->config.socket, daemon->config.socket_group, &options.listen_fd, why);
        if (r < 0)
                return r;
        return api_server_new(&daemon->api, daemon->loop, daemon->pool, daemon->reaper, daemon->metrics, &info,
                              &options, why);
}

static void free_api(struct daemon *daemon)
{
        if (daemon->api != NULL)
                (void)unlink(daemon->config.socket);
        daemon->api = api_server_free(daemon->api);
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
        { "engine", make_engine, free_engine },
        { "pool", make_pool, free_pool },
        { "reaper", make_reaper, free_reaper },
        { "api", make_api, free_api },
};
enum { N_PHASES = sizeof PHASES / sizeof *PHASES };

/* ---- signals ---- */

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int revents)
{
        struct daemon *daemon = watcher->data;

        (void)revents;
        log_event(daemon->log, LOG_LEVEL_INFO, "stopping", "signal", strsignal(watcher->signum), NULL);
        (void)sd_notify(0, "STOPPING=1");
        ev_break(loop, EVBREAK_ALL);
}

static void on_policy_reloaded(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct daemon *daemon = arg;

        (void)link;
        log_event(daemon->log, why == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "policy_reloaded", "reason",
                  why == NULL ? NULL : why->message, NULL);
}

static void warn_of_restart(struct daemon *daemon, const struct config *next)
{
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++) {
                AUTO(auto_free) char *old_value = settings_format(setting, &daemon->config);
                AUTO(auto_free) char *new_value = settings_format(setting, next);

                if (!config_is_reloadable(setting->key) && old_value != NULL && new_value != NULL &&
                    strcmp(old_value, new_value) != 0)
                        log_event(daemon->log, LOG_LEVEL_WARNING, "setting_needs_restart", "key", setting->key, NULL);
        }
}

/* Copies the reloadable fields of `next` into the running settings, so that what is not reloadable stays true. */
static void take_over(struct config *current, struct config *next)
{
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++) {
                char *to = (char *)current + setting->offset;
                char *from = (char *)next + setting->offset;
                size_t size = setting->type == SETTING_CHOICE ? sizeof(int) : sizeof(uint64_t);
                char kept[sizeof(uint64_t)];

                _Static_assert(sizeof(char *) == sizeof(uint64_t) && sizeof(double) == sizeof(uint64_t),
                               "every field but a choice has 8 bytes");
                if (!config_is_reloadable(setting->key))
                        continue;
                memcpy(kept, to, size);
                memcpy(to, from, size);
                memcpy(from, kept, size);
        }
}

static int reload(struct daemon *daemon, struct fault *why)
{
        AUTO(config_release) struct config next = { 0 };
        char path[DAEMON_PATH_BYTES];
        int r;

        r = config_load(&next, daemon->config_path, daemon->is_config_required, environ, why);
        if (r == 0)
                r = daemon_check(&next, why);
        if (r < 0)
                return r;
        warn_of_restart(daemon, &next);
        take_over(&daemon->config, &next);
        log_set(daemon->log, (enum log_level)daemon->config.log_level, (enum log_format)daemon->config.log_format);
        struct reaper_options reaper = daemon_reaper_options(&daemon->config);
        reaper_reconfigure(daemon->reaper, &reaper);
        struct pool_options pool = daemon_pool_options(&daemon->config, path);
        r = pool_reconfigure(daemon->pool, &pool, why);
        if (r < 0)
                return r;
        struct netpolicy_options network = daemon_netpolicy_options(&daemon->config, path);
        return netpolicy_apply(daemon->netpolicy, &network, on_policy_reloaded, daemon, NULL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int revents)
{
        struct daemon *daemon = watcher->data;
        struct fault why = { 0 };

        (void)loop;
        (void)revents;
        /* RELOADING wants the monotonic time of its begin, sd_notify(3); Type=notify ignores it. */
        (void)sd_notify(0, "RELOADING=1");
        if (reload(daemon, &why) < 0)
                log_event(daemon->log, LOG_LEVEL_ERROR, "reload_refused", "reason", why.message, NULL);
        else
                log_event(daemon->log, LOG_LEVEL_INFO, "reloaded", "file", daemon->config_path, NULL);
        (void)sd_notify(0, "READY=1");
}

static void on_watchdog(struct ev_loop *loop, ev_timer *watcher, int revents)
{
        (void)loop;
        (void)watcher;
        (void)revents;
        (void)sd_notify(0, "WATCHDOG=1");
}

static void watch_signal(struct daemon *daemon, ev_signal *watcher, int number,
                         void (*on_signal)(struct ev_loop *, ev_signal *, int))
{
        ev_signal_init(watcher, on_signal, number);
        watcher->data = daemon;
        ev_signal_start(daemon->loop, watcher);
}

static void watch_everything(struct daemon *daemon)
{
        uint64_t interval_us = 0;

        (void)signal(SIGPIPE, SIG_IGN);
        watch_signal(daemon, &daemon->terminate, SIGTERM, on_terminate);
        watch_signal(daemon, &daemon->interrupt, SIGINT, on_terminate);
        watch_signal(daemon, &daemon->hangup, SIGHUP, on_hangup);
        if (sd_watchdog_enabled(0, &interval_us) > 0) {
                double half_s = (double)interval_us / 2e6;

                ev_timer_init(&daemon->watchdog, on_watchdog, half_s, half_s);
                ev_timer_start(daemon->loop, &daemon->watchdog);
        }
}

static void stop_watching(struct daemon *daemon)
{
        ev_signal_stop(daemon->loop, &daemon->terminate);
        ev_signal_stop(daemon->loop, &daemon->interrupt);
        ev_signal_stop(daemon->loop, &daemon->hangup);
        ev_timer_stop(daemon->loop, &daemon->watchdog);
}

/* ---- the run ---- */

static int run(struct daemon *daemon)
{
        struct fault why = { 0 };
        size_t up = 0;
        int r = 0;

        watch_everything(daemon);
        for (; up < N_PHASES && r == 0; up++) {
                r = PHASES[up].up(daemon, &why);
                if (r < 0)
                        log_event(daemon->log, LOG_LEVEL_ERROR, "start_failed", "phase", PHASES[up].name, "reason",
                                  why.message, NULL);
        }
        if (r == 0) {
                log_event(daemon->log, LOG_LEVEL_INFO, "started", "version", CARREL_VERSION, "socket",
                          daemon->config.socket, NULL);
                ev_run(daemon->loop, 0);
        }
        while (up-- > 0)
                if (PHASES[up].down != NULL)
                        PHASES[up].down(daemon);
        stop_watching(daemon);
        return r == 0 ? EXIT_SUCCESS : EXIT_START;
}

static const char USAGE[] = "Usage: carreld [--config FILE] [--check]\n"
                            "Keeps one hardened container per user and serves the carrel API on a unix socket.\n"
                            "\n"
                            "  -c, --config FILE   settings (default " DEFAULT_CONFIG ", which may be absent)\n"
                            "      --check         check the settings, print them as they would be used, and exit\n"
                            "      --version       print the version and exit\n"
                            "  -h, --help          print this help and exit\n"
                            "\n"
                            "Every setting can be overridden by the environment: idle_ttl_s is CARREL_IDLE_TTL_S.\n"
                            "Examples:\n"
                            "  carreld --check --config ./carrel.conf\n"
                            "  CARREL_IDLE_TTL_S=60 carreld\n"
                            "See carreld(8) and carrel.conf(5).\n";

static int print_settings(const struct config *config)
{
        for (const struct setting *setting = config_table(); setting->key != NULL; setting++) {
                AUTO(auto_free) char *value = settings_format(setting, config);

                if (value == NULL || printf("%s = %s\n", setting->key, value) < 0)
                        return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

enum { OPTION_CHECK = 256, OPTION_VERSION };

/* Returns an exit status, or -1 to go on. */
static int read_arguments(struct daemon *daemon, int argc, char **argv, bool *ret_is_check)
{
        static const struct option OPTIONS[] = {
                { "check", no_argument, NULL, OPTION_CHECK },
                { "config", required_argument, NULL, 'c' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };

        for (int option; (option = getopt_long(argc, argv, "c:h", OPTIONS, NULL)) != -1;) {
                switch (option) {
                case 'c':
                        daemon->config_path = optarg;
                        daemon->is_config_required = true;
                        break;
                case OPTION_CHECK:
                        *ret_is_check = true;
                        break;
                case OPTION_VERSION:
                        return puts("carreld " CARREL_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
                case 'h':
                        return fputs(USAGE, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
                default:
                        return EXIT_SETTINGS;
                }
        }
        if (optind < argc) {
                (void)fprintf(stderr, "carreld: unexpected argument \"%s\"; see carreld --help\n", argv[optind]);
                return EXIT_SETTINGS;
        }
        return -1;
}

int main(int argc, char **argv)
{
        struct daemon daemon = { .config_path = DEFAULT_CONFIG, .lock_fd = -1 };
        struct fault why = { 0 };
        bool is_check = false;
        int status = read_arguments(&daemon, argc, argv, &is_check);

        if (status >= 0)
                return status;
        if (config_load(&daemon.config, daemon.config_path, daemon.is_config_required, environ, &why) < 0 ||
            daemon_check(&daemon.config, &why) < 0) {
                (void)fprintf(stderr, "carreld: %s\n", why.message);
                config_release(&daemon.config);
                return EXIT_SETTINGS;
        }
        daemon.loop = ev_default_loop(EVFLAG_AUTO);
        if (is_check) {
                status = print_settings(&daemon.config);
        } else if (daemon.loop == NULL || log_new(&daemon.log, STDERR_FILENO, (enum log_level)daemon.config.log_level,
                                                  (enum log_format)daemon.config.log_format) < 0) {
                (void)fputs("carreld: cannot make the event loop: out of memory or descriptors\n", stderr);
                status = EXIT_START;
        } else {
                status = run(&daemon);
        }
        daemon.log = log_free(daemon.log);
        config_release(&daemon.config);
        if (daemon.loop != NULL)
                ev_loop_destroy(daemon.loop);
        return status;
}
