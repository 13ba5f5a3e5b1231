/* A call of the fake engine, and the effect of each operation on its containers. */
#pragma once

#include <ev.h>

#include "engine.h"
#include "fake-engine.h"
#include "fake-store.h"

struct fake;

/* One call: its request and, once it is due, its answer. */
struct fake_call {
        struct engine_call base;
        struct fake *fake;
        struct fake_store *store; /* of the engine */
        struct list node;
        ev_timer timer;
        enum fake_op op;
        enum fake_behaviour behaviour;
        engine_done done; /* NULL once cancelled; the effect still happens, as in a real engine */
        void *arg;
        char target[256];             /* id or name; the image; the label of a list */
        char text[ENGINE_NAME_BYTES]; /* the label's value */
        bool is_pause;
        struct fake_container *made; /* create: not in the tables yet; claim: the new name and labels */
        char *output;                /* exec */
        struct exec_events exec_events;
        struct engine_reply reply;
        struct exec_status exec;
        struct image_info image;
        struct container_info *listed; /* shallow copies */
        char exec_id[ENGINE_ID_BYTES];
};

/* Carries out the call and sets its reply, which is valid until the store changes. Returns 0, or a negative errno with
 * the reason in *why. */
int fake_call_carry_out(struct fake_call *call, struct fault *why);
