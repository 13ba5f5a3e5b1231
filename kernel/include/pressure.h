/* Pressure stall information of the host (Documentation/accounting/psi.rst). */
#pragma once

#define PRESSURE_MEMORY "/proc/pressure/memory"

/* The percentage of the last 10 s in which some task waited for the resource of this file. 0, or a negative errno: the
 * kernel does not count it. */
int pressure_read(const char *file, double *ret_percent);
