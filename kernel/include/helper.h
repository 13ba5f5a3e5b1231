/* A helper: a program of ours that runs as a child process for as long as we do, and does what the event loop must not
 * do, because it needs privileges or blocks. Requests are typed messages (helper-frame.h); each call has a deadline and
 * can be cancelled. A helper that dies, is silent for too long or sends a malformed message is killed and started
 * again, with a growing delay while it does not get as far as a first good message. */
#pragma once

#include "helper-frame.h"

struct ev_loop;
struct helper;
struct helper_call;

/* The differences between helpers; lives as long as its helpers. */
struct helper_kind {
        const char *name; /* argv[0] of the process */
        uint32_t magic;
        uint16_t version;
        double restart_least_s; /* from its end to the next start; doubled after each run without a good message, */
        double restart_most_s;  /* up to this */
        double silence_most_s;  /* without a message for so long it is killed; 0: it sends nothing unasked */
        /* Checks every field of a message from the process, its head included. 0 or a negative errno. */
        int (*check)(const void *message, size_t length);
        bool sends_fds; /* its messages may come with descriptors */
};

/* Called from the loop. None of the three may free the helper. */
struct helper_events {
        void (*on_up)(void *arg); /* it was started again: it knows nothing, and takes requests */
        void (*on_down)(void *arg);
        void (*on_message)(void *arg, const void *message); /* each good one, before the call that it answers ends */
};

/* Starts path (absolute; copied), with the number of its socket as its argument, an empty environment, and no
 * descriptors but 0 (/dev/null), 1, 2 and that socket. No on_up for this first start. 0, or a negative errno: it cannot
 * be executed. */
__attribute__((warn_unused_result)) int helper_new(struct helper **ret_helper, struct ev_loop *loop,
                                                   const struct helper_kind *kind, const char *path,
                                                   const struct helper_events *events, void *arg);

/* A helper without a process: answer writes the reply to a request, which arrives at one of the loop's next turns. For
 * tests, and for where there is nothing to do with privileges. 0 or -ENOMEM. */
typedef void (*helper_answer)(void *arg, const void *request, struct helper_message *ret_reply, size_t *ret_length);
__attribute__((warn_unused_result)) int helper_new_local(struct helper **ret_helper, struct ev_loop *loop,
                                                         const struct helper_kind *kind, helper_answer answer,
                                                         const struct helper_events *events, void *arg);

/* Closes the socket, which asks the process to end, and waits for it; kills it after half a second. Calls in flight are
 * dropped: their done never runs. May be called from inside done. NULL is fine; returns NULL. */
struct helper *helper_free(struct helper *helper);

/* reply is valid during the call. NULL: err is ENOTCONN (the process ended, or took no requests) or ETIMEDOUT. */
typedef void (*helper_done)(void *arg, const void *reply, int err);

/* Sends a request, whose verb the caller has set; the rest of the head is written here. done runs once, from the loop,
 * with the reply that has the request's number and verb. 0 or -ENOMEM. */
int helper_call(struct helper *helper, struct helper_head *request, size_t length, double deadline_s, helper_done done,
                void *arg, struct helper_call **ret_call);
/* The same with descriptors (SCM_RIGHTS), which stay the caller's, who may close them at once. A local helper gets
 * none. -EINVAL: more than HELPER_FDS_MAX. */
int helper_call_fds(struct helper *helper, struct helper_head *request, size_t length, const int *fds, size_t n_fds,
                    double deadline_s, helper_done done, void *arg, struct helper_call **ret_call);
/* During on_message and done: takes the next descriptor that came with the message. The caller owns it; -1: no
 * more came. Those that nobody takes are closed, at the latest with the next message. */
int helper_take_fd(struct helper *helper);
/* After this done never runs. NULL is fine; returns NULL. */
struct helper_call *helper_cancel(struct helper_call *call);

/* Sends a request with number 0 that nobody waits for: its reply is only an on_message. 0 or a negative errno. */
int helper_post(struct helper *helper, struct helper_head *request, size_t length);

/* Kills the process, which is then started again. */
void helper_restart(struct helper *helper);
