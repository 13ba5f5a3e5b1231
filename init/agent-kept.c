/* Streams of finished execs into which processes in the background may still write. Without a reader SIGPIPE would end
 * the writer. They are read here and not by carreld, so that the carrel pays for the descriptors and for the time of a
 * flood.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent.h"

enum { DROPPED_AT_ONCE = 65536 };

static void let_go(struct agent *agent, size_t which)
{
        close(agent->kept[which]);
        agent->n_kept--;
        memmove(agent->kept + which, agent->kept + which + 1, (agent->n_kept - which) * sizeof agent->kept[0]);
}

/* At most half of our descriptors: new execs need some, too. */
static bool is_full(const struct agent *agent, int fd)
{
        struct rlimit limit;

        return agent->n_kept == AGENT_KEPT_MAX ||
               (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd >= limit.rlim_cur / 2);
}

void kept_add(struct agent *agent, int fd)
{
        if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
                close(fd);
                return;
        }
        if (agent->n_kept > 0 && is_full(agent, fd))
                let_go(agent, 0);
        agent->kept[agent->n_kept++] = fd;
}

size_t kept_poll(const struct agent *agent, struct pollfd *polls, size_t room)
{
        size_t count = 0;

        for (; count < agent->n_kept && count < room; count++)
                polls[count] = (struct pollfd){ .fd = agent->kept[count], .events = POLLIN };
        return count;
}

void kept_drain(struct agent *agent)
{
        static uint8_t dropped[DROPPED_AT_ONCE];

        for (size_t i = 0; i < agent->n_kept;) {
                ssize_t length = read(agent->kept[i], dropped, sizeof dropped);

                if (length > 0 || (length < 0 && (errno == EAGAIN || errno == EINTR)))
                        i++;
                else
                        let_go(agent, i);
        }
}
