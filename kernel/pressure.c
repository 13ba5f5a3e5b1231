#include "pressure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proc-file.h"
#include "scope.h"

enum { PRESSURE_BYTES = 1024 };

int pressure_read(const char *file, double *ret_percent)
{
        static const char KEY[] = "some avg10=";
        AUTO(auto_free) char *text = NULL;
        char *end;
        double percent;
        int r = proc_file_read(file, PRESSURE_BYTES, &text);

        if (r < 0)
                return r;
        if (strncmp(text, KEY, sizeof KEY - 1) != 0)
                return -EPROTO;
        percent = strtod(text + sizeof KEY - 1, &end);
        if (end == text + sizeof KEY - 1 || *end != ' ' || !(percent >= 0 && percent <= 100))
                return -EPROTO;
        *ret_percent = percent;
        return 0;
}
