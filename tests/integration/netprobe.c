/* Programs that run inside nodes: echo servers and probes. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netrig.h"

/* ---- servers ---- */

/* Of the polled descriptors: listeners, then datagram sockets, then connections. */
enum { SERVERS = 2, DATAGRAMS_END = 4, CLIENTS = 64 };

static int open_server(int type, uint16_t port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        int on = 1;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
            setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
                _exit(EXIT_FAILURE);
        return fd;
}

/* From the address that was asked, which a wildcard socket would not choose by itself. */
static void echo_datagram(int fd)
{
        char bytes[8192], control[128];
        struct sockaddr_in peer;
        struct iovec part = { bytes, sizeof bytes };
        struct msghdr message = { &peer, sizeof peer, &part, 1, control, sizeof control, 0 };
        ssize_t length = recvmsg(fd, &message, 0);
        struct cmsghdr *header = length < 0 ? NULL : CMSG_FIRSTHDR(&message);

        if (header == NULL)
                return;
        ((struct in_pktinfo *)(void *)CMSG_DATA(header))->ipi_ifindex = 0;
        part.iov_len = (size_t)length;
        message.msg_flags = 0;
        (void)sendmsg(fd, &message, MSG_NOSIGNAL);
}

static bool echo_stream(int fd)
{
        char bytes[512];
        ssize_t length = recv(fd, bytes, sizeof bytes, 0);

        return length > 0 && send(fd, bytes, (size_t)length, MSG_NOSIGNAL) == length;
}

static void serve_one(struct pollfd *watched, size_t i)
{
        if (i < SERVERS) {
                int fd = accept4(watched[i].fd, NULL, NULL, SOCK_CLOEXEC);
                size_t slot = DATAGRAMS_END;

                while (slot < CLIENTS - 1 && watched[slot].fd >= 0)
                        slot++;
                if (watched[slot].fd >= 0)
                        close(watched[slot].fd);
                watched[slot] = (struct pollfd){ .fd = fd, .events = POLLIN };
        } else if (i < DATAGRAMS_END) {
                echo_datagram(watched[i].fd);
        } else if (!echo_stream(watched[i].fd)) {
                close(watched[i].fd);
                watched[i].fd = -1;
        }
}

static _Noreturn void serve(void)
{
        static const uint16_t PORTS[SERVERS] = { RIG_PORT, RIG_OTHER_PORT };
        struct pollfd watched[CLIENTS];

        for (size_t i = 0; i < CLIENTS; i++)
                watched[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
        for (size_t i = 0; i < SERVERS; i++) {
                watched[i].fd = open_server(SOCK_STREAM, PORTS[i]);
                watched[SERVERS + i].fd = open_server(SOCK_DGRAM, PORTS[i]);
        }
        for (;;) {
                if (poll(watched, CLIENTS, -1) < 0)
                        continue;
                for (size_t i = 0; i < CLIENTS; i++)
                        if (watched[i].fd >= 0 && watched[i].revents != 0)
                                serve_one(watched, i);
        }
}

/* A child of the node's process, so that the node goes on to obey. */
long rig_serve(const void *argument)
{
        pid_t pid = fork();

        (void)argument;
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve();
        }
        return pid > 0;
}

/* ---- probes ---- */

struct probe rig_probe(const char *address, uint16_t port, bool is_expected)
{
        struct probe probe = { .port = port, .is_expected = is_expected };

        (void)snprintf(probe.address, sizeof probe.address, "%s", address);
        return probe;
}

static struct sockaddr_in address_of(const char *text, uint16_t port)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

        (void)inet_pton(AF_INET, text, &address.sin_addr);
        return address;
}

/* Asks over UDP until an answer comes. */
static bool asks(const char *text, uint16_t port)
{
        struct sockaddr_in address = address_of(text, port);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct pollfd answered = { .fd = fd, .events = POLLIN };
        bool is_open = false;

        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
                for (int i = 0; i < 50 && !is_open; i++) {
                        char byte = 'x';

                        (void)send(fd, &byte, 1, MSG_NOSIGNAL);
                        is_open = poll(&answered, 1, 200) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
                }
        close(fd);
        return is_open;
}

static bool fence(void)
{
        bool is_open = asks(RIG_ALLOWED_TOO, RIG_PORT);

        return is_open && asks(RIG_ALLOWED_TOO, RIG_PORT);
}

/* Whether something is there: by the fence when nothing is expected, else as long as it takes. */
static int await(int fd, short events, bool is_expected)
{
        struct pollfd watched = { .fd = fd, .events = events };

        if (!is_expected && !fence())
                return -1;
        return poll(&watched, 1, is_expected ? 60000 : 0) > 0;
}

long probe_open(const void *argument)
{
        const struct probe *probe = argument;

        return asks(probe->address, probe->port);
}

long probe_udp(const void *argument)
{
        const struct probe *probe = argument;
        struct sockaddr_in address = address_of(probe->address, probe->port);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char bytes[8192] = "x";
        int result;

        (void)sendto(fd, bytes, probe->bytes > 0 ? probe->bytes : 1, 0, (struct sockaddr *)&address, sizeof address);
        result = await(fd, POLLIN, probe->is_expected);
        if (result == 1)
                result = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0;
        close(fd);
        return result;
}

long probe_tcp(const void *argument)
{
        const struct probe *probe = argument;
        struct sockaddr_in address = address_of(probe->address, probe->port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t length = sizeof(int);
        int r = 0;
        int result;

        (void)connect(fd, (struct sockaddr *)&address, sizeof address);
        result = await(fd, POLLOUT, probe->is_expected);
        if (result == 1)
                result = getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &length) == 0 && r == 0;
        close(fd);
        return result;
}

static uint16_t checksum(const uint16_t *words, size_t count)
{
        uint32_t sum = 0;

        for (size_t i = 0; i < count; i++)
                sum += words[i];
        sum = (sum >> 16) + (sum & 0xffff);
        return (uint16_t) ~(sum + (sum >> 16));
}

/* The gateway's link address, which the fence has made known. */
static bool find_gateway(struct sockaddr_ll *ret_gateway)
{
        struct sockaddr_in gateway = address_of("169.254.1.1", 0);
        struct arpreq entry = { .arp_dev = "eth0" };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool is_known;

        memcpy(&entry.arp_pa, &gateway, sizeof gateway);
        is_known = ioctl(fd, SIOCGARP, &entry) == 0;
        close(fd);
        *ret_gateway = (struct sockaddr_ll){ .sll_family = AF_PACKET,
                                             .sll_protocol = htons(ETH_P_IP),
                                             .sll_ifindex = (int)if_nametoindex("eth0"),
                                             .sll_halen = 6 };
        memcpy(ret_gateway->sll_addr, entry.arp_ha.sa_data, 6);
        return is_known;
}

/* Below the node's own IP stack, which would not send most of these. */
long send_packet(const void *argument)
{
        const struct packet *packet = argument;
        struct sockaddr_in to = address_of(packet->destination, 0);
        struct sockaddr_in from = address_of(packet->source, 0);
        uint16_t words[16] = { htons(0x4500), htons(32), htons(1), 0, htons((uint16_t)(64 << 8 | packet->protocol)) };
        struct sockaddr_ll gateway;
        bool is_sent;
        int fd;

        memcpy(words + 6, &from.sin_addr, 4);
        memcpy(words + 8, &to.sin_addr, 4);
        words[5] = checksum(words, 10);
        if (!fence() || !find_gateway(&gateway))
                return -1;
        fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        is_sent = sendto(fd, words, sizeof words, 0, (struct sockaddr *)&gateway, sizeof gateway) == sizeof words;
        close(fd);
        return is_sent && fence() ? 1 : -1;
}

long probe_ping(const void *argument)
{
        const struct probe *probe = argument;
        struct sockaddr_in address = address_of(probe->address, 0);
        unsigned char echo[8] = { 8, 0, 0xf7, 0xff }; /* type, code, checksum */
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
        unsigned char answer[128];
        int result;

        (void)sendto(fd, echo, sizeof echo, 0, (struct sockaddr *)&address, sizeof address);
        result = await(fd, POLLIN, probe->is_expected);
        if (result == 1)
                result = recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 20 && answer[20] == 0;
        close(fd);
        return result;
}

/* No service is needed: a host that is reached says that the port is closed. */
long probe_ipv6(const void *argument)
{
        const struct probe *probe = argument;
        struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(probe->port) };
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char byte = 'x';
        int result = -1;

        (void)inet_pton(AF_INET6, probe->address, &address.sin6_addr);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
                result = await(fd, POLLIN, probe->is_expected);
        if (result == 1)
                result = recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
        close(fd);
        return result;
}

/* In the node's process, which the test only forked: nothing of the test's own state. */
static int held_fd = -1;

long held_connect(const void *argument)
{
        const struct probe *probe = argument;
        struct sockaddr_in address = address_of(probe->address, probe->port);

        held_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return connect(held_fd, (struct sockaddr *)&address, sizeof address) == 0;
}

long held_echo(const void *argument)
{
        struct pollfd answered = { .fd = held_fd, .events = POLLIN };
        char byte = 'e';
        int wait_s;

        memcpy(&wait_s, argument, sizeof wait_s);
        if (send(held_fd, &byte, 1, MSG_NOSIGNAL) != 1)
                return -1;
        if (wait_s == 0 && !fence())
                return -1;
        return poll(&answered, 1, wait_s * 1000) > 0 && recv(held_fd, &byte, 1, MSG_DONTWAIT) == 1;
}

static int talk_fds[256]; /* by the last byte of the listener's address */
static struct sockaddr_in speakers[256];

static size_t talk_index(const struct talk *talk)
{
        return ntohl(address_of(talk->listener, 0).sin_addr.s_addr) & 0xff;
}

static long open_talk(const struct talk *talk, const char *address, uint16_t port)
{
        struct sockaddr_in own = address_of(address, port);
        int *fd = &talk_fds[talk_index(talk)];

        if (*fd > 0)
                close(*fd); /* an earlier test's */
        *fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return bind(*fd, (struct sockaddr *)&own, sizeof own) == 0;
}

long talk_listen(const void *argument)
{
        const struct talk *talk = argument;

        return open_talk(talk, talk->listener, TALK_PORT);
}

long talk_open(const void *argument)
{
        const struct talk *talk = argument;

        return open_talk(talk, "0.0.0.0", (uint16_t)(TALK_FROM + talk_index(talk)));
}

long talk_learn(const void *argument)
{
        size_t i = talk_index(argument);
        socklen_t length = sizeof speakers[i];
        struct pollfd heard = { .fd = talk_fds[i], .events = POLLIN };
        char byte;

        return poll(&heard, 1, 60000) > 0 &&
               recvfrom(talk_fds[i], &byte, 1, 0, (struct sockaddr *)&speakers[i], &length) == 1;
}

long talk_back(const void *argument)
{
        size_t i = talk_index(argument);

        return sendto(talk_fds[i], "b", 1, 0, (struct sockaddr *)&speakers[i], sizeof speakers[i]) == 1;
}

long talk_begin(const void *argument)
{
        const struct talk *talk = argument;
        struct sockaddr_in to = address_of(talk->listener, TALK_PORT);

        return sendto(talk_fds[talk_index(talk)], "a", 1, 0, (struct sockaddr *)&to, sizeof to) == 1;
}

long talk_hears(const void *argument)
{
        const struct talk *talk = argument;
        char byte;
        int result = await(talk_fds[talk_index(talk)], POLLIN, talk->is_expected);

        return result != 1 ? result : recv(talk_fds[talk_index(talk)], &byte, 1, MSG_DONTWAIT) == 1;
}
