#include "attach.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach-protocol.h"
#include "helper.h"
#include "list.h"
#include "scope.h"

#define CALL_DEADLINE_S 1.0

struct attach {
        struct helper *helper;
        struct list calls;
        uint32_t can; /* as the helper has reported; 0: it is down, or has not reported yet */
        char obstacle[256];
        bool is_fake;
        enum attach_fake fake;
};

struct attach_call {
        struct list node;
        struct attach *attach;
        struct helper_call *request;
        attach_done done;
        void *arg;
};

/* ---- the helper ---- */

static void set_obstacle(struct attach *attach, const char *text)
{
        (void)snprintf(attach->obstacle, sizeof attach->obstacle, "%.255s", text);
}

static void on_message(void *arg, const void *message)
{
        struct attach *attach = arg;
        const struct attach_answer *report = message;

        if (report->head.verb != ATTACH_REPORT)
                return;
        attach->can = report->can;
        set_obstacle(attach, report->message);
}

static void on_up(void *arg)
{
        set_obstacle(arg, "carrel-mountd has not reported yet");
}

static void on_down(void *arg)
{
        struct attach *attach = arg;

        attach->can = 0;
        set_obstacle(attach, "carrel-mountd has ended and is being restarted");
}

static int check_answer(const void *message, size_t length)
{
        return attach_check_answer(message, length);
}

static const struct helper_kind MOUNTD = {
        .name = "carrel-mountd",
        .magic = ATTACH_MAGIC,
        .version = ATTACH_VERSION,
        .restart_least_s = 0.1, /* until then every claim fails */
        .restart_most_s = 4.0,
        .check = check_answer,
};
static const struct helper_events EVENTS = { .on_up = on_up, .on_down = on_down, .on_message = on_message };

static struct attach *make(void)
{
        struct attach *attach = calloc(1, sizeof *attach);

        if (attach == NULL)
                return NULL;
        list_init(&attach->calls);
        on_up(attach);
        return attach;
}

int attach_new(struct attach **ret_attach, struct ev_loop *loop, const char *helper_path, struct fault *why)
{
        struct attach *attach = make();
        int r = attach == NULL ? -ENOMEM : helper_new(&attach->helper, loop, &MOUNTD, helper_path, &EVENTS, attach);

        if (r < 0) {
                (void)attach_free(attach);
                return fault_set(why, r == -ENOMEM ? FAULT_RESOURCE_EXHAUSTED : FAULT_INTERNAL, -r,
                                 "cannot start %s: %s", helper_path, strerror(-r));
        }
        *ret_attach = attach;
        return 0;
}

static void call_free(struct attach_call *call)
{
        list_remove(&call->node);
        free(call);
}

struct attach *attach_free(struct attach *attach)
{
        if (attach == NULL)
                return NULL;
        LIST_EACH (&attach->calls, node) {
                call_free(LIST_ENTRY(node, struct attach_call, node));
        }
        (void)helper_free(attach->helper);
        free(attach);
        return NULL;
}

bool attach_is_available(const struct attach *attach)
{
        return (attach->can & ATTACH_CAN_MOUNT) != 0;
}

bool attach_can_map(const struct attach *attach)
{
        return (attach->can & ATTACH_CAN_ALL) == ATTACH_CAN_ALL;
}

const char *attach_obstacle(const struct attach *attach)
{
        return attach->obstacle;
}

/* ---- one without a process ---- */

/* A reply without a byte is dropped (helper-local.c), so that the call ends by its deadline. */
static void answer_locally(void *arg, const void *request, struct helper_message *ret_reply, size_t *ret_length)
{
        const struct attach *attach = arg;
        struct attach_answer *answer = (void *)ret_reply;

        *answer = (struct attach_answer){ .head = *(const struct helper_head *)request };
        *ret_length = attach->fake == ATTACH_FAKE_HANGS ? 0 : sizeof *answer;
        if (attach->fake == ATTACH_FAKE_FAILS) {
                answer->kind = FAULT_INTERNAL;
                answer->err = EINVAL;
                (void)snprintf(answer->message, sizeof answer->message, "the directory cannot be attached (fake)");
        } else if (attach->fake == ATTACH_FAKE_IS_DOWN) {
                answer->kind = FAULT_RESOURCE_EXHAUSTED;
                answer->err = ENOTCONN;
                (void)snprintf(answer->message, sizeof answer->message, "carrel-mountd is being restarted (fake)");
        }
}

void attach_fake_set(struct attach *attach, enum attach_fake behaviour)
{
        attach->fake = behaviour;
        attach->can = behaviour == ATTACH_FAKE_IS_DOWN ? 0 : ATTACH_CAN_ALL;
        set_obstacle(attach, behaviour == ATTACH_FAKE_IS_DOWN ? "carrel-mountd is being restarted (fake)" : "");
}

int attach_new_fake(struct attach **ret_attach, struct ev_loop *loop)
{
        struct attach *attach = make();
        int r = attach == NULL ? -ENOMEM
                               : helper_new_local(&attach->helper, loop, &MOUNTD, answer_locally, &EVENTS, attach);

        if (r < 0) {
                (void)attach_free(attach);
                return r;
        }
        attach->is_fake = true;
        attach_fake_set(attach, ATTACH_FAKE_WORKS);
        *ret_attach = attach;
        return 0;
}

/* ---- calls ---- */

/* A helper that does not answer is stuck in a call of the kernel, so all other calls would wait, too. */
static void explain_silence(struct attach *attach, int err, struct fault *why)
{
        if (err == ETIMEDOUT) {
                (void)fault_set(why, FAULT_DEADLINE, err, "carrel-mountd did not answer in %.0f s", CALL_DEADLINE_S);
                helper_restart(attach->helper);
        } else {
                (void)fault_set(why, FAULT_RESOURCE_EXHAUSTED, err,
                                "carrel-mountd takes no requests: it is being restarted");
        }
}

/* done comes last: it may free everything. */
static void on_answer(void *arg, const void *message, int err)
{
        struct attach_call *call = arg;
        attach_done done = call->done;
        void *done_arg = call->arg;
        const struct attach_answer *answer = message;
        struct fault why = { 0 };

        if (answer == NULL)
                explain_silence(call->attach, err, &why);
        else if (answer->kind != FAULT_NONE)
                (void)fault_set(&why, (enum fault_kind)answer->kind, (int)answer->err, "%s", answer->message);
        call_free(call);
        done(done_arg, why.kind != FAULT_NONE ? &why : NULL);
}

int attach_start(struct attach *attach, const struct attach_request *request, attach_done done, void *arg,
                 struct attach_call **ret_call)
{
        const int fds[ATTACH_FDS] = { [ATTACH_PIDFD] = request->pidfd, [ATTACH_DIRECTORY] = request->directory_fd };
        struct attach_order order = {
                .head.verb = ATTACH_MOUNT,
                .ids = { request->owner_uid, request->owner_gid, request->uid, request->gid },
                .is_detached = request->is_detached,
        };
        AUTO(auto_free) struct attach_call *call = NULL;
        int r;

        if (!attach->is_fake && (request->pidfd < 0 || request->directory_fd < 0 || !attach_ids_are_valid(&order.ids)))
                return -EINVAL;
        call = calloc(1, sizeof *call);
        if (call == NULL)
                return -ENOMEM;
        *call = (struct attach_call){ .attach = attach, .done = done, .arg = arg };
        r = helper_call_fds(attach->helper, &order.head, sizeof order, fds, ATTACH_FDS, CALL_DEADLINE_S, on_answer,
                            call, &call->request);
        if (r < 0)
                return r;
        list_append(&attach->calls, &call->node);
        if (ret_call != NULL)
                *ret_call = call;
        (void)TAKE(call);
        return 0;
}

struct attach_call *attach_cancel(struct attach_call *call)
{
        if (call == NULL)
                return NULL;
        (void)helper_cancel(call->request);
        call_free(call);
        return NULL;
}
