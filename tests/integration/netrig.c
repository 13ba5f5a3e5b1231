#include "netrig.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "carreld.h"
#include "enclosure.h"
#include "family.h"
#include "process.h"

#define AWAIT_S 60.0

struct order {
        long (*run)(const void *argument);
        char argument[NODE_ARGUMENT_BYTES];
};

/* ---- nodes ---- */

static _Noreturn void obey(int fd, bool is_apart)
{
        struct order order;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (is_apart && unshare(CLONE_NEWNET) != 0)
                _exit(EXIT_FAILURE);
        for (;;) {
                long result = 0;

                if (order.run = NULL, recv(fd, &order, sizeof order, 0) != (ssize_t)sizeof order)
                        _exit(EXIT_SUCCESS);
                if (order.run != NULL)
                        result = order.run(order.argument);
                if (send(fd, &result, sizeof result, MSG_NOSIGNAL) != (ssize_t)sizeof result)
                        _exit(EXIT_FAILURE);
        }
}

static void make_id(char id[static NODE_ID_BYTES])
{
        unsigned char bytes[32];
        int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

        assert_int_equal(read(fd, bytes, sizeof bytes), sizeof bytes);
        close(fd);
        for (size_t i = 0; i < sizeof bytes; i++)
                (void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

/* Into a cgroup named by the id, in a hierarchy that any of the two versions has. */
static void enter_cgroup(const struct node *node)
{
        const char *root = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
        char path[256];
        FILE *procs;

        (void)snprintf(path, sizeof path, "%s%s", root, enclosure_cgroup());
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
        (void)snprintf(path, sizeof path, "%s%s/%s", root, enclosure_cgroup(), node->id);
        assert_int_equal(mkdir(path, 0755), 0);
        (void)snprintf(path, sizeof path, "%s%s/%s/cgroup.procs", root, enclosure_cgroup(), node->id);
        procs = fopen(path, "we");
        assert_non_null(procs);
        (void)fprintf(procs, "%d", (int)node->pid);
        assert_int_equal(fclose(procs), 0);
}

static long ready(const void *argument)
{
        (void)argument;
        return 1;
}

struct node *node_new(bool is_apart)
{
        struct node *node = calloc(1, sizeof *node);
        int pair[2];

        assert_non_null(node);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        make_id(node->id);
        fflush(NULL);
        node->pid = fork();
        if (node->pid == 0) {
                close(pair[0]);
                obey(pair[1], is_apart);
        }
        assert_true(node->pid > 0);
        close(pair[1]);
        node->fd = pair[0];
        enter_cgroup(node);
        assert_int_equal(node_run(node, ready, NULL, 0), 1);
        return node;
}

struct node *node_free(struct node *node)
{
        if (node == NULL)
                return NULL;
        (void)kill(node->pid, SIGKILL);
        (void)waitpid(node->pid, NULL, 0);
        close(node->fd);
        free(node);
        return NULL;
}

long node_run(const struct node *node, long (*run)(const void *argument), const void *argument, size_t size)
{
        struct order order = { .run = run };
        long result = 0;

        assert_true(size <= sizeof order.argument);
        if (size > 0)
                memcpy(order.argument, argument, size);
        assert_int_equal(send(node->fd, &order, sizeof order, MSG_NOSIGNAL), sizeof order);
        assert_int_equal(recv(node->fd, &result, sizeof result, 0), sizeof result);
        return result;
}

void node_must_run(const struct node *node, const char *const *argv)
{
        const char *full[24] = { "nsenter", "-t", NULL, "-n" };
        char pid[16];
        size_t count = 4;

        (void)snprintf(pid, sizeof pid, "%d", (int)node->pid);
        full[2] = pid;
        for (size_t i = 0; argv[i] != NULL; i++) {
                assert_true(count < 23);
                full[count++] = argv[i];
        }
        process_must_run(full);
}

/* ---- the outside ---- */

struct node *rig_host_service_new(void)
{
        struct node *node = node_new(false);

        assert_int_equal(node_run(node, rig_serve, NULL, 0), 1);
        return node;
}

struct node *rig_outside_new(void)
{
        struct node *node = node_new(true);
        char pid[16];

        (void)snprintf(pid, sizeof pid, "%d", (int)node->pid);
        MUST_RUN("ip", "link", "set", "lo", "up");
        MUST_RUN("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1", "netns", pid);
        MUST_RUN("ip", "address", "add", RIG_UPLINK_NETWORK, "dev", "up0");
        MUST_RUN("ip", "link", "set", "up0", "up");
        NODE_MUST_RUN(node, "ip", "link", "set", "lo", "up");
        NODE_MUST_RUN(node, "ip", "address", "add", "5.6.7.2/30", "dev", "up1");
        NODE_MUST_RUN(node, "ip", "link", "set", "up1", "up");
        NODE_MUST_RUN(node, "ip", "route", "add", "default", "via", RIG_UPLINK);
        MUST_RUN("ip", "route", "add", "default", "via", "5.6.7.2");
        rig_outside_add(node, RIG_ALLOWED);
        rig_outside_add(node, RIG_ALLOWED_TOO);
        assert_int_equal(node_run(node, rig_serve, NULL, 0), 1);
        return node;
}

void rig_outside_add(const struct node *outside, const char *address)
{
        NODE_MUST_RUN(outside, "ip", "address", "add", address, "dev", "lo");
}

/* ---- policy ---- */

static void note_change(void *arg, const struct netpolicy_status *status)
{
        struct rig *rig = arg;

        (void)status;
        rig->changes++;
}

void rig_start(struct rig *rig, const char *pool, const char *network, const char *deny, const char *allow)
{
        struct fault why = { 0 };

        *rig = (struct rig){ .loop = ev_loop_new(EVFLAG_AUTO) };
        assert_non_null(rig->loop);
        rig->options = (struct netpolicy_options){
                .helper_path = getenv("CARREL_NETD"),
                .pool = pool,
                .network_cidr = network,
                .deny = deny,
                .allow = allow,
                .dns = "",
                .check_interval_s = 0.2,
        };
        if (rig->options.helper_path == NULL)
                rig->options.helper_path = strdup(built_program("netpolicy/carrel-netd"));
        if (netpolicy_new(&rig->policy, rig->loop, &rig->options, note_change, rig, &why) < 0)
                fail_msg("netpolicy_new: %s", why.message);
}

void rig_stop(struct rig *rig)
{
        if (rig->loop == NULL)
                return;
        rig->policy = netpolicy_free(rig->policy);
        ev_loop_destroy(rig->loop);
        if (getenv("CARREL_NETD") == NULL)
                free((char *)(uintptr_t)rig->options.helper_path);
        rig->loop = NULL;
}

static void ring(struct ev_loop *loop, ev_timer *watcher, int events)
{
        (void)loop;
        (void)events;
        *(bool *)watcher->data = true;
}

void rig_await(struct rig *rig, bool (*is_done)(struct rig *rig))
{
        bool is_late = false;
        ev_timer deadline;

        ev_timer_init(&deadline, ring, AWAIT_S, 0.);
        deadline.data = &is_late;
        ev_now_update(rig->loop);
        ev_timer_start(rig->loop, &deadline);
        while (!is_done(rig) && !is_late)
                ev_run(rig->loop, EVRUN_ONCE);
        ev_timer_stop(rig->loop, &deadline);
        if (is_late)
                fail_msg("not in time; netpolicy says: %s", rig_status(rig).detail);
}

struct netpolicy_status rig_status(struct rig *rig)
{
        struct netpolicy_status status;

        netpolicy_status(rig->policy, &status);
        return status;
}

bool rig_in_force(struct rig *rig)
{
        return netpolicy_is_in_force(rig->policy);
}

bool rig_not_in_force(struct rig *rig)
{
        return !netpolicy_is_in_force(rig->policy);
}

struct awaited {
        bool is_done;
        enum fault_kind kind;
        struct netpolicy_link link;
};

static void on_done(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        struct awaited *awaited = arg;

        awaited->is_done = true;
        awaited->kind = why == NULL ? FAULT_NONE : why->kind;
        if (why != NULL)
                print_message("# netpolicy: %s\n", why->message);
        if (link != NULL)
                awaited->link = *link;
}

/* Every call has a deadline of its own. */
static enum fault_kind await_call(struct rig *rig, const struct awaited *awaited)
{
        while (!awaited->is_done)
                ev_run(rig->loop, EVRUN_ONCE);
        return awaited->kind;
}

enum fault_kind rig_confirm(struct rig *rig)
{
        struct awaited awaited = { 0 };

        assert_int_equal(netpolicy_confirm(rig->policy, on_done, &awaited, NULL), 0);
        return await_call(rig, &awaited);
}

enum fault_kind rig_apply(struct rig *rig, const char *deny)
{
        struct awaited awaited = { 0 };

        rig->options.deny = deny;
        assert_int_equal(netpolicy_apply(rig->policy, &rig->options, on_done, &awaited, NULL), 0);
        return await_call(rig, &awaited);
}

static enum fault_kind plug(struct rig *rig, int pid, const char *id, bool is_closed, struct netpolicy_link *ret_link)
{
        struct awaited awaited = { 0 };

        assert_int_equal(netpolicy_plug(rig->policy, pid, id, is_closed, on_done, &awaited, NULL), 0);
        (void)await_call(rig, &awaited);
        if (ret_link != NULL)
                *ret_link = awaited.link;
        return awaited.kind;
}

enum fault_kind rig_plug(struct rig *rig, int pid, const char *id, struct netpolicy_link *ret_link)
{
        return plug(rig, pid, id, false, ret_link);
}

enum fault_kind rig_plug_closed(struct rig *rig, int pid, const char *id, struct netpolicy_link *ret_link)
{
        return plug(rig, pid, id, true, ret_link);
}

enum fault_kind rig_open(struct rig *rig, int pid, const char *interface)
{
        struct awaited awaited = { 0 };

        assert_int_equal(netpolicy_open(rig->policy, pid, interface, on_done, &awaited, NULL), 0);
        return await_call(rig, &awaited);
}

struct netpolicy_link rig_must_plug(struct rig *rig, const struct node *node)
{
        struct netpolicy_link link;

        assert_int_equal(rig_plug(rig, node->pid, node->id, &link), FAULT_NONE);
        return link;
}

static bool is_our_helper(const char *pid)
{
        char path[64], text[128] = "";
        int parent = 0;
        FILE *stat;

        (void)snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
        stat = fopen(path, "re");
        if (stat == NULL)
                return false;
        if (fgets(text, sizeof text, stat) == NULL)
                text[0] = '\0';
        (void)fclose(stat);
        return sscanf(text, "%*d (carrel-netd) %*c %d", &parent) == 1 && parent == getpid();
}

pid_t rig_helper_pid(void)
{
        DIR *dir = opendir("/proc");
        pid_t found = 0;

        for (struct dirent *entry = readdir(dir); entry != NULL && found == 0; entry = readdir(dir))
                if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_our_helper(entry->d_name))
                        found = (pid_t)strtol(entry->d_name, NULL, 10);
        closedir(dir);
        return found;
}

uint64_t rig_packets(enum rule_family family, const char *table, const char *chain, const struct rule *like)
{
        const struct family *tables = family == RULE_IPV4 ? &FAMILY_IPV4 : &FAMILY_IPV6;
        struct xtc_handle *handle = tables->init(table);
        struct rule rules[512];
        size_t count;

        assert_non_null(handle);
        count = tables->read(handle, chain, rules, 512);
        tables->free(handle);
        assert_true(count <= 512);
        for (size_t i = 0; i < count; i++)
                if (rule_is_equal(&rules[i], like))
                        return rules[i].packets;
        fail_msg("%s %s has no such rule", table, chain);
        return 0;
}
