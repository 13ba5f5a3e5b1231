#include "lock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

enum { POLL_MS = 10 };

int lock_exclusive(int fd, int patience_ms)
{
        const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

        for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += POLL_MS) {
                if ((errno != EWOULDBLOCK && errno != EINTR) || waited_ms >= patience_ms)
                        return -errno;
                (void)nanosleep(&pause, NULL);
        }
        return 0;
}
