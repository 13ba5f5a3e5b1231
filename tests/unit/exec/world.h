/* The execs of one daemon with a double of the engine, and the answers to their user. */
#pragma once

#include "cell.h"
#include "double.h"
#include "exec-inside.h"

enum { WORLD_TEXT_BYTES = 256 };

struct world {
        struct ev_loop *loop;
        struct double_engine engine;
        struct execs *execs;
        struct exec *exec; /* the last that world_start began */
        ev_timer watchdog; /* a test that hangs fails */
        bool has_barked;
        unsigned n_starts, n_answers, n_left_behind;
        struct exec_result result; /* of the last answer; its texts are below */
        char output[WORLD_TEXT_BYTES], errors[WORLD_TEXT_BYTES];
        char streamed[WORLD_TEXT_BYTES]; /* all pieces, each with its stream's number before it */
        enum fault_kind fault;           /* FAULT_NONE: the last answer was a result */
        int refilled_fd;                 /* each output of a streaming exec brings a byte more to it; 0: none */
        unsigned n_readables;
        bool is_pulling; /* whatever is readable is taken at once, and shown in `streamed` */
        bool cancels_on_output, cancels_on_done, starts_on_done;
        bool is_taking;            /* the outputs out of the result, into: */
        struct exec_outputs taken; /* the test's to release */
};

#define WORLD_CONTAINER "feedfacefeedfacefeedface"

void world_open(struct world *world);
void world_close(struct world *world);
/* Fields of request that are zero get defaults: argv {"true"}, 64 bytes of output. cell may be NULL. */
int world_start(struct world *world, const struct cell *cell, const struct exec_request *request);
/* Adds to `streamed` what exec_read returns until it returns 0, in pieces of at most size bytes. */
void world_pull(struct world *world, size_t size);
void world_event(struct world *world, enum engine_event_kind kind, int index, int exit_code);
/* Runs the loop until this many answers have come. */
void world_await_answers(struct world *world, unsigned answers);
/* ... until no exec is left, silent ones included. */
void world_await_quiet(struct world *world);
