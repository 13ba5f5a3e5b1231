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
#include "agent-token.h"
#include "agent.h"
#include "scope.h"

#define SOCKET_NAME "agent.sock"

/* A greeting takes as long as it takes to clear what an earlier carreld left running. */
static const double CLEAR_FIRST_S = 0.002, CLEAR_MAX_S = 0.1;
enum { BACKLOG = 16, ACCEPTS_AT_ONCE = 16 };

struct agent_home {
        struct doomed doomed;
        struct execs *execs;
        int directory;
        int listener; /* -1: closed */
        int guest;    /* the init's connection before it is a channel; -1: none */
        ev_io knock, word;
        ev_timer clear;
        struct agent_channel *channel; /* NULL: not greeted */
        char *name;
        char container_id[ENGINE_ID_BYTES];
        int pid;
        bool has_own_kernel;
        void (*on_greeted)(void *arg, const struct fault *why); /* NULL: nobody waits */
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

/* Searchable, because an engine that maps users binds the homes as one of those; nobody but root can list them, and who
 * connects without being the init is hung up on. */
int agents_open(struct execs *execs, const char *runtime_dir, const char *pool, struct fault *why)
{
        struct agents *agents = execs->agents;
        AUTO(auto_close) int top = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO(auto_close) int all = -1;
        int error = top >= 0 ? enter_directory(top, "agents", &all) : -errno;
        int fd = -1;

        if (error == 0)
                error = enter_directory(all, pool, &fd);
        if (error < 0)
                return fault_set(why, FAULT_INTERNAL, -error, "cannot make %s/agents/%s: %s", runtime_dir, pool,
                                 strerror(-error));
        if (agents->directory >= 0)
                close(agents->directory);
        agents->directory = fd;
        return 0;
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
                agent_home_forget(pruning->execs, name);
}

void agents_prune(struct execs *execs, bool (*is_held)(void *arg, const char *name), void *arg)
{
        struct pruning pruning = { execs, is_held, arg };

        each_entry(execs->agents->directory, prune, &pruning);
}

/* Whoever the user inside is must be able to search the directory and to write to the socket. */
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

/* Through /proc/self/fd, because sun_path is short and runtime_dir may be long. */
static int listen_in(int directory, int *ret_fd)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        AUTO(auto_close) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int on = 1;

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SOCKET_NAME, directory);
        if (fd < 0)
                return -errno;
        if (unlinkat(directory, SOCKET_NAME, 0) != 0 && errno != ENOENT)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            fchmodat(directory, SOCKET_NAME, 0666, 0) != 0 || listen(fd, BACKLOG) != 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* ---- greeting ---- */

static void stop_listening(struct agent_home *home)
{
        if (home->listener < 0)
                return;
        ev_io_stop(home->execs->loop, &home->knock);
        close(home->listener);
        home->listener = -1;
        (void)unlinkat(home->directory, SOCKET_NAME, 0);
}

static void show_out(struct agent_home *home)
{
        if (home->guest < 0)
                return;
        ev_io_stop(home->execs->loop, &home->word);
        close(home->guest);
        home->guest = -1;
        ev_io_start(home->execs->loop, &home->knock);
}

static void tell_greeted(struct agent_home *home, const struct fault *why)
{
        void (*on_greeted)(void *arg, const struct fault *why) = home->on_greeted;

        home->on_greeted = NULL;
        if (on_greeted != NULL)
                on_greeted(home->arg, why);
}

/* Nothing of before runs on unaccounted: it is killed, until the kernel says that it is gone. */
static void on_clear(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct agent_home *home = timer->data;

        (void)events;
        if (home->channel == NULL || exec_cgroups_clear(&home->channel->cgroups) == 0) {
                ev_timer_stop(loop, timer);
                tell_greeted(home, NULL);
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
        ssize_t length = recv(fd, packet->bytes, sizeof(packet->bytes), MSG_DONTWAIT);

        if (length <= 0)
                return length < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EPIPE;
        if (agent_wire_check(AGENT_FROM_INSIDE, packet->bytes, (size_t)length, 0, false, &header) < 0 ||
            header.kind != AGENT_HELLO || agent_read_hello(packet->bytes, ret_hello) < 0)
                return -EBADMSG;
        return ret_hello->version_min <= AGENT_VERSION && ret_hello->version_max >= AGENT_VERSION_MIN
                       ? 0
                       : -EPROTONOSUPPORT;
}

static void refuse_guest(struct agent_home *home, const char *sentence)
{
        struct fault why;

        show_out(home);
        (void)fault_set(&why, FAULT_CARREL_LOST, EPROTO, "the agent in the container cannot be used: %s", sentence);
        tell_greeted(home, &why);
}

/* 0 with what to answer, -EPERM: it is somebody else, or another negative errno. */
static int know_again(const struct agent_home *home, const struct agent_hello *hello, struct agent_welcome *ret_welcome)
{
        int directory = home->execs->agents->directory;
        uint8_t difference = 0;
        int error;

        *ret_welcome = (struct agent_welcome){
                .version = hello->version_max < AGENT_VERSION ? hello->version_max : AGENT_VERSION,
        };
        if (!home->has_own_kernel)
                return 0;
        ret_welcome->flags = AGENT_WELCOME_FRAMED;
        error = agent_token_find(directory, home->name, home->container_id, ret_welcome->token);
        if (error == -ENOENT)
                return agent_token_make(directory, home->name, home->container_id, ret_welcome->token);
        for (int i = 0; i < AGENT_TOKEN_BYTES; i++)
                difference |= hello->token[i] ^ ret_welcome->token[i];
        if (error < 0)
                return error;
        return difference != 0 || agent_token_is_withheld(ret_welcome->token) ? -EPERM : 0;
}

/* The init's first word. */
static void on_word(struct ev_loop *loop, ev_io *io, int events)
{
        struct agent_home *home = io->data;
        struct agents *agents = home->execs->agents;
        struct agent_welcome welcome;
        struct agent_hello hello;
        int error = read_hello(home->guest, &agents->in, &hello);

        (void)loop, (void)events;
        if (error == -EAGAIN)
                return;
        if (error == -EPIPE) { /* it dials again */
                show_out(home);
                return;
        }
        if (error < 0) {
                refuse_guest(home, error == -EBADMSG ? "it broke the protocol" : "it speaks another version");
                return;
        }
        error = know_again(home, &hello, &welcome);
        if (error == -EPERM) { /* another program inside; the init will come, too */
                show_out(home);
                return;
        }
        ev_io_stop(home->execs->loop, &home->word);
        if (error < 0 || send_welcome(home->guest, &welcome, &agents->out) < 0 ||
            agent_channel_new(&home->channel, home->execs, home->container_id, home->pid, home->guest, welcome.version,
                              home->has_own_kernel) < 0) {
                refuse_guest(home, "it hung up, or there is no memory");
                return;
        }
        home->guest = -1;
        stop_listening(home);
        home->clear.repeat = CLEAR_FIRST_S;
        on_clear(home->execs->loop, &home->clear, 0);
}

/* The kernel noted who connected. The pid is the init's as long as its pidfd, which our caller has, is alive; the
 * container's name in its cgroups says that the pid was right in the first place. With a kernel of its own a container
 * connects by a helper of its runtime (gVisor: by the gofer, later by the sentry), which is in the same cgroup. */
static bool may_be_init(const struct agent_home *home, int fd)
{
        struct ucred peer = { 0 };
        socklen_t size = sizeof(peer);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 1 &&
               (peer.pid == home->pid || home->has_own_kernel) && cgroup_holds(peer.pid, home->container_id);
}

static void on_knock(struct ev_loop *loop, ev_io *io, int events)
{
        struct agent_home *home = io->data;
        const int on = 1;

        (void)events;
        for (int i = 0; i < ACCEPTS_AT_ONCE && home->guest < 0; i++) {
                int fd = accept4(home->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0)
                        return;
                if (!may_be_init(home, fd) || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
                        close(fd);
                        continue;
                }
                home->guest = fd;
                ev_io_set(&home->word, fd, EV_READ);
                ev_io_start(loop, &home->word);
                ev_io_stop(loop, io); /* who comes meanwhile waits, and wakes nobody */
        }
}

int agent_home_greet(struct agent_home *home, const char *container_id, int pid, bool has_own_kernel,
                     void (*on_greeted)(void *arg, const struct fault *why), void *arg)
{
        if (str_copy(home->container_id, sizeof(home->container_id), container_id) != 0)
                return -EINVAL;
        home->pid = pid;
        home->has_own_kernel = has_own_kernel;
        home->on_greeted = on_greeted;
        home->arg = arg;
        ev_io_start(home->execs->loop, &home->knock);
        return 0;
}

int agent_home_give_up(const struct agent_home *home)
{
        int directory = home->execs->agents->directory;
        uint8_t token[AGENT_TOKEN_BYTES];
        int error = agent_token_find(directory, home->name, home->container_id, token);

        if (error == -ENOENT)
                return agent_token_withhold(directory, home->name, home->container_id);
        return error == 0 && !agent_token_is_withheld(token) ? -EPERM : error;
}

void agent_home_leave(struct agent_home *home)
{
        if (home == NULL)
                return;
        home->on_greeted = NULL;
        ev_timer_stop(home->execs->loop, &home->clear);
        show_out(home);
        ev_io_stop(home->execs->loop, &home->knock);
}

bool agent_home_is_greeted(const struct agent_home *home)
{
        return home != NULL && home->channel != NULL && !home->channel->is_broken;
}

/* ---- its life ---- */

static void free_home(struct doomed *doomed)
{
        struct agent_home *home = (struct agent_home *)doomed;

        if (home->directory >= 0)
                close(home->directory);
        free(home->name);
        free(home);
}

int agent_home_new(struct agent_home **ret_home, struct execs *execs, const char *name, struct fault *why)
{
        struct agent_home *home = calloc(1, sizeof(*home));
        int error = home != NULL ? 0 : -ENOMEM;

        if (error == 0) {
                *home = (struct agent_home){
                        .doomed.free = free_home, .execs = execs, .directory = -1, .listener = -1, .guest = -1
                };
                list_init(&home->doomed.node);
                home->name = strdup(name);
                error = home->name != NULL ? 0 : -ENOMEM;
        }
        if (error == 0) {
                error = execs->agents->directory >= 0 ? open_directory(execs->agents, name, &home->directory) : -ENOENT;
        }
        if (error == 0)
                error = listen_in(home->directory, &home->listener);
        if (error < 0) {
                if (home != NULL)
                        free_home(&home->doomed);
                return fault_set(why, FAULT_RESOURCE_EXHAUSTED, -error, "cannot listen for the agent of %s: %s", name,
                                 strerror(-error));
        }
        ev_io_init(&home->knock, on_knock, home->listener, EV_READ);
        ev_io_init(&home->word, on_word, -1, EV_READ);
        ev_init(&home->clear, on_clear);
        home->knock.data = home->word.data = home->clear.data = home;
        *ret_home = home;
        return 0;
}

struct agent_home *agent_home_free(struct agent_home *home)
{
        if (home == NULL)
                return NULL;
        agent_home_leave(home);
        stop_listening(home);
        if (home->channel != NULL)
                execs_container_lost(home->execs, home->channel->container_id, false);
        home->channel = agent_channel_close(home->channel);
        agents_doom(home->execs, &home->doomed);
        return NULL;
}

/* What still has the earlier one bound keeps that. */
int agent_home_put(struct agent_home *home, const char *name, const void *bytes, size_t length)
{
        AUTO(auto_close) int fd = -1;
        ssize_t n;

        if (unlinkat(home->directory, name, 0) != 0 && errno != ENOENT)
                return -errno;
        fd = openat(home->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
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

void agent_home_forget(struct execs *execs, const char *name)
{
        AUTO(auto_close) int directory = -1;

        if (execs->agents->directory < 0)
                return;
        directory = openat(execs->agents->directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        agent_token_forget(execs->agents->directory, name);
        if (directory < 0)
                return;
        each_entry(directory, remove_entry, NULL);
        (void)unlinkat(execs->agents->directory, name, AT_REMOVEDIR);
}
