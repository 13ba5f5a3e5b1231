/* The API of carreld on a unix socket: routes, handlers and metrics over the HTTP server (httpd). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "file-system.h"
#include "space.h"

struct api;
struct ev_loop;
struct execs;
struct jobs;
struct metrics;
struct pool;
struct reaper;
struct userfiles;

enum { API_ENGINES_MAX = 4 };

/* An engine that carreld supports, and why it was chosen or not. Borrowed for the call. */
struct api_engine {
        const char *kind;
        const char *reason;
        int is_chosen;
};

/* The file system of a directory. */
struct api_disk {
        const char *setting; /* that names the directory */
        struct space space;
};
enum { API_DISKS_MAX = 2 };

/* State of folders that the API may not include. */
struct api_state {
        struct api_engine engines[API_ENGINES_MAX];
        size_t n_engines;
        char engine_version[64], engine_api_version[16];
        char engine_detail[256]; /* why it cannot serve, or what it cannot do; or "" */
        int is_engine_available;
        int is_policy_in_force;
        int can_connect; /* 0: only carrels with the policy "none" are possible */
        char policy_detail[192];
        char resolvers[256]; /* that carrels may use, separated by commas; or "" */
        uint64_t policy_heals, policy_alarms, policy_dropped_packets;
        uint64_t flows_refused_packets;
        unsigned flows, flows_table_size;     /* of the host's connection-tracking table */
        unsigned flows_max;                   /* of one carrel; 0: no bound */
        struct api_disk disks[API_DISKS_MAX]; /* those whose free space is known */
        size_t n_disks;
        struct file_system runtime_fs; /* of runtime_dir; the name is "" when it is unknown */
        const char *settings_json;     /* the settings in force as a JSON object, or NULL */
        const char *sections_json;     /* and their named sections */
};

struct api_info {
        const char *version; /* of carreld */
        const char *pool;    /* its name */
        const char *engine;  /* the kind of the engine ("docker") */
        /* Fills *ret_state, which is zeroed, with the state at the time of the call. */
        void (*describe)(void *arg, struct api_state *ret_state);
        void *arg;
};

struct api_options {
        int listen_fd;                 /* a listening unix socket; owned by the API from then on, also on failure */
        gid_t admin_gid;               /* members are admins, like root and carreld's own uid; (gid_t)-1: no group */
        unsigned max_connections;      /* 0: 1200; a sixteenth is kept for admins */
        unsigned max_peer_connections; /* of one uid; 0: all */
        unsigned least_user_requests;  /* one user may have that many open, even if it is more than a quarter */
        double read_deadline_s;        /* for a request's head, and for each few KiB of its body; 0: 10 s */
        double progress_deadline_s;    /* a file operation must make progress within it; 0: 30 s */
        double idle_deadline_s;        /* between requests, and for a client to read its answer; 0: 60 s */
        struct execs *execs;           /* to list and signal programs; may be NULL */
        struct jobs *jobs;             /* detached and named execs; may be NULL */
        struct userfiles *userfiles;   /* to erase users' files */
        const char *spool_dir;         /* on a disk, for bodies that do not fit into memory; NULL: those are refused */
        uint64_t spool_max_bytes;      /* of one body in spool_dir (image_max_size) */
        uint64_t file_max_bytes;       /* of one body for a carrel (file_max_size); 0: spool_max_bytes */
        uint64_t spools_max_bytes;     /* of all bodies in progress (uploads_size); 0: no bound */
        unsigned max_spools;           /* bodies in progress (max_uploads); 0: no bound */
};

/* Borrows loop, pool, reaper, metrics (which may be NULL), options->execs, options->jobs,
 * options->userfiles, options->spool_dir and what
 * *info points at for its life; copies *info and *options. */
__attribute__((warn_unused_result)) int api_new(struct api **ret_api, struct ev_loop *loop, struct pool *pool,
                                                struct reaper *reaper, struct metrics *metrics,
                                                const struct api_info *info, const struct api_options *options,
                                                struct fault *why);
/* Stops listening. Every open request is answered (FAULT_CANCELLED) or cut. NULL is fine; returns NULL. */
struct api *api_free(struct api *api);
