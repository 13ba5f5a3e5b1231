#include <arpa/inet.h>
#include <libiptc/libiptc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "family.h"
#include "xt.h"

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

static struct xt_entry encode(const struct rule *rule)
{
        struct xt_entry entry = { .length = sizeof(struct ipt_entry) };
        struct ipt_entry *head = (void *)entry.bytes;

        put_cidr(&head->ip.src, &head->ip.smsk, rule->source);
        if ((rule->flags & RULE_ORIGINALLY) == 0)
                put_cidr(&head->ip.dst, &head->ip.dmsk, rule->destination);
        xt_put_interface(rule->in, head->ip.iniface, head->ip.iniface_mask);
        xt_put_interface(rule->out, head->ip.outiface, head->ip.outiface_mask);
        head->ip.proto = rule->protocol;
        if ((rule->flags & RULE_NOT_SOURCE) != 0)
                head->ip.invflags |= IPT_INV_SRCIP;
        if ((rule->flags & RULE_NOT_OUT) != 0)
                head->ip.invflags |= IPT_INV_VIA_OUT;
        xt_add_matches(&entry, rule);
        head->target_offset = (uint16_t)entry.length;
        xt_add_target(&entry, rule);
        head->next_offset = (uint16_t)entry.length;
        return entry;
}

/* The entry has exactly the parts that the rule says. Counters and the kernel's marks (nfcache, comefrom) apart; of
 * a standard target libiptc has vouched already. */
static bool is_exact(const struct ipt_entry *entry, const struct rule *rule)
{
        struct xt_entry again = encode(rule);
        const struct ipt_entry *head = (const void *)again.bytes;
        const unsigned char *bytes = (const void *)entry;
        size_t matches = sizeof *head;

        if (memcmp(&entry->ip, &head->ip, sizeof entry->ip) != 0 || entry->target_offset != head->target_offset ||
            entry->next_offset != head->next_offset)
                return false;
        if (!xt_is_same_matches(bytes + matches, again.bytes + matches, entry->target_offset - matches))
                return false;
        if (rule->verdict != RULE_MASQUERADE)
                return rule->verdict != RULE_OTHER;
        return xt_is_same_target(bytes + entry->target_offset, again.bytes + entry->target_offset,
                                 (size_t)(entry->next_offset - entry->target_offset));
}

static void decode(const struct ipt_entry *entry, struct xtc_handle *handle, struct rule *rule)
{
        const char *target = iptc_get_target(entry, handle);

        *rule = (struct rule){ .protocol = (uint8_t)entry->ip.proto, .packets = entry->counters.pcnt };
        rule->source = get_cidr(entry->ip.src, entry->ip.smsk);
        rule->destination = get_cidr(entry->ip.dst, entry->ip.dmsk);
        if ((entry->ip.invflags & IPT_INV_VIA_IN) == 0)
                xt_get_interface(rule->in, entry->ip.iniface, entry->ip.iniface_mask);
        xt_get_interface(rule->out, entry->ip.outiface, entry->ip.outiface_mask);
        if ((entry->ip.invflags & IPT_INV_SRCIP) != 0)
                rule->flags |= RULE_NOT_SOURCE;
        if ((entry->ip.invflags & IPT_INV_VIA_OUT) != 0)
                rule->flags |= RULE_NOT_OUT;
        if (entry->target_offset > sizeof *entry)
                xt_get_matches(rule, entry->elems, entry->target_offset - sizeof *entry);
        if (target == NULL)
                target = "";
        xt_get_target(rule, target, *target != '\0' && iptc_is_chain(target, handle) != 0);
        if (!is_exact(entry, rule))
                rule->flags |= RULE_OPAQUE;
}

static size_t read_rules(struct xtc_handle *handle, const char *chain, struct rule *rules, size_t room)
{
        size_t count = 0;

        for (const struct ipt_entry *entry = iptc_first_rule(label_of(chain).name, handle); entry != NULL;
             entry = iptc_next_rule(entry, handle)) {
                if (rules != NULL && count < room)
                        decode(entry, handle, &rules[count]);
                count++;
        }
        return count;
}

static int has_chain(struct xtc_handle *handle, const char *chain)
{
        return iptc_is_chain(label_of(chain).name, handle);
}

static int create(struct xtc_handle *handle, const char *chain)
{
        return iptc_create_chain(label_of(chain).name, handle);
}

static int flush(struct xtc_handle *handle, const char *chain)
{
        return iptc_flush_entries(label_of(chain).name, handle);
}

static int append(struct xtc_handle *handle, const char *chain, const struct rule *rule)
{
        struct xt_entry entry = encode(rule);

        return iptc_append_entry(label_of(chain).name, (const void *)entry.bytes, handle);
}

static int insert(struct xtc_handle *handle, const char *chain, const struct rule *rule, unsigned position)
{
        struct xt_entry entry = encode(rule);

        return iptc_insert_entry(label_of(chain).name, (const void *)entry.bytes, position, handle);
}

static int remove_at(struct xtc_handle *handle, const char *chain, unsigned position)
{
        return iptc_delete_num_entry(label_of(chain).name, position, handle);
}

const struct family FAMILY_IPV4 = {
        .init = iptc_init,
        .free = iptc_free,
        .commit = iptc_commit,
        .has_chain = has_chain,
        .create = create,
        .flush = flush,
        .append = append,
        .insert = insert,
        .remove = remove_at,
        .read = read_rules,
        .explain = iptc_strerror,
};
