#include "verbs.h"

static int run(struct cli *cli, const void *values, char **operands, int n_operands)
{
        return STATUS_OK;
}

const struct verb CMD_DOCTOR = {
        .name = "doctor",
        .operands = "",
        .summary = "Prove carrel's promises on this machine, and say how to mend what fails (admin)",
        .examples = "  carrel doctor",
        .run = run,
};
