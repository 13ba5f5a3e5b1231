#include "xt.h"

#include <netinet/in.h> /* before the kernel's own, which then leave its names alone */

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_connlimit.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_hashlimit.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

/* A foreign rule that was read back may have every flag: three conntrack matches, and one of each other match. */
#define PART(type) XT_ALIGN(sizeof(struct xt_entry_match) + sizeof(type))
_Static_assert(XT_HEAD_BYTES + 3 * PART(struct xt_conntrack_mtinfo3) + PART(struct xt_addrtype_info_v1) +
                               PART(struct xt_rpfilter_info) + PART(struct xt_hashlimit_mtinfo3) +
                               PART(struct xt_connlimit_info) + PART(struct nf_nat_ipv4_multi_range_compat) <=
                       XT_ENTRY_BYTES,
               "room for every rule");

static void *reserve(struct xt_entry *entry, size_t size)
{
        void *place = entry->bytes + entry->length;

        entry->length += XT_ALIGN(size);
        return place;
}

/* Returns the match's data, to be filled in place: copying a struct would copy its padding too. */
static void *add_match(struct xt_entry *entry, const char *name, uint8_t revision, size_t size)
{
        struct xt_entry_match *match = reserve(entry, sizeof *match + size);

        match->u.user.match_size = (uint16_t)XT_ALIGN(sizeof *match + size);
        match->u.user.revision = revision;
        (void)snprintf(match->u.user.name, sizeof match->u.user.name, "%.28s", name);
        return match->data;
}

static void add_tcp(struct xt_entry *entry, const struct rule *rule)
{
        struct xt_tcp *tcp = add_match(entry, "tcp", 0, sizeof *tcp);

        tcp->spts[1] = UINT16_MAX;
        tcp->dpts[0] = tcp->dpts[1] = rule->port;
}

static void add_udp(struct xt_entry *entry, const struct rule *rule)
{
        struct xt_udp *udp = add_match(entry, "udp", 0, sizeof *udp);

        udp->spts[1] = UINT16_MAX;
        udp->dpts[0] = udp->dpts[1] = rule->port;
}

static void add_reply(struct xt_entry *entry)
{
        struct xt_conntrack_mtinfo3 *conntrack = add_match(entry, "conntrack", 3, sizeof *conntrack);

        conntrack->match_flags = XT_CONNTRACK_STATE;
        conntrack->state_mask = XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) | XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED);
}

static void add_original(struct xt_entry *entry, const struct rule *rule)
{
        struct xt_conntrack_mtinfo3 *conntrack = add_match(entry, "conntrack", 3, sizeof *conntrack);

        conntrack->match_flags = XT_CONNTRACK_ORIGDST;
        conntrack->origdst_addr.ip = htonl(rule->destination.address);
        conntrack->origdst_mask.ip = htonl(cidr_mask(rule->destination.length));
        if (rule->port == 0)
                return;
        conntrack->match_flags |= XT_CONNTRACK_ORIGDST_PORT;
        conntrack->origdst_port = conntrack->origdst_port_high = rule->port; /* in host order, from revision 2 on */
}

static void add_first(struct xt_entry *entry)
{
        struct xt_conntrack_mtinfo3 *conntrack = add_match(entry, "conntrack", 3, sizeof *conntrack);

        conntrack->match_flags = conntrack->invert_flags = XT_CONNTRACK_STATUS;
        conntrack->status_mask = IPS_CONFIRMED;
}

static const char RATE_PREFIX[] = "carrel-";

/* After so long without a new flow a source has its full burst again, and the kernel drops its entry. */
static uint32_t refill_ms(const struct rule *rule)
{
        uint64_t ms = 10000 + (uint64_t)rule->burst * 1000 / (rule->limit > 0 ? rule->limit : 1);

        return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* The kernel has one table for each name and never changes its limits, so the name contains them. */
static void add_too_fast(struct xt_entry *entry, const struct rule *rule)
{
        enum { BUCKETS = 4096, SOURCES_MOST = 1 << 20, GC_MS = 10000 };
        struct xt_hashlimit_mtinfo3 *rate = add_match(entry, "hashlimit", 3, sizeof *rate);

        (void)snprintf(rate->name, sizeof rate->name, "%s%u-%u", RATE_PREFIX, (unsigned)rule->limit,
                       (unsigned)rule->burst);
        rate->cfg = (struct hashlimit_cfg3){ .avg = XT_HASHLIMIT_SCALE_v2 / (rule->limit > 0 ? rule->limit : 1),
                                             .burst = rule->burst,
                                             .mode = XT_HASHLIMIT_HASH_SIP | XT_HASHLIMIT_INVERT,
                                             .size = BUCKETS,
                                             .max = SOURCES_MOST,
                                             .gc_interval = GC_MS,
                                             .expire = refill_ms(rule),
                                             .srcmask = 32,
                                             .dstmask = 32 };
}

static void add_too_many(struct xt_entry *entry, const struct rule *rule)
{
        struct xt_connlimit_info *count = add_match(entry, "connlimit", 1, sizeof *count);

        count->v4_mask = UINT32_MAX;
        count->limit = rule->limit;
}

static void get_too_fast(struct rule *rule, const char *name, size_t length)
{
        char text[32];
        char *burst;
        uint64_t numbers[2];

        rule->flags |= RULE_TOO_FAST;
        (void)snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text - 1), name);
        burst = strrchr(text, '-');
        if (!str_has_prefix(text, RATE_PREFIX) || burst == NULL)
                return;
        *burst++ = '\0';
        if (str_parse_u64(text + strlen(RATE_PREFIX), 1, UINT32_MAX, &numbers[0]) < 0 ||
            str_parse_u64(burst, 1, UINT32_MAX, &numbers[1]) < 0)
                return;
        rule->limit = (uint32_t)numbers[0];
        rule->burst = (uint32_t)numbers[1];
}

static void get_too_many(struct rule *rule, const void *data, size_t length)
{
        struct xt_connlimit_info count = { 0 };

        memcpy(&count, data, length < sizeof count ? length : sizeof count);
        rule->flags |= RULE_TOO_MANY;
        rule->limit = count.limit;
}

/* Reads the matches that the add_ functions write. Any other shows as a difference when the rule is encoded again. */
static void get_conntrack(struct rule *rule, const void *data, size_t length)
{
        struct xt_conntrack_mtinfo3 conntrack = { 0 };

        memcpy(&conntrack, data, length < sizeof conntrack ? length : sizeof conntrack);
        if ((conntrack.match_flags & XT_CONNTRACK_ORIGDST) == 0) {
                rule->flags |= (conntrack.match_flags & XT_CONNTRACK_STATUS) != 0 ? RULE_IS_FIRST : RULE_IS_REPLY;
                return;
        }
        rule->flags |= RULE_ORIGINALLY;
        rule->port = conntrack.origdst_port;
        rule->destination = (struct cidr){ .address = ntohl(conntrack.origdst_addr.ip) };
        while (rule->destination.length < 32 &&
               (ntohl(conntrack.origdst_mask.ip) & (0x80000000U >> rule->destination.length)) != 0)
                rule->destination.length++;
}

static void add_to_host(struct xt_entry *entry)
{
        struct xt_addrtype_info_v1 *type = add_match(entry, "addrtype", 1, sizeof *type);

        type->dest = XT_ADDRTYPE_LOCAL | XT_ADDRTYPE_BROADCAST;
}

static void add_wrong_path(struct xt_entry *entry)
{
        struct xt_rpfilter_info *path = add_match(entry, "rpfilter", 0, sizeof *path);

        path->flags = XT_RPFILTER_INVERT;
}

void xt_add_matches(struct xt_entry *entry, const struct rule *rule)
{
        if ((rule->flags & RULE_ORIGINALLY) != 0)
                add_original(entry, rule);
        else if (rule->port != 0 && rule->protocol == IPPROTO_TCP)
                add_tcp(entry, rule);
        else if (rule->port != 0)
                add_udp(entry, rule);
        if ((rule->flags & RULE_TO_HOST) != 0)
                add_to_host(entry);
        if ((rule->flags & RULE_IS_REPLY) != 0)
                add_reply(entry);
        if ((rule->flags & RULE_WRONG_PATH) != 0)
                add_wrong_path(entry);
        if ((rule->flags & RULE_IS_FIRST) != 0)
                add_first(entry);
        if ((rule->flags & RULE_TOO_FAST) != 0)
                add_too_fast(entry, rule);
        if ((rule->flags & RULE_TOO_MANY) != 0)
                add_too_many(entry, rule);
}

static const char *const VERDICTS[] = {
        [RULE_DROP] = "DROP",
        [RULE_ACCEPT] = "ACCEPT",
        [RULE_RETURN] = "RETURN",
        [RULE_MASQUERADE] = "MASQUERADE",
};
#define VERDICT_COUNT (sizeof VERDICTS / sizeof *VERDICTS)

static size_t target_size(const struct rule *rule)
{
        return rule->verdict == RULE_MASQUERADE
                       ? sizeof(struct xt_entry_target) + sizeof(struct nf_nat_ipv4_multi_range_compat)
                       : sizeof(struct xt_standard_target);
}

/* libiptc converts the name of a standard target into the verdict, or into the jump to the chain of that name. */
void xt_add_target(struct xt_entry *entry, const struct rule *rule)
{
        const char *name = rule->verdict < VERDICT_COUNT ? VERDICTS[rule->verdict] : rule->target;
        struct xt_entry_target *target = reserve(entry, target_size(rule));

        target->u.user.target_size = (uint16_t)XT_ALIGN(target_size(rule));
        (void)snprintf(target->u.user.name, sizeof target->u.user.name, "%.28s", name);
        if (rule->verdict == RULE_MASQUERADE)
                ((struct nf_nat_ipv4_multi_range_compat *)(void *)target->data)->rangesize = 1;
}

void xt_put_interface(const char *pattern, char name[static 16], unsigned char mask[static 16])
{
        size_t length = strnlen(pattern, 15);

        if (length == 0)
                return;
        memcpy(name, pattern, length);
        memset(mask, 0xff, pattern[length - 1] == '+' ? length - 1 : length + 1);
}

void xt_get_interface(char pattern[static 16], const char name[static 16], const unsigned char mask[static 16])
{
        size_t masked = 0;
        size_t length = strnlen(name, 16);

        while (masked < 16 && mask[masked] == 0xff)
                masked++;
        pattern[0] = '\0';
        if (masked == 0 || length == 0 || length == 16 || masked > length + 1)
                return;
        if (masked > length)
                (void)snprintf(pattern, 16, "%.15s", name);
        else if (masked < 15)
                (void)snprintf(pattern, 16, "%.*s+", (int)masked, name);
}

static void get_match(struct rule *rule, const struct xt_entry_match *match, size_t data_length)
{
        const char *name = match->u.user.name;
        struct xt_udp ports; /* the ports of xt_tcp lie at the same place */

        if (strcmp(name, "addrtype") == 0)
                rule->flags |= RULE_TO_HOST;
        else if (strcmp(name, "conntrack") == 0)
                get_conntrack(rule, match->data, data_length);
        else if (strcmp(name, "rpfilter") == 0)
                rule->flags |= RULE_WRONG_PATH;
        else if (strcmp(name, "hashlimit") == 0)
                get_too_fast(rule, (const char *)match->data, data_length);
        else if (strcmp(name, "connlimit") == 0)
                get_too_many(rule, match->data, data_length);
        else if ((strcmp(name, "tcp") == 0 || strcmp(name, "udp") == 0) && data_length >= sizeof ports) {
                memcpy(&ports, match->data, sizeof ports);
                rule->port = ports.dpts[0];
        }
}

void xt_get_matches(struct rule *rule, const unsigned char *matches, size_t length)
{
        while (length >= sizeof(struct xt_entry_match)) {
                const struct xt_entry_match *match = (const void *)matches;
                size_t size = match->u.match_size;

                if (size < sizeof *match || size > length ||
                    strnlen(match->u.user.name, XT_EXTENSION_MAXNAMELEN) == XT_EXTENSION_MAXNAMELEN)
                        return;
                get_match(rule, match, size - sizeof *match);
                matches += size;
                length -= size;
        }
}

/* Matches and targets have the same layout: size, name, revision, then data (linux/netfilter/x_tables.h). */
_Static_assert(sizeof(struct xt_entry_match) == sizeof(struct xt_entry_target), "one layout");

static bool is_same_part(const struct xt_entry_match *a, const struct xt_entry_match *b)
{
        return a->u.match_size == b->u.match_size && a->u.user.revision == b->u.user.revision &&
               strncmp(a->u.user.name, b->u.user.name, XT_EXTENSION_MAXNAMELEN) == 0 &&
               memcmp(a->data, b->data, a->u.match_size - sizeof *a) == 0;
}

bool xt_is_same_matches(const unsigned char *a, const unsigned char *b, size_t length)
{
        while (length >= sizeof(struct xt_entry_match)) {
                const struct xt_entry_match *part = (const void *)a;
                size_t size = part->u.match_size;

                if (size < sizeof *part || size > length || !is_same_part(part, (const void *)b))
                        return false;
                a += size;
                b += size;
                length -= size;
        }
        return length == 0;
}

bool xt_is_same_target(const unsigned char *a, const unsigned char *b, size_t length)
{
        const struct xt_entry_match *part = (const void *)a;

        return length >= sizeof *part && part->u.match_size == length && is_same_part(part, (const void *)b);
}

void xt_get_target(struct rule *rule, const char *name, bool is_chain)
{
        rule->verdict = is_chain ? RULE_JUMP : RULE_OTHER;
        for (size_t i = 0; i < VERDICT_COUNT && !is_chain; i++)
                if (strcmp(name, VERDICTS[i]) == 0)
                        rule->verdict = (enum rule_verdict)i;
        if (rule->verdict >= VERDICT_COUNT)
                (void)snprintf(rule->target, sizeof rule->target, "%.31s", name);
}
