/* The enclosure in which a test program runs: its own namespaces of processes, mounts and network, and an empty tmpfs
 * on /run. Engines, rules, sockets and state are apart from the host's, and vanish with the test.
 *
 *   supervisor (the host's namespaces) -> init (process 1 inside; reaps) -> the test
 *
 * When the test ends in any way, process 1 ends too, and the kernel kills every process that is left inside
 * (pid_namespaces(7)). When the supervisor is killed, process 1 is killed with it (PR_SET_PDEATHSIG). */
#pragma once

#include <stdbool.h>

/* Runs `run` inside a new enclosure and returns the exit status for main(). If no enclosure can be made (not root, or
 * the programs of the engine in TESTBED_ENGINE are missing) it prints a TAP skip with the reason; with CARREL_MUST_RUN
 * set, a failure. TESTBED_ONLY and TESTBED_SKIP are patterns (with * and ?) of the tests to run or to leave out.
 * TESTBED_CLAIMS is how many claims test_claim makes for one of its tests. */
int enclosure_run(int (*run)(void));

/* The cgroup for the engine's containers, as a path below the root of each hierarchy. The supervisor removes it. */
const char *enclosure_cgroup(void);

/* Hides cgroup2 beside cgroup v1 from the runtimes inside, as crun (1.8) needs it. A v1 hierarchy takes its place:
 * otherwise they would make directories on the host's tmpfs below it, which stay. */
void enclosure_hide_cgroup2(void);

/* Prints the end of a log on stderr, as tests/run reads it: the last 8 KiB, but nothing before offset `from`. */
void enclosure_print_log(const char *path, long from);

/* Whether tmpfs supports idmapped mounts on this kernel (since Linux 6.3). */
bool enclosure_tmpfs_maps_owners(void);
