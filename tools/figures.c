/* figures.c - see figures.h. */
#include "figures.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "names.h"

#define PROGRESS_PERIOD_NS 250000000U

static const char *scaled(struct figure *figure, double value, double step,
                          const char *const *units, size_t count) {
    size_t unit = 0;
    /* 999.95 would be shown as 1000.0 of the smaller unit. */
    while (unit + 1 < count && value >= step * 0.99995) {
        value /= step;
        unit++;
    }
    const char *format = unit == 0 ? "%.0f %s" : "%.*f %s";
    if (unit == 0)
        snprintf(figure->text, sizeof figure->text, format, value, units[unit]);
    else
        snprintf(figure->text, sizeof figure->text, "%.*f %s", value >= 100 ? 0 : 1, value,
                 units[unit]);
    return figure->text;
}

const char *figure_bytes(struct figure *figure, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    return scaled(figure, (double)bytes, 1024, units, sizeof units / sizeof units[0]);
}

const char *figure_decimal(struct figure *figure, double value, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    char units[5][16];
    const char *names[5];
    for (size_t i = 0; i < 5; i++) {
        snprintf(units[i], sizeof units[i], "%s%s", prefixes[i], unit);
        names[i] = units[i];
    }
    return scaled(figure, value, 1000, names, 5);
}

const char *figure_duration(struct figure *figure, uint64_t nanoseconds) {
    static const char *const units[] = {"ns", "us", "ms", "s"};
    return scaled(figure, (double)nanoseconds, 1000, units, 4);
}

const char *figure_count(struct figure *figure, uint64_t count) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *out = figure->text;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = 0;
    return figure->text;
}

const char *figure_permissions(char text[10], uint32_t permissions) {
    static const char letters[] = "rwxrwxrwx";
    for (unsigned i = 0; i < 9; i++)
        text[i] = permissions >> (8 - i) & 1 ? letters[i] : '-';
    text[9] = 0;
    return text;
}

const char *figure_user(struct figure *figure, uint32_t user) {
    const struct passwd *entry = getpwuid(user);
    if (entry != NULL && strlen(entry->pw_name) < sizeof figure->text)
        strcpy(figure->text, entry->pw_name);
    else
        snprintf(figure->text, sizeof figure->text, "%u", user);
    return figure->text;
}

const char *peer_name(leat_peer peer) {
    switch (peer) {
    case LEAT_PEER_NONE:
        return "none";
    case LEAT_PEER_PRESENT:
        return "present";
    case LEAT_PEER_CLOSED:
        return "closed";
    case LEAT_PEER_DIED:
        return "died";
    case LEAT_PEER_UNKNOWN:
        break;
    }
    return "unknown";
}

/* --- JSON ------------------------------------------------------------------------------------- */

json_t *json_count(uint64_t count) {
    return json_integer((json_int_t)count);
}

void json_add_name(json_t *object, const char *name) {
    struct shown_name shown;
    char hex[2 * LEAT_NAME_MAX + 1];
    size_t length = strnlen(name, LEAT_NAME_MAX);
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)name[i]);
    hex[2 * length] = 0;
    json_object_set_new(object, "name",
                        json_string(utf8_valid(name) ? name : name_show(&shown, name)));
    json_object_set_new(object, "name_hex", json_string(hex));
}

json_t *json_of_object(const leat_object_info *info) {
    struct figure user;
    char permissions[5];
    json_t *object = json_object();
    json_add_name(object, info->name);
    snprintf(permissions, sizeof permissions, "%04o", info->permissions & 0777);
    json_object_set_new(object, "scope", json_string(scope_name(info->scope)));
    json_object_set_new(object, "kind", json_string(leat_kind_name(info->kind)));
    json_object_set_new(object, "size_bytes", json_count(info->size));
    json_object_set_new(object, "owner", json_string(figure_user(&user, info->owner)));
    json_object_set_new(object, "owner_id", json_count(info->owner));
    json_object_set_new(object, "permissions", json_string(permissions));
    json_object_set_new(object, "persistent", json_boolean(info->persistent));
    json_object_set_new(object, "in_use", json_boolean(info->in_use));
    json_object_set_new(object, "abandoned", json_boolean(info->abandoned));
    json_object_set_new(object, "users", json_count(info->users));
    json_object_set_new(object, "damaged", json_boolean(info->damaged));
    return object;
}

json_t *json_of_type(const leat_type *type) {
    struct shown_text shown;
    if (type->name == NULL)
        return json_null();
    json_t *object = json_object();
    json_object_set_new(
        object, "name",
        json_string(utf8_valid(type->name) ? type->name : text_show(&shown, type->name)));
    json_object_set_new(object, "size_bytes", json_count(type->size));
    json_object_set_new(object, "version", json_count(type->version));
    return object;
}

json_t *json_of_statistics(const leat_statistics *statistics) {
    json_t *object = json_object();
    json_object_set_new(object, "messages", json_count(statistics->messages));
    json_object_set_new(object, "bytes", json_count(statistics->bytes));
    json_object_set_new(object, "stalls", json_count(statistics->stalls));
    json_object_set_new(object, "sleeps", json_count(statistics->sleeps));
    json_object_set_new(object, "wake_calls", json_count(statistics->wake_calls));
    json_object_set_new(object, "wake_calls_saved", json_count(statistics->wake_calls_saved));
    json_object_set_new(object, "high_water_bytes", json_count(statistics->high_water_bytes));
    json_object_set_new(object, "wakes", json_count(statistics->wakes));
    json_object_set_new(object, "wake_ns", json_count(statistics->wake_ns));
    json_object_set_new(
        object, "wake_ns_mean",
        statistics->wakes == 0 ? json_null() : json_count(statistics->wake_ns / statistics->wakes));
    return object;
}

json_t *json_of_sync(const leat_sync_info *info) {
    json_t *object = json_object();
    json_object_set_new(object, "handles", json_count(info->handles));
    if (info->kind == LEAT_KIND_MUTEX) {
        json_object_set_new(object, "held", json_boolean(info->held));
        json_object_set_new(object, "abandoned", json_boolean(info->abandoned));
        json_object_set_new(object, "lost", json_boolean(info->lost));
        json_object_set_new(object, "holder",
                            info->holder != 0 ? json_count(info->holder) : json_null());
        json_object_set_new(object, "inherits_priority", json_boolean(info->inherits_priority));
    } else if (info->kind == LEAT_KIND_EVENT) {
        json_object_set_new(object, "set", json_boolean(info->set));
        json_object_set_new(object, "manual_reset", json_boolean(info->manual_reset));
    } else {
        json_object_set_new(object, "count", json_count(info->count));
        json_object_set_new(object, "maximum", json_count(info->maximum));
    }
    return object;
}

json_t *json_of_channel(const leat_channel_info *info) {
    json_t *object = json_object();
    json_object_set_new(object, "capacity_bytes", json_count(info->capacity));
    json_object_set_new(object, "max_message_bytes", json_count(info->max_message));
    json_object_set_new(object, "backlog_bytes", json_count(info->backlog_bytes));
    json_object_set_new(object, "many_senders", json_boolean(info->many_senders));
    json_object_set_new(object, "sender", json_string(peer_name(info->sender)));
    json_object_set_new(object, "receiver", json_string(peer_name(info->receiver)));
    json_object_set_new(object, "sent", json_of_statistics(&info->sent));
    json_object_set_new(object, "received", json_of_statistics(&info->received));
    return object;
}

void json_write(json_t *value, FILE *stream, bool one_line) {
    size_t layout = one_line ? JSON_COMPACT : JSON_INDENT(2);
    json_dumpf(value, stream, layout | JSON_REAL_PRECISION(9));
    fputc('\n', stream);
    fflush(stream);
    json_decref(value);
}

/* --- Progress --------------------------------------------------------------------------------- */

void progress_start(struct progress *progress, int data) {
    progress->shown = isatty(STDERR_FILENO) && !isatty(data);
    progress->start_ns = leat_now();
    progress->next_ns = progress->start_ns + PROGRESS_PERIOD_NS;
}

static void progress_line(const struct progress *progress, uint64_t bytes, uint64_t messages,
                          const char *end) {
    struct figure amount, rate, count;
    double seconds = (double)(leat_now() - progress->start_ns) / 1e9;
    fprintf(stderr, "\r\033[K%s  %s/s  ", figure_bytes(&amount, bytes),
            figure_decimal(&rate, (double)bytes / (seconds > 0 ? seconds : 1), "B"));
    if (messages > 0)
        fprintf(stderr, "%s messages  ", figure_count(&count, messages));
    fprintf(stderr, "%.1f s%s", seconds, end);
    fflush(stderr);
}

void progress_update(struct progress *progress, uint64_t bytes, uint64_t messages) {
    if (!progress->shown)
        return;
    uint64_t now = leat_now();
    if (now < progress->next_ns)
        return;
    progress->next_ns = now + PROGRESS_PERIOD_NS;
    progress_line(progress, bytes, messages, "");
}

void progress_clear(struct progress *progress) {
    if (progress->shown)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

void progress_finish(struct progress *progress, uint64_t bytes, uint64_t messages) {
    if (progress->shown)
        progress_line(progress, bytes, messages, "\n");
    progress->shown = false;
}
