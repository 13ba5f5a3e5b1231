/* From an HTTP request to a WebSocket (RFC 6455, section 4.2): what the client must say, and the answer. */
#pragma once

#include "exchange.h"

/* The channels of Kubernetes: docs/api.md. */
#define UPGRADE_PROTOCOL "v5.channel.k8s.io"

/* 0, or the request has been answered (400; 426 for another version or none). */
__attribute__((warn_unused_result)) int upgrade_check(struct request *request);

/* Answers 101 with exec_id in a header; on_upgraded gets the socket from libmicrohttpd's turn. Out of memory is
 * answered too. */
void upgrade_answer(struct request *request, const char *exec_id, MHD_UpgradeHandler on_upgraded, void *arg);
