/* One kind of engine, as test-engine.c uses it. Private to the testbed. */
#pragma once

#include "test-engine.h"

struct test_engine_ops {
        const char *kind;
        const char *const *programs; /* each must be on PATH; NULL-terminated */
        const char *socket;          /* "": has no API */
        bool keeps_containers;       /* they survive the end of its daemon */

        const char *const *(*settings)(void); /* as engine_settings */

        /* Called before all of the following. */
        void (*open)(void);
        void (*close)(void);
        /* All three NULL: it has no daemon. */
        void (*signal)(int signal);
        void (*stop)(int signal);
        void (*start)(void);

        size_t (*count)(const char *label);
        void (*id)(const char *name, char ret_id[static 80]);
        int (*pid)(const char *name);
        void (*decoy)(const char *name, const char *label, const char *other_label);
        void (*revive)(const char *name);
        void (*remove)(const char *name);
        void (*end)(const char *name);
        void (*run_plainly)(const char *script);
        void (*add_foreign_network)(void);
        void (*expect_foreign_network)(void);
        void (*forge)(const char *user, const struct forgery *forgery);

        /* Starts a process that appends a line "ACTION NAME" to log for each container event, in order. */
        pid_t (*follow)(const char *log);
        /* Creates and removes a container of this name. The follower reports its "create" after all earlier events. */
        void (*mark)(const char *name);
};

extern const struct test_engine_ops docker_test_engine;
extern const struct test_engine_ops podman_test_engine;
extern const struct test_engine_ops oci_test_engine;
