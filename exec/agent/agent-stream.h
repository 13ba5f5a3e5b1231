/* Inside the exec room only: the streams of one exec, as pipes of our own making whose other ends the agent passes on,
 * or as frames over the channel where no descriptor can be passed. Nothing here ever reads a descriptor that came from
 * inside. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "str.h"

struct agent_channel;

struct agent_stream_sink {
        void (*on_bytes)(void *arg, int stream, const void *bytes, size_t length);
        void (*on_end)(void *arg); /* last; the exec may be over behind it */
        /* A pipe has something. true: it will be asked for by agent_output_pull, and the output is paused until then.
         */
        bool (*on_readable)(void *arg);
        void *arg;
};

/* stdout or stderr. */
struct agent_output {
        struct agent_channel *channel;
        struct agent_stream_sink sink;
        int stream; /* 1, 2 */
        int fd;     /* -1: framed, or ended */
        bool is_open;
        bool is_paused;
        bool is_large;   /* the pipe was made larger */
        bool is_bounded; /* nothing is pulled beyond what is owed */
        size_t owed;     /* was in the pipe when agent_output_owe was called, and has not been pulled yet */
        ev_io readable;
        struct buffer held;      /* framed: came while paused, at most the window */
        uint32_t number, untold; /* framed: bytes that no CREDIT has told */
        bool has_end;            /* framed: END has come */
};

void agent_output_init(struct agent_output *output, struct agent_channel *channel, int stream,
                       const struct agent_stream_sink *sink);
/* *ret_other is the writing end. 0 or a negative errno. */
int agent_output_pipe(struct agent_output *output, int *ret_other);
/* The program has started: bytes are taken from now on, so that no user hears of output before the start. */
void agent_output_go(struct agent_output *output, uint32_t number);
/* Takes some of what is there now. The sink may close it. Returns whether there may be more. */
bool agent_output_read(struct agent_output *output);
/* Takes at most size bytes from the pipe, paused or not. 0: nothing now, or this was the end (on_end has run). */
size_t agent_output_pull(struct agent_output *output, void *bytes, size_t size);
/* Notes what is in the pipe now. is_bounded: that is all that may be pulled, and then the output ends; the first bound
 * stands. */
void agent_output_owe(struct agent_output *output, bool is_bounded);
void agent_output_pause(struct agent_output *output, bool is_paused);
bool agent_output_is_open(const struct agent_output *output);
/* No more is taken, and nobody is told. */
void agent_output_close(struct agent_output *output);
/* The same, and the pipe is the caller's to read or close. -1: there is none. */
int agent_output_release(struct agent_output *output);
/* Whether there is something that has not been taken, and whether somebody could still write. */
bool agent_output_has_more(const struct agent_output *output);
bool agent_output_is_held(const struct agent_output *output);
/* Framed: DATA and END. -EBADMSG: more than it was allowed, or behind its end. */
int agent_output_take(struct agent_output *output, const void *bytes, size_t length);
int agent_output_end(struct agent_output *output);

/* stdin. */
struct agent_input {
        struct agent_channel *channel;
        void (*on_ready)(void *arg);
        void *arg;
        int fd;         /* -1: framed, or closed */
        bool is_closed; /* nothing more is written */
        bool is_ending; /* the end follows what is held */
        bool is_asked;  /* somebody waits for on_ready */
        bool has_gone;
        ev_io writable;
        struct buffer held;
        uint32_t number, credit; /* framed */
};

void agent_input_init(struct agent_input *input, struct agent_channel *channel, void (*on_ready)(void *arg), void *arg);
/* What is there from the start, copied, whatever its length. 0 or -ENOMEM. */
int agent_input_begin(struct agent_input *input, const void *bytes, size_t length, bool is_all);
/* *ret_other is the reading end. */
int agent_input_pipe(struct agent_input *input, int *ret_other);
void agent_input_go(struct agent_input *input, uint32_t number);
/* Contract of exec_write. */
ssize_t agent_input_write(struct agent_input *input, const void *bytes, size_t length);
void agent_input_finish(struct agent_input *input);
void agent_input_close(struct agent_input *input);
/* Framed. -EBADMSG: more than was sent. */
int agent_input_credit(struct agent_input *input, uint32_t bytes);
