/* The rest of the world: a network namespace behind the enclosure's default route, in which every target of the egress
 * tests is a /32 address. A server there greets every TCP connection on OUTSIDE_PORT and answers every datagram; a
 * resolver there says that every name is OUTSIDE_ALLOWED. */
#pragma once

enum { OUTSIDE_PORT = 7777 };

#define OUTSIDE_GREETING "greetings"
/* A public address, which only this namespace has. */
#define OUTSIDE_ALLOWED "1.2.3.4"

struct outside;
struct outside *outside_new(void);
struct outside *outside_free(struct outside *outside);
/* Gives the outside one more address, e.g. "169.254.169.254/32". */
void outside_add(struct outside *outside, const char *address);
