/* carreld: arguments, signals, and the run of the loop. phases.c builds its parts. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon-options.h"
#include "daemon.h"
#include "log.h"
#include "owner.h"
#include "scope.h"
#include "slow-write.h"
#include "str.h"

#define DEFAULT_CONFIG CARREL_CONFIG_DIR "/carrel.conf"

enum exit_status { EXIT_SETTINGS = 2, EXIT_START = 3 };

/* ---- signals ---- */

static void on_terminate(struct ev_loop *loop, ev_signal *watcher, int revents)
{
        struct daemon *daemon = watcher->data;

        (void)revents;
        log_event(daemon->log, LOG_LEVEL_INFO, "stopping", "signal", strsignal(watcher->signum), NULL);
        (void)sd_notify(0, "STOPPING=1");
        daemon->is_stopping = true;
        ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *watcher, int revents)
{
        struct daemon *daemon = watcher->data;
        struct fault why = { 0 };

        (void)loop;
        (void)revents;
        /* RELOADING wants the monotonic time of its begin, sd_notify(3); Type=notify ignores it. */
        (void)sd_notify(0, "RELOADING=1");
        if (reload_settings(daemon, &why) < 0)
                log_event(daemon->log, LOG_LEVEL_ERROR, "reload_refused", "reason", why.message, NULL);
        else
                log_event(daemon->log, LOG_LEVEL_INFO, "reloaded", "file", daemon->config_path, NULL);
        if (daemon->is_ready)
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
        int r;

        watch_everything(daemon);
        do {
                r = phases_up(daemon);
                if (r < 0)
                        break;
                log_event(daemon->log, LOG_LEVEL_INFO, "started", "version", CARREL_VERSION, "socket",
                          daemon->config.socket, NULL);
                ev_run(daemon->loop, 0);
                phases_down(daemon);
        } while (daemon->found_engine != NULL && !daemon->is_stopping);
        stop_watching(daemon);
        return r == 0 ? EXIT_SUCCESS : EXIT_START;
}

static const char USAGE[] = "Usage: carreld [--config FILE] [--check [--quiet]]\n"
                            "Keeps one hardened container per user and serves the carrel API on a unix socket.\n"
                            "\n"
                            "  -c, --config FILE   settings (default " DEFAULT_CONFIG ", which may be absent)\n"
                            "      --check         check what the start needs, report all errors, print the\n"
                            "                      settings as they would be used, and exit\n"
                            "  -q, --quiet         with --check: print only errors\n"
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
        struct buffer text = { 0 };
        bool is_good;

        settings_write(config_table(), config_kinds(), config, &text);
        is_good = !text.has_failed && fputs(text.data, stdout) >= 0;
        buffer_free(&text);
        return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The actions of the command line other than a run. */
struct arguments {
        bool is_check, is_quiet;
};

static void print_problem(void *arg, const struct fault *why)
{
        (void)arg;
        (void)fprintf(stderr, "carreld: %s\n", why->message);
}

/* Checks the settings for a start or for --check, and prints every failure. */
static int load_settings(struct daemon *daemon)
{
        static const struct fault_listener LISTENER = { .on_fault = print_problem };
        int r = config_load(&daemon->config, daemon->config_path, daemon->is_config_required, environ, &LISTENER, NULL);
        int together = daemon_check(&daemon->config, &LISTENER, NULL);
        struct fault why = { 0 };
        int owner = owner_find(&daemon->config, &daemon->owner, &why);
        int host = 0;

        if (owner < 0)
                print_problem(NULL, &why);
        if (geteuid() == 0)
                host = daemon_check_host(&daemon->config, &LISTENER, NULL);
        else
                (void)fputs("carreld: not root: groups, helpers and directories are not checked\n", stderr);
        return r < 0 ? r : together < 0 ? together : owner < 0 ? owner : host;
}

enum { OPTION_CHECK = 256, OPTION_VERSION };

/* Returns an exit status, or -1 to go on. */
static int read_arguments(struct daemon *daemon, int argc, char **argv, struct arguments *ret_arguments)
{
        static const struct option OPTIONS[] = {
                { "check", no_argument, NULL, OPTION_CHECK },
                { "config", required_argument, NULL, 'c' },
                { "help", no_argument, NULL, 'h' },
                { "quiet", no_argument, NULL, 'q' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { 0 },
        };

        for (int option; (option = getopt_long(argc, argv, "c:hq", OPTIONS, NULL)) != -1;) {
                switch (option) {
                case 'c':
                        daemon->config_path = optarg;
                        daemon->is_config_required = true;
                        break;
                case OPTION_CHECK:
                        ret_arguments->is_check = true;
                        break;
                case 'q':
                        ret_arguments->is_quiet = true;
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
        if (ret_arguments->is_quiet && !ret_arguments->is_check) {
                (void)fputs("carreld: --quiet needs --check; for a quieter run set log_level\n", stderr);
                return EXIT_SETTINGS;
        }
        return -1;
}

int main(int argc, char **argv)
{
        struct daemon daemon = { .config_path = DEFAULT_CONFIG, .lock_fd = -1 };
        struct arguments arguments = { 0 };
        int status;

        if (slow_write_is_child(argv))
                return slow_write_main(argv);
        status = read_arguments(&daemon, argc, argv, &arguments);

        /* Every mode is set explicitly. A container's root is an unprivileged user on the host and must be able to
         * search the directories of its image and its cgroup, also those that a runtime makes. */
        (void)umask(022);
        if (status >= 0)
                return status;
        if (load_settings(&daemon) < 0) {
                config_release(&daemon.config);
                return EXIT_SETTINGS;
        }
        /* Not the default loop, which would reap every child (ev(3), ev_child) before the room that waits for it. */
        daemon.loop = ev_loop_new(EVFLAG_AUTO);
        if (arguments.is_check) {
                status = arguments.is_quiet ? EXIT_SUCCESS : print_settings(&daemon.config);
        } else if (daemon.loop == NULL || log_new(&daemon.log, STDERR_FILENO, (enum log_level)daemon.config.log_level,
                                                  (enum log_format)daemon.config.log_format) < 0) {
                (void)fputs("carreld: cannot create the event loop: out of memory or descriptors\n", stderr);
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
