/* Compiled twice (meson.build): for IPv4, and with FAMILY_IS_IPV6. libip4tc and libip6tc are the same code on two types
 * of entry, so all that differs here is the names and how an entry begins. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "family.h"
#include "xt.h"

#ifdef FAMILY_IS_IPV6

#include <libiptc/libip6tc.h>

#define FAMILY FAMILY_IPV6
#define CALL(name) ip6tc_##name
#define ENTRY ip6t_entry
#define ADDRESS ipv6
#define ADDRESS_BYTES (offsetof(struct ip6t_ip6, invflags) + 1) /* then padding */

/* Carrels have no IPv6: our rules name an interface and a verdict only. */
static void put_address(struct ip6t_ip6 *ip, const struct rule *rule)
{
        xt_put_interface(rule->in, ip->iniface, ip->iniface_mask);
        xt_put_interface(rule->out, ip->outiface, ip->outiface_mask);
}

static void get_address(const struct ip6t_ip6 *ip, struct rule *rule)
{
        if ((ip->invflags & IP6T_INV_VIA_IN) == 0)
                xt_get_interface(rule->in, ip->iniface, ip->iniface_mask);
        if ((ip->invflags & IP6T_INV_VIA_OUT) == 0)
                xt_get_interface(rule->out, ip->outiface, ip->outiface_mask);
}

#else

#include <libiptc/libiptc.h>

#define FAMILY FAMILY_IPV4
#define CALL(name) iptc_##name
#define ENTRY ipt_entry
#define ADDRESS ip
#define ADDRESS_BYTES sizeof(struct ipt_ip)

static void put_cidr(struct in_addr *address, struct in_addr *mask, struct cidr cidr)
{
        address->s_addr = htonl(cidr.address);
        mask->s_addr = htonl(cidr_mask(cidr.length));
}

/* A mask with holes, which iptables can set, reads as "any"; encoding it again then shows that it is not ours. */
static struct cidr get_cidr(struct in_addr address, struct in_addr mask)
{
        struct cidr cidr = { .address = ntohl(address.s_addr) };
        uint32_t bits = ntohl(mask.s_addr);

        while (cidr.length < 32 && (bits & (0x80000000U >> cidr.length)) != 0)
                cidr.length++;
        return cidr_mask(cidr.length) == bits && cidr_is_valid(cidr) ? cidr : (struct cidr){ 0 };
}

static void put_address(struct ipt_ip *ip, const struct rule *rule)
{
        put_cidr(&ip->src, &ip->smsk, rule->source);
        if ((rule->flags & RULE_ORIGINALLY) == 0)
                put_cidr(&ip->dst, &ip->dmsk, rule->destination);
        xt_put_interface(rule->in, ip->iniface, ip->iniface_mask);
        xt_put_interface(rule->out, ip->outiface, ip->outiface_mask);
        ip->proto = rule->protocol;
        if ((rule->flags & RULE_NOT_SOURCE) != 0)
                ip->invflags |= IPT_INV_SRCIP;
        if ((rule->flags & RULE_NOT_OUT) != 0)
                ip->invflags |= IPT_INV_VIA_OUT;
}

static void get_address(const struct ipt_ip *ip, struct rule *rule)
{
        rule->protocol = (uint8_t)ip->proto;
        rule->source = get_cidr(ip->src, ip->smsk);
        rule->destination = get_cidr(ip->dst, ip->dmsk);
        if ((ip->invflags & IPT_INV_VIA_IN) == 0)
                xt_get_interface(rule->in, ip->iniface, ip->iniface_mask);
        xt_get_interface(rule->out, ip->outiface, ip->outiface_mask);
        if ((ip->invflags & IPT_INV_SRCIP) != 0)
                rule->flags |= RULE_NOT_SOURCE;
        if ((ip->invflags & IPT_INV_VIA_OUT) != 0)
                rule->flags |= RULE_NOT_OUT;
}

#endif

/* libiptc reads all 32 bytes of a chain's name. */
struct label {
        xt_chainlabel name;
};

static struct label label_of(const char *chain)
{
        struct label label = { 0 };

        (void)snprintf(label.name, sizeof label.name, "%s", chain);
        return label;
}

_Static_assert(sizeof(struct ENTRY) <= XT_HEAD_BYTES, "the head fits");

static struct xt_entry encode(const struct rule *rule)
{
        struct xt_entry entry = { .length = sizeof(struct ENTRY) };
        struct ENTRY *head = (void *)entry.bytes;

        put_address(&head->ADDRESS, rule);
        xt_add_matches(&entry, rule);
        head->target_offset = (uint16_t)entry.length;
        xt_add_target(&entry, rule);
        head->next_offset = (uint16_t)entry.length;
        return entry;
}

/* The entry has exactly the parts that the rule says. Not compared: counters, the kernel's marks (nfcache, comefrom),
 * and a standard target, which libiptc has checked. */
static bool is_exact(const struct ENTRY *entry, const struct rule *rule)
{
        struct xt_entry again = encode(rule);
        const struct ENTRY *head = (const void *)again.bytes;
        const unsigned char *bytes = (const void *)entry;
        size_t matches = sizeof *head;

        if (memcmp((const void *)&entry->ADDRESS, (const void *)&head->ADDRESS, ADDRESS_BYTES) != 0 ||
            entry->target_offset != head->target_offset || entry->next_offset != head->next_offset)
                return false;
        if (!xt_is_same_matches(bytes + matches, again.bytes + matches, entry->target_offset - matches))
                return false;
        if (rule->verdict != RULE_MASQUERADE)
                return rule->verdict != RULE_OTHER;
        return xt_is_same_target(bytes + entry->target_offset, again.bytes + entry->target_offset,
                                 (size_t)(entry->next_offset - entry->target_offset));
}

static void decode(const struct ENTRY *entry, struct xtc_handle *handle, struct rule *rule)
{
        const char *target = CALL(get_target)(entry, handle);

        *rule = (struct rule){ .packets = entry->counters.pcnt };
        get_address(&entry->ADDRESS, rule);
        if (entry->target_offset > sizeof *entry)
                xt_get_matches(rule, entry->elems, entry->target_offset - sizeof *entry);
        if (target == NULL)
                target = "";
        xt_get_target(rule, target, *target != '\0' && CALL(is_chain)(target, handle) != 0);
        if (!is_exact(entry, rule))
                rule->flags |= RULE_OPAQUE;
}

static size_t read_rules(struct xtc_handle *handle, const char *chain, struct rule *rules, size_t room)
{
        size_t count = 0;

        for (const struct ENTRY *entry = CALL(first_rule)(label_of(chain).name, handle); entry != NULL;
             entry = CALL(next_rule)(entry, handle)) {
                if (rules != NULL && count < room)
                        decode(entry, handle, &rules[count]);
                count++;
        }
        return count;
}

static int has_chain(struct xtc_handle *handle, const char *chain)
{
        return CALL(is_chain)(label_of(chain).name, handle);
}

static int create(struct xtc_handle *handle, const char *chain)
{
        return CALL(create_chain)(label_of(chain).name, handle);
}

static int flush(struct xtc_handle *handle, const char *chain)
{
        return CALL(flush_entries)(label_of(chain).name, handle);
}

static int append(struct xtc_handle *handle, const char *chain, const struct rule *rule)
{
        struct xt_entry entry = encode(rule);

        return CALL(append_entry)(label_of(chain).name, (const void *)entry.bytes, handle);
}

static int insert(struct xtc_handle *handle, const char *chain, const struct rule *rule, unsigned position)
{
        struct xt_entry entry = encode(rule);

        return CALL(insert_entry)(label_of(chain).name, (const void *)entry.bytes, position, handle);
}

static int remove_at(struct xtc_handle *handle, const char *chain, unsigned position)
{
        return CALL(delete_num_entry)(label_of(chain).name, position, handle);
}

const struct family FAMILY = {
        .init = CALL(init),
        .free = CALL(free),
        .commit = CALL(commit),
        .has_chain = has_chain,
        .create = create,
        .flush = flush,
        .append = append,
        .insert = insert,
        .remove = remove_at,
        .read = read_rules,
        .explain = CALL(strerror),
};
