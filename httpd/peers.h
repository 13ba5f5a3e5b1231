/* Events that libmicrohttpd does not report: that an idle peer begins to send, and that the peer of a suspended
 * connection has gone (a suspended connection is out of its epoll set). One epoll descriptor of our own watches for
 * both, one event a time (EPOLLONESHOT). A peer has gone when both directions are shut (EPOLLHUP, which epoll_ctl(2)
 * always reports); one that only finished sending still waits for its answer. */
#pragma once

#include <stdbool.h>

struct ev_loop;
struct peers;

/* on_event may do anything but free a peer; arg is what the peer was added with. Returns 0 or a negative errno. */
__attribute__((warn_unused_result)) int peers_new(struct peers **ret_peers, struct ev_loop *loop,
                                                  void (*on_event)(void *arg, bool is_gone));
struct peers *peers_free(struct peers *peers);

/* Adds fd, watched for its departure. 0 or a negative errno. */
__attribute__((warn_unused_result)) int peers_add(struct peers *peers, int fd, void *arg);
void peers_remove(struct peers *peers, int fd);

/* Each replaces what fd was watched for. A condition that holds already is reported at the loop's next turn. */
void peers_await_input(struct peers *peers, int fd, void *arg);
void peers_await_departure(struct peers *peers, int fd, void *arg);
