/* A double of the engine for exec. By itself it only answers exec_inspect, at the next turn of the loop; every other
 * event of an exec comes when the test calls it. */
#pragma once

#include <ev.h>

#include "engine.h"

enum { DOUBLE_EXECS = 8 };

enum inspect_mood { INSPECT_ANSWERS, INSPECT_HANGS, INSPECT_FAILS, INSPECT_FORGETS };

struct double_call {
        struct engine_call base;
        struct double_engine *engine;
        engine_done done; /* NULL: no call is open */
        void *arg;
        struct exec_events events;
        ev_timer turn;
        int index;
        bool is_paused;
};

struct double_engine {
        struct engine base;
        struct ev_loop *loop;
        struct double_call execs[DOUBLE_EXECS], inspects[DOUBLE_EXECS];
        struct exec_status status[DOUBLE_EXECS]; /* what exec_inspect answers of exec i */
        enum inspect_mood mood;
        unsigned n_execs, n_inspects;
        int refusal;           /* what exec returns, 0: 0 */
        char working_dir[128]; /* of the last exec */
        char environment[256]; /* of the last exec: each variable, and a blank */
};

void double_init(struct double_engine *engine, struct ev_loop *loop);

/* The i-th exec's engine id: "engine-exec-<i>". Valid until the next call. */
const char *double_id(int index, char text[static 32]);
void double_started(struct double_engine *engine, int index);
void double_output(struct double_engine *engine, int index, int stream, const char *text);
/* Its output ends; is_running: it closed it early. */
void double_ended(struct double_engine *engine, int index, bool is_running, int exit_code);
void double_failed(struct double_engine *engine, int index, enum fault_kind kind);
bool double_is_open(const struct double_engine *engine, int index);
