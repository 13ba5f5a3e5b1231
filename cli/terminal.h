/* The terminal we run on: raw while a program inside has it, and as it was afterwards. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
        int fd; /* -1: no terminal, or it is restored */
        struct termios before;
};

/* Raw from now on: every key goes to the program. 0, or a negative errno and nothing is changed. */
int terminal_enter(struct terminal *terminal, int fd);
/* Raw again, if it should be: whoever took it in between has changed it. */
void terminal_resume(const struct terminal *terminal);
/* As it was. Idempotent; on every way out. */
void terminal_leave(struct terminal *terminal);

/* 0, 0 if it is unknown. */
void terminal_size(int fd, uint16_t *ret_rows, uint16_t *ret_columns);
