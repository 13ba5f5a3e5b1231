/* HTTP over unix sockets, for tests: one request at a time, or many over many connections at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cJSON;

struct answer {
        int status;         /* 0: no answer (refused, cut, or no time left) */
        char *body;         /* NUL-terminated; never NULL */
        struct cJSON *json; /* NULL when the body is not JSON */
        double duration_s;
        unsigned retry_after_s; /* of the Retry-After header; 0: none */
};

/* One request on a connection of its own; 30 s at most. body NULL: none. Release with answer_release. */
struct answer request(const char *socket_path, const char *method, const char *path, const char *body);
struct answer request_within(const char *socket_path, const char *method, const char *path, const char *body,
                             double deadline_s);
void answer_release(struct answer *answer);

/* Text and number at a dotted path ("error.code") of the answer's JSON; "" and -1 where there is none. */
const char *answer_text(const struct answer *answer, const char *path);
double answer_number(const struct answer *answer, const char *path);

/* Sends the request, checks the status, releases the answer; the test fails with the answer's body otherwise. */
void request_expect(const char *socket_path, const char *method, const char *path, const char *body, int status);

/* A volley: requests added first, then run together, each connection taking the next one as soon as it is free. */
struct volley;
struct volley *volley_new(const char *socket_path, unsigned connections);
struct volley *volley_free(struct volley *volley);
/* All texts are copied. Returns the request's index. */
size_t volley_add(struct volley *volley, const char *method, const char *path, const char *body);
/* Drives it for at most duration_s (0: what is possible without waiting). Returns how many have no end yet. */
size_t volley_run(struct volley *volley, double duration_s);
/* Valid until volley_free; status 0 while it has no end. */
const struct answer *volley_answer(const struct volley *volley, size_t index);

/* Raw bytes on a connection of its own; what comes back until the peer closes or deadline_s is over, NUL-terminated.
 * Returns the length, and tells whether the peer closed. */
size_t raw_request(const char *socket_path, const void *bytes, size_t length, char *ret_answer, size_t size,
                   double deadline_s, bool *ret_has_closed);
