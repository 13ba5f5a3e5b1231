/* The streams that the agent carries itself: those of terminals, and in framed mode all of them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agent-run.h"

enum { TERMINAL_ROWS = 24, TERMINAL_COLS = 80, END_OF_INPUT = 4 /* Ctrl-D */ };

/* ---- at the start ---- */

/* Sets IUTF8 as terminal emulators do, so that erasing a character erases all its bytes. Through the master the kernel
 * sets the modes of the other side (tty_mode_ioctl). */
static void set_modes(int master)
{
        struct termios modes;

        if (tcgetattr(master, &modes) != 0)
                return;
        modes.c_iflag |= IUTF8;
        (void)tcsetattr(master, TCSANOW, &modes);
}

static int open_master(const struct agent_start *start)
{
        struct winsize size = {
                .ws_row = start->rows > 0 ? start->rows : TERMINAL_ROWS,
                .ws_col = start->cols > 0 ? start->cols : TERMINAL_COLS,
        };
        int unlock = 0;
        int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

        if (master < 0)
                return -1;
        set_modes(master);
        if (ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCSWINSZ, &size) == 0)
                return master;
        close(master);
        return -1;
}

/* A duplicate of the descriptor, close-on-exec. */
static int copy(int fd)
{
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Makes the pumps of a terminal, which take over the pipes. */
static bool attach_terminal(struct run *run, struct child *child, const struct agent_start *start, bool is_framed)
{
        run->terminal = open_master(start);
        if (run->terminal < 0)
                return false;
        child->terminal = run->terminal;
        if ((child->in >= 0 || (is_framed && (start->flags & AGENT_START_INPUT))) &&
            !pump_open(&run->pumps[AGENT_STREAM_IN], child->in, copy(run->terminal),
                       is_framed ? AGENT_WINDOW_BYTES : PUMP_BYTES))
                return false;
        child->in = -1;
        if (!pump_open(&run->pumps[AGENT_STREAM_OUT], copy(run->terminal), child->out, PUMP_BYTES))
                return false;
        child->out = -1;
        run->pumps[AGENT_STREAM_OUT].credit = AGENT_WINDOW_BYTES;
        return true;
}

static bool attach_pipe(struct run *run, unsigned stream, int *ret_child_end)
{
        int ends[2];
        bool is_input = stream == AGENT_STREAM_IN;

        if (pipe2(ends, O_CLOEXEC) != 0)
                return false;
        *ret_child_end = ends[is_input ? 0 : 1];
        run->pumps[stream].credit = AGENT_WINDOW_BYTES;
        if (is_input)
                return pump_open(&run->pumps[stream], -1, ends[1], AGENT_WINDOW_BYTES);
        if (!pump_open(&run->pumps[stream], ends[0], -1, PUMP_BYTES))
                return false;
        run->pumps[stream].credit = AGENT_WINDOW_BYTES;
        return true;
}

/* Makes pipes of our own, as carreld can pass none. */
static bool attach_frames(struct run *run, struct child *child)
{
        if ((child->flags & AGENT_START_INPUT) && !attach_pipe(run, AGENT_STREAM_IN, &child->in))
                return false;
        return attach_pipe(run, AGENT_STREAM_OUT, &child->out) && attach_pipe(run, AGENT_STREAM_ERR, &child->err);
}

bool run_attach(const struct agent *agent, struct run *run, struct child *child, const struct agent_start *start)
{
        if (start->flags & AGENT_START_TTY)
                return attach_terminal(run, child, start, agent->is_framed);
        return !agent->is_framed || attach_frames(run, child);
}

/* ---- bytes to send before EXITED, and bytes that carreld takes ---- */

void run_count_owed(struct run *run, unsigned stream)
{
        const struct pump *pump = &run->pumps[stream];
        int unread = 0;

        if (pump->from < 0 || ioctl(pump->from, FIONREAD, &unread) < 0 || unread < 0)
                unread = 0;
        run->owed[stream] = pump->length + (size_t)unread;
}

static void pay(struct run *run, unsigned stream, size_t length)
{
        run->owed[stream] -= length < run->owed[stream] ? length : run->owed[stream];
}

bool run_owes(const struct run *run)
{
        return run->owed[AGENT_STREAM_OUT] > 0 || run->owed[AGENT_STREAM_ERR] > 0;
}

bool run_has_bytes_to_send(const struct run *run)
{
        for (int i = AGENT_STREAM_OUT; i <= AGENT_STREAM_ERR; i++) {
                const struct pump *pump = &run->pumps[i];

                if (!pump->is_done && (pump->length > 0 ? pump->credit > 0 : !pump->is_open))
                        return true;
        }
        return false;
}

/* ---- orders for a run; it may have ended meanwhile, which is no error ---- */

int runs_resize(struct agent *agent, uint32_t number, const struct agent_resize *resize)
{
        const struct run *run = run_find(agent, number);
        const struct winsize size = { .ws_row = resize->rows, .ws_col = resize->cols };

        if (run != NULL && run->terminal >= 0)
                (void)ioctl(run->terminal, TIOCSWINSZ, &size); /* the kernel sends SIGWINCH to the programs */
        return 0;
}

int runs_data(struct agent *agent, uint32_t number, unsigned stream, const void *bytes, size_t length)
{
        struct run *run = run_find(agent, number);

        if (stream != AGENT_STREAM_IN)
                return -EBADMSG;
        if (run == NULL)
                return 0;
        run->uncredited[stream] += (uint32_t)length;
        return pump_put(&run->pumps[stream], bytes, length) ? 0 : -EBADMSG;
}

int runs_end(struct agent *agent, uint32_t number, unsigned stream)
{
        struct run *run = run_find(agent, number);

        if (run == NULL)
                return 0;
        if (stream == AGENT_STREAM_IN) {
                run->pumps[stream].is_open = false;
                return 0;
        }
        run->owed[stream] = 0; /* carreld does not read it any more */
        if (run->pumps[stream].from >= 0) {
                kept_add(agent, run->pumps[stream].from);
                run->pumps[stream].from = -1;
        }
        pump_close(&run->pumps[stream]);
        return 0;
}

int runs_credit(struct agent *agent, uint32_t number, unsigned stream, uint32_t bytes)
{
        struct run *run = run_find(agent, number);

        if (stream == AGENT_STREAM_IN)
                return -EBADMSG;
        if (run == NULL)
                return 0;
        if (bytes > AGENT_WINDOW_BYTES - run->pumps[stream].credit)
                return -EBADMSG;
        run->pumps[stream].credit += bytes;
        return 0;
}

/* ---- pumping ---- */

/* The end of input types Ctrl-D in a terminal, and does not close it. */
static void end_typing(struct run *run)
{
        static const uint8_t TYPED = END_OF_INPUT;
        struct pump *in = &run->pumps[AGENT_STREAM_IN];

        if (run->terminal < 0 || in->is_done || in->is_open || in->length > 0 || run->is_input_ended)
                return;
        run->is_input_ended = true;
        in->is_open = true;
        (void)pump_put(in, &TYPED, 1);
        in->is_open = false;
}

static void pump_in(struct agent *agent, struct run *run)
{
        struct pump *in = &run->pumps[AGENT_STREAM_IN];
        uint32_t taken;

        pump_fill(in);
        end_typing(run);
        pump_drain(in);
        if (!agent->is_framed)
                return;
        taken = run->uncredited[AGENT_STREAM_IN] - (uint32_t)(in->is_done ? 0 : in->length);
        if (run->is_input_ended || taken < AGENT_WINDOW_BYTES / 4)
                return;
        agent_write_credit(connection_packet(), run->number, AGENT_STREAM_IN, taken);
        if (connection_send(agent, connection_packet()))
                run->uncredited[AGENT_STREAM_IN] -= taken;
}

/* Sends bytes to carreld, as many as the credit allows. */
static void pump_to_carreld(struct agent *agent, struct run *run, unsigned stream)
{
        struct pump *pump = &run->pumps[stream];

        while (!pump->is_done) {
                size_t length;

                pump_fill(pump);
                length = pump->length < pump->credit ? pump->length : pump->credit;
                if (length == 0)
                        break;
                agent_write_data(connection_packet(), run->number, stream, pump->bytes + pump->start, length);
                if (!connection_send(agent, connection_packet()))
                        break;
                pay(run, stream, length);
                pump->credit -= (uint32_t)length;
                pump->start += length;
                pump->length -= length;
        }
        if (!pump->is_open && pump->length == 0)
                run->owed[stream] = 0;
        if (!pump->is_done && !pump->is_open && pump->length == 0) {
                agent_write_end(connection_packet(), run->number, stream);
                if (connection_send(agent, connection_packet()))
                        pump_close(pump);
        }
}

void runs_pump(struct agent *agent)
{
        for (struct run *run = agent->runs; run != NULL; run = run->next) {
                if (run->is_forgotten)
                        continue;
                pump_in(agent, run);
                for (unsigned stream = AGENT_STREAM_OUT; stream <= AGENT_STREAM_ERR; stream++) {
                        if (agent->is_framed)
                                pump_to_carreld(agent, run, stream);
                        else
                                pump_move(&run->pumps[stream]);
                }
        }
}

size_t runs_poll(const struct agent *agent, struct pollfd *polls, size_t room)
{
        size_t count = 0;

        for (const struct run *run = agent->runs; run != NULL; run = run->next)
                for (int i = 0; i < AGENT_STREAMS && count + 2 <= room; i++)
                        count += pump_poll(&run->pumps[i], polls + count);
        return count;
}
