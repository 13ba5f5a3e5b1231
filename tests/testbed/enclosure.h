/* The private world a test program runs in: namespaces of its own for processes, mounts and network, and a fresh
 * tmpfs on /run, so that engines, rules, sockets and state never meet the host's and vanish with the test.
 *
 *   supervisor (the host's namespaces) -> init (process 1 inside; reaps) -> the test
 *
 * However the test ends, process 1 ends with it and the kernel kills everything that is left inside
 * (pid_namespaces(7)); if the supervisor is killed, PR_SET_PDEATHSIG takes process 1 along. */
#pragma once

#include <stdbool.h>

/* Runs `run` inside a new enclosure and returns its result as main's exit status. Where an enclosure cannot be made
 * (not root, no engine of the kind TESTBED_ENGINE names) it prints a TAP skip with the reason, or a failure when
 * CARREL_MUST_RUN is set. TESTBED_ONLY and TESTBED_SKIP are patterns (with * and ?) of the tests to run or not. */
int enclosure_run(int (*run)(void));

/* The cgroup, below every hierarchy's root, for the engine's containers; removed by the supervisor. */
const char *enclosure_cgroup(void);

/* Prints the last 8 KiB of a log on stderr, at most what came at or after `from`, as tests/run reads it. */
void enclosure_print_log(const char *path, long from);

/* Whether a tmpfs can be mounted with mapped owners here: since Linux 6.3. */
bool enclosure_tmpfs_maps_owners(void);
