#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

enum { PATIENCE_FIRST_MS = 50, PATIENCE_MOST_MS = 2000, MESSAGES_AT_ONCE = 64 };

struct agent_packet *connection_packet(void)
{
        static struct agent_packet packet;

        return &packet;
}

bool connection_send(struct agent *agent, const struct agent_packet *packet)
{
        ssize_t sent;

        if (agent->connection < 0)
                return false;
        do
                sent = send(agent->connection, packet->bytes, packet->length, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent == (ssize_t)packet->length; /* receiving finds that the connection is dead */
}

bool connection_send_patiently(const struct agent *agent, const struct agent_packet *packet)
{
        struct pollfd room = { .fd = agent->connection, .events = POLLOUT };

        while (send(agent->connection, packet->bytes, packet->length, MSG_NOSIGNAL) < 0) {
                if (errno != EINTR && errno != EAGAIN)
                        return false;
                (void)poll(&room, 1, -1);
        }
        return true;
}

/* ---- connecting ---- */

int64_t connection_now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_longer(struct agent *agent)
{
        int next_ms = agent->patience_ms * 2;

        if (agent->patience_ms < PATIENCE_FIRST_MS)
                next_ms = PATIENCE_FIRST_MS;
        agent->patience_ms = next_ms < PATIENCE_MOST_MS ? next_ms : PATIENCE_MOST_MS;
        agent->dial_at_ms = connection_now_ms() + agent->patience_ms;
}

void connection_dial(struct agent *agent)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = AGENT_SOCKET };
        struct agent_hello hello = { .magic = AGENT_MAGIC, AGENT_VERSION_MIN, AGENT_VERSION };
        int fd;

        if (access(INSIDE_AGENT, F_OK) != 0) {
                agent->patience_ms = -1; /* no directory was bound: we only reap children */
                return;
        }
        wait_longer(agent);
        if (agent->is_framed && agent->has_children) { /* the next process that connects must be this one */
                family_end_all();
                return;
        }
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return;
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
                close(fd);
                return;
        }
        agent->connection = fd;
        agent->is_welcome = false;
        agent->n_earlier += agent->last_number;
        agent->last_number = 0;
        memcpy(hello.token, agent->token, sizeof hello.token);
        agent_write_hello(connection_packet(), &hello);
        if (!connection_send(agent, connection_packet()))
                connection_hang_up(agent);
}

void connection_hang_up(struct agent *agent)
{
        runs_kill(agent);
        if (agent->is_framed)
                family_end_all();
        free(agent->spec);
        agent->spec = NULL;
        close(agent->connection);
        agent->connection = -1;
        agent->is_welcome = false;
        wait_longer(agent);
}

/* ---- receiving ---- */

static void close_all(const int *fds, size_t n_fds)
{
        for (size_t i = 0; i < n_fds; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
}

static int greet(struct agent *agent, const uint8_t *packet)
{
        struct agent_welcome welcome;

        if (agent->is_welcome || agent_read_welcome(packet, &welcome) < 0 || welcome.version < AGENT_VERSION_MIN ||
            welcome.version > AGENT_VERSION)
                return -EBADMSG;
        agent->is_welcome = true;
        agent->version = welcome.version;
        agent->is_framed = (welcome.flags & AGENT_WELCOME_FRAMED) != 0;
        memcpy(agent->token, welcome.token, sizeof agent->token);
        agent->patience_ms = 0; /* after a loss the waits begin with the shortest again */
        return 0;
}

static int obey_bytes(struct agent *agent, const struct agent_header *header, const uint8_t *packet)
{
        const void *bytes;
        size_t length;
        unsigned stream;
        uint32_t credit;

        if (!agent->is_framed)
                return -EBADMSG;
        if (header->kind == AGENT_DATA)
                return agent_read_data(packet, &stream, &bytes, &length) < 0
                               ? -EBADMSG
                               : runs_data(agent, header->number, stream, bytes, length);
        if (header->kind == AGENT_END)
                return agent_read_end(packet, &stream) < 0 ? -EBADMSG : runs_end(agent, header->number, stream);
        return agent_read_credit(packet, &stream, &credit) < 0 ? -EBADMSG
                                                               : runs_credit(agent, header->number, stream, credit);
}

static int obey_to_run(struct agent *agent, const struct agent_header *header, const uint8_t *packet)
{
        struct agent_resize resize;
        uint32_t signal;

        switch (header->kind) {
        case AGENT_SPEC:
                return runs_spec(agent, header->number, packet + AGENT_HEADER_BYTES, header->length);
        case AGENT_SIGNAL:
                return agent_read_signal(packet, &signal) < 0 ? -EBADMSG
                                                              : runs_signal(agent, header->number, (int)signal);
        case AGENT_RESIZE:
                return agent_read_resize(packet, &resize) < 0 ? -EBADMSG : runs_resize(agent, header->number, &resize);
        case AGENT_DATA:
        case AGENT_END:
        case AGENT_CREDIT:
                return obey_bytes(agent, header, packet);
        default:
                return -EBADMSG;
        }
}

/* Takes over fds. */
static int obey(struct agent *agent, const uint8_t *packet, size_t length, int *fds, size_t n_fds, bool is_cut)
{
        struct agent_header header;
        int r = agent_wire_check(AGENT_FROM_DAEMON, packet, length, n_fds, is_cut, &header);

        if (r == 0 && (header.kind == AGENT_WELCOME) == agent->is_welcome)
                r = -EBADMSG;
        if (r == 0 && header.kind == AGENT_START)
                return runs_start(agent, header.number, packet, fds, n_fds);
        if (r == 0 && header.kind == AGENT_KEEP)
                return runs_keep(agent, header.number, fds, n_fds);
        close_all(fds, n_fds);
        if (r != 0)
                return r;
        return header.kind == AGENT_WELCOME ? greet(agent, packet) : obey_to_run(agent, &header, packet);
}

static size_t take_fds(struct msghdr *message, int *ret_fds)
{
        struct cmsghdr *control = CMSG_FIRSTHDR(message);
        size_t n_fds;

        if (control == NULL || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
                return 0;
        n_fds = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(ret_fds, CMSG_DATA(control), n_fds * sizeof(int)); /* no more than fit into the array */
        return n_fds;
}

/* Returns whether there may be more. */
static bool receive_one(struct agent *agent)
{
        static uint8_t packet[AGENT_MESSAGE_MAX];
        char control[CMSG_SPACE(AGENT_FDS_MAX * sizeof(int))] __attribute__((aligned(sizeof(size_t))));
        struct iovec piece = { packet, sizeof packet };
        struct msghdr message = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        int fds[AGENT_FDS_MAX];
        ssize_t length = recvmsg(agent->connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        size_t n_fds;

        if (length < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (length <= 0) {
                connection_hang_up(agent);
                return false;
        }
        n_fds = take_fds(&message, fds);
        if (obey(agent, packet, (size_t)length, fds, n_fds, (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) < 0)
                connection_hang_up(agent);
        return agent->connection >= 0;
}

void connection_receive(struct agent *agent)
{
        for (int i = 0; i < MESSAGES_AT_ONCE && receive_one(agent); i++)
                ;
}
