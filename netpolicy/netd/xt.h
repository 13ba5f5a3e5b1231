/* One entry of an x_tables table in the kernel's format: header, matches, target, each XT_ALIGNed and zero-padded
 * (linux/netfilter/x_tables.h). This is the part that IPv4 and IPv6 share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules.h"

enum {
        XT_HEAD_BYTES = 256, /* at least what a family's head takes */
        XT_ENTRY_BYTES = 2048
};

struct xt_entry {
        _Alignas(16) unsigned char bytes[XT_ENTRY_BYTES]; /* zero-initialise */
        size_t length;
};

/* Appends the rule's matches after the header. */
void xt_add_matches(struct xt_entry *entry, const struct rule *rule);
void xt_add_target(struct xt_entry *entry, const struct rule *rule);

/* "carrel+" or "eth0" into a name and its mask of 16 bytes each, as iptables(8) does, and back. An unreadable pattern
 * gives "" (any): the safe reading of a foreign rule, which then counts as matching. */
void xt_put_interface(const char *pattern, char name[static 16], unsigned char mask[static 16]);
void xt_get_interface(char pattern[static 16], const char name[static 16], const unsigned char mask[static 16]);

/* Reads matches (the bytes of an entry between header and target) into the rule. Leaves out what it does not know: the
 * caller encodes the rule again and compares. */
void xt_get_matches(struct rule *rule, const unsigned char *matches, size_t length);
/* Whether two sequences of matches are equal. Not memcmp: after a match's name the kernel leaves the bytes of the
 * reader's buffer unchanged (xt_obj_to_user, net/netfilter/x_tables.c). */
bool xt_is_same_matches(const unsigned char *a, const unsigned char *b, size_t length);
/* The same for two targets with data; length is that of both. */
bool xt_is_same_target(const unsigned char *a, const unsigned char *b, size_t length);

/* From the target's name that libiptc returns: "DROP", a chain, an extension. */
void xt_get_target(struct rule *rule, const char *name, bool is_chain);
