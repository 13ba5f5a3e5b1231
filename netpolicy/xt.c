#include "xt.h"

#include <netinet/in.h> /* before the kernel's own, which then leave its names alone */

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdio.h>
#include <string.h>

static void *reserve(struct xt_entry *entry, size_t size)
{
        void *place = entry->bytes + entry->length;

        entry->length += XT_ALIGN(size);
        return place;
}

static void add_match(struct xt_entry *entry, const char *name, uint8_t revision, const void *data, size_t size)
{
        struct xt_entry_match *match = reserve(entry, sizeof *match + size);

        match->u.user.match_size = (uint16_t)XT_ALIGN(sizeof *match + size);
        match->u.user.revision = revision;
        (void)snprintf(match->u.user.name, sizeof match->u.user.name, "%.28s", name);
        memcpy(match->data, data, size);
}

static void add_port_match(struct xt_entry *entry, const struct rule *rule)
{
        struct xt_tcp tcp = { .spts = { 0, UINT16_MAX }, .dpts = { rule->port, rule->port } };
        struct xt_udp udp = { .spts = { 0, UINT16_MAX }, .dpts = { rule->port, rule->port } };

        if (rule->protocol == IPPROTO_TCP)
                add_match(entry, "tcp", 0, &tcp, sizeof tcp);
        else
                add_match(entry, "udp", 0, &udp, sizeof udp);
}

void xt_add_matches(struct xt_entry *entry, const struct rule *rule)
{
        const struct xt_addrtype_info_v1 to_host = { .dest = XT_ADDRTYPE_LOCAL | XT_ADDRTYPE_BROADCAST };
        const struct xt_rpfilter_info wrong_path = { .flags = XT_RPFILTER_INVERT };
        const struct xt_conntrack_mtinfo3 reply = {
                .match_flags = XT_CONNTRACK_STATE,
                .state_mask = XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) | XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED),
        };

        if (rule->port != 0)
                add_port_match(entry, rule);
        if ((rule->flags & RULE_TO_HOST) != 0)
                add_match(entry, "addrtype", 1, &to_host, sizeof to_host);
        if ((rule->flags & RULE_IS_REPLY) != 0)
                add_match(entry, "conntrack", 3, &reply, sizeof reply);
        if ((rule->flags & RULE_WRONG_PATH) != 0)
                add_match(entry, "rpfilter", 0, &wrong_path, sizeof wrong_path);
}

static const char *const VERDICTS[] = {
        [RULE_DROP] = "DROP",
        [RULE_ACCEPT] = "ACCEPT",
        [RULE_RETURN] = "RETURN",
        [RULE_MASQUERADE] = "MASQUERADE",
};
#define VERDICT_COUNT (sizeof VERDICTS / sizeof *VERDICTS)

/* libiptc turns a standard target's name into the verdict, or into the jump to a chain of that name. */
void xt_add_target(struct xt_entry *entry, const struct rule *rule)
{
        const struct nf_nat_ipv4_multi_range_compat any_port = { .rangesize = 1 };
        const char *name = rule->verdict < VERDICT_COUNT ? VERDICTS[rule->verdict] : rule->target;
        size_t size = rule->verdict == RULE_MASQUERADE
                              ? sizeof any_port
                              : sizeof(struct xt_standard_target) - sizeof(struct xt_entry_target);
        struct xt_entry_target *target = reserve(entry, sizeof *target + size);

        target->u.user.target_size = (uint16_t)XT_ALIGN(sizeof *target + size);
        (void)snprintf(target->u.user.name, sizeof target->u.user.name, "%.28s", name);
        if (rule->verdict == RULE_MASQUERADE)
                memcpy(target->data, &any_port, sizeof any_port);
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
                rule->flags |= RULE_IS_REPLY;
        else if (strcmp(name, "rpfilter") == 0)
                rule->flags |= RULE_WRONG_PATH;
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

void xt_get_target(struct rule *rule, const char *name, bool is_chain)
{
        rule->verdict = is_chain ? RULE_JUMP : RULE_OTHER;
        for (size_t i = 0; i < VERDICT_COUNT && !is_chain; i++)
                if (strcmp(name, VERDICTS[i]) == 0)
                        rule->verdict = (enum rule_verdict)i;
        if (rule->verdict >= VERDICT_COUNT)
                (void)snprintf(rule->target, sizeof rule->target, "%.31s", name);
}
