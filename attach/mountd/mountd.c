/* carrel-mountd: the helper process that attaches users' directories to running containers. `carrel-mountd FD` serves
 * the socketpair FD until its other end closes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "attach-protocol.h"
#include "mountd-privileges.h"
#include "mounter.h"
#include "owner-map.h"
#include "scope.h"

/* If the client does not read, the message is lost: its calls have deadlines. */
static int reply(int fd, uint16_t verb, uint64_t number, unsigned can, const struct fault *why)
{
        struct attach_answer answer = {
                .head = { ATTACH_MAGIC, ATTACH_VERSION, verb, number },
                .kind = why->kind,
                .err = (uint32_t)why->err,
                .can = can,
        };
        int r;

        (void)snprintf(answer.message, sizeof answer.message, "%s", why->message);
        r = helper_send(fd, &answer, sizeof answer);
        return r == -EAGAIN ? 0 : r;
}

/* The descriptors are closed before the answer: after it, nothing keeps the container or the directory. */
static int serve(int fd, const struct mounter *mounter, const struct attach_order *order, size_t length,
                 struct helper_fds *fds)
{
        struct fault why = { 0 };
        int r = attach_check_order(order, length, fds->n, &why);

        if (r == -EPROTO)
                return 0; /* no answer is possible */
        if (r == 0)
                (void)mounter_attach(mounter, order, fds->fds[ATTACH_PIDFD], fds->fds[ATTACH_DIRECTORY], &why);
        helper_fds_close(fds);
        return reply(fd, order->head.verb, order->head.number, 0, &why);
}

/* Returns 1 when the other end has closed. A message that cannot be read is dropped. */
static int receive(int fd, const struct mounter *mounter)
{
        AUTO(helper_fds_close) struct helper_fds fds = { .n = 0 };
        struct helper_message message;
        size_t length = 0;
        int r = helper_receive_fds(fd, &message, &length, &fds);

        if (r == 0)
                return 1;
        if (r < 0)
                return r == -EAGAIN || r == -EMSGSIZE || r == -EBADMSG ? 0 : r;
        return serve(fd, mounter, (const void *)&message, length, &fds);
}

static int run(int fd, const struct mounter *mounter)
{
        struct fault why = { 0 };
        unsigned can = mounter_probe(mounter, &why);
        int r = reply(fd, ATTACH_REPORT, 0, can, &why);

        while (r == 0) {
                struct pollfd watched = { .fd = fd, .events = POLLIN };

                if (poll(&watched, 1, -1) < 0 && errno != EINTR)
                        return -errno;
                r = receive(fd, mounter);
        }
        return r;
}

/* carreld stops us by closing the socket. A signal to the whole process group must not stop us earlier. */
static void ignore_signals(void)
{
        static const int IGNORED[] = { SIGHUP, SIGINT, SIGPIPE, SIGTERM };

        for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++)
                (void)signal(IGNORED[i], SIG_IGN);
}

int main(int argc, char **argv)
{
        struct mounter mounter;
        struct fault why = { 0 };
        int fd = -1;
        int r;

        if (helper_find_socket(argc, argv, &fd) < 0) {
                (void)fprintf(stderr,
                              "carrel-mountd: only carreld starts this program, with the number of its socket\n");
                return 2;
        }
        ignore_signals();
        owner_map_prepare();
        r = mountd_privileges_drop(&why);
        if (r == 0)
                r = mounter_open(&mounter, &why);
        if (r < 0) {
                (void)fprintf(stderr, "carrel-mountd: %s\n", why.message);
                return 1;
        }
        r = run(fd, &mounter);
        mounter_close(&mounter);
        return r < 0 ? 1 : 0;
}
