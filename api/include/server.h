/* The HTTP/1.1 API on a unix socket: libmicrohttpd with an external epoll descriptor that libev watches. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "space.h"

struct api;
struct ev_loop;
struct execs;
struct jobs;
struct metrics;
struct pool;
struct reaper;

enum { API_ENGINES_MAX = 4 };

/* An engine that carreld can use, and why it does or does not. Borrowed for the call. */
struct api_engine {
        const char *kind;
        const char *reason;
        int is_chosen;
};

/* State for the API of rooms that it may not include. */
/* The file system of a directory. */
struct api_disk {
        const char *setting; /* whose directory it is */
        struct space space;
};
enum { API_DISKS_MAX = 2 };

struct api_state {
        struct api_engine engines[API_ENGINES_MAX];
        size_t n_engines;
        char engine[16], engine_version[64], engine_api_version[16];
        char engine_detail[256]; /* what keeps it from serving, or what it cannot do; or "" */
        int is_engine_available;
        int is_policy_in_force;
        int can_connect; /* 0: only carrels with policy none are possible */
        char policy_detail[192];
        char resolvers[256]; /* that carrels may ask, separated by commas; or "" */
        uint64_t policy_heals, policy_alarms, policy_dropped_packets;
        uint64_t flows_refused_packets;
        unsigned flows, flows_table_size;     /* of the host's connection-tracking table */
        unsigned flows_max;                   /* of a carrel; 0: not bounded */
        struct api_disk disks[API_DISKS_MAX]; /* of which something is known */
        size_t n_disks;
        const char *settings_json; /* the settings in force as a JSON object; NULL: unknown */
};

struct api_info {
        const char *version; /* of carreld */
        const char *pool;    /* its name */
        /* Fills engine kind/version/api version and the policy's state at the time of the call. */
        void (*describe)(void *arg, struct api_state *ret_state);
        void *arg;
};

struct api_options {
        int listen_fd;                 /* a listening unix socket; owned by the server from then on, also on failure */
        gid_t admin_gid;               /* members are admins beside root and carreld's own uid; (gid_t)-1: none */
        unsigned max_connections;      /* 0: 1200; a sixteenth is kept for admins */
        unsigned max_peer_connections; /* of one uid; 0: all */
        unsigned least_user_requests;  /* so many requests one user may have open, if it is more than his part */
        double read_deadline_s;        /* a request must be read whole by then; 0: 10 s */
        double progress_deadline_s;    /* a file operation inside must get on by then; 0: 30 s */
        double idle_deadline_s;        /* a connection may wait that long between requests; 0: 60 s */
        struct execs *execs;           /* to list and signal programs; NULL: there are none */
        struct jobs *jobs;             /* execs that can be found again; NULL: there are none */
        const char *spool_dir;         /* on a disk: for bodies that do not fit into memory; NULL: those are refused */
        uint64_t spool_max_bytes;      /* of such a body */
        uint64_t file_max_bytes;       /* of one that goes into a carrel; 0: no bound of its own */
        uint64_t spools_max_bytes;     /* of all of them that are on their way at once; 0: no bound */
        unsigned max_spools;           /* so many of them; 0: no bound */
};

/* Borrows loop, pool, reaper, metrics (which may be NULL), options->execs, options->jobs, options->spool_dir and what
 * *info points at for its life; copies *info and *options. */
__attribute__((warn_unused_result)) int api_new(struct api **ret_api, struct ev_loop *loop, struct pool *pool,
                                                struct reaper *reaper, struct metrics *metrics,
                                                const struct api_info *info, const struct api_options *options,
                                                struct fault *why);
/* Stops listening. Every open request is answered (FAULT_CANCELLED) or cut. NULL is fine; returns NULL. */
struct api *api_free(struct api *api);
