/* flock(2) with a deadline: it has none of its own. */
#pragma once

/* Takes an exclusive lock on the open file, blocking the caller for at most patience_ms. 0, -EWOULDBLOCK when somebody
 * has it still, or another negative errno. */
int lock_exclusive(int fd, int patience_ms);
