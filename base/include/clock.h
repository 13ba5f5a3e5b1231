/* Time. Idleness, leases and deadlines use CLOCK_BOOTTIME, which is monotonic and continues during suspend
 * (clock_gettime(2)). So a jump of the wall clock reaps no carrel. */
#pragma once

#include <stdint.h>

/* Milliseconds since boot. */
int64_t clock_boottime_ms(void);

/* Seconds since boot with a fraction, for durations. */
double clock_boottime_s(void);

/* Milliseconds since 1970. For display only, never for a decision. */
int64_t clock_wall_ms(void);

/* Writes an RFC 3339 UTC time with milliseconds ("2026-01-31T12:00:00.000Z") into text. */
enum { CLOCK_TEXT_BYTES = 32 };
void clock_format_utc(int64_t wall_ms, char text[static CLOCK_TEXT_BYTES]);
