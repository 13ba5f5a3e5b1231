#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent-channel.h"
#include "agent-listener.h"
#include "agent-token.h"
#include "inside.h"
#include "scope.h"

/* How often the groups of an earlier carreld's execs are cleared until nothing of them lives; on_greeted waits for it.
 */
static const double CLEAR_FIRST_S = 0.002, CLEAR_MAX_S = 0.1;
enum { BACKLOG = 16, ACCEPTS_AT_ONCE = 16 };

struct agent_listener {
        struct deferred_free deferred_free;
        struct agents *agents;
        struct execs *execs;
        int directory;
        int listen_fd; /* -1: closed */
        int candidate; /* the init's connection before it is a channel; -1: none */
        ev_io incoming, readable;
        ev_timer clear;
        struct agent_channel *channel; /* NULL: not greeted */
        char *name;
        char container_id[ENGINE_ID_BYTES];
        int pid;
        bool has_own_kernel;
        void (*on_greeted)(void *arg, const struct fault *why); /* NULL: no caller waits */
        void *arg;
};

/* ---- directories ---- */

static int enter_directory(int parent, const char *name, int *ret_fd)
{
        AUTO(auto_close) int fd = -1;

        if (mkdirat(parent, name, 0711) != 0 && errno != EEXIST)
                return -errno;
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fchmod(fd, 0711) != 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The directories can be searched by all users, because an engine that maps users binds them as a mapped user. Only
 * root can list them, and a process that connects without being the init is disconnected. */
int agents_open(struct execs *execs, const char *runtime_dir, const char *pool, struct fault *why)
{
        struct agents *agents = agents_of(execs);
        AUTO(auto_close) int top = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO(auto_close) int all = -1;
        int r = top >= 0 ? enter_directory(top, "agents", &all) : -errno;
        int fd = -1;

        if (agents == NULL)
                return fault_set(why, FAULT_INTERNAL, EOPNOTSUPP, "agents are not registered as a backend of execs");
        if (r == 0)
                r = enter_directory(all, pool, &fd);
        if (r < 0)
                return fault_set(why, FAULT_INTERNAL, -r, "cannot make %s/agents/%s: %s", runtime_dir, pool,
                                 strerror(-r));
        if (agents->directory >= 0)
                close(agents->directory);
        agents->directory = fd;
        return 0;
}

/* -1: agents_open was not called. */
static int directory_of(const struct agents *agents)
{
        return agents != NULL ? agents->directory : -1;
}

/* Calls visit with the name of each entry. */
static void each_entry(int directory, void (*visit)(void *arg, int directory, const char *name), void *arg)
{
        int copy = directory >= 0 ? openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
        const struct dirent *entry;

        if (entries == NULL) {
                if (copy >= 0)
                        close(copy);
                return;
        }
        while ((entry = readdir(entries)) != NULL)
                if (entry->d_name[0] != '.')
                        visit(arg, directory, entry->d_name);
        closedir(entries);
}

struct pruning {
        struct execs *execs;
        bool (*is_held)(void *arg, const char *name);
        void *arg;
};

static void prune(void *arg, int directory, const char *name)
{
        const struct pruning *pruning = arg;

        (void)directory;
        if (!pruning->is_held(pruning->arg, name))
                agent_listener_forget(pruning->execs, name);
}

void agents_prune(struct execs *execs, bool (*is_held)(void *arg, const char *name), void *arg)
{
        struct pruning pruning = { execs, is_held, arg };

        each_entry(directory_of(agents_of(execs)), prune, &pruning);
}

/* The user inside, whatever its uid, must be able to search the directory and to write to the socket. */
static int open_directory(const struct agents *agents, const char *name, int *ret_fd)
{
        int fd;

        if (mkdirat(agents->directory, name, 0755) != 0 && errno != EEXIST)
                return -errno;
        fd = openat(agents->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0755) == 0) {
                *ret_fd = fd;
                return 0;
        }
        close(fd);
        return -EIO;
}

/* The path goes through /proc/self/fd, because sun_path is short and runtime_dir may be long. */
static int listen_in(int directory, int *ret_fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int on = 1;

        (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" INSIDE_SOCKET, directory);
        if (fd < 0)
                return -errno;
        if (unlinkat(directory, INSIDE_SOCKET, 0) != 0 && errno != ENOENT)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            fchmodat(directory, INSIDE_SOCKET, 0666, 0) != 0 || listen(fd, BACKLOG) != 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* ---- greeting ---- */

static void stop_listening(struct agent_listener *listener)
{
        if (listener->listen_fd < 0)
                return;
        ev_io_stop(listener->execs->loop, &listener->incoming);
        close(listener->listen_fd);
        listener->listen_fd = -1;
        (void)unlinkat(listener->directory, INSIDE_SOCKET, 0);
}

static void drop_candidate(struct agent_listener *listener)
{
        if (listener->candidate < 0)
                return;
        ev_io_stop(listener->execs->loop, &listener->readable);
        close(listener->candidate);
        listener->candidate = -1;
        ev_io_start(listener->execs->loop, &listener->incoming);
}

static void tell_greeted(struct agent_listener *listener, const struct fault *why)
{
        void (*on_greeted)(void *arg, const struct fault *why) = listener->on_greeted;

        listener->on_greeted = NULL;
        if (on_greeted != NULL)
                on_greeted(listener->arg, why);
}

/* Kills what an earlier carreld's execs left, again and again until the kernel says that it is gone. */
static void on_clear(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_listener *listener = timer->data;

        (void)events;
        if (listener->channel == NULL || exec_cgroups_clear(&listener->channel->cgroups) == 0) {
                ev_timer_stop(loop, timer);
                tell_greeted(listener, NULL);
                return;
        }
        timer->repeat = timer->repeat * 2 < CLEAR_MAX_S ? timer->repeat * 2 : CLEAR_MAX_S;
        ev_timer_again(loop, timer);
}

static int send_welcome(int fd, const struct agent_welcome *welcome, struct agent_packet *packet)
{
        agent_write_welcome(packet, welcome);
        return send(fd, packet->bytes, packet->length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)packet->length ? 0
                                                                                                               : -EPIPE;
}

static int read_hello(int fd, struct agent_packet *packet, struct agent_hello *ret_hello)
{
        struct agent_header header;
        ssize_t length = recv(fd, packet->bytes, sizeof packet->bytes, MSG_DONTWAIT);

        if (length <= 0)
                return length < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EPIPE;
        if (agent_wire_check(AGENT_FROM_INSIDE, packet->bytes, (size_t)length, 0, false, &header) < 0 ||
            header.kind != AGENT_HELLO || agent_read_hello(packet->bytes, ret_hello) < 0)
                return -EBADMSG;
        return ret_hello->version_min <= AGENT_VERSION && ret_hello->version_max >= AGENT_VERSION_MIN
                       ? 0
                       : -EPROTONOSUPPORT;
}

static void refuse_candidate(struct agent_listener *listener, const char *sentence)
{
        struct fault why;

        drop_candidate(listener);
        (void)fault_set(&why, FAULT_CARREL_LOST, EPROTO, "the agent in the container cannot be used: %s", sentence);
        tell_greeted(listener, &why);
}

/* 0 with the WELCOME to send, -EPERM (it is not the agent that got the token), or another negative errno. */
static int know_again(const struct agent_listener *listener, const struct agent_hello *hello,
                      struct agent_welcome *ret_welcome)
{
        int directory = listener->agents->directory;
        uint8_t difference = 0;
        int r;

        *ret_welcome = (struct agent_welcome){
                .version = hello->version_max < AGENT_VERSION ? hello->version_max : AGENT_VERSION,
        };
        if (!listener->has_own_kernel)
                return 0;
        ret_welcome->flags = AGENT_WELCOME_FRAMED;
        r = agent_token_find(directory, listener->name, listener->container_id, ret_welcome->token);
        if (r == -ENOENT)
                return agent_token_make(directory, listener->name, listener->container_id, ret_welcome->token);
        for (int i = 0; i < AGENT_TOKEN_BYTES; i++)
                difference |= hello->token[i] ^ ret_welcome->token[i];
        if (r < 0)
                return r;
        return difference != 0 || agent_token_is_withheld(ret_welcome->token) ? -EPERM : 0;
}

/* The first message of a candidate. */
static void on_hello(struct ev_loop *loop, ev_io *io, int events)
{
        struct agent_listener *listener = io->data;
        struct agents *agents = listener->agents;
        struct agent_welcome welcome;
        struct agent_hello hello;
        int r = read_hello(listener->candidate, &agents->in, &hello);

        (void)loop, (void)events;
        if (r == -EAGAIN)
                return;
        if (r == -EPIPE) { /* it will connect again */
                drop_candidate(listener);
                return;
        }
        if (r < 0) {
                refuse_candidate(listener, r == -EBADMSG ? "it broke the protocol" : "it speaks another version");
                return;
        }
        r = know_again(listener, &hello, &welcome);
        if (r == -EPERM) { /* another program inside; the init will connect, too */
                drop_candidate(listener);
                return;
        }
        ev_io_stop(listener->execs->loop, &listener->readable);
        if (r < 0 || send_welcome(listener->candidate, &welcome, &agents->out) < 0 ||
            agent_channel_new(&listener->channel, agents, listener->container_id, listener->pid, listener->candidate,
                              welcome.version, listener->has_own_kernel) < 0) {
                refuse_candidate(listener, "it closed the connection, or memory ran out");
                return;
        }
        listener->candidate = -1;
        stop_listening(listener);
        listener->clear.repeat = CLEAR_FIRST_S;
        on_clear(listener->execs->loop, &listener->clear, 0);
}

/* The kernel noted the pid that connected. The pid is the init's as long as the pidfd that our caller holds is alive,
 * and the container's name in its cgroups proves that the pid was the right one. A container with a kernel of its own
 * connects through a helper of its runtime (gVisor: the gofer, later the sentry), which is in the same cgroup. */
static bool may_be_init(const struct agent_listener *listener, int fd)
{
        struct ucred peer = { 0 };
        socklen_t size = sizeof peer;

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 1 &&
               (peer.pid == listener->pid || listener->has_own_kernel) &&
               cgroup_holds(peer.pid, listener->container_id);
}

static void on_connection(struct ev_loop *loop, ev_io *io, int events)
{
        struct agent_listener *listener = io->data;
        const int on = 1;

        (void)events;
        for (int i = 0; i < ACCEPTS_AT_ONCE && listener->candidate < 0; i++) {
                int fd = accept4(listener->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0)
                        return;
                if (!may_be_init(listener, fd) || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
                        close(fd);
                        continue;
                }
                listener->candidate = fd;
                ev_io_set(&listener->readable, fd, EV_READ);
                ev_io_start(loop, &listener->readable);
                ev_io_stop(loop, io); /* later connections wait in the backlog */
        }
}

int agent_listener_greet(struct agent_listener *listener, const char *container_id, int pid, bool has_own_kernel,
                         void (*on_greeted)(void *arg, const struct fault *why), void *arg)
{
        if (str_copy(listener->container_id, sizeof listener->container_id, container_id) != 0)
                return -EINVAL;
        listener->pid = pid;
        listener->has_own_kernel = has_own_kernel;
        listener->on_greeted = on_greeted;
        listener->arg = arg;
        ev_io_start(listener->execs->loop, &listener->incoming);
        return 0;
}

int agent_listener_give_up(const struct agent_listener *listener)
{
        int directory = listener->agents->directory;
        uint8_t token[AGENT_TOKEN_BYTES];
        int r = agent_token_find(directory, listener->name, listener->container_id, token);

        if (r == -ENOENT)
                return agent_token_withhold(directory, listener->name, listener->container_id);
        return r == 0 && !agent_token_is_withheld(token) ? -EPERM : r;
}

void agent_listener_leave(struct agent_listener *listener)
{
        if (listener == NULL)
                return;
        listener->on_greeted = NULL;
        ev_timer_stop(listener->execs->loop, &listener->clear);
        drop_candidate(listener);
        ev_io_stop(listener->execs->loop, &listener->incoming);
}

bool agent_listener_is_greeted(const struct agent_listener *listener)
{
        return listener != NULL && listener->channel != NULL && !listener->channel->is_broken;
}

/* ---- its life ---- */

static void free_listener(struct deferred_free *deferred_free)
{
        struct agent_listener *listener = (struct agent_listener *)deferred_free;

        if (listener->directory >= 0)
                close(listener->directory);
        free(listener->name);
        free(listener);
}

int agent_listener_new(struct agent_listener **ret_listener, struct execs *execs, const char *name, struct fault *why)
{
        struct agent_listener *listener = calloc(1, sizeof *listener);
        struct agents *agents = agents_of(execs);
        int r = listener != NULL ? 0 : -ENOMEM;

        if (r == 0) {
                *listener = (struct agent_listener){ .deferred_free.free = free_listener,
                                                     .agents = agents,
                                                     .execs = execs,
                                                     .directory = -1,
                                                     .listen_fd = -1,
                                                     .candidate = -1 };
                list_init(&listener->deferred_free.node);
                listener->name = strdup(name);
                r = listener->name != NULL ? 0 : -ENOMEM;
        }
        if (r == 0)
                r = directory_of(agents) >= 0 ? open_directory(agents, name, &listener->directory) : -ENOENT;
        if (r == 0)
                r = listen_in(listener->directory, &listener->listen_fd);
        if (r < 0) {
                if (listener != NULL)
                        free_listener(&listener->deferred_free);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -r, "cannot listen for the agent in %s: %s", name,
                                 strerror(-r));
        }
        ev_io_init(&listener->incoming, on_connection, listener->listen_fd, EV_READ);
        ev_io_init(&listener->readable, on_hello, -1, EV_READ);
        ev_init(&listener->clear, on_clear);
        listener->incoming.data = listener->readable.data = listener->clear.data = listener;
        *ret_listener = listener;
        return 0;
}

struct agent_listener *agent_listener_free(struct agent_listener *listener)
{
        if (listener == NULL)
                return NULL;
        agent_listener_leave(listener);
        stop_listening(listener);
        if (listener->channel != NULL)
                execs_container_lost(listener->execs, listener->channel->container_id, false);
        listener->channel = agent_channel_close(listener->channel);
        agents_defer_free(listener->agents, &listener->deferred_free);
        return NULL;
}

/* A container that has the earlier file bound keeps that one. */
int agent_listener_put(struct agent_listener *listener, const char *name, const void *bytes, size_t length)
{
        AUTO(auto_close) int fd = -1;
        ssize_t n;

        if (unlinkat(listener->directory, name, 0) != 0 && errno != ENOENT)
                return -errno;
        fd = openat(listener->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || fchmod(fd, 0644) != 0)
                return -errno;
        n = write(fd, bytes, length);
        return n < 0 ? -errno : (size_t)n == length ? 0 : -ENOSPC;
}

static void remove_entry(void *arg, int directory, const char *name)
{
        (void)arg;
        (void)unlinkat(directory, name, 0);
}

void agent_listener_forget(struct execs *execs, const char *name)
{
        AUTO(auto_close) int directory = -1;
        int all = directory_of(agents_of(execs));

        if (all < 0)
                return;
        directory = openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        agent_token_forget(all, name);
        if (directory < 0)
                return;
        each_entry(directory, remove_entry, NULL);
        (void)unlinkat(all, name, AT_REMOVEDIR);
}
