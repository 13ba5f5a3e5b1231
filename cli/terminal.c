#include "terminal.h"

#include <errno.h>
#include <sys/ioctl.h>

/* TCSADRAIN and not TCSAFLUSH: keys typed ahead are for the program, or for the shell after it. */
int terminal_enter(struct terminal *terminal, int fd)
{
        struct termios raw;

        terminal->fd = -1;
        if (tcgetattr(fd, &terminal->before) < 0)
                return -errno;
        raw = terminal->before;
        cfmakeraw(&raw);
        if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
                return -errno;
        terminal->fd = fd;
        return 0;
}

void terminal_resume(const struct terminal *terminal)
{
        struct termios raw = terminal->before;

        cfmakeraw(&raw);
        if (terminal->fd >= 0)
                (void)tcsetattr(terminal->fd, TCSADRAIN, &raw);
}

void terminal_leave(struct terminal *terminal)
{
        if (terminal->fd < 0)
                return;
        /* A signal may arrive meanwhile; the terminal may also be gone. */
        while (tcsetattr(terminal->fd, TCSADRAIN, &terminal->before) < 0 && errno == EINTR)
                ;
        terminal->fd = -1;
}

void terminal_size(int fd, uint16_t *ret_rows, uint16_t *ret_columns)
{
        struct winsize size = { 0 };

        (void)ioctl(fd, TIOCGWINSZ, &size);
        *ret_rows = size.ws_row;
        *ret_columns = size.ws_col;
}
