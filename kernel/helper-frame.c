#include "helper-frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "scope.h"
#include "str.h"

bool helper_is_head(const struct helper_head *head, size_t length, uint32_t magic, uint16_t version)
{
        return length >= sizeof *head && head->magic == magic && head->version == version;
}

void helper_fds_close(struct helper_fds *fds)
{
        for (size_t i = 0; i < fds->n; i++)
                auto_close(&fds->fds[i]);
        fds->n = 0;
}

/* Room for the descriptors of one message; the union aligns it (cmsg(3)). */
union rights {
        struct cmsghdr head;
        unsigned char bytes[CMSG_SPACE(HELPER_FDS_MAX * sizeof(int))];
};

static void take_fds(struct msghdr *packet, struct helper_fds *fds)
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part != NULL; part = CMSG_NXTHDR(packet, part)) {
                if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
                        continue;
                fds->n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                fds->n = fds->n < HELPER_FDS_MAX ? fds->n : HELPER_FDS_MAX;
                memcpy(fds->fds, CMSG_DATA(part), fds->n * sizeof(int));
        }
}

/* The kernel has closed the descriptors that had no room (MSG_CTRUNC), and installed the others. */
static int receive(int fd, struct helper_message *ret_message, size_t *ret_length, union rights *rights,
                   struct helper_fds *fds)
{
        struct iovec body = { .iov_base = ret_message, .iov_len = sizeof *ret_message };
        struct msghdr packet = { .msg_iov = &body,
                                 .msg_iovlen = 1,
                                 .msg_control = rights,
                                 .msg_controllen = rights != NULL ? sizeof *rights : 0 };
        ssize_t length = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);

        if (length < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (rights != NULL)
                take_fds(&packet, fds);
        if (length > (ssize_t)sizeof *ret_message)
                return -EMSGSIZE;
        if ((packet.msg_flags & MSG_CTRUNC) != 0)
                return -EBADMSG;
        *ret_length = (size_t)length;
        return length > 0;
}

int helper_receive(int fd, struct helper_message *ret_message, size_t *ret_length)
{
        return receive(fd, ret_message, ret_length, NULL, NULL);
}

int helper_receive_fds(int fd, struct helper_message *ret_message, size_t *ret_length, struct helper_fds *ret_fds)
{
        union rights rights;
        struct helper_fds fds = { .n = 0 };
        int r = receive(fd, ret_message, ret_length, &rights, &fds);

        if (r <= 0)
                helper_fds_close(&fds);
        else
                *ret_fds = fds;
        return r;
}

int helper_send_fds(int fd, const void *message, size_t length, const int *fds, size_t n_fds)
{
        struct iovec body = { .iov_base = (void *)(uintptr_t)message, .iov_len = length };
        struct msghdr packet = { .msg_iov = &body, .msg_iovlen = 1 };
        union rights rights = {
                .head = { .cmsg_len = CMSG_LEN(n_fds * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
        };

        if (n_fds > HELPER_FDS_MAX)
                return -EINVAL;
        if (n_fds > 0) {
                memcpy(CMSG_DATA(&rights.head), fds, n_fds * sizeof(int));
                packet.msg_control = &rights;
                packet.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        if (sendmsg(fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return 0;
        return errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
}

int helper_send(int fd, const void *message, size_t length)
{
        return helper_send_fds(fd, message, length, NULL, 0);
}

int helper_find_socket(int argc, char **argv, int *ret_fd)
{
        uint64_t fd = 0;
        int type = 0;
        socklen_t length = sizeof type;

        if (argc != 2 || str_parse_u64(argv[1], HELPER_FD, 1023, &fd) < 0 ||
            getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET)
                return -EINVAL;
        *ret_fd = (int)fd;
        return 0;
}
