#include "doctor-disks.h"

#include "scope.h"
#include "str.h"
#include "view.h"

/* Scarce means less than a twentieth, and less than these: a large disk may be fuller than a small one. carreld updates
 * its numbers every 10 s. */
static const double BYTES_ENOUGH = 1 << 30, INODES_ENOUGH = 10000, PART_ENOUGH = 0.05, AGE_MAX_S = 60;

static bool is_scarce(double free_units, double all, double enough)
{
        return free_units < all * PART_ENOUGH && free_units < enough;
}

/* Appends the free space of one disk; false: it is not enough. */
static bool judge_one(const cJSON *disk, struct buffer *ret_text)
{
        double free_bytes = view_number(disk, "free_bytes", 0), free_inodes = view_number(disk, "free_inodes", 0);
        double inodes = view_number(disk, "inodes", 0), age_s = view_number(disk, "age_s", 0);
        char size[STR_SIZE_BYTES];

        (void)buffer_format(ret_text, "%s%s ", ret_text->length > 0 ? "; " : "", view_text(disk, "setting"));
        if (age_s > AGE_MAX_S) {
                (void)buffer_format(ret_text, "has not answered for %.0f s", age_s);
                return false;
        }
        (void)buffer_format(ret_text, "has %s", str_size((uint64_t)free_bytes, size));
        if (inodes > 0)
                (void)buffer_format(ret_text, " and %.0f inodes", free_inodes);
        (void)buffer_text(ret_text, " free");
        return !is_scarce(free_bytes, view_number(disk, "size_bytes", 0), BYTES_ENOUGH) &&
               !is_scarce(free_inodes, inodes, INODES_ENOUGH);
}

void doctor_judge_disks(struct doctor_findings *findings, const cJSON *info)
{
        AUTO(buffer_free) struct buffer text = { 0 };
        bool is_well = true;
        const cJSON *disk;

        cJSON_ArrayForEach(disk, view_find(info, "disks"))
        {
                is_well = judge_one(disk, &text) && is_well;
        }
        if (text.length == 0)
                doctor_note(findings, CHECK_DISKS, VERDICT_SKIP, "carreld does not report it");
        else
                doctor_note(findings, CHECK_DISKS, is_well ? VERDICT_OK : VERDICT_FAIL, "%s", text.data);
}

void doctor_judge_runtime(struct doctor_findings *findings, const cJSON *info)
{
        const char *system = view_text(info, "runtime_dir.file_system");
        const char *directory = view_text(info, "settings.runtime_dir");

        if (system[0] == '\0')
                doctor_note(findings, CHECK_RUNTIME, VERDICT_SKIP, "carreld does not report it");
        else if (cJSON_IsTrue(view_find(info, "runtime_dir.is_in_memory")))
                doctor_note(findings, CHECK_RUNTIME, VERDICT_OK, "runtime_dir (%s) is on %s", directory, system);
        else
                doctor_note(findings, CHECK_RUNTIME, VERDICT_FAIL,
                            "runtime_dir (%s) is on %s, not a tmpfs: each change of a record waits for the disk",
                            directory, system);
}
