/* Private to exec/agent: the streams of one exec. They are pipes that we make and whose other ends the agent passes on,
 * or frames over the channel where no descriptor can be passed. A descriptor from inside is never read. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "output-pace.h"
#include "str.h"

struct agent_channel;

struct agent_stream_sink {
        void (*on_bytes)(void *arg, int stream, const void *bytes, size_t length);
        void (*on_end)(void *arg); /* the last call; the exec may be over after it */
        /* A pipe can be read. true: agent_output_pull will read it, and the output is paused until then. */
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
        bool is_bounded; /* only `owed` bytes may be pulled */
        size_t owed;     /* bytes that were in the pipe at agent_output_owe and were not pulled yet */
        ev_io readable;
        ev_timer rest; /* active: `readable` is stopped until then */
        struct output_pace pace;
        bool is_emptied;             /* this wake has emptied the pipe */
        struct buffer held;          /* framed: came while paused, at most the window */
        uint32_t number, uncredited; /* framed: bytes that no CREDIT has confirmed yet */
        bool has_end;                /* framed: END has come */
};

void agent_output_init(struct agent_output *output, struct agent_channel *channel, int stream,
                       const struct agent_stream_sink *sink);
/* Makes the pipe. *ret_other is its writing end, for the caller to close. 0 or a negative errno. */
int agent_output_pipe(struct agent_output *output, int *ret_other);
/* The program has started: output is read from now on, so that the user gets none before the start. */
void agent_output_go(struct agent_output *output, uint32_t number);
/* Reads some of the bytes that are there now. The sink may close the output. Returns whether there may be more. */
bool agent_output_read(struct agent_output *output);
/* Reads at most size bytes from the pipe, paused or not. 0: nothing now, or the end (on_end has run). */
size_t agent_output_pull(struct agent_output *output, void *bytes, size_t size);
/* Notes how many bytes are in the pipe now. is_bounded: only these may be pulled, and then the output ends; a later
 * call does not change this. */
void agent_output_owe(struct agent_output *output, bool is_bounded);
void agent_output_pause(struct agent_output *output, bool is_paused);
bool agent_output_is_open(const struct agent_output *output);
/* Closes the output without on_end. */
void agent_output_close(struct agent_output *output);
/* The same, and returns the pipe for the caller to read or close. -1: no pipe. */
int agent_output_release(struct agent_output *output);
/* Whether there are bytes that were not read, and whether a process can still write. */
bool agent_output_has_more(const struct agent_output *output);
bool agent_output_is_held(const struct agent_output *output);
/* Framed: DATA and END. -EBADMSG: more than the window allows, or after END. */
int agent_output_take(struct agent_output *output, const void *bytes, size_t length);
int agent_output_end(struct agent_output *output);

/* stdin. */
struct agent_input {
        struct agent_channel *channel;
        void (*on_ready)(void *arg);
        void *arg;
        int fd;          /* -1: framed, or closed */
        bool is_closed;  /* nothing more is written */
        bool is_ending;  /* the end follows the held bytes */
        bool is_asked;   /* the user waits for on_ready */
        bool is_started; /* START was sent */
        ev_io writable;
        struct buffer held;
        uint32_t number, credit; /* framed */
};

void agent_input_init(struct agent_input *input, struct agent_channel *channel, void (*on_ready)(void *arg), void *arg);
/* Copies the bytes that are there from the start, of any length. is_all: the end follows them. 0 or -ENOMEM. */
int agent_input_begin(struct agent_input *input, const void *bytes, size_t length, bool is_all);
/* Makes the pipe. *ret_other is its reading end, for the caller to close. 0 or a negative errno. */
int agent_input_pipe(struct agent_input *input, int *ret_other);
void agent_input_go(struct agent_input *input, uint32_t number);
/* Contract of exec_write. */
ssize_t agent_input_write(struct agent_input *input, const void *bytes, size_t length);
void agent_input_finish(struct agent_input *input);
void agent_input_close(struct agent_input *input);
/* Framed: CREDIT. -EBADMSG: more than was sent. */
int agent_input_credit(struct agent_input *input, uint32_t bytes);
