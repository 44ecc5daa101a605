/* top_batch.c - refreshes of `leat top` for pipes, files and programs. */
#include <time.h>

#include "figures.h"
#include "names.h"
#include "top.h"

#define TEXT_WIDTH 10000 /* no column is left out */

void top_batch_text(const struct top_model *model, FILE *out) {
    char line[TOP_LINE_SIZE], clock[16];
    time_t now = time(NULL);
    struct tm local;
    struct top_layout layout;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    top_layout(&layout, model, TEXT_WIDTH);
    fprintf(out, "%s  %s\n", clock, top_totals_line(line, model));
    if (model->shown_count > 0)
        fprintf(out, "%sNAME\n", top_heading(line, &layout));
    for (size_t i = 0; i < model->shown_count; i++) {
        struct shown_name name;
        fprintf(out, "%s%s\n", top_line(line, &layout, model->shown[i]),
                name_show(&name, model->shown[i]->object.name));
    }
    fputc('\n', out);
    fflush(out);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *json_of_rate(double rate) {
    return rate < 0 ? json_null() : json_real(rate);
}

static void add_rates(json_t *object, const struct top_rates *rates) {
    json_object_set_new(object, "messages_per_second", json_of_rate(rates->messages));
    json_object_set_new(object, "bytes_per_second", json_of_rate(rates->bytes));
    json_object_set_new(object, "sent_messages_per_second", json_of_rate(rates->sent_messages));
    json_object_set_new(object, "sent_bytes_per_second", json_of_rate(rates->sent_bytes));
    json_object_set_new(object, "received_messages_per_second",
                        json_of_rate(rates->received_messages));
    json_object_set_new(object, "received_bytes_per_second", json_of_rate(rates->received_bytes));
    json_object_set_new(object, "wakes_per_second", json_of_rate(rates->wake_calls));
    json_object_set_new(object, "sleeps_per_second", json_of_rate(rates->sleeps));
    json_object_set_new(object, "stalls_per_second", json_of_rate(rates->stalls));
}

static json_t *json_of_rates(const struct top_rates *rates) {
    json_t *object = json_object();
    json_object_set_new(object, "seconds", json_real(rates->seconds));
    add_rates(object, rates);
    json_object_set_new(object, "wake_ns_mean", json_of_rate(rates->wake_ns));
    return object;
}

/* The members of `leat info --json` for an object and its content, and the rates. */
static json_t *json_of_row(const struct top_row *row) {
    bool sync = row->code == LEAT_OK && row->object.kind != LEAT_KIND_CHANNEL &&
                row->object.kind != LEAT_KIND_REGION;
    json_t *object = json_of_object(&row->object);
    json_object_set_new(object, "inode", json_count(row->object.inode));
    json_object_set_new(object, "new", json_boolean(row->fresh));
    json_object_set_new(object, "error",
                        row->code == LEAT_OK ? json_null()
                                             : json_string(leat_error_name(row->code)));
    json_object_set_new(object, "channel",
                        top_has_channel(row) ? json_of_channel(&row->channel) : json_null());
    json_object_set_new(object, "rates", row->rated ? json_of_rates(&row->rates) : json_null());
    if (sync)
        json_object_set_new(object, leat_kind_name(row->object.kind), json_of_sync(&row->sync));
    return object;
}

static json_t *json_of_totals(const struct top_totals *totals) {
    json_t *object = json_object();
    json_object_set_new(object, "channels", json_count(totals->channels));
    json_object_set_new(object, "others", json_count(totals->others));
    json_object_set_new(object, "busy", json_count(totals->busy));
    json_object_set_new(object, "died", json_count(totals->died));
    json_object_set_new(object, "backlog_bytes", json_count(totals->backlog_bytes));
    add_rates(object, &totals->rates);
    return object;
}

void top_batch_json(const struct top_model *model, FILE *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_t *object = json_object(), *objects = json_array();
    for (size_t i = 0; i < model->shown_count; i++)
        json_array_append_new(objects, json_of_row(model->shown[i]));
    json_object_set_new(object, "time_unix_ns",
                        json_count((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec));
    json_object_set_new(object, "seconds", json_real(model->totals.rates.seconds));
    json_object_set_new(object, "cost_ns", json_count(model->now.cost_ns));
    json_object_set_new(object, "totals", json_of_totals(&model->totals));
    json_object_set_new(object, "objects", objects);
    json_write(object, out, true);
}
