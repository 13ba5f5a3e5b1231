/* From an HTTP request to a WebSocket (RFC 6455, section 4.2): checks what the client asks for, and answers. */
#pragma once

#include <stddef.h>

#include "answer.h"

/* protocol must be among those that the client offers. 0, or the request has been answered (400; 426 for another
 * version or no WebSocket at all). */
__attribute__((warn_unused_result)) int upgrade_check(struct request *request, const char *protocol);

/* Answers 101 with protocol and header. Then, unless the request ends first, calls on_upgraded once in a later turn of
 * the loop: fd is the socket, which stays open until upgrade_end or the request's end; early are bytes that the client
 * sent together with its request. Out of memory is answered too. */
void upgrade_answer(struct request *request, const char *protocol, const struct answer_header *header,
                    void (*on_upgraded)(struct request *request, int fd, const char *early, size_t early_length));

/* Closes the socket, and so ends the request in the next turn of the loop. Idempotent. */
void upgrade_end(struct request *request);
