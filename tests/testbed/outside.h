/* The internet of the tests: a network namespace that the enclosure's default route leads to. Each target of the egress
 * tests is a /32 address in it. A server there greets every TCP connection on OUTSIDE_PORT and answers every datagram.
 * A resolver there resolves every name to OUTSIDE_ALLOWED. */
#pragma once

enum { OUTSIDE_PORT = 7777 };

#define OUTSIDE_GREETING "greetings"
/* A public address that only this namespace has. */
#define OUTSIDE_ALLOWED "1.2.3.4"

struct outside;
struct outside *outside_new(void);
struct outside *outside_free(struct outside *outside);
/* Adds an address, e.g. "169.254.169.254/32". */
void outside_add(struct outside *outside, const char *address);
