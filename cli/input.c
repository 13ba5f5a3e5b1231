#include "input.h"

#include <errno.h>
#include <unistd.h>

int input_read(int fd, size_t limit_bytes, struct buffer *ret_bytes)
{
        char piece[16 * 1024];

        if (isatty(fd) == 1)
                return 0;
        for (;;) {
                ssize_t count = read(fd, piece, sizeof piece);

                if (count == 0 || (count < 0 && errno == EBADF))
                        return 0;
                if (count < 0 && errno == EINTR)
                        continue;
                if (count < 0)
                        return -errno;
                if (ret_bytes->length + (size_t)count > limit_bytes)
                        return -EFBIG;
                int r = buffer_append(ret_bytes, piece, (size_t)count);
                if (r < 0)
                        return r;
        }
}
