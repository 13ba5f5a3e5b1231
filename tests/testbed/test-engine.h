/* The container engine of a test's own, inside its enclosure, and what the test asks it behind carreld's back.
 * TESTBED_ENGINE says which one ("docker" where it says nothing); the tests are the same for all of them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SANDBOX_IMAGE "carrel-sandbox:latest"

struct test_engine;

/* Why no engine of this kind can run here, as a sentence for a person; NULL: it can. */
const char *engine_obstacle(void);
/* "docker", "podman", "oci": the setting `engine`. */
const char *engine_kind(void);
/* The settings carreld needs for it: "CARREL_KEY=value", NULL-terminated. */
const char *const *engine_settings(void);
/* Where its API is served; "" when it has none. */
const char *engine_socket(void);

/* Starts it and waits until it answers, then loads the sandbox image. The test fails if it cannot. */
struct test_engine *engine_new(void);
struct test_engine *engine_free(struct test_engine *engine);

/* ---- its daemon, where it has one ---- */

bool engine_has_daemon(void);
/* Whether containers run on while the daemon does not. */
bool engine_keeps_containers(void);

void engine_signal(struct test_engine *engine, int signal);
/* Ends it with `signal`. */
void engine_stop(struct test_engine *engine, int signal);
/* Starts it after engine_stop; waits until it answers. */
void engine_start(struct test_engine *engine);
/* Both. */
void engine_restart(struct test_engine *engine, int signal);

/* ---- questions ---- */

/* How many containers of any state have this label ("key=value" or "key"; NULL: all). */
size_t engine_count(const char *label);
/* The id of a container by name; "" when there is none. */
void engine_id(const char *name, char ret_id[static 80]);
/* Host pid of a container's process 1; 0 when it does not run. */
int engine_pid(const char *name);
bool engine_is_running(const char *name);

/* ---- what others do with it ---- */

/* A decoy: a running container with a name and two labels ("a=b"; NULL: none). */
void engine_decoy(const char *name, const char *label, const char *other_label);
/* It runs again, after whatever has ended it; running is fine. */
void engine_revive(const char *name);
/* Ends and removes a container. */
void engine_remove(const char *name);
/* Ends a container and leaves it there, as `docker stop` does. */
void engine_end(const char *name);
/* Runs `sh -c script` as root in a container without the hardened template; the test fails unless it exits with 0. */
void engine_run_plainly(const char *script);
/* A network, or what this engine has of that sort, which is labelled like ours and is not ours. */
void engine_add_foreign_network(void);
/* The test fails when it is gone. */
void engine_expect_foreign_network(void);

/* A container in place of a user's carrel, with its name and all its labels, hardened like it but for these words. */
struct forgery {
        const char *owner;   /* whose directory is on /workspace */
        const char *network; /* "none", "host", "bridge" */
        unsigned pids;
};
/* The carrel runs, and is replaced. The first forgery of a user takes its labels from that carrel, the later ones from
 * the first. */
void engine_forge(const char *user, const struct forgery *forgery);

/* ---- events ---- */

/* Follows container events into a file from now on. */
struct engine_events;
struct engine_events *engine_events_new(void);
struct engine_events *engine_events_free(struct engine_events *events);
/* How many events of `action` ("create", "start") about names beginning with `prefix` there were so far; all that
 * happened before the call are counted. */
size_t engine_events_count(struct engine_events *events, const char *action, const char *prefix);
/* The most containers with this prefix that were between create and start at one time, as the events tell. */
size_t engine_events_peak(struct engine_events *events, const char *prefix);
