#include <libiptc/libip6tc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "family.h"
#include "xt.h"

/* libip6tc reads all 32 bytes of a chain's name. */
struct label {
        xt_chainlabel name;
};

static struct label label_of(const char *chain)
{
        struct label label = { 0 };

        (void)snprintf(label.name, sizeof label.name, "%s", chain);
        return label;
}

/* IPv6 is off: rules by interface and verdict are all there is to say. */
static struct xt_entry encode(const struct rule *rule)
{
        struct xt_entry entry = { .length = sizeof(struct ip6t_entry) };
        struct ip6t_entry *head = (void *)entry.bytes;

        xt_put_interface(rule->in, head->ipv6.iniface, head->ipv6.iniface_mask);
        xt_put_interface(rule->out, head->ipv6.outiface, head->ipv6.outiface_mask);
        head->target_offset = (uint16_t)entry.length;
        xt_add_target(&entry, rule);
        head->next_offset = (uint16_t)entry.length;
        return entry;
}

static bool is_exact(const struct ip6t_entry *entry, const struct rule *rule)
{
        struct xt_entry again = encode(rule);
        const struct ip6t_entry *head = (const void *)again.bytes;
        size_t length = offsetof(struct ip6t_ip6, invflags) + 1; /* behind it is padding */

        return memcmp((const void *)&entry->ipv6, (const void *)&head->ipv6, length) == 0 &&
               entry->target_offset == head->target_offset && entry->next_offset == head->next_offset &&
               rule->verdict != RULE_OTHER && rule->verdict != RULE_MASQUERADE;
}

static void decode(const struct ip6t_entry *entry, struct xtc_handle *handle, struct rule *rule)
{
        const char *target = ip6tc_get_target(entry, handle);

        *rule = (struct rule){ .packets = entry->counters.pcnt };
        if ((entry->ipv6.invflags & IP6T_INV_VIA_IN) == 0)
                xt_get_interface(rule->in, entry->ipv6.iniface, entry->ipv6.iniface_mask);
        if ((entry->ipv6.invflags & IP6T_INV_VIA_OUT) == 0)
                xt_get_interface(rule->out, entry->ipv6.outiface, entry->ipv6.outiface_mask);
        if (target == NULL)
                target = "";
        xt_get_target(rule, target, *target != '\0' && ip6tc_is_chain(target, handle) != 0);
        if (!is_exact(entry, rule))
                rule->flags |= RULE_OPAQUE;
}

static size_t read_rules(struct xtc_handle *handle, const char *chain, struct rule *rules, size_t room)
{
        size_t count = 0;

        for (const struct ip6t_entry *entry = ip6tc_first_rule(label_of(chain).name, handle); entry != NULL;
             entry = ip6tc_next_rule(entry, handle)) {
                if (rules != NULL && count < room)
                        decode(entry, handle, &rules[count]);
                count++;
        }
        return count;
}

static int has_chain(struct xtc_handle *handle, const char *chain)
{
        return ip6tc_is_chain(label_of(chain).name, handle);
}

static int create(struct xtc_handle *handle, const char *chain)
{
        return ip6tc_create_chain(label_of(chain).name, handle);
}

static int flush(struct xtc_handle *handle, const char *chain)
{
        return ip6tc_flush_entries(label_of(chain).name, handle);
}

static int append(struct xtc_handle *handle, const char *chain, const struct rule *rule)
{
        struct xt_entry entry = encode(rule);

        return ip6tc_append_entry(label_of(chain).name, (const void *)entry.bytes, handle);
}

static int insert(struct xtc_handle *handle, const char *chain, const struct rule *rule, unsigned position)
{
        struct xt_entry entry = encode(rule);

        return ip6tc_insert_entry(label_of(chain).name, (const void *)entry.bytes, position, handle);
}

static int remove_at(struct xtc_handle *handle, const char *chain, unsigned position)
{
        return ip6tc_delete_num_entry(label_of(chain).name, position, handle);
}

const struct family FAMILY_IPV6 = {
        .init = ip6tc_init,
        .free = ip6tc_free,
        .commit = ip6tc_commit,
        .has_chain = has_chain,
        .create = create,
        .flush = flush,
        .append = append,
        .insert = insert,
        .remove = remove_at,
        .read = read_rules,
        .explain = ip6tc_strerror,
};
