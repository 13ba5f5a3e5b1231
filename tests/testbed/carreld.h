/* carreld under test, in the enclosure, with a private state directory and settings from the environment alone. */
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
#define CARREL_PREFIX "carrel-"

struct carreld;

/* Starts it with settings, a NULL-terminated list of "CARREL_KEY=value" (NULL: none); does not wait. */
struct carreld *carreld_new(const char *const *settings);
/* The same of another build, whose helpers it installs: TESTBED_PREVIOUS_DIR, where an earlier version is. The next
 * carreld_new installs ours again, as a package's upgrade does. */
struct carreld *carreld_new_previous(const char *const *settings);
/* SIGTERM; the test fails when it does not end with status 0 (a sanitizer's leak report is another status). */
struct carreld *carreld_free(struct carreld *carreld);
/* SIGKILL, as a fault. */
struct carreld *carreld_kill(struct carreld *carreld);
/* For a teardown: one that is still there belongs to a test that has failed. Prints the end of its log and kills it. */
struct carreld *carreld_abandon(struct carreld *carreld);

/* Waits until /readyz says 200; the test fails after deadline_s. */
void carreld_await_ready(struct carreld *carreld, double deadline_s);
/* Waits until it has died of SIGKILL by its own failpoint; false after deadline_s. */
bool carreld_await_death(struct carreld *carreld, double deadline_s);
pid_t carreld_pid(const struct carreld *carreld);

/* A request, made again while the answer is that the policy is not known to be in force: so it is, and rightly, when
 * the machine gave carrel-netd no CPU for three seconds. Only for tests that are not about that refusal. Release the
 * answer. */
struct answer carreld_request(const char *method, const char *path, const char *body, double deadline_s);
/* PUT /v1/carrels/{user}; the test fails unless it answers 200. Release the answer. */
struct answer carreld_ensure(const char *user);
/* The same, where only success matters. */
void carreld_must_ensure(const char *user);
/* Runs `sh -c script` in the user's carrel by POST .../exec; timeout_s 0: none. Release the answer. */
struct answer carreld_exec(const char *user, const char *script, double timeout_s);
/* The same; the test fails unless it exits with 0. Its stdout, cut at size, without a newline at its end. */
void carreld_must_exec(const char *user, const char *script, char *ret_text, size_t size);
/* Whether the user's carrel is in this state ("" : there is none). */
bool carreld_has_state(const char *user, const char *state);
/* Waits for that state; false after deadline_s. */
bool carreld_await_state(const char *user, const char *state, double deadline_s);

/* A number of /metrics by the start of its line, e.g. "carrel_policy_dropped_packets_total"; -1 when absent. */
double carreld_metric(const char *series);

/* Path of a program of this build, e.g. "cli/carrel". Valid until the next call. */
const char *built_program(const char *relative);
