/* Between helper.c, which owns the calls and their deadlines, and what carries its messages: a process
 * (helper-process.c) or a function (helper-local.c). Private to this room. */
#pragma once

#include "helper.h"

struct helper_link;

struct helper_link_ops {
        /* Never waits, never calls back from inside. 0, or a negative errno: it was not sent. */
        int (*send)(struct helper_link *link, const struct helper_head *request, size_t length, const int *fds,
                    size_t n_fds);
        void (*restart)(struct helper_link *link);
        struct helper_link *(*free)(struct helper_link *link); /* accepts NULL, returns NULL */
};

/* The first member of every link. */
struct helper_link {
        const struct helper_link_ops *ops;
        struct helper *helper;
};

__attribute__((warn_unused_result)) int helper_process_new(struct helper_link **ret_link, struct helper *helper,
                                                           struct ev_loop *loop, const struct helper_kind *kind,
                                                           const char *path);
__attribute__((warn_unused_result)) int helper_local_new(struct helper_link **ret_link, struct helper *helper,
                                                         struct ev_loop *loop, helper_answer answer, void *arg);

/* Events of a link, from the loop. */
void helper_on_up(struct helper *helper);
void helper_on_down(struct helper *helper);
/* Owns the descriptors after 0. 0: taken, and the link may be gone: done may have freed everything. -EPROTO:
 * malformed, and nothing has happened. */
__attribute__((warn_unused_result)) int helper_on_message(struct helper *helper, const struct helper_message *message,
                                                          size_t length, struct helper_fds *fds);

/* The delay before the next start, after a run whose own start was delayed by last_s (0: the first). */
double helper_next_delay(const struct helper_kind *kind, double last_s, bool has_answered);
