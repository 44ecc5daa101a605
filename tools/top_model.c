/* top_model.c - the data of `leat top`: two samples of all objects and the rates between them. No
 * terminal, no output.
 *
 * A sample reads one object after the other, each with a time of its own, so that rates are right
 * however long a sample takes. Objects come and go between two samples, and under the same name:
 * the inode number distinguishes them, or, where the file system reuses a number, counters that
 * went back.
 */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "top.h"

/* --- Rates ------------------------------------------------------------------------------------ */

static bool same_file(const leat_object_info *a, const leat_object_info *b) {
    return a->device == b->device && a->inode == b->inode && a->kind == b->kind;
}

static bool went_back(const leat_statistics *now, const leat_statistics *before) {
    return now->messages < before->messages || now->bytes < before->bytes ||
           now->stalls < before->stalls || now->sleeps < before->sleeps ||
           now->wake_calls < before->wake_calls || now->wakes < before->wakes ||
           now->wake_ns < before->wake_ns;
}

static double per_second(uint64_t now, uint64_t before, double seconds) {
    return (double)(now - before) / seconds;
}

static bool moved(const leat_statistics *now, const leat_statistics *before) {
    return now->messages != before->messages || now->bytes != before->bytes ||
           now->wake_calls != before->wake_calls;
}

/* The first change counts if the part that was counted before the first sample, an eighth of the
 * ring at most, is a small part of it. */
static void rate_sender(struct top_row *row, const struct top_row *before) {
    const leat_statistics *now = &row->channel.sent, *then = &before->channel.sent;
    struct top_sender *sender = &row->sender;
    *sender = before->sender;
    if (!moved(now, then))
        return;
    double seconds = (double)(row->read_ns - sender->moved_ns) / 1e9;
    if (sender->moved || now->bytes - then->bytes >= row->channel.capacity / 2) {
        sender->known = true;
        sender->messages = per_second(now->messages, then->messages, seconds);
        sender->bytes = per_second(now->bytes, then->bytes, seconds);
        sender->wake_calls = per_second(now->wake_calls, then->wake_calls, seconds);
    }
    sender->moved = true;
    sender->moved_ns = row->read_ns;
}

/* Whether no message went through, as far as can be seen: then the sender has not sent either,
 * whatever its counters showed at their last change. */
static bool idle(const struct top_row *row, const struct top_row *before) {
    return !moved(&row->channel.sent, &before->channel.sent) &&
           !moved(&row->channel.received, &before->channel.received) &&
           row->channel.backlog_bytes == before->channel.backlog_bytes;
}

static double mean_wake(const leat_statistics *now, const leat_statistics *before) {
    return now->wakes == before->wakes
               ? -1
               : (double)(now->wake_ns - before->wake_ns) / (double)(now->wakes - before->wakes);
}

static struct top_rates rates_between(const struct top_row *row, const struct top_row *before) {
    const leat_statistics *sent = &row->channel.sent, *received = &row->channel.received;
    const leat_statistics *sent_before = &before->channel.sent,
                          *received_before = &before->channel.received;
    const struct top_sender *sender = &row->sender;
    double seconds = (double)(row->read_ns - before->read_ns) / 1e9;
    bool busy = !idle(row, before), known = sender->known && busy;
    double otherwise = busy ? -1 : 0;
    struct top_rates rates = {
        .seconds = seconds,
        .sent_messages = known ? sender->messages : otherwise,
        .sent_bytes = known ? sender->bytes : otherwise,
        .received_messages = per_second(received->messages, received_before->messages, seconds),
        .received_bytes = per_second(received->bytes, received_before->bytes, seconds),
        .wake_calls = otherwise,
        .sleeps = per_second(sent->sleeps + received->sleeps,
                             sent_before->sleeps + received_before->sleeps, seconds),
        .stalls = per_second(sent->stalls + received->stalls,
                             sent_before->stalls + received_before->stalls, seconds),
        .wake_ns = mean_wake(received, received_before),
        .busy = busy,
    };
    if (known)
        rates.wake_calls = sender->wake_calls +
                           per_second(received->wake_calls, received_before->wake_calls, seconds);
    /* A receiver that left between the two has still received. */
    bool receives = row->channel.receiver == LEAT_PEER_PRESENT ||
                    received->messages > received_before->messages;
    rates.messages = receives ? rates.received_messages : rates.sent_messages;
    rates.bytes = receives ? rates.received_bytes : rates.sent_bytes;
    return rates;
}

void top_rate(struct top_row *row, const struct top_row *before) {
    row->rated = false;
    row->rates = (struct top_rates){0};
    row->sender = (struct top_sender){.moved_ns = row->read_ns};
    if (before == NULL || !top_has_channel(row) || !top_has_channel(before) ||
        !same_file(&row->object, &before->object) || row->read_ns <= before->read_ns ||
        went_back(&row->channel.sent, &before->channel.sent) ||
        went_back(&row->channel.received, &before->channel.received))
        return;
    rate_sender(row, before);
    row->rates = rates_between(row, before);
    row->rated = true;
}

static int by_scope_and_name(const leat_object_info *a, const leat_object_info *b) {
    return a->scope != b->scope ? (a->scope < b->scope ? -1 : 1) : strcmp(a->name, b->name);
}

/* Both are in the same order: one pass. */
static void rate_all(struct top_sample *now, const struct top_sample *before) {
    size_t old = 0;
    for (size_t i = 0; i < now->count; i++) {
        struct top_row *row = &now->rows[i];
        while (old < before->count &&
               by_scope_and_name(&before->rows[old].object, &row->object) < 0)
            old++;
        bool there =
            old < before->count && by_scope_and_name(&before->rows[old].object, &row->object) == 0;
        row->fresh =
            there ? !same_file(&row->object, &before->rows[old].object) : before->taken_ns != 0;
        top_rate(row, there ? &before->rows[old] : NULL);
    }
}

/* --- Sampling --------------------------------------------------------------------------------- */

static struct top_row *add_row(struct top_sample *sample) {
    if (sample->count == sample->room) {
        size_t room = sample->room == 0 ? 64 : sample->room * 2;
        struct top_row *grown = realloc(sample->rows, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        sample->rows = grown;
        sample->room = room;
    }
    struct top_row *row = &sample->rows[sample->count];
    *row = (struct top_row){0};
    return row;
}

struct sampling {
    struct top_sample *sample;
    bool others;
};

/* An object that has gone since it was listed is left out. A region has nothing to be read. */
static int sample_object(const leat_object_info *info, void *context) {
    struct sampling *sampling = context;
    if (info->kind != LEAT_KIND_CHANNEL && (!sampling->others || perhaps_foreign(info)))
        return LEAT_OK;
    struct top_row *row = add_row(sampling->sample);
    if (row == NULL)
        return LEAT_ENOMEM;
    row->object = *info;
    if (info->damaged)
        row->code = LEAT_ECORRUPT;
    else if (info->kind == LEAT_KIND_CHANNEL)
        row->code = leat_channel_stat(info->name, info->scope, &row->channel);
    else if (info->kind != LEAT_KIND_REGION)
        row->code = leat_sync_stat(info->name, info->scope, &row->sync);
    row->read_ns = leat_now();
    if (row->code != LEAT_ENOENT)
        sampling->sample->count++;
    return LEAT_OK;
}

static int take(const struct top_model *model, struct top_sample *sample, leat_scope *scope) {
    struct sampling sampling = {sample, model->others};
    int code = LEAT_OK;
    sample->count = 0;
    uint64_t began = leat_now();
    *scope = LEAT_LOCAL;
    if (model->local)
        code = leat_list(LEAT_LOCAL, sample_object, &sampling);
    if (code == LEAT_OK && model->global) {
        *scope = LEAT_GLOBAL;
        code = leat_list(LEAT_GLOBAL, sample_object, &sampling);
    }
    sample->taken_ns = began;
    sample->cost_ns = leat_now() - began;
    return code;
}

/* The older of the two samples is overwritten: if that fails, the shown sample is still whole, and
 * has no predecessor. */
int top_model_refresh(struct top_model *model, leat_scope *scope) {
    struct top_sample next = model->before;
    model->before = (struct top_sample){0};
    int code = take(model, &next, scope);
    if (code != LEAT_OK) {
        free(next.rows);
        return code;
    }
    model->before = model->now;
    model->now = next;
    model->refreshes++;
    rate_all(&model->now, &model->before);
    return top_model_arrange(model);
}

void top_model_forget(struct top_model *model) {
    free(model->now.rows);
    free(model->before.rows);
    free(model->shown);
    model->now = model->before = (struct top_sample){0};
    model->shown = NULL;
    model->shown_count = 0;
}

/* --- Filter, order, totals -------------------------------------------------------------------- */

bool top_passes(const struct top_row *row, const char *filter) {
    struct shown_name shown;
    return filter[0] == 0 || strcasestr(name_show(&shown, row->object.name), filter) != NULL;
}

static void add(double *sum, double rate) {
    *sum += rate > 0 ? rate : 0;
}

static void add_up(struct top_totals *totals, const struct top_row *row) {
    totals->channels += row->object.kind == LEAT_KIND_CHANNEL;
    totals->others += row->object.kind != LEAT_KIND_CHANNEL;
    if (!top_has_channel(row))
        return;
    totals->backlog_bytes += row->channel.backlog_bytes;
    totals->died +=
        row->channel.sender == LEAT_PEER_DIED || row->channel.receiver == LEAT_PEER_DIED;
    totals->busy += row->rates.busy;
    add(&totals->rates.messages, row->rates.messages);
    add(&totals->rates.bytes, row->rates.bytes);
    add(&totals->rates.sent_messages, row->rates.sent_messages);
    add(&totals->rates.sent_bytes, row->rates.sent_bytes);
    add(&totals->rates.received_messages, row->rates.received_messages);
    add(&totals->rates.received_bytes, row->rates.received_bytes);
    add(&totals->rates.wake_calls, row->rates.wake_calls);
    add(&totals->rates.sleeps, row->rates.sleeps);
    add(&totals->rates.stalls, row->rates.stalls);
}

static int compare(const void *a, const void *b, void *context) {
    const struct top_model *model = context;
    const struct top_row *left = *(const struct top_row *const *)a,
                         *right = *(const struct top_row *const *)b;
    int order = top_compare(left, right, model->sort, model->reversed);
    /* where they are equal, by scope and name */
    return order != 0 ? order : left < right ? -1 : left > right;
}

int top_model_arrange(struct top_model *model) {
    model->shown_count = 0;
    model->totals = (struct top_totals){0};
    const struct top_row **shown = realloc(model->shown, (model->now.count + 1) * sizeof *shown);
    if (shown == NULL)
        return LEAT_ENOMEM;
    model->shown = shown;
    for (size_t i = 0; i < model->now.count; i++) {
        const struct top_row *row = &model->now.rows[i];
        if (!top_passes(row, model->filter))
            continue;
        shown[model->shown_count++] = row;
        add_up(&model->totals, row);
    }
    if (model->before.taken_ns != 0)
        model->totals.rates.seconds = (double)(model->now.taken_ns - model->before.taken_ns) / 1e9;
    qsort_r(shown, model->shown_count, sizeof *shown, compare, model);
    return LEAT_OK;
}
