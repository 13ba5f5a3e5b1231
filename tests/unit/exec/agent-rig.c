#include "agent-rig.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct agent_packet said, heard;

static struct agent_channel *connect_agent(struct rig *rig, const char *container, bool is_framed, int *ret_agent)
{
        struct agent_channel *channel;
        int ends[2];

        assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), errno);
        assert_int_equal(agent_channel_new(&channel, agents_of(rig->world.execs), container, (int)getpid(), ends[0],
                                           AGENT_VERSION, is_framed),
                         0);
        *ret_agent = ends[1];
        return channel;
}

void open_rig(struct rig *rig, bool is_framed)
{
        *rig = (struct rig){ .fds = { -1, -1, -1, -1 } };
        world_open(&rig->world);
        rig->channel = connect_agent(rig, WORLD_CONTAINER, is_framed, &rig->agent);
        rig->other = connect_agent(rig, OTHER_CONTAINER, is_framed, &rig->other_agent);
}

void close_fds(struct rig *rig)
{
        for (int i = 0; i < AGENT_FDS_MAX; i++) {
                if (rig->fds[i] >= 0)
                        close(rig->fds[i]);
                rig->fds[i] = -1;
        }
}

void close_rig(struct rig *rig)
{
        close_fds(rig);
        world_close(&rig->world);
        close(rig->agent);
        close(rig->other_agent);
}

/* ---- the agent ---- */

/* The next packet; its descriptors are in rig->fds. */
enum agent_kind hear(struct rig *rig, int agent)
{
        char control[CMSG_SPACE(sizeof rig->fds)] __attribute__((aligned(sizeof(size_t))));
        struct iovec piece = { heard.bytes, sizeof heard.bytes };
        struct msghdr message = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        struct agent_header header;
        const struct cmsghdr *head;
        size_t n_fds = 0;
        ssize_t length;

        while ((length = recvmsg(agent, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 && !rig->world.has_barked)
                ev_run(rig->world.loop, EVRUN_ONCE);
        assert_true(length > 0);
        close_fds(rig);
        head = CMSG_FIRSTHDR(&message);
        if (head != NULL && head->cmsg_type == SCM_RIGHTS) {
                n_fds = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(rig->fds, CMSG_DATA(head), n_fds * sizeof(int));
        }
        assert_int_equal(agent_wire_check(AGENT_FROM_DAEMON, heard.bytes, (size_t)length, n_fds, false, &header), 0);
        return (enum agent_kind)header.kind;
}

void say(int agent)
{
        assert_int_equal(send(agent, said.bytes, said.length, MSG_NOSIGNAL), (ssize_t)said.length);
}

void say_started(int agent, uint32_t number)
{
        agent_write_started(&said, number);
        say(agent);
}

void say_outputs_end(int agent, uint32_t number)
{
        agent_write_end(&said, number, AGENT_STREAM_OUT);
        say(agent);
        agent_write_end(&said, number, AGENT_STREAM_ERR);
        say(agent);
}

void say_exited(int agent, uint32_t number, uint32_t is_signal, uint32_t value)
{
        agent_write_exited(&said, number, &(struct agent_exited){ .is_signal = is_signal, .value = value });
        say(agent);
}

void begin_exec(struct rig *rig, const struct exec_request *request)
{
        assert_int_equal(world_start(&rig->world, NULL, request), 0);
}
