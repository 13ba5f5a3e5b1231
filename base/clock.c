#include "clock.h"

#include <time.h>

static struct timespec read_clock(clockid_t id)
{
        struct timespec now = { 0 };

        (void)clock_gettime(id, &now); /* cannot fail for a clock the kernel always has */
        return now;
}

int64_t clock_boottime_ms(void)
{
        struct timespec now = read_clock(CLOCK_BOOTTIME);

        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double clock_boottime_s(void)
{
        struct timespec now = read_clock(CLOCK_BOOTTIME);

        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int64_t clock_wall_ms(void)
{
        struct timespec now = read_clock(CLOCK_REALTIME);

        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All digits from that of `place` on, and the character after them. Returns where the next goes. */
static char *put_number(char *text, unsigned number, unsigned place, char after)
{
        for (; place > 0; place /= 10)
                *text++ = (char)('0' + number / place % 10);
        *text++ = after;
        return text;
}

void clock_format_utc(int64_t wall_ms, char text[static CLOCK_TEXT_BYTES])
{
        int64_t milliseconds = (wall_ms % 1000 + 1000) % 1000; /* from 0 to 999 before 1970 too */
        time_t seconds = (time_t)((wall_ms - milliseconds) / 1000);
        struct tm utc = { 0 };

        text[0] = '\0';
        if (gmtime_r(&seconds, &utc) == NULL || utc.tm_year < -1900 || utc.tm_year > 9999 - 1900)
                return;
        text = put_number(text, (unsigned)utc.tm_year + 1900, 1000, '-');
        text = put_number(text, (unsigned)utc.tm_mon + 1, 10, '-');
        text = put_number(text, (unsigned)utc.tm_mday, 10, 'T');
        text = put_number(text, (unsigned)utc.tm_hour, 10, ':');
        text = put_number(text, (unsigned)utc.tm_min, 10, ':');
        text = put_number(text, (unsigned)utc.tm_sec, 10, '.');
        text = put_number(text, (unsigned)milliseconds, 100, 'Z');
        *text = '\0';
}
