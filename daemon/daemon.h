/* The one struct that holds everything, and the functions on it. */
#pragma once

#include <ev.h>

#include "config.h"
#include "engines.h"
#include "fault.h"
#include "file-system.h"
#include "flow.h"
#include "pool.h"

struct attach;
struct storage;
struct turns;
struct userfiles;

struct daemon {
        struct config config;
        struct pool_owner owner; /* as the account database had it at the start */
        const char *config_path;
        bool is_config_required;
        struct ev_loop *loop;
        struct log *log;
        struct metrics *metrics;
        struct turns *turns;
        struct space_watch *users_space, *spool_space;
        struct file_system runtime_fs; /* of runtime_dir; the name is "" when it is unknown */
        struct engine *engine;
        struct engine_verdicts engines;
        struct netpolicy *netpolicy;
        struct attach *attach; /* NULL: no warm carrels and no images are wanted */
        struct disk *disk;     /* NULL: no images are wanted, and there are none */
        struct execs *execs;
        struct pool *pool;
        struct job_registry *registry;
        struct jobs *jobs;
        struct storage *storage;
        struct userfiles *userfiles;
        struct reaper *reaper;
        struct api *api;
        struct flow_observer observer;
        char *settings_json, *sections_json;
        int lock_fd;
        ev_signal terminate;
        ev_signal interrupt;
        ev_signal hangup;
        ev_timer watchdog;
        struct engine_search *search; /* while no engine will do */
        bool is_stopping;
        bool is_ready;            /* reconciled once: the service manager knows */
        const char *found_engine; /* by the search: all rooms must start again with it; NULL: none */
};

/* Brings every room up in its order; on failure the ones that are up are taken down again. The failure is logged. */
int phases_up(struct daemon *daemon);
/* Takes all down in reverse. */
void phases_down(struct daemon *daemon);

/* Starts carrel-mountd if warm carrels or images are wanted and possible, and gives it to the pool. */
int daemon_start_attach(struct daemon *daemon, struct fault *why);

/* SIGHUP: reads the settings again and hands the reloadable ones over. The running ones stay when it fails. */
int reload_settings(struct daemon *daemon, struct fault *why);

/* Says in the log which resolvers dns = auto leaves out, and when it has none. */
void daemon_warn_of_resolvers(const struct daemon *daemon);
