#include "helper.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "helper-link.h"
#include "list.h"
#include "scope.h"

struct helper {
        struct ev_loop *loop;
        const struct helper_kind *kind;
        const struct helper_events *events;
        void *arg;
        struct helper_link *link;
        struct list calls;
        uint64_t last_number;
        struct helper_fds fds; /* of the last message */
};

struct helper_call {
        struct list node;
        struct helper *helper;
        uint64_t number;
        uint16_t verb;
        bool is_refused; /* the process is gone: ends at the loop's next turn */
        helper_done done;
        void *arg;
        ev_timer deadline;
};

static void call_free(struct helper_call *call)
{
        list_remove(&call->node);
        ev_timer_stop(call->helper->loop, &call->deadline);
        free(call);
}

/* The last thing a handler does: done may free everything. */
static void call_end(struct helper_call *call, const void *reply, int err)
{
        helper_done done = call->done;
        void *arg = call->arg;

        call_free(call);
        done(arg, reply, err);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
        struct helper_call *call = watcher->data;

        (void)loop;
        (void)events;
        call_end(call, NULL, call->is_refused ? ENOTCONN : ETIMEDOUT);
}

static void call_arm(struct helper_call *call, double after_s)
{
        ev_timer_stop(call->helper->loop, &call->deadline);
        ev_timer_set(&call->deadline, after_s, 0.);
        ev_timer_start(call->helper->loop, &call->deadline);
}

static void call_refuse(struct helper_call *call)
{
        call->is_refused = true;
        call_arm(call, 0.);
}

static int send_numbered(struct helper *helper, struct helper_head *request, size_t length, const int *fds,
                         size_t n_fds, uint64_t number)
{
        *request = (struct helper_head){ helper->kind->magic, helper->kind->version, request->verb, number };
        return helper->link->ops->send(helper->link, request, length, fds, n_fds);
}

int helper_call_fds(struct helper *helper, struct helper_head *request, size_t length, const int *fds, size_t n_fds,
                    double deadline_s, helper_done done, void *arg, struct helper_call **ret_call)
{
        struct helper_call *call;

        if (n_fds > HELPER_FDS_MAX)
                return -EINVAL;
        call = calloc(1, sizeof *call);
        if (call == NULL)
                return -ENOMEM;
        *call = (struct helper_call){
                .helper = helper, .number = ++helper->last_number, .verb = request->verb, .done = done, .arg = arg
        };
        list_append(&helper->calls, &call->node);
        ev_timer_init(&call->deadline, on_deadline, deadline_s, 0.);
        call->deadline.data = call;
        call_arm(call, deadline_s);
        if (send_numbered(helper, request, length, fds, n_fds, call->number) < 0)
                call_refuse(call);
        if (ret_call != NULL)
                *ret_call = call;
        return 0;
}

int helper_call(struct helper *helper, struct helper_head *request, size_t length, double deadline_s, helper_done done,
                void *arg, struct helper_call **ret_call)
{
        return helper_call_fds(helper, request, length, NULL, 0, deadline_s, done, arg, ret_call);
}

struct helper_call *helper_cancel(struct helper_call *call)
{
        if (call != NULL)
                call_free(call);
        return NULL;
}

int helper_post(struct helper *helper, struct helper_head *request, size_t length)
{
        return send_numbered(helper, request, length, NULL, 0, 0);
}

void helper_restart(struct helper *helper)
{
        helper->link->ops->restart(helper->link);
}

static struct helper_call *find_call(const struct helper *helper, const struct helper_head *reply)
{
        LIST_EACH (&helper->calls, node) {
                struct helper_call *call = LIST_ENTRY(node, struct helper_call, node);

                if (call->number == reply->number && call->verb == reply->verb && !call->is_refused)
                        return call;
        }
        return NULL;
}

int helper_take_fd(struct helper *helper)
{
        for (size_t i = 0; i < helper->fds.n; i++)
                if (helper->fds.fds[i] >= 0)
                        return TAKE_FD(helper->fds.fds[i]);
        return -1;
}

int helper_on_message(struct helper *helper, const struct helper_message *message, size_t length,
                      struct helper_fds *fds)
{
        struct helper_call *call;

        if (helper->kind->check(message, length) < 0)
                return -EPROTO;
        helper_fds_close(&helper->fds);
        helper->fds = *fds;
        fds->n = 0;
        helper->events->on_message(helper->arg, message);
        call = find_call(helper, &message->head);
        if (call != NULL)
                call_end(call, message, 0);
        else
                helper_fds_close(&helper->fds);
        return 0;
}

void helper_on_up(struct helper *helper)
{
        helper->events->on_up(helper->arg);
}

void helper_on_down(struct helper *helper)
{
        LIST_EACH (&helper->calls, node) {
                call_refuse(LIST_ENTRY(node, struct helper_call, node));
        }
        helper->events->on_down(helper->arg);
}

static struct helper *make(struct ev_loop *loop, const struct helper_kind *kind, const struct helper_events *events,
                           void *arg)
{
        struct helper *helper = calloc(1, sizeof *helper);

        if (helper == NULL)
                return NULL;
        *helper = (struct helper){ .loop = loop, .kind = kind, .events = events, .arg = arg };
        list_init(&helper->calls);
        return helper;
}

int helper_new(struct helper **ret_helper, struct ev_loop *loop, const struct helper_kind *kind, const char *path,
               const struct helper_events *events, void *arg)
{
        struct helper *helper = make(loop, kind, events, arg);
        int r;

        if (helper == NULL)
                return -ENOMEM;
        r = helper_process_new(&helper->link, helper, loop, kind, path);
        if (r < 0) {
                free(helper);
                return r;
        }
        *ret_helper = helper;
        return 0;
}

int helper_new_local(struct helper **ret_helper, struct ev_loop *loop, const struct helper_kind *kind,
                     helper_answer answer, const struct helper_events *events, void *arg)
{
        struct helper *helper = make(loop, kind, events, arg);
        int r;

        if (helper == NULL)
                return -ENOMEM;
        r = helper_local_new(&helper->link, helper, loop, answer, arg);
        if (r < 0) {
                free(helper);
                return r;
        }
        *ret_helper = helper;
        return 0;
}

struct helper *helper_free(struct helper *helper)
{
        if (helper == NULL)
                return NULL;
        LIST_EACH (&helper->calls, node) {
                call_free(LIST_ENTRY(node, struct helper_call, node));
        }
        (void)helper->link->ops->free(helper->link);
        helper_fds_close(&helper->fds);
        free(helper);
        return NULL;
}
