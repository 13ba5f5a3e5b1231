/* A container engine inside the enclosure, and what a test asks of it without carreld. TESTBED_ENGINE is its kind
 * ("docker" if it is not set). The tests are the same for all kinds. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SANDBOX_IMAGE "carrel-sandbox:latest"

struct test_engine;

/* The reason why no engine of this kind can run here, for the user to read; NULL: it can run. */
const char *engine_obstacle(void);
/* "docker", "podman" or "oci", as in the setting `engine`. */
const char *engine_kind(void);
/* The settings carreld needs for it: "CARREL_KEY=value", NULL-terminated. */
const char *const *engine_settings(void);
/* The socket of its API; "": it has no API. */
const char *engine_socket(void);

/* Starts it, waits until it answers, and loads the sandbox image. The test fails if any of this fails. */
struct test_engine *engine_new(void);
struct test_engine *engine_free(struct test_engine *engine);

/* ---- its daemon, if it has one ---- */

bool engine_has_daemon(void);
/* Whether containers keep running without the daemon. */
bool engine_keeps_containers(void);

void engine_signal(struct test_engine *engine, int signal);
/* Ends it with `signal`. */
void engine_stop(struct test_engine *engine, int signal);
/* Starts it after engine_stop(), and waits until it answers. */
void engine_start(struct test_engine *engine);
/* Ends it with `signal`, and starts it. */
void engine_restart(struct test_engine *engine, int signal);

/* ---- questions ---- */

/* The number of containers, in any state, with this label ("key=value" or "key"; NULL: of all containers). */
size_t engine_count(const char *label);
/* The id of a container by its name; "": no such container. */
void engine_id(const char *name, char ret_id[static 80]);
/* The host pid of a container's process 1; 0: it does not run. */
int engine_pid(const char *name);
bool engine_is_running(const char *name);

/* ---- actions of others ---- */

/* Starts a decoy: a container with a name and two labels ("a=b"; NULL: none). */
void engine_decoy(const char *name, const char *label, const char *other_label);
/* Starts a container again, whatever has ended it. A running one is left alone. */
void engine_revive(const char *name);
/* Ends and removes a container. */
void engine_remove(const char *name);
/* Ends a container without removing it, as `docker stop` does. */
void engine_end(const char *name);
/* Runs `sh -c script` as root in a container without the hardened template; the test fails unless it exits with 0. */
void engine_run_plainly(const char *script);
/* Adds a network, or what this engine has instead, with labels like ours that is not ours. */
void engine_add_foreign_network(void);
/* The test fails if that network no longer exists. */
void engine_expect_foreign_network(void);

/* A container with the name and all labels of a user's carrel, and hardened like it except for: */
struct forgery {
        const char *owner;   /* the user whose directory is mounted on /workspace */
        const char *network; /* "none", "host", "bridge" */
        unsigned pids;
};
/* Replaces the user's carrel, which must run. The first forgery of a user copies the labels of that carrel, and later
 * ones those of the first. */
void engine_forge(const char *user, const struct forgery *forgery);

/* ---- events ---- */

/* Begins to record container events. */
struct engine_events;
struct engine_events *engine_events_new(void);
struct engine_events *engine_events_free(struct engine_events *events);
/* The number of events of `action` ("create", "start") so far about names that begin with `prefix`. It includes all
 * events before the call. */
size_t engine_events_count(struct engine_events *events, const char *action, const char *prefix);
/* The largest number of containers with this prefix that were between create and start at one time. */
size_t engine_events_peak(struct engine_events *events, const char *prefix);
