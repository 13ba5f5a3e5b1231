#include "rules.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

/* Networks that no carrel reaches, with any settings: the attack catalogue of docs/threats.md. From the IANA
 * special-purpose address registry (RFC 6890), with 6to4 relays (RFC 7526), multicast and class E. */
static const struct cidr BUILT_IN[] = {
        { 0x00000000, 8 },  /* this network */
        { 0x0a000000, 8 },  /* private */
        { 0x64400000, 10 }, /* carrier-grade NAT */
        { 0x7f000000, 8 },  /* loopback */
        { 0xa83f8110, 32 }, /* Azure's WireServer: metadata at a public address */
        { 0xa9fe0000, 16 }, /* link-local: cloud metadata */
        { 0xac100000, 12 }, /* private */
        { 0xc0000000, 24 }, /* protocol assignments */
        { 0xc0000200, 24 }, /* documentation */
        { 0xc0586300, 24 }, /* 6to4 relays */
        { 0xc0a80000, 16 }, /* private */
        { 0xc6120000, 15 }, /* benchmarks */
        { 0xc6336400, 24 }, /* documentation */
        { 0xcb007100, 24 }, /* documentation */
        { 0xe0000000, 4 },  /* multicast */
        { 0xf0000000, 4 },  /* reserved, and the limited broadcast */
};

enum { BUILT_IN_COUNT = sizeof BUILT_IN / sizeof *BUILT_IN };

_Static_assert(RULE_ROOM >= 2 * (POLICY_DENIED_MAX + 3 * POLICY_PINHOLES_MAX + BUILT_IN_COUNT) + 32,
               "room for every policy");

static const uint8_t PROTOCOLS[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP }; /* all other protocols are dropped */
enum { PROTOCOL_COUNT = sizeof PROTOCOLS };

struct maker {
        struct ruleset *ruleset;
        const struct policy *policy;
        uint32_t flows_max;
        char pattern[16]; /* "carrel+" */
};

static void add(struct maker *maker, struct rule rule)
{
        if (maker->ruleset->count < RULE_ROOM)
                maker->ruleset->rules[maker->ruleset->count++] = rule;
}

static void add_pinhole(struct maker *maker, const struct pinhole *pinhole, const char *in, uint16_t flags,
                        enum rule_verdict verdict)
{
        static const uint8_t WITH_PORTS[] = { IPPROTO_TCP, IPPROTO_UDP };

        for (size_t i = 0; i < sizeof WITH_PORTS; i++) {
                struct rule rule = { .destination = pinhole->to,
                                     .protocol = WITH_PORTS[i],
                                     .port = pinhole->port,
                                     .flags = flags,
                                     .verdict = verdict };

                (void)snprintf(rule.in, sizeof rule.in, "%s", in);
                add(maker, rule);
        }
}

/* in: an interface pattern, or "" if the anchor already matches it. */
static void add_pinholes(struct maker *maker, const char *in, uint16_t flags, enum rule_verdict verdict)
{
        for (uint32_t i = 0; i < maker->policy->pinhole_count; i++)
                add_pinhole(maker, &maker->policy->pinholes[i], in, flags, verdict);
}

static void add_denied(struct maker *maker, const char *in, const struct cidr *denied, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct rule rule = { .destination = denied[i], .verdict = RULE_DROP };

                (void)snprintf(rule.in, sizeof rule.in, "%s", in);
                add(maker, rule);
        }
}

static void add_all_denied(struct maker *maker, const char *in)
{
        add_denied(maker, in, &maker->policy->network, 1);
        add_denied(maker, in, BUILT_IN, BUILT_IN_COUNT);
        add_denied(maker, in, maker->policy->denied, maker->policy->denied_count);
}

static void add_protocols(struct maker *maker, const char *in, enum rule_verdict verdict)
{
        for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
                struct rule rule = { .protocol = PROTOCOLS[i], .verdict = verdict };

                (void)snprintf(rule.in, sizeof rule.in, "%s", in);
                add(maker, rule);
        }
}

/* Every packet of a carrel is judged here, before conntrack and routing. RETURN, not ACCEPT, so that the host's own
 * rules after ours still apply. */
static void add_judge(struct maker *maker)
{
        add(maker, (struct rule){ .source = maker->policy->network, .flags = RULE_NOT_SOURCE, .verdict = RULE_DROP });
        add(maker, (struct rule){ .flags = RULE_WRONG_PATH, .verdict = RULE_DROP });
        add_pinholes(maker, "", 0, RULE_RETURN);
        add(maker, (struct rule){ .flags = RULE_TO_HOST, .verdict = RULE_DROP });
        add_all_denied(maker, "");
        add_protocols(maker, "", RULE_RETURN);
        add(maker, (struct rule){ .verdict = RULE_DROP });
}

static void add_input(struct maker *maker)
{
        add_pinholes(maker, "", 0, RULE_ACCEPT);
        add(maker, (struct rule){ .verdict = RULE_DROP });
}

/* Packets that the judge let pass may be forwarded, unless a DNAT of the host has since sent them to a denied network.
 * Only replies are forwarded to a carrel. A carrel's own packets never reach that rule: other carrels are denied, and
 * even replies of other protocols must not leave. */
static void add_forward(struct maker *maker)
{
        struct rule from = { .verdict = RULE_DROP };
        struct rule answer = { .flags = RULE_IS_REPLY, .verdict = RULE_ACCEPT };

        memcpy(from.in, maker->pattern, sizeof from.in);
        add_pinholes(maker, maker->pattern, RULE_ORIGINALLY, RULE_ACCEPT);
        add_all_denied(maker, maker->pattern);
        add_protocols(maker, maker->pattern, RULE_ACCEPT);
        add(maker, from);
        add(maker, answer);
        add(maker, (struct rule){ .verdict = RULE_DROP });
}

/* After connection tracking, but before the flow is in the table: a flow that is dropped here never takes a place in
 * it. */
static void add_bounds(struct maker *maker)
{
        struct rule fast = { .flags = RULE_IS_FIRST | RULE_TOO_FAST,
                             .limit = maker->policy->flows_new_per_s,
                             .burst = maker->flows_max,
                             .verdict = RULE_DROP };
        struct rule many = { .flags = RULE_IS_FIRST | RULE_TOO_MANY, .limit = maker->flows_max, .verdict = RULE_DROP };

        if (fast.limit > 0)
                add(maker, fast);
        add(maker, many);
}

static void add_masquerade(struct maker *maker)
{
        struct rule rule = { .flags = RULE_NOT_OUT, .verdict = RULE_MASQUERADE };

        memcpy(rule.out, maker->pattern, sizeof rule.out);
        add(maker, rule);
}

static void add_drop(struct maker *maker)
{
        add(maker, (struct rule){ .verdict = RULE_DROP });
}

enum { BY_IN = 1 << 0, BY_OUT = 1 << 1, BY_SOURCE = 1 << 2 };

static const struct {
        enum rule_family family;
        const char *table, *hook;
        const char *suffix; /* follows the pool's chain name */
        bool is_judge, may_be_missing;
        int anchors; /* BY_* flags, one anchor each */
        void (*add_rules)(struct maker *maker);
} CHAINS[RULE_CHAINS] = {
        { RULE_IPV4, "raw", "PREROUTING", "", true, false, BY_IN, add_judge },
        { RULE_IPV4, "filter", "INPUT", "-INPUT", true, false, BY_IN, add_input },
        { RULE_IPV4, "filter", "FORWARD", "-FORWARD", false, false, BY_IN | BY_OUT, add_forward },
        { RULE_IPV4, "nat", "POSTROUTING", "", false, false, BY_SOURCE, add_masquerade },
        { RULE_IPV6, "raw", "PREROUTING", "", true, false, BY_IN, add_drop },
        { RULE_IPV6, "filter", "INPUT", "-INPUT", true, false, BY_IN, add_drop },
        { RULE_IPV6, "filter", "FORWARD", "-FORWARD", true, false, BY_IN, add_drop },
        { RULE_IPV4, "mangle", "PREROUTING", "", true, true, BY_IN, add_bounds },
};

static void add_anchor(struct rule_chain *chain, const struct maker *maker, int by)
{
        struct rule *anchor = &chain->anchors[chain->anchor_count++];

        *anchor = (struct rule){ .verdict = RULE_JUMP };
        memcpy(anchor->target, chain->name, sizeof anchor->target);
        if (by == BY_SOURCE)
                anchor->source = maker->policy->network;
        else
                memcpy(by == BY_IN ? anchor->in : anchor->out, maker->pattern, sizeof anchor->in);
}

static void make_chain(struct maker *maker, const char *prefix, size_t i)
{
        struct rule_chain *chain = &maker->ruleset->chains[i];
        size_t first = maker->ruleset->count;

        *chain = (struct rule_chain){ CHAINS[i].family, CHAINS[i].table, CHAINS[i].hook, CHAINS[i].is_judge,
                                      CHAINS[i].may_be_missing };
        (void)snprintf(chain->name, sizeof chain->name, "%s%s", prefix, CHAINS[i].suffix);
        for (int by = BY_IN; by <= BY_SOURCE; by <<= 1)
                if ((CHAINS[i].anchors & by) != 0)
                        add_anchor(chain, maker, by);
        CHAINS[i].add_rules(maker);
        chain->rules = maker->ruleset->rules + first;
        chain->count = maker->ruleset->count - first;
}

void rules_make(struct ruleset *ret_ruleset, const struct policy *policy, uint32_t flows_max)
{
        struct maker maker = { .ruleset = ret_ruleset, .policy = policy, .flows_max = flows_max };
        struct policy_names names;

        policy_name(policy, &names);
        (void)snprintf(maker.pattern, sizeof maker.pattern, "%.14s+", names.interface_prefix);
        ret_ruleset->count = 0;
        ret_ruleset->chain_count = flows_max > 0 ? RULE_CHAINS : RULE_CHAINS - 1;
        for (size_t i = 0; i < ret_ruleset->chain_count; i++)
                make_chain(&maker, names.chain, i);
}

static bool covers(const struct cidr *networks, size_t count, uint32_t address)
{
        for (size_t i = 0; i < count; i++)
                if (cidr_overlaps(networks[i], (struct cidr){ .address = address, .length = 32 }))
                        return true;
        return false;
}

static bool has_pinhole(const struct policy *policy, const struct policy_flow *flow)
{
        for (uint32_t i = 0; i < policy->pinhole_count; i++) {
                const struct pinhole *pinhole = &policy->pinholes[i];

                if (covers(&pinhole->to, 1, flow->destination) && (pinhole->port == 0 || pinhole->port == flow->port))
                        return flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP;
        }
        return false;
}

bool policy_allows(const struct policy *policy, const struct policy_flow *flow)
{
        if (has_pinhole(policy, flow))
                return true;
        return !flow->is_to_host && !covers(&policy->network, 1, flow->destination) &&
               !covers(BUILT_IN, BUILT_IN_COUNT, flow->destination) &&
               !covers(policy->denied, policy->denied_count, flow->destination) &&
               memchr(PROTOCOLS, flow->protocol, PROTOCOL_COUNT) != NULL;
}

bool rule_is_equal(const struct rule *a, const struct rule *b)
{
        return str_equal(a->in, b->in) && str_equal(a->out, b->out) && cidr_is_equal(a->source, b->source) &&
               cidr_is_equal(a->destination, b->destination) && a->port == b->port && a->protocol == b->protocol &&
               a->flags == b->flags && a->limit == b->limit && a->burst == b->burst && a->verdict == b->verdict &&
               str_equal(a->target, b->target);
}

/* Whether no interface fits both patterns. */
static bool are_apart(const char *a, const char *b)
{
        size_t a_length = strlen(a);
        size_t b_length = strlen(b);
        bool is_a_prefix;
        bool is_b_prefix;

        if (a_length == 0 || b_length == 0)
                return false;
        is_a_prefix = a[a_length - 1] == '+';
        is_b_prefix = b[b_length - 1] == '+';
        a_length -= is_a_prefix;
        b_length -= is_b_prefix;
        if ((!is_a_prefix && is_b_prefix && a_length < b_length) ||
            (is_a_prefix && !is_b_prefix && b_length < a_length))
                return true;
        if (!is_a_prefix && !is_b_prefix && a_length != b_length)
                return true;
        return strncmp(a, b, a_length < b_length ? a_length : b_length) != 0;
}

bool rule_is_disjoint(const struct rule *a, const struct rule *b)
{
        if (are_apart(a->in, b->in))
                return true;
        if (((a->flags | b->flags) & RULE_NOT_OUT) == 0 && are_apart(a->out, b->out))
                return true;
        return ((a->flags | b->flags) & RULE_NOT_SOURCE) == 0 && !cidr_overlaps(a->source, b->source);
}

static void append(char text[static RULE_TEXT_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char text[static RULE_TEXT_BYTES], const char *format, ...)
{
        size_t length = strlen(text);
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text + length, RULE_TEXT_BYTES - length, format, args);
        va_end(args);
}

static void append_cidr(char text[static RULE_TEXT_BYTES], const char *option, struct cidr cidr, bool is_inverted)
{
        char address[CIDR_TEXT_BYTES];

        if (cidr.length == 0)
                return;
        cidr_format(cidr, address);
        append(text, "%s%s %s ", is_inverted ? "! " : "", option, address);
}

static void append_flags(char text[static RULE_TEXT_BYTES], uint16_t flags)
{
        static const struct {
                uint16_t flag;
                const char *words;
        } WORDS[] = {
                { RULE_TO_HOST, "-m addrtype --dst-type LOCAL,BROADCAST " },
                { RULE_IS_REPLY, "-m conntrack --ctstate RELATED,ESTABLISHED " },
                { RULE_WRONG_PATH, "-m rpfilter --invert " },
                { RULE_ORIGINALLY, "(before any DNAT) " },
                { RULE_IS_FIRST, "-m conntrack ! --ctstatus CONFIRMED " },
                { RULE_OPAQUE, "(and more) " },
        };

        for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
                if ((flags & WORDS[i].flag) != 0)
                        append(text, "%s", WORDS[i].words);
}

void rule_format(const struct rule *rule, char text[static RULE_TEXT_BYTES])
{
        static const char *const VERDICTS[] = { "DROP", "ACCEPT", "RETURN", "MASQUERADE", NULL, NULL };

        text[0] = '\0';
        if (rule->in[0] != '\0')
                append(text, "-i %s ", rule->in);
        if (rule->out[0] != '\0')
                append(text, "%s-o %s ", (rule->flags & RULE_NOT_OUT) != 0 ? "! " : "", rule->out);
        append_cidr(text, "-s", rule->source, (rule->flags & RULE_NOT_SOURCE) != 0);
        append_cidr(text, "-d", rule->destination, false);
        if (rule->protocol != 0)
                append(text, "-p %u ", (unsigned)rule->protocol);
        if (rule->port != 0)
                append(text, "--dport %u ", (unsigned)rule->port);
        append_flags(text, rule->flags);
        if ((rule->flags & RULE_TOO_FAST) != 0)
                append(text, "-m hashlimit --hashlimit-above %u/sec --hashlimit-burst %u ", (unsigned)rule->limit,
                       (unsigned)rule->burst);
        if ((rule->flags & RULE_TOO_MANY) != 0)
                append(text, "-m connlimit --connlimit-above %u ", (unsigned)rule->limit);
        append(text, "-j %s", VERDICTS[rule->verdict] != NULL ? VERDICTS[rule->verdict] : rule->target);
}
