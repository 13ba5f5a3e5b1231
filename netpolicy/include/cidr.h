/* IPv4 networks in CIDR notation (RFC 4632), and the lists of them that settings hold. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fixed layout without padding: it is sent to the helper as it is. */
struct cidr {
        uint32_t address; /* host byte order; the bits after length are 0 */
        uint8_t length;   /* 0 to 32 */
        uint8_t reserved[3];
};

enum { CIDR_TEXT_BYTES = 20 };

/* The netmask of a length from 0 to 32, host byte order. */
uint32_t cidr_mask(uint8_t length);

/* Whether the length is in range and no address bit is set after it. */
bool cidr_is_valid(struct cidr cidr);
/* Whether any address is in both. */
bool cidr_overlaps(struct cidr a, struct cidr b);
bool cidr_is_equal(struct cidr a, struct cidr b);

/* Parses "10.0.0.0/8" or "10.0.0.1" (a /32). Returns NULL, or what is wrong: a static phrase, to be written after the
 * text and a colon. *ret_cidr is then untouched. */
const char *cidr_parse(const char *text, struct cidr *ret_cidr);

/* The same with an optional ":port" at its end. *ret_port is 0 without one. */
const char *cidr_parse_with_port(const char *text, struct cidr *ret_cidr, uint16_t *ret_port);

/* Writes "10.0.0.0/8". */
void cidr_format(struct cidr cidr, char text[static CIDR_TEXT_BYTES]);
