/* A Docker Engine of the test's own inside its enclosure, and what the test asks it behind carreld's back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DOCKERD_SOCKET "/run/docker.sock"
#define DOCKERD_LOG "/run/testbed/dockerd.log"
#define SANDBOX_IMAGE "carrel-sandbox:latest"

struct dockerd;

/* Starts dockerd and waits until it answers (30 s), then loads the sandbox image. The test fails if it cannot. */
struct dockerd *dockerd_new(void);
struct dockerd *dockerd_free(struct dockerd *dockerd);

void dockerd_signal(struct dockerd *dockerd, int signal);
/* Ends it with `signal`. */
void dockerd_stop(struct dockerd *dockerd, int signal);
/* Starts it after dockerd_stop; waits until it answers. */
void dockerd_start(struct dockerd *dockerd);
/* Both. */
void dockerd_restart(struct dockerd *dockerd, int signal);

/* How many containers of any state have this label ("key=value" or "key"; NULL: all). */
size_t dockerd_count(const char *label);
/* The id of a container by name; "" when there is none. */
void dockerd_id(const char *name, char ret_id[static 80]);
/* Host pid of a container's process 1; 0 when it does not run. */
int dockerd_pid(const char *name);
/* A decoy: a running container with a name and two labels ("a=b"; NULL: none). */
void dockerd_decoy(const char *name, const char *label, const char *other_label);
void dockerd_remove(const char *name);
bool dockerd_is_running(const char *name);

/* Follows container events into a file from now on. */
struct dockerd_events;
struct dockerd_events *dockerd_events_new(void);
struct dockerd_events *dockerd_events_free(struct dockerd_events *events);
/* How many events of `action` ("create", "start", ...) about names beginning with `prefix` there were so far; all that
 * happened before the call are counted. */
size_t dockerd_events_count(struct dockerd_events *events, const char *action, const char *prefix);
/* The most containers with this prefix that were between create and start at one time, as the events tell. */
size_t dockerd_events_peak(struct dockerd_events *events, const char *prefix);
