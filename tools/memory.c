/* memory.c - see memory.h. */
#include "memory.h"

#include <stdio.h>

#include "figures.h"
#include "names.h"

static const struct {
    const char *name;
    int (*make)(const void *address, uint64_t length);
    int usual; /* the usual refusal, and its remedy */
    const char *remedy;
} requests[MEMORY_REQUESTS] = {
    [MEMORY_HUGE] = {"huge", leat_view_make_huge, LEAT_ENOTSUP,
                     " Look at /sys/kernel/mm/transparent_hugepage/shmem_enabled."},
    [MEMORY_PREFAULT] = {"prefault", leat_view_prefault, LEAT_ENOMEM, " Free some memory."},
    [MEMORY_LOCK] = {"lock", leat_view_lock, LEAT_ELIMIT,
                     " Raise the limit ('ulimit -l', as root), or lock less."},
};

bool memory_wanted(const struct memory *memory) {
    bool wanted = false;
    for (size_t i = 0; i < MEMORY_REQUESTS; i++)
        wanted = wanted || memory->requests[i].wanted;
    return wanted;
}

void memory_ask(struct memory *memory, const void *view) {
    for (size_t i = 0; i < MEMORY_REQUESTS; i++) {
        if (!memory->requests[i].wanted)
            continue;
        memory->requests[i].code = requests[i].make(view, 0);
        if (memory->requests[i].code != LEAT_OK)
            snprintf(memory->requests[i].detail, sizeof memory->requests[i].detail, "%s",
                     leat_error_detail());
    }
    memory->residency_known = leat_view_residency(view, 0, &memory->residency) == LEAT_OK;
}

static void show_request(const struct memory *memory, size_t i) {
    struct shown_text detail;
    int code = memory->requests[i].code;
    if (code == LEAT_OK)
        printf("  %-12s done\n", requests[i].name);
    else
        printf("  %-12s refused: %s (%s).%s\n", requests[i].name,
               text_show(&detail, memory->requests[i].detail), leat_error_name(code),
               code == requests[i].usual ? requests[i].remedy : "");
}

void memory_show(const struct memory *memory) {
    struct figure figures[4];
    const leat_residency *is = &memory->residency;
    for (size_t i = 0; i < MEMORY_REQUESTS; i++)
        if (memory->requests[i].wanted)
            show_request(memory, i);
    if (!memory_wanted(memory))
        return;
    if (memory->residency_known)
        printf("  %-12s %s in memory, %s mapped here, %s locked, %s in huge pages\n", "now",
               figure_bytes(&figures[0], is->resident), figure_bytes(&figures[1], is->present),
               figure_bytes(&figures[2], is->locked), figure_bytes(&figures[3], is->huge));
    else
        printf("  %-12s not known: %s\n", "now", leat_error_detail());
}

static json_t *json_of_request(const struct memory *memory, size_t i) {
    struct shown_text detail;
    int code = memory->requests[i].code;
    if (!memory->requests[i].wanted)
        return json_null();
    json_t *object = json_object();
    json_object_set_new(object, "done", json_boolean(code == LEAT_OK));
    json_object_set_new(object, "error",
                        code == LEAT_OK ? json_null() : json_string(leat_error_name(code)));
    json_object_set_new(object, "detail",
                        code == LEAT_OK
                            ? json_null()
                            : json_string(text_show(&detail, memory->requests[i].detail)));
    return object;
}

json_t *json_of_memory(const struct memory *memory) {
    const leat_residency *is = &memory->residency;
    if (!memory_wanted(memory))
        return json_null();
    json_t *object = json_object();
    for (size_t i = 0; i < MEMORY_REQUESTS; i++)
        json_object_set_new(object, requests[i].name, json_of_request(memory, i));
    static const char *const names[] = {"resident_bytes", "present_bytes", "locked_bytes",
                                        "huge_bytes"};
    const uint64_t figures[] = {is->resident, is->present, is->locked, is->huge};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(object, names[i],
                            memory->residency_known ? json_count(figures[i]) : json_null());
    return object;
}
