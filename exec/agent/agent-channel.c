#include "agent-channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The socket holds less than this: net.core.rmem_max, at some 500 bytes of the kernel's for each packet. */
enum { LAST_ROUNDS = 64 };
static const double GONE_S = 1.0;
/* How often empty retired groups are looked for. */
static const double TIDY_S = 3.0;
enum { MESSAGES_AT_ONCE = 64, UNSENT_MOST_BYTES = 8 << 20 };

/* A packet that waits for room in the socket. */
struct unsent {
        struct list node;
        int fds[AGENT_FDS_MAX];
        size_t n_fds;
        size_t length;
        uint8_t bytes[];
};

/* ---- the end ---- */

static void release_unsent(struct unsent *unsent)
{
        list_remove(&unsent->node);
        for (size_t i = 0; i < unsent->n_fds; i++)
                close(unsent->fds[i]);
        free(unsent);
}

static void hang_up(struct agent_channel *channel)
{
        struct ev_loop *loop = channel->execs->loop;

        if (channel->fd < 0)
                return;
        ev_io_stop(loop, &channel->readable);
        ev_io_stop(loop, &channel->writable);
        close(channel->fd);
        channel->fd = -1;
        while (!list_is_empty(&channel->unsent))
                release_unsent(LIST_ENTRY(channel->unsent.next, struct unsent, node));
}

/* The connection has ended; its execs end with the timer. */
static void lose(struct agent_channel *channel)
{
        hang_up(channel);
        ev_timer_start(channel->execs->loop, &channel->gone);
}

/* ---- sending ---- */

static int send_now(const struct agent_channel *channel, const void *bytes, size_t length, const int *fds, size_t n_fds)
{
        char control[CMSG_SPACE(AGENT_FDS_MAX * sizeof(int))] __attribute__((aligned(sizeof(size_t)))) = { 0 };
        struct iovec piece = { (void *)bytes, length };
        struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
        ssize_t sent;

        if (n_fds > 0) {
                struct cmsghdr *head;

                message.msg_control = control;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                head = CMSG_FIRSTHDR(&message);
                head->cmsg_level = SOL_SOCKET;
                head->cmsg_type = SCM_RIGHTS;
                head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
        }
        do
                sent = sendmsg(channel->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : 0;
}

static int keep_unsent(struct agent_channel *channel, const int *fds, size_t n_fds)
{
        const struct agent_packet *packet = &channel->agents->out;
        struct unsent *unsent = malloc(sizeof *unsent + packet->length);

        if (unsent == NULL)
                return -ENOMEM;
        *unsent = (struct unsent){ .length = packet->length };
        memcpy(unsent->bytes, packet->bytes, packet->length);
        list_init(&unsent->node);
        for (; unsent->n_fds < n_fds; unsent->n_fds++) {
                unsent->fds[unsent->n_fds] = fcntl(fds[unsent->n_fds], F_DUPFD_CLOEXEC, 0);
                if (unsent->fds[unsent->n_fds] >= 0)
                        continue;
                release_unsent(unsent);
                return -ENOMEM;
        }
        channel->unsent_bytes += unsent->length;
        list_append(&channel->unsent, &unsent->node);
        ev_io_start(channel->execs->loop, &channel->writable);
        return 0;
}

static int send_or_keep(struct agent_channel *channel, const int *fds, size_t n_fds, size_t unsent_most)
{
        const struct agent_packet *packet = &channel->agents->out;
        int r = -EAGAIN;

        if (channel->fd < 0)
                return -EPIPE;
        if (list_is_empty(&channel->unsent))
                r = send_now(channel, packet->bytes, packet->length, fds, n_fds);
        if (r == -EAGAIN && channel->unsent_bytes > unsent_most)
                return -ENOBUFS;
        if (r == -EAGAIN || r == -ENOBUFS)
                r = keep_unsent(channel, fds, n_fds);
        return r == -ECONNRESET ? -EPIPE : r;
}

int agent_channel_send(struct agent_channel *channel, const int *fds, size_t n_fds)
{
        return send_or_keep(channel, fds, n_fds, UNSENT_MOST_BYTES);
}

/* The credit limits the DATA of the running execs; the rest of the queue is for orders, ENDs and CREDITs. */
int agent_channel_send_stream(struct agent_channel *channel)
{
        int r = send_or_keep(channel, NULL, 0, 2 * UNSENT_MOST_BYTES + channel->n_running * AGENT_WINDOW_BYTES);

        if (r == -ENOBUFS || r == -ENOMEM)
                lose(channel);
        return r;
}

int agent_channel_give(struct agent_channel *channel, uint32_t number, const int *fds, size_t n_fds)
{
        struct agent_packet *packet = &channel->agents->out;

        if (channel->version < AGENT_VERSION_KEEP || channel->is_framed)
                return -EOPNOTSUPP;
        if (channel->fd < 0)
                return -EPIPE;
        if (!list_is_empty(&channel->unsent))
                return -EAGAIN;
        agent_write_keep(packet, number, (unsigned)n_fds);
        return send_now(channel, packet->bytes, packet->length, fds, n_fds);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
        struct agent_channel *channel = io->data;

        (void)events;
        while (!list_is_empty(&channel->unsent)) {
                struct unsent *unsent = LIST_ENTRY(channel->unsent.next, struct unsent, node);
                int r = send_now(channel, unsent->bytes, unsent->length, unsent->fds, unsent->n_fds);

                if (r == -EAGAIN || r == -ENOBUFS)
                        return;
                /* Another error ends the connection; receiving finds that. */
                channel->unsent_bytes -= unsent->length;
                release_unsent(unsent);
        }
        ev_io_stop(loop, io);
}

/* ---- receiving ---- */

struct received {
        size_t length;
        size_t n_fds;
        bool is_cut;
        int sender; /* 0: not known */
};

static void close_uninvited(const struct cmsghdr *head, struct received *received)
{
        size_t n_fds = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (size_t i = 0; i < n_fds; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
                close(fd);
        }
        received->n_fds += n_fds;
}

/* 1: a packet; 0: none now; negative: the end. */
static int receive_packet(const struct agent_channel *channel, struct received *ret_received)
{
        struct agent_packet *packet = &channel->agents->in;
        /* Room for descriptors that an agent sends against the rules, so that they are found and closed. */
        char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(AGENT_FDS_MAX * sizeof(int))]
                __attribute__((aligned(sizeof(size_t))));
        struct iovec piece = { packet->bytes, sizeof packet->bytes };
        struct msghdr message = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        ssize_t length = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        /* The kernel reports this once, of an agent that ended with unread packets, and before its last messages. */
        if (length < 0 && errno == ECONNRESET)
                length = recvmsg(channel->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (length == 0)
                return -EPIPE;
        *ret_received = (struct received){ .length = (size_t)length,
                                           .is_cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 };
        for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
                struct ucred sender;

                if (head->cmsg_level != SOL_SOCKET)
                        continue;
                if (head->cmsg_type == SCM_RIGHTS)
                        close_uninvited(head, ret_received);
                if (head->cmsg_type != SCM_CREDENTIALS)
                        continue;
                memcpy(&sender, CMSG_DATA(head), sizeof sender);
                ret_received->sender = sender.pid;
        }
        return 1;
}

static int dispatch(struct agent_channel *channel, const struct received *received)
{
        const struct agent_packet *packet = &channel->agents->in;
        struct agent_header header;
        struct agent_session *session;

        if (agent_wire_check(AGENT_FROM_INSIDE, packet->bytes, received->length, received->n_fds, received->is_cut,
                             &header) < 0)
                return -EBADMSG;
        HASH_FIND(hh, channel->sessions, &header.number, sizeof header.number, session);
        if (session != NULL)
                return session->on_message(session, &header, packet->bytes, channel->is_framed ? 0 : received->sender);
        /* Messages for a finished exec: only those that may still be in flight. */
        if (header.number != 0 && header.number <= channel->last_number && header.kind != AGENT_STARTED)
                return 0;
        return -EBADMSG;
}

void agent_channel_receive(struct agent_channel *channel)
{
        for (int i = 0; i < MESSAGES_AT_ONCE && channel->fd >= 0; i++) {
                struct received received = { 0 };
                int got = receive_packet(channel, &received);

                if (got == 0)
                        return;
                if (got < 0) {
                        lose(channel);
                        return;
                }
                if (dispatch(channel, &received) < 0)
                        agent_channel_break(channel, LEFT_BROKE_PROTOCOL);
        }
}

/* An agent that closes the connection is usually dead, and its container with it. The engine reports that in a moment,
 * with the reason; this timer is for the other cases. */
static void on_gone(struct ev_loop *loop, ev_timer *timer, int events)
{
        (void)loop, (void)events;
        agent_channel_break(timer->data, LEFT_AGENT_LOST);
}

void agent_channel_last_words(struct agent_channel *channel)
{
        channel->is_broken = true;
        /* From now on the agent cannot send: a program that it starts now ends before its execve(2). */
        if (channel->fd >= 0)
                (void)shutdown(channel->fd, SHUT_RD);
        for (int i = 0; i < LAST_ROUNDS && channel->fd >= 0; i++)
                agent_channel_receive(channel);
        hang_up(channel);
        ev_timer_stop(channel->execs->loop, &channel->gone);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
        (void)loop, (void)events;
        agent_channel_receive(io->data);
}

/* ---- its life ---- */

void agent_channel_break(struct agent_channel *channel, enum exec_left_behind why)
{
        const struct execs *execs = channel->execs;
        char container_id[ENGINE_ID_BYTES];

        /* Called again while the last messages are handled: the rest is dropped. */
        if (channel->is_broken) {
                hang_up(channel);
                ev_timer_stop(channel->execs->loop, &channel->gone);
                return;
        }
        agent_channel_last_words(channel);
        memcpy(container_id, channel->container_id, sizeof container_id);
        if (execs->on_left_behind != NULL)
                execs->on_left_behind(execs->left_behind_arg, container_id, why);
}

/* ---- groups of finished execs ---- */

static void rest_reader(struct agent_channel *channel)
{
        if (channel->reader != NULL)
                cgroup_reader_rest(channel->reader);
}

/* An idle carrel keeps no spare groups and no open files that it does not need. */
static void on_tidy(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_channel *channel = timer->data;
        unsigned n_left = exec_cgroups_tidy(&channel->cgroups);

        (void)events;
        if (!channel->was_busy) {
                exec_cgroups_drop_spares(&channel->cgroups);
                rest_reader(channel);
        }
        if (!channel->was_busy && n_left == 0)
                ev_timer_stop(loop, timer);
        channel->was_busy = false;
}

void agent_channel_settle(struct agent_channel *channel)
{
        ev_idle_stop(channel->execs->loop, &channel->settle);
        while (channel->n_ended > 0) {
                struct exec_cgroup *cgroup = &channel->ended[--channel->n_ended];

                if (!exec_cgroup_spare(&channel->cgroups, cgroup))
                        (void)exec_cgroup_retire(&channel->cgroups, cgroup);
        }
}

static void on_settle(struct ev_loop *loop, ev_idle *idle, int events)
{
        (void)loop, (void)events;
        agent_channel_settle(idle->data);
}

void agent_channel_retire(struct agent_channel *channel, struct exec_cgroup *cgroup)
{
        channel->was_busy = true;
        ev_timer_start(channel->execs->loop, &channel->tidy);
        if (cgroup->name[0] == '\0')
                return;
        if (channel->n_ended == ENDED_GROUPS_MAX)
                agent_channel_settle(channel);
        channel->ended[channel->n_ended++] = *cgroup;
        *cgroup = EXEC_CGROUP_NONE_YET;
        ev_idle_start(channel->execs->loop, &channel->settle);
}

/* ---- its beginning and end ---- */

static void free_channel(struct deferred_free *deferred_free)
{
        struct agent_channel *channel = (struct agent_channel *)deferred_free;

        /* An exec that ended after agent_channel_close may have started them again. */
        ev_timer_stop(channel->execs->loop, &channel->tidy);
        ev_idle_stop(channel->execs->loop, &channel->settle);
        exec_cgroups_close(&channel->cgroups);
        rest_reader(channel);
        free(channel->reader);
        free(channel);
}

/* Called once, as the container's init stays in its cgroup. */
static void find_cgroup(struct agent_channel *channel, const char *container_id)
{
        struct cgroup cgroup;

        if (channel->init <= 0 || cgroup_find(&channel->execs->mounts, channel->init, container_id, &cgroup) != 0)
                return;
        channel->reader = malloc(sizeof *channel->reader);
        if (channel->reader != NULL)
                *channel->reader = (struct cgroup_reader){ .cgroup = cgroup, .oom_fd = -1, .pids_fd = -1 };
}

/* The agent's group, which the kernel noted when it connected. */
static gid_t gid_of(int fd)
{
        struct ucred peer = { .gid = (gid_t)-1 };
        socklen_t size = sizeof peer;

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.gid : (gid_t)-1;
}

int agent_channel_new(struct agent_channel **ret_channel, struct agents *agents, const char *container_id, int init,
                      int fd, unsigned version, bool is_framed)
{
        struct execs *execs = agents->execs;
        struct agent_channel *channel = calloc(1, sizeof *channel);
        int r = -ENOMEM;

        if (channel == NULL)
                return -ENOMEM;
        channel->deferred_free.free = free_channel;
        channel->execs = execs;
        channel->agents = agents;
        channel->init = init;
        channel->version = version;
        channel->gid = gid_of(fd);
        channel->is_framed = is_framed;
        channel->fd = fd;
        list_init(&channel->deferred_free.node);
        list_init(&channel->unsent);
        list_init(&channel->waiting);
        exec_cgroups_open(&channel->cgroups, &execs->mounts, is_framed ? 0 : init, container_id);
        find_cgroup(channel, container_id);
        if (str_copy(channel->container_id, sizeof channel->container_id, container_id) == 0)
                HASH_ADD_STR(agents->channels, container_id, channel);
        if (channel->hh.tbl == NULL) {
                free_channel(&channel->deferred_free);
                return r;
        }
        ev_timer_init(&channel->gone, on_gone, GONE_S, 0.0);
        ev_timer_init(&channel->tidy, on_tidy, TIDY_S, TIDY_S);
        ev_idle_init(&channel->settle, on_settle);
        channel->gone.data = channel->tidy.data = channel->settle.data = channel;
        ev_io_init(&channel->readable, on_readable, fd, EV_READ);
        ev_io_init(&channel->writable, on_writable, fd, EV_WRITE);
        channel->readable.data = channel->writable.data = channel;
        ev_io_start(execs->loop, &channel->readable);
        ev_timer_start(execs->loop, &channel->tidy); /* once at least, for the groups of an earlier carreld */
        *ret_channel = channel;
        return 0;
}

struct agent_channel *agent_channel_close(struct agent_channel *channel)
{
        struct agent_session *session, *next;

        if (channel == NULL)
                return NULL;
        hang_up(channel);
        ev_timer_stop(channel->execs->loop, &channel->gone);
        agent_channel_settle(channel);
        ev_timer_stop(channel->execs->loop, &channel->tidy);
        HASH_ITER(hh, channel->sessions, session, next)
        {
                agent_session_end(session);
        }
        HASH_DEL(channel->agents->channels, channel);
        agents_defer_free(channel->agents, &channel->deferred_free);
        return NULL;
}

/* ---- sessions ---- */

int agent_session_begin(struct agent_session *session, struct agent_channel *channel)
{
        if (channel->last_number == UINT32_MAX)
                return -ENOSPC;
        session->number = channel->last_number + 1;
        session->hh.tbl = NULL;
        HASH_ADD(hh, channel->sessions, number, sizeof session->number, session);
        if (session->hh.tbl == NULL)
                return -ENOMEM;
        session->channel = channel;
        channel->last_number++;
        return 0;
}

void agent_session_end(struct agent_session *session)
{
        struct agent_channel *channel = session->channel;

        if (channel == NULL)
                return;
        HASH_DEL(channel->sessions, session);
        session->channel = NULL;
}
