/* The policy when others change the rules and when the helper is stopped or killed, and processes that the helper
 * refuses to plug. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "family.h"
#include "net-suite.h"
#include "policy.h"
#include "protocol.h"

static bool is_open(const struct node *node)
{
        struct probe target = rig_probe(RIG_ALLOWED, RIG_PORT, true);

        return node_run(node, probe_open, &target, sizeof target) == 1;
}

/* ---- rules that others touch ---- */

#define SH(...)                                                                                                        \
        {                                                                                                              \
                __VA_ARGS__, NULL                                                                                      \
        }

static const char *const DAMAGES[][12] = {
        SH("iptables-legacy", "-w", "-t", "raw", "-F"),
        SH("iptables-legacy", "-w", "-F"),
        SH("iptables-legacy", "-w", "-t", "nat", "-F"),
        SH("ip6tables-legacy", "-w", "-t", "raw", "-F"),
        SH("ip6tables-legacy", "-w", "-F"),
        SH("iptables-legacy", "-w", "-t", "raw", "-F", "PREROUTING"),
        SH("iptables-legacy", "-w", "-t", "raw", "-D", "CARREL", "5"),
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "CARREL", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-t", "raw", "-A", "CARREL", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-t", "raw", "-R", "CARREL", "1", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "PREROUTING", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "PREROUTING", "-i", "carrel1", "-j", "RETURN"),
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "PREROUTING", "-j", "FOREIGN"),
        SH("iptables-legacy", "-w", "-I", "INPUT", "-i", "carrel+", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-I", "FORWARD", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-R", "CARREL-INPUT", "1", "-j", "ACCEPT"),
};

/* Harmless rules, which must not be taken for damage. */
static const char *const HARMLESS[][12] = {
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "PREROUTING", "-i", "eth0", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "PREROUTING", "-i", "carre", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-t", "raw", "-I", "PREROUTING", "-s", "6.6.6.6", "-j", "DROP"),
        SH("iptables-legacy", "-w", "-t", "raw", "-A", "PREROUTING", "-j", "ACCEPT"),
        SH("iptables-legacy", "-w", "-I", "FORWARD", "-j", "FOREIGN"),
        SH("iptables-legacy", "-w", "-t", "nat", "-I", "POSTROUTING", "-s", "172.17.0.0/16", "-j", "MASQUERADE"),
};

static uint64_t heals_before;

static bool has_healed(struct rig *any)
{
        return rig_status(any).heals > heals_before;
}

/* Damage is found by the periodic check alone, undone, counted and reported. The rules of others stay. */
static void damage_is_healed(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof DAMAGES / sizeof *DAMAGES; i++) {
                unsigned changes = rig.changes;
                uint64_t alarms = rig_status(&rig).alarms;

                heals_before = rig_status(&rig).heals;
                print_message("# damage %zu: %s %s %s\n", i, DAMAGES[i][0], DAMAGES[i][2], DAMAGES[i][3]);
                process_must_run(DAMAGES[i]);
                rig_await(&rig, has_healed);
                assert_int_equal(rig_status(&rig).heals, heals_before + 1);
                assert_true(rig_status(&rig).alarms > alarms);
                assert_int_equal(rig_confirm(&rig), FAULT_NONE);
                assert_true(rig.changes > changes);
                assert_true(rig_in_force(&rig));
        }
        assert_true(is_open(carrel));
}

static void harmless_rules_stand(void **state)
{
        (void)state;
        heals_before = rig_status(&rig).heals;
        for (size_t i = 0; i < sizeof HARMLESS / sizeof *HARMLESS; i++) {
                print_message("# harmless %zu: %s %s %s\n", i, HARMLESS[i][0], HARMLESS[i][2], HARMLESS[i][3]);
                process_must_run(HARMLESS[i]);
                assert_int_equal(rig_confirm(&rig), FAULT_NONE);
                assert_int_equal(rig_status(&rig).heals, heals_before);
        }
}

/* Decoys, and what the tests before have inserted: all of it outlives a heal of its table. */
static void foreign_rules_are_untouched(void **state)
{
        static const char *const EXPECTED[] = {
                "-A FOREIGN -s 7.7.7.7/32 -m comment --comment decoy -j ACCEPT",
                "-A FORWARD -s 7.7.7.8/32 -j ACCEPT",
                "-A PREROUTING -i eth0 -j ACCEPT",
                "-A PREROUTING -i carrel1 -j RETURN",
        };
        struct output output;

        (void)state;
        MUST_RUN("iptables-legacy", "-w", "-A", "FORWARD", "-s", "7.7.7.8", "-j", "ACCEPT");
        MUST_RUN("iptables-legacy", "-w", "-A", "FOREIGN", "-s", "7.7.7.7", "-m", "comment", "--comment", "decoy", "-j",
                 "ACCEPT");
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-F", "CARREL");
        MUST_RUN("iptables-legacy", "-w", "-F", "CARREL-FORWARD");
        assert_int_equal(rig_confirm(&rig), FAULT_NONE);
        RUN(&output, "iptables-legacy-save");
        assert_int_equal(output.status, 0);
        for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
                if (strstr(output.text, EXPECTED[i]) == NULL)
                        fail_msg("gone: %s\n%s", EXPECTED[i], output.text);
}

/* With libiptc itself, which ignores the lock (docs/threats.md, fact 5). */
static void flush_judge(void)
{
        struct xtc_handle *handle = FAMILY_IPV4.init("raw");

        assert_non_null(handle);
        assert_int_not_equal(FAMILY_IPV4.flush(handle, "CARREL"), 0);
        assert_int_not_equal(FAMILY_IPV4.commit(handle), 0);
        FAMILY_IPV4.free(handle);
}

static void not_in_force_while_the_lock_is_held(void **state)
{
        int fd = open("/run/xtables.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        (void)state;
        assert_int_equal(flock(fd, LOCK_EX), 0);
        assert_int_equal(rig_confirm(&rig), FAULT_NONE); /* to look takes no lock */
        flush_judge();
        assert_int_equal(rig_confirm(&rig), FAULT_POLICY_NOT_IN_FORCE);
        assert_false(rig_in_force(&rig));
        assert_int_equal(rig_plug(&rig, carrel->pid, carrel->id, NULL), FAULT_POLICY_NOT_IN_FORCE);
        close(fd);
        rig_await(&rig, rig_in_force);
        assert_int_equal(rig_confirm(&rig), FAULT_NONE);
}

/* A DROP policy of either FORWARD chain, as Docker sets it, blocks nothing that the policy allows. */
static void allowed_targets_pass_a_dropping_forward_chain(void **state)
{
        struct output output;

        (void)state;
        MUST_RUN("iptables-legacy", "-w", "-P", "FORWARD", "DROP");
        assert_true(is_open(carrel));
        MUST_RUN("iptables-nft", "-P", "FORWARD", "DROP");
        MUST_RUN("iptables-nft", "-A", "FORWARD", "-s", "7.7.7.9", "-m", "comment", "--comment", "decoy", "-j", "DROP");
        assert_int_equal(rig_confirm(&rig), FAULT_NONE);
        assert_int_equal(rig_confirm(&rig), FAULT_NONE);
        assert_true(is_open(carrel));
        RUN(&output, "iptables-nft", "-S", "FORWARD");
        assert_int_equal(output.status, 0);
        assert_non_null(strstr(output.text, "-P FORWARD DROP\n-A FORWARD -i carrel+ -j ACCEPT\n"
                                            "-A FORWARD -o carrel+ -j ACCEPT\n"
                                            "-A FORWARD -s 7.7.7.9/32 -m comment --comment decoy -j DROP\n"));
}

/* The positive control: without our two rules that chain blocks. */
static void a_dropping_forward_chain_blocks_without_us(void **state)
{
        pid_t helper = rig_helper_pid();
        struct probe target = rig_probe(RIG_ALLOWED, RIG_PORT, false);

        (void)state;
        assert_int_equal(kill(helper, SIGSTOP), 0);
        MUST_RUN("iptables-nft", "-F", "FORWARD");
        assert_int_equal(node_run(carrel, probe_udp, &target, sizeof target), -1); /* not even the fence */
        MUST_RUN("iptables-nft", "-P", "FORWARD", "ACCEPT");
        assert_int_equal(kill(helper, SIGCONT), 0);
        rig_await(&rig, rig_in_force);
        assert_true(is_open(carrel));
}

/* ---- the helper ---- */

static void a_stopped_helper_is_not_fresh(void **state)
{
        pid_t helper = rig_helper_pid();

        (void)state;
        assert_true(helper > 0);
        rig_await(&rig, rig_in_force);
        assert_int_equal(kill(helper, SIGSTOP), 0);
        rig_await(&rig, rig_not_in_force);
        assert_true(rig_status(&rig).has_helper);
        assert_int_equal(kill(helper, SIGCONT), 0);
        rig_await(&rig, rig_in_force);
        assert_int_equal(rig_helper_pid(), helper);
}

static bool has_no_helper(struct rig *any)
{
        return !rig_status(any).has_helper;
}

static void on_lost(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        (void)link;
        *(enum fault_kind *)arg = why->kind;
}

static void on_never(void *arg, const struct netpolicy_link *link, const struct fault *why)
{
        (void)arg;
        (void)link;
        (void)why;
        fail_msg("a cancelled call came back");
}

static void a_killed_helper_comes_back(void **state)
{
        pid_t helper = rig_helper_pid();
        enum fault_kind kind = FAULT_NONE;
        struct netpolicy_call *cancelled = NULL;
        uint64_t alarms = rig_status(&rig).alarms;

        (void)state;
        assert_int_equal(kill(helper, SIGSTOP), 0);
        assert_int_equal(netpolicy_confirm(rig.policy, on_lost, &kind, NULL), 0);
        assert_int_equal(netpolicy_confirm(rig.policy, on_never, NULL, &cancelled), 0);
        assert_int_equal(kill(helper, SIGKILL), 0);
        rig_await(&rig, has_no_helper);
        cancelled = netpolicy_cancel(cancelled);
        assert_false(rig_in_force(&rig));
        assert_true(rig_status(&rig).alarms > alarms);
        assert_int_equal(rig_confirm(&rig), FAULT_POLICY_NOT_IN_FORCE); /* at once, without waiting for the next one */
        assert_int_equal(kind, FAULT_POLICY_NOT_IN_FORCE);
        rig_await(&rig, rig_in_force);
        assert_int_not_equal(rig_helper_pid(), helper);
        assert_true(is_open(carrel));
}

/* Rules that are missing when a new helper comes were taken away, so that putting them back counts as a heal. The rules
 * of a policy that is not known to have been in force do not count. */
static void heals_count_across_a_helpers_death(void **state)
{
        pid_t helper = rig_helper_pid();
        uint64_t alarms = rig_status(&rig).alarms;

        (void)state;
        rig_await(&rig, rig_in_force);
        heals_before = rig_status(&rig).heals;
        assert_int_equal(kill(helper, SIGSTOP), 0);
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-F");
        assert_int_equal(kill(helper, SIGKILL), 0);
        rig_await(&rig, has_no_helper);
        rig_await(&rig, rig_in_force);
        assert_int_equal(rig_status(&rig).heals, heals_before + 1);
        assert_true(rig_status(&rig).alarms > alarms);
        helper = rig_helper_pid();
        assert_int_equal(kill(helper, SIGKILL), 0); /* with nothing amiss: no heal */
        rig_await(&rig, has_no_helper);
        rig_await(&rig, rig_in_force);
        assert_int_equal(rig_status(&rig).heals, heals_before + 1);
        assert_int_equal(rig_apply(&rig, "9.9.9.9"), FAULT_NONE); /* other rules are no heal either */
        assert_int_equal(rig_apply(&rig, ""), FAULT_NONE);
        assert_int_equal(rig_status(&rig).heals, heals_before + 1);
}

/* A helper without carreld, which looks by itself only once a minute. It notices a change sooner because it is
 * notified. */
static void a_change_of_rules_wakes_the_helper(void **state)
{
        struct protocol_request request = { .head = { PROTOCOL_MAGIC, PROTOCOL_VERSION, PROTOCOL_APPLY, 0 } };
        struct policy_texts texts = { "waked", "10.216.0.0/24", "", "", "" };
        struct protocol_reply reply = { 0 };
        int pair[2];
        pid_t pid;

        (void)state;
        assert_int_equal(policy_parse(&request.apply.policy, &texts, NULL), 0);
        request.apply.check_interval_ms = PROTOCOL_INTERVAL_MOST_MS;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
        pid = fork();
        if (pid == 0) {
                close(pair[0]);
                dup2(pair[1], 3);
                execl(rig.options.helper_path, "carrel-netd", "3", (char *)NULL);
                _exit(127);
        }
        close(pair[1]);
        assert_int_equal(send(pair[0], &request, protocol_request_size(PROTOCOL_APPLY), 0),
                         protocol_request_size(PROTOCOL_APPLY));
        while (reply.head.verb != PROTOCOL_APPLY)
                assert_int_equal(recv(pair[0], &reply, sizeof reply, 0), sizeof reply);
        assert_int_equal(reply.kind, FAULT_NONE);
        for (unsigned heals = 1; heals <= 3; heals++) {
                double began_s = now_s();

                MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-F");
                while (reply.state.heals < heals)
                        assert_int_equal(recv(pair[0], &reply, sizeof reply, 0), sizeof reply);
                assert_true(now_s() - began_s < PROTOCOL_INTERVAL_MOST_MS / 1000.0 / 2);
        }
        close(pair[0]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        rig_await(&rig, rig_in_force);
}

static const struct {
        uint8_t protocol;
        const char *name;
} FOREIGN[] = { { 132, "132" }, { 47, "47" }, { 50, "50" }, { 41, "41" } };
enum { N_FOREIGN = sizeof FOREIGN / sizeof *FOREIGN };

/* In the node: the packets that its raw PREROUTING has counted. */
static long count_arrived(const void *nothing)
{
        struct xtc_handle *handle = FAMILY_IPV4.init("raw");
        struct rule rules[N_FOREIGN];
        size_t count = FAMILY_IPV4.read(handle, "PREROUTING", rules, N_FOREIGN);
        long packets = 0;

        (void)nothing;
        FAMILY_IPV4.free(handle);
        for (size_t i = 0; i < count; i++)
                packets += (long)rules[i].packets;
        return packets;
}

static void send_foreign(void)
{
        for (size_t i = 0; i < N_FOREIGN; i++) {
                struct packet packet = { "", RIG_ALLOWED, FOREIGN[i].protocol };

                memcpy(packet.source, link_of_carrel.address, sizeof packet.source);
                assert_int_equal(node_run(carrel, send_packet, &packet, sizeof packet), 1);
        }
}

/* Nobody heals while raw is empty: what the judge would have dropped as a foreign protocol meets the second lock. The
 * control: without that one, all of it arrives. */
static void foreign_protocols_meet_the_second_lock(void **state)
{
        static const struct rule LOCK = { .in = "carrel+", .verdict = RULE_DROP };
        pid_t helper = rig_helper_pid();
        uint64_t before;

        (void)state;
        rig_await(&rig, rig_in_force);
        for (size_t i = 0; i < N_FOREIGN; i++)
                NODE_MUST_RUN(outside, "iptables-legacy", "-w", "-t", "raw", "-A", "PREROUTING", "-p", FOREIGN[i].name);
        before = rig_packets(RULE_IPV4, "filter", "CARREL-FORWARD", &LOCK);
        assert_int_equal(kill(helper, SIGSTOP), 0);
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-F", "PREROUTING");
        send_foreign();
        assert_int_equal(node_run(outside, count_arrived, NULL, 0), 0);
        assert_int_equal(rig_packets(RULE_IPV4, "filter", "CARREL-FORWARD", &LOCK), before + N_FOREIGN);
        MUST_RUN("iptables-legacy", "-w", "-P", "FORWARD", "ACCEPT");
        MUST_RUN("iptables-legacy", "-w", "-F", "FORWARD");
        send_foreign();
        assert_int_equal(node_run(outside, count_arrived, NULL, 0), N_FOREIGN);
        assert_int_equal(kill(helper, SIGCONT), 0);
        rig_await(&rig, rig_in_force);
        NODE_MUST_RUN(outside, "iptables-legacy", "-w", "-t", "raw", "-F");
}

/* Its capabilities, and what it inherited. */
static void the_helper_has_only_what_it_needs(void **state)
{
        static const char *const EXPECTED[] = { "CapPrm:\t0000000000283000", "CapEff:\t0000000000283000",
                                                "CapBnd:\t0000000000283000", "CapAmb:\t0000000000000000",
                                                "NoNewPrivs:\t1" };
        char path[64];
        struct output output;

        (void)state;
        (void)snprintf(path, sizeof path, "/proc/%d/status", (int)rig_helper_pid());
        RUN(&output, "cat", path);
        for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
                if (strstr(output.text, EXPECTED[i]) == NULL)
                        fail_msg("missing: %s\n%s", EXPECTED[i], output.text);
        (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)rig_helper_pid());
        RUN(&output, "ls", path);
        assert_string_equal(output.text, "0\n1\n2\n3\n4\n"); /* 3: its client, 4: the watch of iptables' lock */
}

/* ---- plugs ---- */

static void plug_answers_the_same_again(void **state)
{
        struct netpolicy_link again;

        (void)state;
        again = rig_must_plug(&rig, carrel);
        assert_string_equal(again.interface, link_of_carrel.interface);
        assert_string_equal(again.address, link_of_carrel.address);
}

/* As a helper killed between two lines leaves it. */
static void half_a_plug_is_completed(void **state)
{
        struct netpolicy_link again;

        (void)state;
        NODE_MUST_RUN(carrel, "ip", "route", "del", "default");
        NODE_MUST_RUN(carrel, "ip", "address", "flush", "dev", "eth0");
        MUST_RUN("ip", "address", "flush", "dev", link_of_carrel.interface);
        MUST_RUN("ip", "link", "set", link_of_carrel.interface, "down");
        again = rig_must_plug(&rig, carrel);
        assert_string_equal(again.address, link_of_carrel.address);
        assert_true(is_open(carrel));
}

static void wrong_processes_are_refused(void **state)
{
        struct node *dead = node_new(true);
        struct node *unconfined = node_new(false);
        struct node *taken = node_new(true);
        pid_t pid = dead->pid;
        char id[NODE_ID_BYTES];
        char longer[NODE_ID_BYTES];

        (void)state;
        assert_int_equal(rig_plug(&rig, carrel->pid, dead->id, NULL), FAULT_CARREL_LOST);
        memcpy(longer, carrel->id, sizeof longer);
        longer[40] = '\0'; /* only a part of the id */
        assert_int_equal(rig_plug(&rig, carrel->pid, longer, NULL), FAULT_CARREL_LOST);
        memcpy(id, dead->id, sizeof id);
        (void)node_free(dead);
        assert_int_equal(rig_plug(&rig, pid, id, NULL), FAULT_CARREL_LOST);
        assert_int_equal(rig_plug(&rig, unconfined->pid, unconfined->id, NULL), FAULT_INTERNAL);
        NODE_MUST_RUN(taken, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other");
        assert_int_equal(rig_plug(&rig, taken->pid, taken->id, NULL), FAULT_INTERNAL);
        assert_int_equal(netpolicy_plug(rig.policy, 0, id, false, on_never, NULL, NULL), -EINVAL);
        assert_int_equal(netpolicy_plug(rig.policy, pid, "short", false, on_never, NULL, NULL), -EINVAL);
        assert_int_equal(netpolicy_plug(rig.policy, pid, "../../etc/passwd", false, on_never, NULL, NULL), -EINVAL);
        (void)node_free(unconfined);
        (void)node_free(taken);
}

/* ---- closed plugs ---- */

static unsigned long packets_of(pid_t pid, const char *interface)
{
        unsigned long in = 0, out = 0;
        char path[64], line[256];
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/%d/net/dev", (int)pid);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL) {
                char *colon = strchr(line, ':');

                if (colon == NULL)
                        continue;
                *colon = '\0';
                if (strcmp(line + strspn(line, " "), interface) == 0)
                        assert_int_equal(sscanf(colon + 1, "%*u %lu %*u %*u %*u %*u %*u %*u %*u %lu", &in, &out), 2);
        }
        (void)fclose(file);
        return in + out;
}

static long send_one(const void *to)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(RIG_PORT) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void)inet_pton(AF_INET, to, &address.sin_addr);
        (void)sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof address);
        close(fd);
        return 1;
}

static void send_both_ways(const struct node *node, const struct netpolicy_link *link)
{
        assert_int_equal(node_run(node, send_one, RIG_ALLOWED, sizeof RIG_ALLOWED), 1);
        assert_int_equal(send_one(link->address), 1);
}

static bool is_link_closed(const struct netpolicy_link *link)
{
        struct output output;
        bool is_up;

        RUN(&output, "ip", "-oneline", "link", "show", "up", "dev", link->interface);
        is_up = output.text[0] != '\0';
        RUN(&output, "ip", "-oneline", "route", "show", link->address);
        return !is_up && output.text[0] == '\0';
}

static struct netpolicy_link must_plug_closed(const struct node *node)
{
        struct netpolicy_link link;

        assert_int_equal(rig_plug_closed(&rig, node->pid, node->id, &link), FAULT_NONE);
        assert_true(is_link_closed(&link));
        return link;
}

static void a_closed_link_passes_nothing_until_it_is_opened(void **state)
{
        struct probe target = rig_probe(RIG_ALLOWED, RIG_PORT, true);
        struct node *node = node_new(true);
        struct netpolicy_link link = must_plug_closed(node);
        struct netpolicy_link again;

        (void)state;
        send_both_ways(node, &link);
        assert_int_equal(packets_of(node->pid, "eth0"), 0);
        assert_int_equal(packets_of(getpid(), link.interface), 0);
        assert_int_equal(rig_plug_closed(&rig, node->pid, node->id, &again), FAULT_NONE);
        assert_string_equal(again.interface, link.interface);
        assert_true(is_link_closed(&link));
        assert_int_equal(rig_open(&rig, node->pid, link.interface), FAULT_NONE);
        assert_int_equal(node_run(node, probe_tcp, &target, sizeof target), 1);
        send_both_ways(node, &link);
        assert_true(packets_of(node->pid, "eth0") > 0);
        assert_true(packets_of(getpid(), link.interface) > 0);
        assert_int_equal(rig_open(&rig, node->pid, link.interface), FAULT_NONE);
        assert_int_equal(rig_plug_closed(&rig, node->pid, node->id, &again), FAULT_NONE);
        assert_true(is_open(node));
        (void)node_free(node);
}

static void a_plug_opens_a_closed_link(void **state)
{
        struct node *node = node_new(true);
        struct netpolicy_link link = must_plug_closed(node);
        struct netpolicy_link again = rig_must_plug(&rig, node);

        (void)state;
        assert_string_equal(again.interface, link.interface);
        assert_string_equal(again.address, link.address);
        assert_true(is_open(node));
        (void)node_free(node);
}

/* Neither another carrel's link is opened, nor an interface that carrel-netd did not make. */
static void only_the_carrels_own_link_is_opened(void **state)
{
        static const char *const WRONG[] = { "lo", "eth0", "carrel0", "carrel65000", "carrel64999", "carrel64998" };
        struct node *node = node_new(true);
        struct node *other = node_new(true);
        struct node *unconfined = node_new(false);
        struct netpolicy_link link = must_plug_closed(node);
        struct netpolicy_link link_of_other = must_plug_closed(other);

        (void)state;
        MUST_RUN("ip", "link", "add", "carrel64999", "type", "veth", "peer", "name", "carrel64998");
        for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
                assert_int_equal(rig_open(&rig, node->pid, WRONG[i]), FAULT_CARREL_LOST);
        assert_int_equal(rig_open(&rig, node->pid, link_of_other.interface), FAULT_CARREL_LOST);
        assert_int_equal(rig_open(&rig, unconfined->pid, link.interface), FAULT_CARREL_LOST);
        assert_int_equal(rig_open(&rig, INT_MAX, link.interface), FAULT_CARREL_LOST); /* there is no such process */
        MUST_RUN("ip", "link", "del", "carrel64999");
        MUST_RUN("ip", "route", "add", link.address, "dev", "lo");
        assert_int_equal(rig_open(&rig, node->pid, link.interface), FAULT_INTERNAL);
        MUST_RUN("ip", "route", "del", link.address, "dev", "lo");
        assert_true(is_link_closed(&link));
        assert_true(is_link_closed(&link_of_other));
        assert_int_equal(rig_open(&rig, node->pid, link.interface), FAULT_NONE);
        assert_true(is_open(node));
        (void)node_free(unconfined);
        (void)node_free(other);
        (void)node_free(node);
}

/* The helper keeps nothing about a closed link. */
static void a_new_helper_opens_the_links_of_the_last_one(void **state)
{
        struct node *node = node_new(true);
        struct netpolicy_link link = must_plug_closed(node);

        (void)state;
        assert_int_equal(kill(rig_helper_pid(), SIGKILL), 0);
        rig_await(&rig, rig_not_in_force);
        assert_int_equal(rig_open(&rig, node->pid, link.interface), FAULT_POLICY_NOT_IN_FORCE);
        assert_true(is_link_closed(&link));
        rig_await(&rig, rig_in_force);
        assert_int_equal(rig_open(&rig, node->pid, link.interface), FAULT_NONE);
        assert_true(is_open(node));
        (void)node_free(node);
}

/* ---- ends ---- */

static bool interface_is_gone(void *name)
{
        struct output output;

        RUN(&output, "ip", "link", "show", "dev", name);
        return output.status != 0;
}

static void a_link_dies_with_its_carrel(void **state)
{
        struct node *node = node_new(true);
        struct netpolicy_link link = rig_must_plug(&rig, node);

        (void)state;
        assert_false(interface_is_gone(link.interface));
        (void)node_free(node);
        assert_true(wait_until(interface_is_gone, link.interface, PATIENCE_S));
}

/* ---- more pools than one ---- */

/* Two helpers in one kernel: neither takes the other's rules for damage, and both carrels work. */
static void two_pools_live_side_by_side(void **state)
{
        struct rig other;
        struct node *node = node_new(true);
        struct netpolicy_link link;

        (void)state;
        rig_start(&other, "other", "10.214.0.0/24", "", "");
        rig_await(&other, rig_in_force);
        link = rig_must_plug(&other, node);
        assert_true(strncmp(link.interface, "car", 3) == 0 && strncmp(link.interface, "carrel", 6) != 0);
        assert_true(strncmp(link.address, "10.214.0.", 9) == 0);
        heals_before = rig_status(&rig).heals;
        for (int i = 0; i < 5; i++) {
                assert_int_equal(rig_confirm(&rig), FAULT_NONE);
                assert_int_equal(rig_confirm(&other), FAULT_NONE);
        }
        assert_int_equal(rig_status(&rig).heals, heals_before);
        assert_int_equal(rig_status(&other).heals, 0);
        assert_true(is_open(carrel));
        assert_true(is_open(node));
        (void)node_free(node);
        rig_stop(&other);
}

enum { SMALL_POOL = 14 }; /* the hosts of a /28 */

static void a_full_network_says_so(void **state)
{
        struct rig small;
        struct node *nodes[SMALL_POOL + 1];

        (void)state;
        rig_start(&small, "small", "10.215.0.0/28", "", "");
        rig_await(&small, rig_in_force);
        for (size_t i = 0; i <= SMALL_POOL; i++)
                nodes[i] = node_new(true);
        for (size_t i = 0; i < SMALL_POOL; i++)
                (void)rig_must_plug(&small, nodes[i]);
        assert_int_equal(rig_plug(&small, nodes[SMALL_POOL]->pid, nodes[SMALL_POOL]->id, NULL),
                         FAULT_RESOURCE_EXHAUSTED);
        for (size_t i = 0; i <= SMALL_POOL; i++)
                (void)node_free(nodes[i]);
        rig_stop(&small);
}

static void set_up(void)
{
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-N", "FOREIGN");
        MUST_RUN("iptables-legacy", "-w", "-N", "FOREIGN");
        net_set_up("", "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(plug_answers_the_same_again),
                cmocka_unit_test(half_a_plug_is_completed),
                cmocka_unit_test(the_helper_has_only_what_it_needs),
                cmocka_unit_test(wrong_processes_are_refused),
                cmocka_unit_test(a_closed_link_passes_nothing_until_it_is_opened),
                cmocka_unit_test(a_plug_opens_a_closed_link),
                cmocka_unit_test(only_the_carrels_own_link_is_opened),
                cmocka_unit_test(a_new_helper_opens_the_links_of_the_last_one),
                cmocka_unit_test(a_link_dies_with_its_carrel),
                cmocka_unit_test(two_pools_live_side_by_side),
                cmocka_unit_test(a_full_network_says_so),
                cmocka_unit_test(allowed_targets_pass_a_dropping_forward_chain),
                cmocka_unit_test(a_dropping_forward_chain_blocks_without_us),
                cmocka_unit_test(not_in_force_while_the_lock_is_held),
                cmocka_unit_test(a_stopped_helper_is_not_fresh),
                cmocka_unit_test(a_killed_helper_comes_back),
                cmocka_unit_test(heals_count_across_a_helpers_death),
                cmocka_unit_test(a_change_of_rules_wakes_the_helper),
                cmocka_unit_test(foreign_protocols_meet_the_second_lock),
                cmocka_unit_test(damage_is_healed),
                cmocka_unit_test(harmless_rules_stand),
                cmocka_unit_test(foreign_rules_are_untouched),
        };

        return suite_run(&(struct suite){
                .name = "netpolicy_faults",
                .kind = SUITE_ENCLOSURE,
                .set_up = set_up,
                .tear_down = net_tear_down,
                SUITE_TESTS(tests),
        });
}
