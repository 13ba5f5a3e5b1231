#include "outside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "process.h"

/* The link between the enclosure and the outside. Its network is public, so that no deny list contains it. */
#define NEAR "5.6.7.1/30"
#define FAR "5.6.7.2"

struct outside {
        pid_t pid;
        char pid_text[16];
        char namespace[40];
};

/* ---- the server in the namespace ---- */

static int open_socket(int type, uint16_t port)
{
        struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
        int on = 1;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
                _exit(EXIT_FAILURE);
        return fd;
}

static void greet(int listener)
{
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return;
        (void)send(fd, OUTSIDE_GREETING "\n", sizeof OUTSIDE_GREETING, MSG_NOSIGNAL);
        close(fd);
}

static void answer_datagram(int fd)
{
        struct sockaddr_in6 peer;
        socklen_t length = sizeof peer;
        char bytes[512];

        if (recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &length) >= 0)
                (void)sendto(fd, OUTSIDE_GREETING "\n", sizeof OUTSIDE_GREETING, 0, (struct sockaddr *)&peer, length);
}

/* RFC 1035: repeats the question, and adds an A record if one was asked for. The answer comes from the address that was
 * asked. */
static void answer_query(int fd)
{
        static const unsigned char RECORD[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4 };
        unsigned char bytes[512 + sizeof RECORD], control[128];
        struct sockaddr_in6 peer;
        struct iovec part = { bytes, 512 };
        struct msghdr message = { &peer, sizeof peer, &part, 1, control, sizeof control, 0 };
        ssize_t length = recvmsg(fd, &message, 0);
        size_t end = 12;

        while (length > 12 && end < (size_t)length && bytes[end] != 0)
                end += bytes[end] + 1U;
        end += 5; /* the root's label, type and class */
        if (length <= 12 || end > (size_t)length)
                return;
        memset(bytes + 6, 0, 6);
        bytes[2] = 0x81;
        bytes[3] = 0x80;
        if (bytes[end - 3] == 1) {
                bytes[7] = 1;
                memcpy(bytes + end, RECORD, sizeof RECORD);
                end += sizeof RECORD;
        }
        part.iov_len = end;
        (void)sendmsg(fd, &message, 0);
}

static _Noreturn void serve(int ready_fd)
{
        struct pollfd watched[3] = { { .events = POLLIN }, { .events = POLLIN }, { .events = POLLIN } };
        int on = 1;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) != 0)
                _exit(EXIT_FAILURE);
        watched[0].fd = open_socket(SOCK_STREAM, OUTSIDE_PORT);
        watched[1].fd = open_socket(SOCK_DGRAM, OUTSIDE_PORT);
        watched[2].fd = open_socket(SOCK_DGRAM, 53);
        (void)setsockopt(watched[2].fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
        if (write(ready_fd, "r", 1) != 1)
                _exit(EXIT_FAILURE);
        for (;;) {
                if (poll(watched, 3, -1) < 0)
                        continue;
                if (watched[0].revents != 0)
                        greet(watched[0].fd);
                if (watched[1].revents != 0)
                        answer_datagram(watched[1].fd);
                if (watched[2].revents != 0)
                        answer_query(watched[2].fd);
        }
}

/* ---- its wiring ---- */

#define IN_NAMESPACE(outside, ...) MUST_RUN("nsenter", (outside)->namespace, "ip", __VA_ARGS__)

static void wire(struct outside *outside)
{
        MUST_RUN("ip", "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", outside->pid_text);
        MUST_RUN("ip", "address", "add", NEAR, "dev", "out0");
        MUST_RUN("ip", "link", "set", "out0", "up");
        MUST_RUN("ip", "route", "replace", "default", "via", FAR);
        IN_NAMESPACE(outside, "link", "set", "lo", "up");
        IN_NAMESPACE(outside, "address", "add", (FAR "/30"), "dev", "in0");
        IN_NAMESPACE(outside, "link", "set", "in0", "up");
        IN_NAMESPACE(outside, "route", "add", "default", "dev", "in0");
        outside_add(outside, OUTSIDE_ALLOWED "/32");
}

struct outside *outside_new(void)
{
        struct outside *outside = calloc(1, sizeof *outside);
        int fds[2];
        char byte;

        assert_non_null(outside);
        assert_return_code(pipe(fds), errno);
        outside->pid = fork();
        assert_return_code(outside->pid, errno);
        if (outside->pid == 0)
                serve(fds[1]);
        close(fds[1]);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        close(fds[0]);
        snprintf(outside->pid_text, sizeof outside->pid_text, "%d", (int)outside->pid);
        snprintf(outside->namespace, sizeof outside->namespace, "--net=/proc/%d/ns/net", (int)outside->pid);
        wire(outside);
        return outside;
}

struct outside *outside_free(struct outside *outside)
{
        if (outside == NULL)
                return NULL;
        process_end(outside->pid, SIGKILL, 5.0);
        free(outside);
        return NULL;
}

void outside_add(struct outside *outside, const char *address)
{
        IN_NAMESPACE(outside, "address", "add", address, "dev", "lo");
}
