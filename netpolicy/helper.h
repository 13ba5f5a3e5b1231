/* carrel-netd as a child process: started, watched by its pidfd, started again half a second after it died. */
#pragma once

#include "fault.h"
#include "transport.h"

/* Starts the helper (copies path) for a netpolicy. 0, or a negative errno with why. */
__attribute__((warn_unused_result)) int helper_new(struct transport **ret_transport, struct netpolicy *netpolicy,
                                                   struct ev_loop *loop, const char *path, struct fault *why);
