/* Machines for the egress tests: child processes in their own network namespaces, which run functions of the test
 * program. A netpolicy with its helper runs in the namespace of the enclosure, the "host". */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "netpolicy.h"
#include "rules.h"

struct ev_loop;

/* ---- nodes ---- */

enum { NODE_ID_BYTES = 65, NODE_ARGUMENT_BYTES = 256 };

/* A child process. is_apart: in its own network namespace. Its cgroup is named after its 64-digit id, like that of an
 * engine's container. */
struct node {
        pid_t pid;
        int fd;
        char id[NODE_ID_BYTES];
};

struct node *node_new(bool is_apart);
/* Kills it, waits, and frees; NULL is fine; returns NULL. Its network namespace dies with it. */
struct node *node_free(struct node *node);
/* Runs a function of this program inside the node and returns its result. The program was forked, so the function's
 * address is good there; the argument (up to NODE_ARGUMENT_BYTES) is copied. */
long node_run(const struct node *node, long (*run)(const void *argument), const void *argument, size_t size);
/* ip(8), or another program, inside its namespace; the test fails when it fails. */
#define NODE_MUST_RUN(node, ...) node_must_run(node, (const char *const[]){ __VA_ARGS__, NULL })
void node_must_run(const struct node *node, const char *const *argv);

/* ---- the outside ---- */

#define RIG_ALLOWED "1.2.3.4"
#define RIG_ALLOWED_TOO "1.2.3.5"
#define RIG_UPLINK "5.6.7.1" /* the host's public address */
#define RIG_UPLINK_NETWORK "5.6.7.1/30"
enum { RIG_PORT = 7777, RIG_OTHER_PORT = 7778 };

/* A node that the host's default route leads to. It echoes TCP and UDP on both ports, on every address that it has. */
struct node *rig_outside_new(void);
void rig_outside_add(const struct node *outside, const char *address);
/* The same servers as a child of the host itself, on all of its addresses. */
struct node *rig_host_service_new(void);

/* For node_run(): starts the servers in the node; returns 1. */
long rig_serve(const void *nothing);

/* ---- probes, run inside nodes ---- */

struct probe {
        char address[16];
        uint16_t port;
        uint16_t bytes; /* of the datagram; 0: a few */
        bool is_expected;
};

/* 1: the target answers. If no answer is expected, an allowed target is asked after it. 0: only the allowed one
 * answers. -1: that one does not answer either. No probe measures time: the allowed answer is the fence. */
long probe_tcp(const void *probe);
long probe_udp(const void *probe);
/* 1: an answer comes within ten seconds, during which the target is asked repeatedly. For targets that must be open. */
long probe_open(const void *probe);

long probe_ping(const void *probe); /* the port does not matter */
long probe_ipv6(const void *probe);

/* Sends one hand-made packet from eth0, between two fences. 1, or -1 if that failed. */
struct packet {
        char source[16], destination[16];
        uint8_t protocol;
};
long send_packet(const void *packet);

/* A TCP connection that the node keeps: held_connect() opens it, and each held_echo() uses it once. */
long held_connect(const void *probe);
long held_echo(const void *wait_s); /* 1: the byte came back within an int's seconds; 0: not */

/* A UDP flow in which the other side goes on sending. A listener on an address of the outside remembers the first peer
 * that sends to it, and the peer sends from its own port. Each address has one of both. */
struct talk {
        char listener[16];
        bool is_expected;
};
enum { TALK_PORT = 7790, TALK_FROM = 5000 };
long talk_listen(const void *talk); /* outside: opens the socket; 1 */
long talk_learn(const void *talk);  /* outside: 1 when a peer has sent something */
long talk_back(const void *talk);   /* outside: sends a datagram to that peer; 1 */
long talk_open(const void *talk);   /* inside: opens the socket; 1 */
long talk_begin(const void *talk);  /* inside: sends; 1 */
long talk_hears(const void *talk);  /* inside: 1: a datagram came; 0: only the fence came; -1: no fence */

struct probe rig_probe(const char *address, uint16_t port, bool is_expected);

/* ---- policy ---- */

struct rig {
        struct ev_loop *loop;
        struct netpolicy *policy;
        struct netpolicy_options options;
        unsigned changes; /* calls of on_change */
};

/* Starts a netpolicy of this pool; does not wait. */
void rig_start(struct rig *rig, const char *pool, const char *network, const char *deny, const char *allow);
void rig_stop(struct rig *rig);
/* Runs the loop until is_done returns true. The test fails after a deadline that a healthy machine does not reach. */
void rig_await(struct rig *rig, bool (*is_done)(struct rig *rig));
bool rig_in_force(struct rig *rig);
bool rig_not_in_force(struct rig *rig);
struct netpolicy_status rig_status(struct rig *rig);

/* Calls that wait for their result, and return the kind of the fault; FAULT_NONE: success. */
enum fault_kind rig_confirm(struct rig *rig);
enum fault_kind rig_apply(struct rig *rig, const char *deny);
enum fault_kind rig_plug(struct rig *rig, int pid, const char *id, struct netpolicy_link *ret_link);
/* The same, closed; and the opening of such a link. */
enum fault_kind rig_plug_closed(struct rig *rig, int pid, const char *id, struct netpolicy_link *ret_link);
enum fault_kind rig_open(struct rig *rig, int pid, const char *interface);
/* Plugs it; the test fails when that fails. */
struct netpolicy_link rig_must_plug(struct rig *rig, const struct node *node);
/* The pid of the helper process of this test; 0: no helper runs. */
pid_t rig_helper_pid(void);

/* The packet count of the rule of this chain that equals `like`. The test fails if the chain has no such rule. */
uint64_t rig_packets(enum rule_family family, const char *table, const char *chain, const struct rule *like);
