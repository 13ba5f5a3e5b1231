/* Warm carrels: whole ones (started, plugged, greeted and verified) that no user has had yet. A claim (claim.h) gives
 * one to a user. They are made one at a time while no user's start runs or waits, at most some 50 a second. An image of
 * which one could not be made waits longer after each failure; the others do not wait for it. In the table a warm
 * carrel has a name that no user can have: it begins with a dot. */
#pragma once

#include <ev.h>

#include "list.h"
#include "warm-targets.h"

struct attach;
struct carrel;
struct fault;
struct pool;

/* How it goes with one target. */
struct warm_try {
        double backoff_s;  /* 0: the last one could be made */
        double retry_at_s; /* CLOCK_BOOTTIME */
        char failure[256]; /* of the last one; "": it could be made */
};

struct warm {
        struct pool *pool;
        struct attach *attach; /* NULL: no carrel can be claimed */
        struct warm_targets targets;
        struct warm_try tries[WARM_TARGETS_MAX]; /* of targets.at */
        struct list carrels;                     /* struct carrel, oldest first, in every state from STARTING on */
        unsigned n_starting;
        double quiet_from_s; /* CLOCK_BOOTTIME: until then none is made */
        ev_timer tick;
        uint64_t failures;
        double unattachable_since_s; /* CLOCK_BOOTTIME; 0: directories can be attached */
        bool is_unattachable_told;
        bool has_failed;        /* since it was full the last time */
        double claim_pause_s;   /* the last pause of claims; 0: the last claim succeeded */
        int64_t claims_from_ms; /* until then warm_find finds none */
        char claim_failure[256];
};

void warm_init(struct warm *warm, struct pool *pool);
void warm_release(struct warm *warm);
/* Takes over targets that the options name (checked by options_check), and looks at once. */
void warm_configure(struct warm *warm);

/* Looks soon whether a warm carrel is missing. Cheap; call it when one was taken or a start has ended. */
void warm_kick(struct warm *warm);
/* One has ended, which is replaced a moment later: where each one ends, they must not be made without a pause. */
void warm_note_loss(struct warm *warm, const struct carrel *carrel);
/* A claim that took a carrel has ended; why NULL: well. After a failure none is tried for a second, later for longer:
 * where no directory can be attached, each ensure would otherwise destroy a carrel. */
void warm_note_claim(struct warm *warm, const struct fault *why);
/* The oldest carrel in WARM with this spec hash; NULL: no carrel has it, or none can be claimed now. */
struct carrel *warm_find(const struct warm *warm, const char *spec_hash);
/* Retires one warm carrel, if there are more carrels than max_carrels. */
void warm_make_room(struct warm *warm);
/* Retires one warm carrel, and makes none for some seconds: a user's start found no address, or another shortage. */
void warm_give_way(struct warm *warm);
/* Retires those of this image, as another one has its name now, and those that are being made once they have started.
 * reference: with its tag. */
void warm_image_changed(struct warm *warm, const char *reference);
/* Retires all in the same way: their resolv.conf has the former resolvers, which with `dns = auto` are not in the spec
 * hash. */
void warm_resolvers_changed(struct warm *warm);
/* How many are wanted and ready, and why some are missing or cannot be claimed. */
void warm_stats(const struct warm *warm, struct pool_warm_stats *ret_stats);
