/* How much of the host's connection-tracking table a carrel can take, by every protocol that leaves, while the host and
 * a neighbour go on opening connections. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flows.h"
#include "net-suite.h"
#include "sysctl.h"

enum { FLOWS_MAX = 100, PER_SECOND = 5, FLOOD = 400, UNBOUNDED = 100000, PATIENT_TRIES = 20 };

static struct node *neighbour;

/* ---- inside the attacker ---- */

static struct sockaddr_in target(void)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(RIG_PORT) };

        (void)inet_pton(AF_INET, RIG_ALLOWED, &address.sin_addr);
        return address;
}

static int held[FLOOD];

static void drop_all(void)
{
        for (size_t i = 0; i < FLOOD; i++)
                if (held[i] > 0)
                        close(held[i]);
        memset(held, 0, sizeof held);
}

static long flood_sockets(int type, size_t bytes, bool is_closing)
{
        struct sockaddr_in to = target();
        static char datagram[8192];

        drop_all();
        for (size_t i = 0; i < FLOOD; i++) {
                int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

                if (fd < 0)
                        return -1;
                (void)connect(fd, (struct sockaddr *)&to, sizeof to);
                if (bytes > 0)
                        (void)send(fd, datagram, bytes, MSG_NOSIGNAL);
                held[i] = fd;
                if (is_closing)
                        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
        }
        if (is_closing)
                drop_all();
        return 1;
}

static long flood_udp(const void *nothing)
{
        (void)nothing;
        return flood_sockets(SOCK_DGRAM, 1, false);
}

static long flood_fragments(const void *nothing)
{
        (void)nothing;
        return flood_sockets(SOCK_DGRAM, 4000, false);
}

static long flood_tcp(const void *nothing)
{
        (void)nothing;
        return flood_sockets(SOCK_STREAM, 0, false);
}

/* Connections that are over stay in the table for a while, but count no more. */
static long flood_closed(const void *nothing)
{
        (void)nothing;
        return flood_sockets(SOCK_STREAM, 0, true);
}

/* Each id is a flow. */
static long flood_icmp(const void *nothing)
{
        struct sockaddr_in to = target();
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

        (void)nothing;
        for (uint16_t id = 1; id <= FLOOD; id++) {
                uint16_t echo[4] = { htons(8 << 8), (uint16_t)~htons(0x0800), 0, 0 };

                echo[2] = htons(id);
                echo[1] = (uint16_t)~htons((uint16_t)(0x0800 + id));
                (void)sendto(fd, echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to);
        }
        close(fd);
        return 1;
}

/* ---- counts ---- */

struct census {
        uint32_t source;
        unsigned *count;
};

static bool is_of(const void *arg, const struct policy_flow *flow)
{
        const struct census *census = arg;

        *census->count += flow->source == census->source;
        return false;
}

static bool is_over(const void *arg, const struct policy_flow *flow)
{
        return flow->source == ((const struct census *)arg)->source;
}

static struct census census_of(const char *address, unsigned *count)
{
        struct in_addr source;

        assert_int_equal(inet_pton(AF_INET, address, &source), 1);
        return (struct census){ ntohl(source.s_addr), count };
}

static unsigned count_flows(const char *address)
{
        unsigned count = 0;
        struct census census = census_of(address, &count);

        assert_int_equal(flows_end(is_of, &census, NULL), 0);
        return count;
}

static void forget_flows(const char *address)
{
        struct census census = census_of(address, NULL);

        assert_int_equal(flows_end(is_over, &census, NULL), 0);
        assert_int_equal(count_flows(address), 0);
}

static void bound(unsigned flows_max, unsigned per_s)
{
        rig.options.flows_max = flows_max;
        rig.options.flows_new_per_s = per_s;
        assert_int_equal(rig_apply(&rig, ""), FAULT_NONE);
        assert_int_equal(rig_status(&rig).flows_max, flows_max);
}

/* The host and the neighbour, while the attacker is at his bound. */
static void expect_others_to_connect(void)
{
        for (int i = 0; i < PATIENT_TRIES; i++) {
                struct probe probe = rig_probe(RIG_ALLOWED_TOO, RIG_PORT, true);

                assert_int_equal(node_run(neighbour, probe_tcp, &probe, sizeof probe), 1);
                assert_int_equal(probe_tcp(&probe), 1);
        }
}

static const struct {
        const char *name;
        long (*flood)(const void *nothing);
} FLOODS[] = {
        { "udp", flood_udp },
        { "tcp", flood_tcp },
        { "icmp", flood_icmp },
        { "udp in fragments", flood_fragments },
};
enum { FLOOD_COUNT = sizeof FLOODS / sizeof *FLOODS };

static unsigned flows_after(long (*flood)(const void *nothing))
{
        forget_flows(link_of_carrel.address);
        assert_int_equal(node_run(carrel, flood, NULL, 0), 1);
        return count_flows(link_of_carrel.address);
}

static void a_carrel_has_so_many_flows_and_no_more(void **state)
{
        (void)state;
        for (size_t i = 0; i < FLOOD_COUNT; i++) {
                uint64_t refused;
                unsigned flows;

                bound(UNBOUNDED, 0);
                flows = flows_after(FLOODS[i].flood);
                print_message("# %s: %u flows of %d without a bound\n", FLOODS[i].name, flows, FLOOD);
                assert_int_equal(flows, FLOOD);
                forget_flows(link_of_carrel.address);
                bound(FLOWS_MAX, 0);
                refused = rig_status(&rig).refused_packets;
                flows = flows_after(FLOODS[i].flood);
                print_message("# %s: %u flows of %d with a bound of %d\n", FLOODS[i].name, flows, FLOOD, FLOWS_MAX);
                assert_true(flows <= FLOWS_MAX && flows > FLOWS_MAX / 2);
                expect_others_to_connect();
                assert_int_equal(rig_confirm(&rig), FAULT_NONE);
                assert_true(rig_status(&rig).refused_packets > refused);
        }
}

/* Connections that are closed at once are bounded by their rate alone. */
static void a_carrel_begins_so_many_a_second_and_no_more(void **state)
{
        double began_s;
        unsigned flows;

        (void)state;
        bound(UNBOUNDED, 0);
        assert_int_equal(flows_after(flood_closed), FLOOD);
        bound(FLOWS_MAX, PER_SECOND);
        began_s = now_s();
        flows = flows_after(flood_closed);
        assert_true(flows >= FLOWS_MAX);
        assert_true(flows <= FLOWS_MAX + 1 + (now_s() - began_s) * PER_SECOND);
        expect_others_to_connect();
}

/* A flow that is in the table goes on, whatever the bound says of new ones. */
static void open_flows_go_on_at_the_bound(void **state)
{
        struct probe target_of_held = rig_probe(RIG_ALLOWED, RIG_PORT, true);
        int wait_s = 60;

        (void)state;
        forget_flows(link_of_carrel.address);
        bound(FLOWS_MAX, 0);
        assert_int_equal(node_run(carrel, held_connect, &target_of_held, sizeof target_of_held), 1);
        assert_int_equal(node_run(carrel, flood_udp, NULL, 0), 1);
        assert_true(count_flows(link_of_carrel.address) >= FLOWS_MAX - 1);
        assert_int_equal(node_run(carrel, held_echo, &wait_s, sizeof wait_s), 1);
}

/* 0: three quarters of the table by those who share it. */
static void a_share_follows_the_table(void **state)
{
        uint32_t size = 0;

        (void)state;
        assert_int_equal(sysctl_get_u32("netfilter/nf_conntrack_max", &size), 0);
        rig.options.max_carrels = 100;
        rig.options.flows_max = 0;
        assert_int_equal(rig_apply(&rig, ""), FAULT_NONE);
        assert_int_equal(rig_status(&rig).table_size, size);
        assert_true(rig_status(&rig).flows_max >= 256 && rig_status(&rig).flows_max <= 4096);
        if (size / 4 * 3 / 100 > 256 && size / 4 * 3 / 100 < 4096)
                assert_int_equal(rig_status(&rig).flows_max, size / 4 * 3 / 100);
        assert_true(rig_status(&rig).flows > 0);
        assert_int_equal(rig_status(&rig).heals, 0); /* new bounds are no heal */
}

static void set_up(void)
{
        net_set_up("", "");
        neighbour = node_new(true);
        (void)rig_must_plug(&rig, neighbour);
}

static void tear_down(void)
{
        net_tear_down();
        neighbour = node_free(neighbour);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_carrel_has_so_many_flows_and_no_more),
                cmocka_unit_test(a_carrel_begins_so_many_a_second_and_no_more),
                cmocka_unit_test(open_flows_go_on_at_the_bound),
                cmocka_unit_test(a_share_follows_the_table),
        };

        return suite_run(&(struct suite){
                .name = "netpolicy_flows",
                .kind = SUITE_ENCLOSURE,
                .set_up = set_up,
                .tear_down = tear_down,
                SUITE_TESTS(tests),
        });
}
