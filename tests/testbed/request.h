/* HTTP over unix sockets, for tests: one request at a time, or many on parallel connections. */
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

/* One request on a new connection, for at most 30 s. body NULL: none. Release the answer with answer_release. */
struct answer request(const char *socket_path, const char *method, const char *path, const char *body);
struct answer request_within(const char *socket_path, const char *method, const char *path, const char *body,
                             double deadline_s);
void answer_release(struct answer *answer);

/* The text or the number at a dotted path ("error.code") of the answer's JSON; "" and -1 if it is absent. */
const char *answer_text(const struct answer *answer, const char *path);
double answer_number(const struct answer *answer, const char *path);

/* Sends a request and releases the answer. If the status is another one, the test fails and shows the body. */
void request_expect(const char *socket_path, const char *method, const char *path, const char *body, int status);

/* A volley: requests that are added first and then sent together. A connection takes the next one when it is free. */
struct volley;
struct volley *volley_new(const char *socket_path, unsigned connections);
struct volley *volley_free(struct volley *volley);
/* Copies the texts. Returns the index of the request. */
size_t volley_add(struct volley *volley, const char *method, const char *path, const char *body);
/* Runs it for at most duration_s (0: without waiting). Returns how many requests have not ended yet. */
size_t volley_run(struct volley *volley, double duration_s);
/* Valid until volley_free. status is 0 until the request has ended. */
const struct answer *volley_answer(const struct volley *volley, size_t index);

/* Sends raw bytes on a new connection, and reads until the peer closes it or deadline_s has passed. Returns the length
 * of the answer, which is NUL-terminated, and in *ret_has_closed whether the peer closed. */
size_t raw_request(const char *socket_path, const void *bytes, size_t length, char *ret_answer, size_t size,
                   double deadline_s, bool *ret_has_closed);
