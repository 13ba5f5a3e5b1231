/* A double of the pool, the reaper and the programs, with the same symbols: it answers as the test sets it, and keeps
 * the questions. One program and eight waiters at most. */
#pragma once

#include <stdbool.h>

#include "images.h"
#include "pool.h"
#include "reaper.h"
#include "storage.h"
#include "userfiles.h"

enum double_answer { ANSWER_AT_ONCE, ANSWER_LATER };

struct pool_wait {
        pool_on_ensured on_ensured;
        pool_on_done on_done;
        void *arg;
        char user[USER_ID_MAX + 1];
};

enum { DOUBLE_WAITS = 8 };

struct exec {
        struct exec_sink sink;
        void *arg;
        bool is_running;
        bool is_paused;
        size_t readable[2]; /* what exec_read has of stdout, stderr: so many of the letters a-z, round and round */
        size_t given[2];
        const struct exec_result *end; /* NULL, or on_done comes from inside of exec_read when nothing is left */
        char input[256];               /* what its stdin was given */
        size_t input_length, input_room;
        bool is_input_closed;
        uint16_t rows, cols;
        struct buffer kept[2]; /* what exec_result_take takes, of a result with taken_from */
        unsigned n_taken;
};

struct userfiles_wait {
        userfiles_on_erased on_erased; /* NULL: nobody waits */
        void *arg;
};

struct userfiles {
        struct pool *pool;
        struct userfiles_wait wait;
        char erased[USER_ID_MAX + 1];
        char copied[2 * USER_ID_MAX + 8];
};

/* One image work at a time; answered by the loop's own hand: at once where it begins. */
struct image_work {
        pool_on_images on_images;
        void *arg;
};

struct pool {
        struct image_work image_work;
        char image_reference[256], image_format[16];
        unsigned image_leaves;
        char image_bytes[64]; /* the beginning of what was loaded */
        enum double_answer answer;
        struct fault fault;      /* kind FAULT_NONE: succeed */
        struct fault exec_fault; /* of pool_exec itself */
        struct pool_stats stats;
        const char *const *users; /* NULL-terminated, in order: those who have a carrel */
        struct pool_wait waits[DOUBLE_WAITS];
        struct exec exec;
        /* what was asked */
        unsigned ensures, retires, freezes, thaws, touches, execs, exec_cancels;
        char user[USER_ID_MAX + 1];
        struct carrel_spec spec;
        enum on_conflict on_conflict;
        uint64_t lease_s;
        char program[64];
        bool is_streaming, is_pulled;
        char exec_id[EXEC_ID_BYTES]; /* "": none was chosen */
        char arguments[128];         /* each followed by a '|' */
        unsigned n_arguments;
        size_t input_room; /* of the next program's stdin; 0: all of it */
        char given[64];    /* of its stdin, with the request */
        bool is_tty;
        bool is_input_open;
        bool is_queueing;   /* programs wait for their turn, and are not launched */
        char announced[96]; /* the last: "<user> <detail>" */
        unsigned announcements;
        void (*on_event)(void *arg, const struct pool_event *event);
        void *listener;
};

struct reaper {
        reaper_on_swept on_swept;
        void *arg;
        int sweep_result;
        unsigned forgets, reaps;
        double idle_s;
};

struct execs {
        int signal_result;
        int signal;
        unsigned running;
        unsigned n_walked; /* of the one walk */
        char container[8]; /* of the last view */
};

/* The letter that exec_read gives as the n-th byte of a stream. */
char double_letter(size_t n);

bool double_has_image_work(void *pool);
/* The open image work ends: one image, or the fault. */
void double_answer_image(struct pool *pool, const struct fault *why);
unsigned double_waiting(const struct pool *pool);
/* Gives the answer that the pool is set to, to all who wait. */
void double_answer_all(struct pool *pool);
