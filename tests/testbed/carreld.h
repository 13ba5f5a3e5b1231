/* The carreld under test. It runs in the enclosure, with its own state directory, and takes its settings only from the
 * environment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "request.h"

#define CARREL_SOCKET "/run/testbed/carrel/carrel.sock"
#define CARREL_USERS "/run/testbed/users"
#define CARREL_IMAGES "/run/testbed/images"
#define CARREL_RUNTIME "/run/testbed/carrel"
#define CARREL_HELPERS "/run/testbed/helpers"
#define CARRELD_LOG "/run/testbed/carreld.log"

/* The labels of every carrel, and the prefix of its container's name. */
#define LABEL_PRODUCT "io.carrel.product"
#define LABEL_POOL "io.carrel.pool"
#define LABEL_USER "io.carrel.user"
#define LABEL_SLOT "io.carrel.slot"
#define CARREL_PREFIX "carrel-"

struct carreld;

/* Starts it and does not wait. settings: "CARREL_KEY=value", NULL-terminated; NULL: none. */
struct carreld *carreld_new(const char *const *settings);
/* The same for the earlier version in TESTBED_PREVIOUS_DIR, with its helpers. The next carreld_new() installs the
 * helpers of this build again, as the upgrade of a package does. */
struct carreld *carreld_new_previous(const char *const *settings);
/* Sends SIGTERM. The test fails if it does not end with status 0, e.g. after a leak report of a sanitizer. */
struct carreld *carreld_free(struct carreld *carreld);
/* SIGKILL, as a fault. */
struct carreld *carreld_kill(struct carreld *carreld);
/* For a teardown, where a carreld exists only if the test has failed: prints the end of its log and kills it. */
struct carreld *carreld_abandon(struct carreld *carreld);

/* Waits until /readyz says 200; the test fails after deadline_s. */
void carreld_await_ready(struct carreld *carreld, double deadline_s);
/* Waits until its failpoint has killed it with SIGKILL; false after deadline_s. */
bool carreld_await_death(struct carreld *carreld, double deadline_s);
pid_t carreld_pid(const struct carreld *carreld);

/* A request, repeated while the answer is that the policy is not known to be in force. carreld rightly says so when a
 * busy machine gave carrel-netd no CPU for three seconds. Not for tests about that refusal. Release the answer. */
struct answer carreld_request(const char *method, const char *path, const char *body, double deadline_s);
/* PUT /v1/carrels/{user}; the test fails unless it answers 200. Release the answer. */
struct answer carreld_ensure(const char *user);
/* The same, for callers that do not need the answer. */
void carreld_must_ensure(const char *user);
/* Runs `sh -c script` in the user's carrel by POST .../exec; timeout_s 0: none. Release the answer. */
struct answer carreld_exec(const char *user, const char *script, double timeout_s);
/* The same; the test fails unless it exits with 0. Returns its stdout without newlines at the end, cut at size. */
void carreld_must_exec(const char *user, const char *script, char *ret_text, size_t size);
/* Whether the user's carrel is in this state ("": the user has no carrel). */
bool carreld_has_state(const char *user, const char *state);
/* Waits for that state; false after deadline_s. */
bool carreld_await_state(const char *user, const char *state, double deadline_s);

/* The value of a series of /metrics, e.g. "carrel_policy_dropped_packets_total"; -1 when it is absent. */
double carreld_metric(const char *series);

/* Path of a program of this build, e.g. "cli/carrel". Valid until the next call. */
const char *built_program(const char *relative);
