/* flock(2) with a deadline. */
#pragma once

/* Takes an exclusive lock on the open file. Blocks for at most patience_ms. 0, -EWOULDBLOCK if the file is still
 * locked, or another negative errno. */
int lock_exclusive(int fd, int patience_ms);
