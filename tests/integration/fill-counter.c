/* Fills one of the counters that the kernel keeps per user, or the memory of sockets, up to MOST units, writes how many
 * it got, and keeps them until its standard input ends: fill-counter KIND MOST. Static, as it runs inside of carrels,
 * too. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
        PIPE_BYTES = 1 << 20,
        LOCKED_BYTES = 64 * 1024,
        MESSAGE_BYTES = 8192,
        NAME_BYTES = 64,
        WATCHED_FILES = 4000,
        UNIT_BYTES = 128 * 1024
};

/* Each takes one unit more; false: refused. */

static bool take_inotify_instance(long i)
{
        (void)i;
        return inotify_init1(0) >= 0;
}

/* A second watch of the same file by the same instance is the same watch. */
static bool take_inotify_watch(long i)
{
        static int instance = -1;
        char name[NAME_BYTES];

        if (i % WATCHED_FILES == 0)
                instance = inotify_init1(0);
        (void)snprintf(name, sizeof name, "/tmp/watched-%ld", i % WATCHED_FILES);
        (void)mknod(name, S_IFREG | 0600, 0);
        return inotify_add_watch(instance, name, IN_MODIFY) > 0;
}

/* Queued, as it is blocked. */
static bool take_signal(long i)
{
        const union sigval value = { .sival_int = (int)i };

        return sigqueue(getpid(), SIGRTMIN + 1, value) == 0;
}

static bool take_timer(long i)
{
        struct sigevent event = { .sigev_notify = SIGEV_NONE };
        timer_t timer;

        (void)i;
        return timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
}

/* Counted in bytes, so that a unit is a queue. */
static bool take_message_queue(long i)
{
        struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = MESSAGE_BYTES };
        char name[NAME_BYTES];
        mqd_t queue;

        (void)snprintf(name, sizeof name, "/fill-%d-%ld", (int)getpid(), i);
        queue = mq_open(name, O_CREAT | O_RDWR, 0600, &attributes);
        if (queue >= 0)
                (void)mq_unlink(name); /* it stays as long as it is open */
        return queue >= 0;
}

static bool take_locked_memory(long i)
{
        int id = shmget(IPC_PRIVATE, LOCKED_BYTES, 0600);
        bool is_locked = id >= 0 && shmat(id, NULL, 0) != (void *)-1 && shmctl(id, SHM_LOCK, NULL) == 0;

        (void)i;
        if (id >= 0)
                (void)shmctl(id, IPC_RMID, NULL);
        return is_locked;
}

static bool take_pipe(long i)
{
        int ends[2];

        (void)i;
        return pipe(ends) == 0 && fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES) == PIPE_BYTES;
}

/* Descriptors that are on their way over a unix socket. */
static bool take_descriptor_in_flight(long i)
{
        static int ends[2] = { -1, -1 };
        char control[CMSG_SPACE(sizeof(int))] = { 0 };
        char byte = 0;
        struct iovec part = { &byte, 1 };
        struct msghdr message = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        int sent = STDERR_FILENO;

        if (i % 8 == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
                return false;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &sent, sizeof(int));
        return sendmsg(ends[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* ---- memory of sockets, in units of UNIT_BYTES ---- */

/* Of SO_MEMINFO (<linux/sock_diag.h>, which musl does not come with). */
enum { RECEIVE_QUEUE = 0, SEND_QUEUE = 5 };

static uint32_t queued_bytes(int socket_fd)
{
        uint32_t memory[16] = { 0 };
        socklen_t length = sizeof memory;

        if (getsockopt(socket_fd, SOL_SOCKET, SO_MEMINFO, memory, &length) != 0)
                return 0;
        return memory[RECEIVE_QUEUE] + memory[SEND_QUEUE];
}

static bool bind_to_loopback(int socket_fd, struct sockaddr_in *ret_address)
{
        socklen_t length = sizeof *ret_address;

        *ret_address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        return bind(socket_fd, (const struct sockaddr *)ret_address, length) == 0 &&
               getsockname(socket_fd, (struct sockaddr *)ret_address, &length) == 0;
}

static bool take_udp(long i)
{
        static const char TEXT[8000];
        int receiver = socket(AF_INET, SOCK_DGRAM, 0);
        int sender = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in address;

        (void)i;
        if (receiver < 0 || sender < 0 || !bind_to_loopback(receiver, &address))
                return false;
        for (unsigned sent = 0; sent < UNIT_BYTES; sent += sizeof TEXT)
                (void)sendto(sender, TEXT, sizeof TEXT, 0, (const struct sockaddr *)&address, sizeof address);
        (void)close(sender);
        return queued_bytes(receiver) >= UNIT_BYTES;
}

/* Nobody reads: it stays with the sender, and with the receiver. */
static bool take_tcp(long i)
{
        static const char TEXT[UNIT_BYTES * 2];
        static int listener = -1;
        static struct sockaddr_in address;
        int sender = socket(AF_INET, SOCK_STREAM, 0);
        int receiver;

        if (i == 0 && ((listener = socket(AF_INET, SOCK_STREAM, 0)) < 0 || !bind_to_loopback(listener, &address) ||
                       listen(listener, 1) != 0))
                return false;
        if (sender < 0 || connect(sender, (const struct sockaddr *)&address, sizeof address) != 0 ||
            (receiver = accept(listener, NULL, NULL)) < 0)
                return false;
        for (int tries = 0; tries < 4; tries++)
                (void)send(sender, TEXT, sizeof TEXT, MSG_DONTWAIT);
        return queued_bytes(sender) + queued_bytes(receiver) >= UNIT_BYTES;
}

/* The same, whatever it gets, and with a buffer that the sender fills at once. */
static bool take_connection(long i)
{
        static const char TEXT[UNIT_BYTES * 2];
        static const int buffer_bytes = UNIT_BYTES * 2;
        static int listener = -1;
        static struct sockaddr_in address;
        int sender = socket(AF_INET, SOCK_STREAM, 0);

        if (i == 0 && ((listener = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
                       setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes) != 0 ||
                       !bind_to_loopback(listener, &address) || listen(listener, 1) != 0))
                return false;
        if (sender < 0 || connect(sender, (const struct sockaddr *)&address, sizeof address) != 0 ||
            accept(listener, NULL, NULL) < 0)
                return false;
        (void)send(sender, TEXT, sizeof TEXT, MSG_DONTWAIT);
        return true;
}

static const struct {
        const char *name;
        bool (*take)(long i);
} KINDS[] = {
        { "connections", take_connection },
        { "descriptors", take_descriptor_in_flight },
        { "inotify", take_inotify_instance },
        { "locked", take_locked_memory },
        { "mqueue", take_message_queue },
        { "pipes", take_pipe },
        { "signals", take_signal },
        { "tcp", take_tcp },
        { "timers", take_timer },
        { "udp", take_udp },
        { "watches", take_inotify_watch },
};

int main(int argc, char **argv)
{
        long most = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
        sigset_t all;
        char byte;

        sigfillset(&all);
        (void)sigprocmask(SIG_BLOCK, &all, NULL);
        for (size_t i = 0; argc == 3 && i < sizeof KINDS / sizeof *KINDS; i++) {
                long taken = 0;

                if (strcmp(KINDS[i].name, argv[1]) != 0)
                        continue;
                errno = 0;
                while (taken < most && KINDS[i].take(taken))
                        taken++;
                (void)printf("%ld %s\n", taken, taken < most ? strerror(errno) : "all");
                (void)fflush(stdout);
                while (read(STDIN_FILENO, &byte, 1) > 0)
                        ;
                return 0;
        }
        (void)fprintf(stderr, "fill-counter KIND MOST\n");
        return 2;
}
