/* The metric families of carreld, and the source of each. */
#pragma once

#include "metrics.h"

enum carrel_metric {
        METRIC_STEP_DURATION,   /* {flow, step}: the daemon's flow observer */
        METRIC_ENSURES,         /* {outcome}: pool_stats at the scrape */
        METRIC_ENSURE_FAILURES, /* {code}: every ensure that the API answered with a fault */
        METRIC_EXECS,           /* {cause}: POOL_EXEC_ENDED */
        METRIC_CARRELS,         /* {state}: pool_stats at the scrape */
        METRIC_RETIRED,         /* {reason}: POOL_RETIRED */
        METRIC_FREEZES,         /* {reason}: POOL_FROZEN */
        METRIC_THAWS,           /* {reason}: POOL_THAWED */
        METRIC_RECLAIMS,        /* POOL_RECLAIMED */
        METRIC_RECLAIMED_BYTES, /* the same */
        METRIC_POLICY_IN_FORCE, /* the daemon's describe, at the scrape; and so the next four */
        METRIC_POLICY_HEALS,
        METRIC_POLICY_ALARMS,
        METRIC_DROPPED_PACKETS,
        METRIC_FLOWS,
        METRIC_FLOWS_TABLE_SIZE,
        METRIC_FLOWS_REFUSED,
        METRIC_ENGINE_UP,
        METRIC_WARM_WANTED,
        METRIC_WARM_FAILURES,
        METRIC_CLAIM_FAILURES,
        METRIC_STARTS_IN_FLIGHT, /* pool_stats at the scrape; and so the next two */
        METRIC_STARTS_QUEUED,
        METRIC_EXECS_RUNNING,
        METRIC_EXEC_RECORDS, /* the jobs, at the scrape; and so the next */
        METRIC_EXEC_RECORDS_MAX,
        METRIC_SPOOL_BYTES, /* the API, at the scrape; and so the next */
        METRIC_SPOOL_BYTES_MAX,
        METRIC_DISK_FREE_BYTES, /* {setting}: the daemon's describe, at the scrape; and so the next two */
        METRIC_DISK_FREE_INODES,
        METRIC_DISK_AGE,
        METRIC_LOOP_TURN,       /* the daemon's loop */
        METRIC_CONNECTIONS,     /* the API, at the scrape */
        METRIC_CONNECTIONS_CUT, /* {why}: the API */
        METRIC_HTTP_REQUESTS,   /* {route, status}: the API */
        CARREL_METRICS
};

/* Indexed by enum carrel_metric; ends with a NULL name, as metrics_new requires. */
extern const struct metric_family METRICS_TABLE[CARREL_METRICS + 1];
