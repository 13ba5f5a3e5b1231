/* The usage of a container, as the kernel counts it in its cgroups (cgroup v1, v2, and the hybrid of both) and at its
 * network interface. A frozen container is read without a thaw. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"

/* Times are in microseconds since the container's start, sizes in bytes. */
enum usage_number {
        USAGE_CPU_US,
        USAGE_CPU_USER_US,
        USAGE_CPU_SYSTEM_US,
        USAGE_CPU_PERIODS, /* of the CPU limit in which it wanted to run */
        USAGE_CPU_THROTTLED_PERIODS,
        USAGE_CPU_THROTTLED_US,
        USAGE_MEMORY_BYTES,
        USAGE_MEMORY_PEAK_BYTES,
        USAGE_MEMORY_SOCKET_BYTES, /* v1 counts it apart; on v2 it is part of the memory */
        USAGE_MEMORY_OOM_KILLS,
        USAGE_PIDS, /* threads */
        USAGE_PIDS_PEAK,
        USAGE_IO_READ_BYTES,
        USAGE_IO_WRITTEN_BYTES,
        USAGE_IO_READS,
        USAGE_IO_WRITES,
        USAGE_PRESSURE_CPU_SOME_US, /* some task, or all (full), waited (Documentation/accounting/psi.rst) */
        USAGE_PRESSURE_CPU_FULL_US,
        USAGE_PRESSURE_MEMORY_SOME_US,
        USAGE_PRESSURE_MEMORY_FULL_US,
        USAGE_PRESSURE_IO_SOME_US,
        USAGE_PRESSURE_IO_FULL_US,
        USAGE_NET_RECEIVED_BYTES, /* by the container */
        USAGE_NET_SENT_BYTES,
        USAGE_NET_RECEIVED_PACKETS,
        USAGE_NET_SENT_PACKETS,
        USAGE_NET_RECEIVED_DROPPED,
        USAGE_NET_SENT_DROPPED,
        USAGE_NUMBERS
};

/* The kernel does not count it here, or it cannot be read. */
#define USAGE_UNCOUNTED CGROUP_UNCOUNTED

struct usage {
        uint64_t of[USAGE_NUMBERS];
};
/* Every number is USAGE_UNCOUNTED. */
void usage_clear(struct usage *usage);

/* Where the counters of one container are: it keeps paths, and no file open. */
struct usage_meter;
/* pid: a process of the container. 0, or the error of cgroup_find_dirs, or -ENOMEM. */
__attribute__((warn_unused_result)) int usage_meter_new(struct usage_meter **ret_meter,
                                                        const struct cgroup_mounts *mounts, pid_t pid,
                                                        const char *container_id);
/* NULL is fine; returns NULL. */
struct usage_meter *usage_meter_free(struct usage_meter *meter);

/* Sets the numbers that the cgroups have. Opens about eleven files, 7 to 12 us each. */
void usage_read(const struct usage_meter *meter, struct usage *usage);
/* Sets the numbers of a network from the host's end of a container's veth: what the host receives, the container has
 * sent. Reads sysfs, 40 us, which must be that of our network namespace; a request by netlink takes 3 us, but then it
 * waits whenever another process changes the network, for 5 ms at times (rtnl_stats_get in net/core/rtnetlink.c holds
 * the RTNL lock). */
void usage_read_link(const char *interface, struct usage *usage);

/* Sets the numbers that one file has; pure. A number that the text does not have stays as it is. */
void usage_parse(enum cgroup_hierarchy hierarchy, const char *file, const char *text, struct usage *usage);
