/* Inside the testbed only: one kind of engine, behind test-engine.h. */
#pragma once

#include "test-engine.h"

struct test_engine_ops {
        const char *kind;
        const char *const *programs; /* each must be on PATH; NULL-terminated */
        const char *socket;          /* "": has no API */
        bool keeps_containers;       /* they outlive its daemon's end */

        const char *const *(*settings)(void); /* as engine_settings */

        /* After it all of the others work. */
        void (*open)(void);
        void (*close)(void);
        /* NULL, all three: has no daemon. */
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

        /* Starts a process that appends a line "ACTION NAME" to log for each event of a container, in order. */
        pid_t (*follow)(const char *log);
        /* Makes a container of this name, whose "create" the follower will tell of after all that was before; removes
         * it again. */
        void (*mark)(const char *name);
};

extern const struct test_engine_ops docker_test_engine;
extern const struct test_engine_ops podman_test_engine;
extern const struct test_engine_ops oci_test_engine;
