#include "helper-frame.h"

#include <errno.h>
#include <sys/socket.h>

#include "str.h"

bool helper_is_head(const struct helper_head *head, size_t length, uint32_t magic, uint16_t version)
{
        return length >= sizeof *head && head->magic == magic && head->version == version;
}

int helper_receive(int fd, struct helper_message *ret_message, size_t *ret_length)
{
        ssize_t length = recv(fd, ret_message, sizeof *ret_message, MSG_DONTWAIT | MSG_TRUNC);

        if (length < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (length > (ssize_t)sizeof *ret_message)
                return -EMSGSIZE;
        *ret_length = (size_t)length;
        return length > 0;
}

int helper_send(int fd, const void *message, size_t length)
{
        if (send(fd, message, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return 0;
        return errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
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
