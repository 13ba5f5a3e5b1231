/* carrel-netd: the helper process that holds the network privileges. `carrel-netd FD` serves the socketpair FD until
 * its other end closes. The rules stay in the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "enforcer.h"
#include "iptc.h"
#include "privileges.h"
#include "protocol.h"
#include "scope.h"
#include "target.h"
#include "veth.h"

enum { BEFORE_POLICY_MS = 1000 };

struct netd {
        int fd;
        int inotify_fd; /* watches the lock that iptables holds while it changes rules; -1: no watch */
        struct enforcer *enforcer;
        int64_t interval_ms;
        int64_t next_check_ms;
        struct link_slots slots;
};

static struct protocol_reply make_reply(const struct netd *netd, enum protocol_verb verb, uint64_t number)
{
        const struct enforcer_state *state = enforcer_state(netd->enforcer);
        struct protocol_reply reply = {
                .head = { PROTOCOL_MAGIC, PROTOCOL_VERSION, (uint16_t)verb, number },
                .state = {
                        .checked_ms = state->checked_ms,
                        .heals = state->heals,
                        .dropped_packets = state->dropped_packets,
                        .refused_packets = state->refused_packets,
                        .flows = state->flows,
                        .table_size = state->table_size,
                        .flows_max = state->flows_max,
                        .is_in_force = state->is_in_force,
                },
        };

        (void)snprintf(reply.state.detail, sizeof reply.state.detail, "%s", state->detail);
        return reply;
}

/* If the client does not read, the message is lost: its calls have deadlines, and the rules must still be checked. */
static int send_reply(const struct netd *netd, const struct protocol_reply *reply)
{
        int r = helper_send(netd->fd, reply, sizeof *reply);

        return r == -EAGAIN ? 0 : r;
}

static int answer(const struct netd *netd, const struct protocol_request *request, const struct link_place *place,
                  int result, const struct fault *why)
{
        struct protocol_reply reply = make_reply(netd, request->head.verb, request->head.number);

        if (result < 0) {
                reply.kind = why->kind;
                reply.err = (uint32_t)why->err;
                (void)snprintf(reply.message, sizeof reply.message, "%s", why->message);
        } else if (request->head.verb == PROTOCOL_PLUG) {
                (void)snprintf(reply.interface, sizeof reply.interface, "%s", place->interface);
                (void)snprintf(reply.address, sizeof reply.address, "%s", place->address);
        }
        return send_reply(netd, &reply);
}

/* The interval begins after the check, so a check that waited for a lock leaves time for requests. */
static int check(struct netd *netd, struct fault *why)
{
        int r = enforcer_check(netd->enforcer, why);

        netd->next_check_ms = clock_boottime_ms() + netd->interval_ms;
        return r;
}

/* Nothing is connected unless the rules are in force. */
static int plug(struct netd *netd, const struct protocol_plug *wanted, struct link_place *ret_place, struct fault *why)
{
        AUTO(auto_close) int netns_fd = -1;
        int r = check(netd, why);

        if (r == 0)
                r = target_open(wanted->pid, wanted->container_id, &netns_fd, why);
        if (r == 0)
                r = link_plug(netns_fd, wanted->is_closed != 0, enforcer_policy(netd->enforcer), &netd->slots,
                              ret_place, why);
        return r;
}

/* A user waits for it, so the last check must do: run() serves no request while one is due. */
static int open_link(const struct netd *netd, const struct protocol_open *wanted, struct fault *why)
{
        const struct enforcer_state *state = enforcer_state(netd->enforcer);

        if (!state->is_in_force)
                return fault_set(why, FAULT_POLICY_NOT_IN_FORCE, EAGAIN, "the egress policy is not in force: %s",
                                 state->detail);
        return link_open(wanted->pid, wanted->interface, enforcer_policy(netd->enforcer), why);
}

static int apply(struct netd *netd, const struct protocol_apply *wanted, struct fault *why)
{
        int r = enforcer_apply(netd->enforcer, &wanted->policy, wanted->was_in_force != 0, why);

        netd->interval_ms = wanted->check_interval_ms;
        netd->next_check_ms = clock_boottime_ms() + netd->interval_ms;
        return r;
}

static int serve(struct netd *netd, const struct protocol_request *request, size_t length)
{
        struct link_place place = { 0 };
        struct fault why = { 0 };
        int r = protocol_check_request(request, length, &why);

        if (r < 0)
                return r; /* carreld never sends this */
        switch (request->head.verb) {
        case PROTOCOL_APPLY:
                r = apply(netd, &request->apply, &why);
                break;
        case PROTOCOL_CONFIRM:
                r = check(netd, &why);
                break;
        case PROTOCOL_OPEN:
                r = open_link(netd, &request->open, &why);
                break;
        default:
                r = plug(netd, &request->plug, &place, &why);
                break;
        }
        return answer(netd, request, &place, r, &why);
}

/* Returns 1 when the other end has closed. */
static int receive(struct netd *netd)
{
        struct helper_message message;
        size_t length = 0;
        int r = helper_receive(netd->fd, &message, &length);

        if (r == 0)
                return 1;
        if (r < 0)
                return r == -EAGAIN ? 0 : r;
        return serve(netd, (const void *)&message, length);
}

/* iptables(8) and similar programs open the lock for reading, we open it for writing, so our own close raises no event.
 * A replaced file gets a new watch; a watched one is unchanged. Without the watch the next periodic check finds
 * changes. */
static void watch_lock(const struct netd *netd)
{
        const uint32_t mask = IN_CLOSE_NOWRITE | IN_DONT_FOLLOW;
        int fd;

        if (netd->inotify_fd < 0 || inotify_add_watch(netd->inotify_fd, IPTC_LOCK_PATH, mask) >= 0 || errno != ENOENT)
                return;
        fd = open(IPTC_LOCK_PATH, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return;
        close(fd);
        (void)inotify_add_watch(netd->inotify_fd, IPTC_LOCK_PATH, mask);
}

/* One check covers all waiting events. */
static void drain_events(const struct netd *netd)
{
        char events[4096];

        while (read(netd->inotify_fd, events, sizeof events) > 0)
                ;
}

/* The heartbeat: compares with the kernel and reports. */
static int beat(struct netd *netd)
{
        struct protocol_reply report;

        watch_lock(netd);
        (void)check(netd, NULL); /* the report says what is wrong */
        report = make_reply(netd, PROTOCOL_REPORT, 0);
        return send_reply(netd, &report);
}

static int run(struct netd *netd)
{
        int r = 0;

        while (r == 0) {
                struct pollfd watched[] = { { .fd = netd->fd, .events = POLLIN },
                                            { .fd = netd->inotify_fd, .events = POLLIN } };
                int64_t wait_ms = netd->next_check_ms - clock_boottime_ms();
                bool is_touched = false;

                (void)poll(watched, 2, wait_ms > 0 ? (int)wait_ms : 0);
                if ((watched[1].revents & POLLIN) != 0) {
                        drain_events(netd);
                        is_touched = true;
                }
                if (is_touched || clock_boottime_ms() >= netd->next_check_ms)
                        r = beat(netd);
                if (r == 0 && watched[0].revents != 0)
                        r = receive(netd);
        }
        return r;
}

/* carreld stops us by closing the socket. A signal to the whole process group must not stop us earlier. */
static void ignore_signals(void)
{
        static const int IGNORED[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM };

        for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++)
                (void)signal(IGNORED[i], SIG_IGN);
}

int main(int argc, char **argv)
{
        struct netd netd = { .interval_ms = BEFORE_POLICY_MS };
        struct fault why = { 0 };
        int r;

        if (helper_find_socket(argc, argv, &netd.fd) < 0) {
                (void)fprintf(stderr, "carrel-netd: only carreld starts this program, with the number of its socket\n");
                return 2;
        }
        ignore_signals();
        if (privileges_drop(&why) < 0) {
                (void)fprintf(stderr, "carrel-netd: %s\n", why.message);
                return 1;
        }
        if (enforcer_new(&netd.enforcer) < 0)
                return 1;
        /* Begin at a random slot: addresses that the last helper gave out are not given again soon. */
        if (getrandom(&netd.slots.last, sizeof netd.slots.last, 0) != (ssize_t)sizeof netd.slots.last)
                return 1;
        netd.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        watch_lock(&netd);
        r = run(&netd);
        netd.enforcer = enforcer_free(netd.enforcer);
        link_slots_release(&netd.slots);
        return r < 0 ? 1 : 0;
}
