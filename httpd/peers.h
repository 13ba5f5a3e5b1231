/* Two events that libmicrohttpd does not report: an idle peer begins to send, and the peer of a suspended connection
 * leaves (libmicrohttpd takes a suspended connection out of its epoll set). One epoll descriptor of our own watches for
 * both. It reports each arrival of bytes once (EPOLLET), so that a request needs no epoll_ctl(2). A peer has left when
 * both directions are shut (EPOLLHUP, which epoll_ctl(2) always reports); a peer that only finished sending still waits
 * for its answer. */
#pragma once

#include <stdbool.h>

struct ev_loop;
struct peers;

/* on_event must not free peers; its arg is that of peers_add. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int peers_new(struct peers **ret_peers, struct ev_loop *loop,
                                                  void (*on_event)(void *arg, bool is_gone));
struct peers *peers_free(struct peers *peers);

/* 0 or a negative errno. */
__attribute__((warn_unused_result)) int peers_add(struct peers *peers, int fd, void *arg);
void peers_remove(struct peers *peers, int fd);

/* Reports once more, in the loop's next turn, what holds then: bytes that have not been read, or the departure. */
void peers_repeat(struct peers *peers, int fd, void *arg);
