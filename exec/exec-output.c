#include "exec-output.h"

void exec_output_append(struct exec_output *output, const void *bytes, size_t length)
{
        uint64_t room = output->cap_bytes > output->kept.length ? output->cap_bytes - output->kept.length : 0;
        size_t fits = length < room ? length : (size_t)room;

        if (fits < length)
                output->is_truncated = true;
        if (fits == 0 || output->kept.has_failed)
                return;
        /* Nothing may follow a missing piece: a gap would read as if it were whole. */
        if (buffer_append(&output->kept, bytes, fits) != 0)
                output->is_truncated = true;
        else
                utf8_scan(&output->scan, bytes, fits);
}

void exec_output_end(struct exec_output *output)
{
        if (!output->is_truncated || output->scan.is_broken)
                return;
        output->kept.length -= output->scan.n_tail;
        if (output->scan.n_tail > 0)
                output->kept.data[output->kept.length] = '\0';
        output->scan.n_tail = 0;
}
