#include "seam.h"

#include <string.h>

enum { SPACE = 1, COLON = 1, CR_LF = 2 };

/* RFC 9110, section 5.5: a character that is not a delimiter for us may be one for another reader. */
static bool has_control(const char *text, size_t length, bool is_tab_fine)
{
        for (size_t i = 0; i < length; i++)
                if (((unsigned char)text[i] < 0x20 && !(is_tab_fine && text[i] == '\t')) || text[i] == 0x7F)
                        return true;
        return false;
}

void seam_line(struct seam *seam, const char *method, const char *target, const char *target_end, const char *version)
{
        size_t method_length = strlen(method), target_length = strlen(target);

        *seam = (struct seam){ .next = version + strlen(version) + CR_LF };
        seam->is_broken = method + method_length + SPACE != target_end - target_length ||
                          target_end + SPACE != version || has_control(method, method_length, false) ||
                          has_control(target, target_length, false);
}

void seam_field(struct seam *seam, const char *name, size_t name_length, const char *value, size_t value_length)
{
        const char *at = name + name_length + COLON;

        seam->is_broken |= name != seam->next || value < at || has_control(value, value_length, true);
        /* Only now is it certain that name and value are parts of one head. */
        for (; !seam->is_broken && at < value; at++)
                seam->is_broken = *at != ' ' && *at != '\t';
        seam->next = value + value_length + CR_LF;
}

bool seam_ends_at(const struct seam *seam, const char *end)
{
        return !seam->is_broken && seam->next + CR_LF == end;
}
