/* The attack catalogue of docs/threats.md against the rules, packet by packet: everything that is denied is denied
 * with a rule's counter to show for it, and answers when the rules are taken away. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net-suite.h"

#define DATABASE "9.9.9.9"
#define PINHOLE "10.0.0.53"

static struct node *host_service, *neighbour;
static struct netpolicy_link link_of_neighbour;

/* Public addresses that the host's nat table sends to others: a denied one, and an allowed one. */
#define SENT_ASTRAY "1.2.3.9"
#define SENT_ON "1.2.3.10"

#define TO(address_, length_)                                                                                          \
        {                                                                                                              \
                .destination = { address_, length_ }, .verdict = RULE_DROP                                             \
        }

/* Targets outside, and the rule that must drop them. */
static const struct {
        const char *address;
        struct rule rule;
} DENIED[] = {
        { "0.1.2.3", TO(0x00000000, 8) },          { "10.0.0.1", TO(0x0a000000, 8) },
        { "100.64.0.1", TO(0x64400000, 10) },      { "100.100.100.200", TO(0x64400000, 10) },
        { "169.254.169.254", TO(0xa9fe0000, 16) }, { "172.16.0.1", TO(0xac100000, 12) },
        { "172.31.255.254", TO(0xac100000, 12) },  { "192.0.0.192", TO(0xc0000000, 24) },
        { "192.0.2.1", TO(0xc0000200, 24) },       { "192.88.99.1", TO(0xc0586300, 24) },
        { "192.168.0.1", TO(0xc0a80000, 16) },     { "198.18.0.1", TO(0xc6120000, 15) },
        { "198.51.100.1", TO(0xc6336400, 24) },    { "203.0.113.1", TO(0xcb007100, 24) },
        { "240.0.0.1", TO(0xf0000000, 4) },        { DATABASE, TO(0x09090909, 32) },
};
enum { DENIED_COUNT = sizeof DENIED / sizeof *DENIED };

#define NEIGHBOUR "neighbour's" /* address, which the test puts here */

/* Packets that get no answer in any case. Only the counter shows that they got no further. */
static const struct {
        struct packet packet;
        struct rule rule;
} DROPPED[] = {
        { { "", "127.0.0.1", 17 }, { .flags = RULE_TO_HOST, .verdict = RULE_DROP } },
        { { "", "224.0.0.1", 17 }, TO(0xe0000000, 4) },
        { { "", "239.255.255.250", 17 }, TO(0xe0000000, 4) },
        { { "", "169.254.169.254", 1 }, TO(0xa9fe0000, 16) },
        { { "", RIG_ALLOWED, 132 }, { .verdict = RULE_DROP } },
        { { "", RIG_ALLOWED, 47 }, { .verdict = RULE_DROP } },
        { { "", RIG_ALLOWED, 50 }, { .verdict = RULE_DROP } },
        { { "", RIG_ALLOWED, 41 }, { .verdict = RULE_DROP } },
        { { "8.8.8.8", RIG_ALLOWED, 17 },
          { .source = { 0x0ad50000, 16 }, .flags = RULE_NOT_SOURCE, .verdict = RULE_DROP } },
        { { "127.0.0.1", RIG_ALLOWED, 17 },
          { .source = { 0x0ad50000, 16 }, .flags = RULE_NOT_SOURCE, .verdict = RULE_DROP } },
        { { NEIGHBOUR, RIG_ALLOWED, 17 }, { .flags = RULE_WRONG_PATH } },
        { { "10.213.77.77", RIG_ALLOWED, 17 }, { .flags = RULE_WRONG_PATH } },
};
enum { DROPPED_COUNT = sizeof DROPPED / sizeof *DROPPED };

static uint64_t judged(const struct rule *rule)
{
        return rig_packets(RULE_IPV4, "raw", "CARREL", rule);
}

static bool answers(long (*probe)(const void *), const struct node *node, const char *address, uint16_t port)
{
        struct probe target = rig_probe(address, port, true);

        return node_run(node, probe, &target, sizeof target) == 1;
}

static bool is_silent(long (*probe)(const void *), const struct node *node, const char *address, uint16_t port)
{
        struct probe target = rig_probe(address, port, false);

        return node_run(node, probe, &target, sizeof target) == 0;
}

static void assert_denied(const struct node *node, const char *address, const struct rule *rule)
{
        uint64_t before = judged(rule);

        print_message("# denied: %s\n", address);
        assert_true(is_silent(probe_udp, node, address, RIG_PORT));
        assert_true(is_silent(probe_tcp, node, address, RIG_PORT));
        assert_true(is_silent(probe_ping, node, address, 0));
        assert_true(judged(rule) >= before + 3);
}

static void assert_open(const struct node *node, const char *address, uint16_t port)
{
        assert_true(answers(probe_open, node, address, port));
        assert_true(answers(probe_tcp, node, address, port));
}

static void denied_targets_drop(void **state)
{
        (void)state;
        for (size_t i = 0; i < DENIED_COUNT; i++)
                assert_denied(carrel, DENIED[i].address, &DENIED[i].rule);
}

static void impossible_packets_drop(void **state)
{
        (void)state;
        for (size_t i = 0; i < DROPPED_COUNT; i++) {
                struct packet packet = DROPPED[i].packet;
                uint64_t before = judged(&DROPPED[i].rule);

                if (packet.source[0] == '\0')
                        memcpy(packet.source, link_of_carrel.address, sizeof packet.source);
                if (strcmp(packet.source, NEIGHBOUR) == 0)
                        memcpy(packet.source, link_of_neighbour.address, sizeof packet.source);
                print_message("# dropped: %s to %s, protocol %u\n", packet.source, packet.destination,
                              (unsigned)packet.protocol);
                assert_int_equal(node_run(carrel, send_packet, &packet, sizeof packet), 1);
                assert_true(judged(&DROPPED[i].rule) > before);
        }
}

/* The same hand-made packet from the carrel's own address to an allowed target goes through all of the judge. */
static void honest_packets_pass(void **state)
{
        static const struct rule UDP = { .protocol = IPPROTO_UDP, .verdict = RULE_RETURN };
        struct packet packet = { "", RIG_ALLOWED, IPPROTO_UDP };
        uint64_t before = judged(&UDP);

        (void)state;
        memcpy(packet.source, link_of_carrel.address, sizeof packet.source);
        assert_int_equal(node_run(carrel, send_packet, &packet, sizeof packet), 1);
        assert_true(judged(&UDP) >= before + 3); /* it, and the fence's two */
}

static void allowed_targets_answer(void **state)
{
        (void)state;
        assert_open(carrel, RIG_ALLOWED, RIG_PORT);
        assert_open(neighbour, RIG_ALLOWED, RIG_PORT);
        assert_true(answers(probe_ping, carrel, RIG_ALLOWED, 0));
}

static void pinholes_are_exactly_as_wide(void **state)
{
        static const struct rule PRIVATE = TO(0x0a000000, 8);
        uint64_t before;

        (void)state;
        assert_open(carrel, PINHOLE, RIG_PORT);
        before = judged(&PRIVATE);
        assert_true(is_silent(probe_udp, carrel, PINHOLE, RIG_OTHER_PORT));
        assert_true(is_silent(probe_tcp, carrel, PINHOLE, RIG_OTHER_PORT));
        assert_true(judged(&PRIVATE) >= before + 2);
}

static void neighbours_are_out_of_reach(void **state)
{
        static const struct rule NETWORK = TO(0x0ad50000, 16);

        (void)state;
        assert_denied(carrel, link_of_neighbour.address, &NETWORK);
        assert_denied(neighbour, link_of_carrel.address, &NETWORK);
}

static void the_host_is_out_of_reach(void **state)
{
        static const struct rule TO_HOST = { .flags = RULE_TO_HOST, .verdict = RULE_DROP };
        static const char *const ADDRESSES[] = { "169.254.1.1", RIG_UPLINK, "11.22.33.44", "10.99.0.1" };

        (void)state;
        for (size_t i = 0; i < sizeof ADDRESSES / sizeof *ADDRESSES; i++)
                assert_denied(carrel, ADDRESSES[i], &TO_HOST);
}

/* A target is denied for the pieces of a packet as for the whole. */
/* The judge sees a packet before the host's nat table sends it elsewhere; FORWARD sees it after. */
static void no_dnat_leads_around(void **state)
{
        static const struct rule PRIVATE = { .in = "carrel+", .destination = { 0xac100000, 12 }, .verdict = RULE_DROP };
        uint64_t before = rig_packets(RULE_IPV4, "filter", "CARREL-FORWARD", &PRIVATE);

        (void)state;
        MUST_RUN("iptables-legacy", "-w", "-t", "nat", "-A", "PREROUTING", "-d", SENT_ASTRAY, "-j", "DNAT",
                 "--to-destination", "172.16.0.1");
        MUST_RUN("iptables-legacy", "-w", "-t", "nat", "-A", "PREROUTING", "-d", SENT_ON, "-j", "DNAT",
                 "--to-destination", RIG_ALLOWED);
        assert_open(carrel, SENT_ON, RIG_PORT);
        assert_true(is_silent(probe_udp, carrel, SENT_ASTRAY, RIG_PORT));
        assert_true(is_silent(probe_tcp, carrel, SENT_ASTRAY, RIG_PORT));
        assert_true(rig_packets(RULE_IPV4, "filter", "CARREL-FORWARD", &PRIVATE) >= before + 2);
}

static void fragments_are_judged(void **state)
{
        static const struct rule METADATA = TO(0xa9fe0000, 16);
        struct probe big = { "169.254.169.254", RIG_PORT, 5000, false };
        uint64_t before = judged(&METADATA);

        (void)state;
        assert_int_equal(node_run(carrel, probe_udp, &big, sizeof big), 0);
        assert_true(judged(&METADATA) > before);
        big = (struct probe){ RIG_ALLOWED, RIG_PORT, 5000, true };
        assert_int_equal(node_run(carrel, probe_udp, &big, sizeof big), 1);
}

/* An address that the carrel's root gave itself. A carrel's user cannot; the rules do not depend on that. */
static void added_sources_are_dropped(void **state)
{
        static const struct rule OUTSIDE_NETWORK = { .source = { 0x0ad50000, 16 },
                                                     .flags = RULE_NOT_SOURCE,
                                                     .verdict = RULE_DROP };
        uint64_t before = judged(&OUTSIDE_NETWORK);

        (void)state;
        NODE_MUST_RUN(carrel, "ip", "address", "add", "4.4.4.4/32", "dev", "eth0");
        NODE_MUST_RUN(carrel, "ip", "route", "replace", RIG_ALLOWED, "via", "169.254.1.1", "dev", "eth0", "onlink",
                      "src", "4.4.4.4");
        assert_true(is_silent(probe_udp, carrel, RIG_ALLOWED, RIG_PORT));
        assert_true(judged(&OUTSIDE_NETWORK) > before);
        NODE_MUST_RUN(carrel, "ip", "route", "del", RIG_ALLOWED);
        NODE_MUST_RUN(carrel, "ip", "address", "del", "4.4.4.4/32", "dev", "eth0");
        assert_open(carrel, RIG_ALLOWED, RIG_PORT);
}

static void set_ipv6(const struct node *node, const char *interface, bool is_on)
{
        char setting[96];

        (void)snprintf(setting, sizeof setting, "net.ipv6.conf.%s.disable_ipv6=%d", interface, !is_on);
        if (node != NULL)
                NODE_MUST_RUN(node, "sysctl", "-qw", setting);
        else
                MUST_RUN("sysctl", "-qw", setting);
}

static uint64_t ipv6_drops(void)
{
        static const struct rule DROP = { .verdict = RULE_DROP };

        return rig_packets(RULE_IPV6, "raw", "CARREL", &DROP);
}

static void turn_ipv6_on(bool is_on)
{
        set_ipv6(carrel, "all", is_on);
        set_ipv6(carrel, "eth0", is_on);
        set_ipv6(NULL, link_of_carrel.interface, is_on);
        if (!is_on)
                return;
        NODE_MUST_RUN(carrel, "ip", "-6", "address", "add", "fd00::2/64", "dev", "eth0", "nodad");
        MUST_RUN("ip", "-6", "address", "add", "fd00::1/64", "dev", link_of_carrel.interface, "nodad");
}

/* Off inside, off at the host's end, and dropped when both are turned on. */
static void ipv6_is_off(void **state)
{
        struct output output;
        char pid[16];
        uint64_t before = ipv6_drops();

        (void)state;
        (void)snprintf(pid, sizeof pid, "%d", (int)carrel->pid);
        RUN(&output, "nsenter", "-t", pid, "-n", "ip", "-6", "address", "show", "dev", "eth0");
        assert_string_equal(output.text, "");
        RUN(&output, "ip", "-6", "address", "show", "dev", link_of_carrel.interface);
        assert_string_equal(output.text, "");
        turn_ipv6_on(true);
        assert_true(is_silent(probe_ipv6, carrel, "fd00::1", 9));
        assert_true(ipv6_drops() > before);
        turn_ipv6_on(false);
}

static void a_tightened_policy_cuts_connections(void **state)
{
        static const struct rule ALLOWED_NO_MORE = TO(0x01020304, 32);
        struct probe target = rig_probe(RIG_ALLOWED, RIG_PORT, true);
        int no_wait_s = 0;
        int wait_s = 60;

        (void)state;
        assert_int_equal(node_run(carrel, held_connect, &target, sizeof target), 1);
        assert_int_equal(node_run(carrel, held_echo, &wait_s, sizeof wait_s), 1);
        assert_int_equal(rig_apply(&rig, DATABASE "," RIG_ALLOWED), FAULT_NONE);
        assert_int_equal(node_run(carrel, held_echo, &no_wait_s, sizeof no_wait_s), 0);
        assert_true(judged(&ALLOWED_NO_MORE) > 0);
        assert_int_equal(rig_apply(&rig, DATABASE), FAULT_NONE);
        assert_int_equal(node_run(carrel, held_echo, &wait_s, sizeof wait_s), 1); /* by a retransmission */
}

static long with(const struct node *node, long (*run)(const void *), const char *listener, bool is_expected)
{
        struct talk talk = { .is_expected = is_expected };

        (void)snprintf(talk.listener, sizeof talk.listener, "%s", listener);
        return node_run(node, run, &talk, sizeof talk);
}

static void begin_talk(const struct node *node, const char *listener)
{
        assert_int_equal(with(outside, talk_listen, listener, true), 1);
        assert_int_equal(with(node, talk_open, listener, true), 1);
        assert_int_equal(with(node, talk_begin, listener, true), 1);
        assert_int_equal(with(outside, talk_learn, listener, true), 1);
        assert_int_equal(with(outside, talk_back, listener, true), 1);
        assert_int_equal(with(node, talk_hears, listener, true), 1);
}

/* The rules drop packets that a carrel sends. A target that is denied now could go on sending if its flow lived. */
static void a_tightened_policy_cuts_the_other_way_too(void **state)
{
        (void)state;
        begin_talk(carrel, RIG_ALLOWED);
        begin_talk(carrel, RIG_ALLOWED_TOO);
        assert_int_equal(rig_apply(&rig, DATABASE "," RIG_ALLOWED), FAULT_NONE);
        assert_int_equal(with(outside, talk_back, RIG_ALLOWED, true), 1);
        assert_int_equal(with(carrel, talk_hears, RIG_ALLOWED, false), 0);
        assert_int_equal(with(outside, talk_back, RIG_ALLOWED_TOO, true), 1);
        assert_int_equal(with(carrel, talk_hears, RIG_ALLOWED_TOO, true), 1);
        assert_int_equal(rig_apply(&rig, DATABASE), FAULT_NONE);
        assert_int_equal(with(outside, talk_back, RIG_ALLOWED_TOO, true),
                         1); /* nor does a reload cut what is allowed */
        assert_int_equal(with(carrel, talk_hears, RIG_ALLOWED_TOO, true), 1);
}

enum { FEW_ADDRESSES = 14 }; /* the hosts of a /28 */

/* The helper dies with the carrel: what it knew of the address is gone, but not the flow. */
static void an_address_is_given_without_its_flows(void **state)
{
        struct node *nodes[FEW_ADDRESSES] = { node_new(true) };
        struct netpolicy_link first, link = { 0 };
        size_t last = 0;
        struct rig small;

        (void)state;
        rig_start(&small, "few", "10.217.0.0/28", "", "");
        rig_await(&small, rig_in_force);
        first = rig_must_plug(&small, nodes[0]);
        begin_talk(nodes[0], RIG_ALLOWED);
        nodes[0] = node_free(nodes[0]);
        rig_stop(&small);
        rig_start(&small, "few", "10.217.0.0/28", "", "");
        rig_await(&small, rig_in_force);
        for (; last < FEW_ADDRESSES && strcmp(link.address, first.address) != 0; last++) {
                nodes[last] = node_new(true);
                link = rig_must_plug(&small, nodes[last]);
        }
        assert_string_equal(link.address, first.address);
        assert_int_equal(with(nodes[last - 1], talk_open, RIG_ALLOWED, true), 1);
        assert_int_equal(with(outside, talk_back, RIG_ALLOWED, true), 1);
        assert_int_equal(with(nodes[last - 1], talk_hears, RIG_ALLOWED, false), 0);
        /* The control: he hears what is his. */
        assert_int_equal(with(nodes[last - 1], talk_begin, RIG_ALLOWED, true), 1);
        assert_int_equal(with(outside, talk_learn, RIG_ALLOWED, true), 1);
        assert_int_equal(with(outside, talk_back, RIG_ALLOWED, true), 1);
        assert_int_equal(with(nodes[last - 1], talk_hears, RIG_ALLOWED, true), 1);
        /* Asking for the same plug again, as an adoption does, cuts nothing. */
        (void)rig_must_plug(&small, nodes[last - 1]);
        assert_int_equal(with(outside, talk_back, RIG_ALLOWED, true), 1);
        assert_int_equal(with(nodes[last - 1], talk_hears, RIG_ALLOWED, true), 1);
        while (last > 0)
                (void)node_free(nodes[--last]);
        rig_stop(&small);
}

/* Two restarts: it is not chance. */
static void a_restart_begins_at_another_address(void **state)
{
        char address[3][16];

        (void)state;
        for (size_t i = 0; i < 3; i++) {
                struct node *node = node_new(true);
                struct rig other;

                rig_start(&other, "again", "10.224.0.0/12", "", "");
                rig_await(&other, rig_in_force);
                memcpy(address[i], rig_must_plug(&other, node).address, sizeof address[i]);
                (void)node_free(node);
                rig_stop(&other);
        }
        assert_string_not_equal(address[0], address[1]);
        assert_string_not_equal(address[1], address[2]);
}

/* Nobody outside can begin: the judge does not see that way, the FORWARD chain does. */
static void nobody_outside_reaches_a_carrel(void **state)
{
        static const struct rule UNSOLICITED = { .verdict = RULE_DROP };
        uint64_t before = rig_packets(RULE_IPV4, "filter", "CARREL-FORWARD", &UNSOLICITED);

        (void)state;
        assert_true(is_silent(probe_udp, outside, link_of_neighbour.address, RIG_PORT));
        assert_true(rig_packets(RULE_IPV4, "filter", "CARREL-FORWARD", &UNSOLICITED) > before);
}

/* In the node, as a user without any privilege: bit 0 a ping socket, bit 1 port 80. */
static long try_as_user(const void *nothing)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
        pid_t pid = fork();
        int status = 0;

        (void)nothing;
        if (pid == 0) {
                int had = 0;

                if (setgroups(0, NULL) < 0 || setresgid(54321, 54321, 54321) < 0 || setresuid(54321, 54321, 54321) < 0)
                        _exit(99);
                had |= socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0 ? 1 : 0;
                had |= bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) == 0 ? 2 : 0;
                _exit(had);
        }
        (void)waitpid(pid, &status, 0);
        return WEXITSTATUS(status);
}

static void low_ports_and_ping_sockets_are_for_everybody(void **state)
{
        struct node *control = node_new(true);

        (void)state;
        assert_int_equal(node_run(carrel, try_as_user, NULL, 0), 3);
        assert_int_equal(node_run(control, try_as_user, NULL, 0), 0);
        (void)node_free(control);
}

static void the_status_counts_drops(void **state)
{
        (void)state;
        assert_int_equal(rig_confirm(&rig), FAULT_NONE);
        assert_true(rig_status(&rig).dropped_packets > DENIED_COUNT);
        assert_int_equal(rig_status(&rig).heals, 0);
}

/* The positive control of everything above: the same probes, without rules. */
static void without_rules_everything_answers(void **state)
{
        (void)state;
        rig_stop(&rig);
        MUST_RUN("iptables-legacy", "-w", "-t", "raw", "-F");
        MUST_RUN("iptables-legacy", "-w", "-F");
        MUST_RUN("ip6tables-legacy", "-w", "-t", "raw", "-F");
        MUST_RUN("ip6tables-legacy", "-w", "-F");
        for (size_t i = 0; i < DENIED_COUNT; i++) {
                print_message("# open: %s\n", DENIED[i].address);
                assert_open(carrel, DENIED[i].address, RIG_PORT);
                assert_true(answers(probe_ping, carrel, DENIED[i].address, 0));
        }
        assert_open(carrel, PINHOLE, RIG_OTHER_PORT);
        assert_open(carrel, SENT_ASTRAY, RIG_PORT);
        assert_open(carrel, link_of_neighbour.address, RIG_PORT);
        assert_open(carrel, "169.254.1.1", RIG_PORT);
        assert_open(carrel, RIG_UPLINK, RIG_PORT);
        assert_open(carrel, "11.22.33.44", RIG_PORT);
        assert_open(outside, link_of_neighbour.address, RIG_PORT);
        turn_ipv6_on(true);
        assert_true(answers(probe_ipv6, carrel, "fd00::1", 9));
}

static void set_up(void)
{
        MUST_RUN("ip", "address", "add", "11.22.33.44/32", "dev", "lo");
        MUST_RUN("ip", "address", "add", "10.99.0.1/32", "dev", "lo");
        net_set_up(DATABASE, PINHOLE ":7777");
        for (size_t i = 0; i < DENIED_COUNT; i++)
                rig_outside_add(outside, DENIED[i].address);
        rig_outside_add(outside, PINHOLE);
        host_service = rig_host_service_new();
        neighbour = node_new(true);
        link_of_neighbour = rig_must_plug(&rig, neighbour);
        assert_int_equal(node_run(neighbour, rig_serve, NULL, 0), 1);
}

static void tear_down(void)
{
        net_tear_down();
        neighbour = node_free(neighbour);
        host_service = node_free(host_service);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(allowed_targets_answer),
                cmocka_unit_test(denied_targets_drop),
                cmocka_unit_test(impossible_packets_drop),
                cmocka_unit_test(honest_packets_pass),
                cmocka_unit_test(pinholes_are_exactly_as_wide),
                cmocka_unit_test(neighbours_are_out_of_reach),
                cmocka_unit_test(the_host_is_out_of_reach),
                cmocka_unit_test(no_dnat_leads_around),
                cmocka_unit_test(fragments_are_judged),
                cmocka_unit_test(added_sources_are_dropped),
                cmocka_unit_test(ipv6_is_off),
                cmocka_unit_test(a_tightened_policy_cuts_connections),
                cmocka_unit_test(a_tightened_policy_cuts_the_other_way_too),
                cmocka_unit_test(an_address_is_given_without_its_flows),
                cmocka_unit_test(a_restart_begins_at_another_address),
                cmocka_unit_test(nobody_outside_reaches_a_carrel),
                cmocka_unit_test(low_ports_and_ping_sockets_are_for_everybody),
                cmocka_unit_test(the_status_counts_drops),
                cmocka_unit_test(without_rules_everything_answers),
        };

        return suite_run(&(struct suite){
                .name = "netpolicy",
                .kind = SUITE_ENCLOSURE,
                .set_up = set_up,
                .tear_down = tear_down,
                SUITE_TESTS(tests),
        });
}
