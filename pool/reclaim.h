/* Gives the memory of a FROZEN carrel back to the host: what can be read again (its page cache), and where the host has
 * swap or zram, the rest, which comes back on touch. */
#pragma once

struct carrel;

/* Ends the reclaim that runs, if any, without an event. */
void reclaim_cancel(struct carrel *carrel);
/* cgroup v2: a carreld that was killed during a reclaim has left the container's swap unlimited; forbids it again. */
void reclaim_repair(const struct carrel *carrel);
