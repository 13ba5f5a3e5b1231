#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "helper-link.h"
#include "list.h"

struct local {
        struct helper_link base;
        struct ev_loop *loop;
        helper_answer answer;
        void *arg;
        struct list replies;
        ev_timer deliver; /* active while replies wait */
};

struct reply {
        struct list node;
        size_t length;
        struct helper_message message;
};

static struct local *local_of(struct helper_link *link)
{
        return (struct local *)(void *)link;
}

static int local_send(struct helper_link *link, const struct helper_head *request, size_t length, const int *fds,
                      size_t n_fds)
{
        struct local *local = local_of(link);
        struct reply *reply = calloc(1, sizeof *reply);

        (void)length;
        (void)fds;
        (void)n_fds;
        if (reply == NULL)
                return -ENOMEM;
        local->answer(local->arg, request, &reply->message, &reply->length);
        list_append(&local->replies, &reply->node);
        if (!ev_is_active(&local->deliver)) {
                ev_timer_set(&local->deliver, 0., 0.);
                ev_timer_start(local->loop, &local->deliver);
        }
        return 0;
}

/* One reply a turn: after it the link may be gone. */
static void on_deliver(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct local *local = watcher->data;
        struct reply *reply = LIST_ENTRY(list_pop(&local->replies), struct reply, node);
        struct helper_fds none = { .n = 0 };

        (void)events;
        if (!list_is_empty(&local->replies))
                ev_timer_start(loop, &local->deliver);
        if (helper_on_message(local->base.helper, &reply->message, reply->length, &none) < 0) {
                /* The answer is our own code's; the call ends by its deadline. */
        }
        free(reply);
}

static void local_restart(struct helper_link *link)
{
        (void)link;
}

static struct helper_link *local_free(struct helper_link *link)
{
        struct local *local = local_of(link);

        if (local == NULL)
                return NULL;
        ev_timer_stop(local->loop, &local->deliver);
        LIST_EACH (&local->replies, node) {
                free(LIST_ENTRY(node, struct reply, node));
        }
        free(local);
        return NULL;
}

static const struct helper_link_ops OPS = { .send = local_send, .restart = local_restart, .free = local_free };

int helper_local_new(struct helper_link **ret_link, struct helper *helper, struct ev_loop *loop, helper_answer answer,
                     void *arg)
{
        struct local *local = calloc(1, sizeof *local);

        if (local == NULL)
                return -ENOMEM;
        *local = (struct local){ .base = { &OPS, helper }, .loop = loop, .answer = answer, .arg = arg };
        list_init(&local->replies);
        ev_timer_init(&local->deliver, on_deliver, 0., 0.);
        local->deliver.data = local;
        *ret_link = &local->base;
        return 0;
}
