// What the list of conversations shows, line by line.
#include <algorithm>
#include <ctime>
#include <utility>

#include "app/window/sidebar_parts.h"

namespace app::window {
namespace {

// Whole days since 1970 in local time.
int64_t day_of(const AppState& state, int64_t seconds) {
    return (seconds + state.utc_offset) / 86400;
}

// Days that share a heading share a number: 0 today, 1 yesterday, 2 the week, then the months.
int64_t group_of(const AppState& state, int64_t updated_at) {
    const int64_t age = day_of(state, state.now) - day_of(state, updated_at);
    if (age <= 1) {
        return std::max<int64_t>(age, 0);
    }
    if (age <= 7) {
        return 2;
    }
    const auto local = static_cast<std::time_t>(updated_at + state.utc_offset);
    std::tm parts{};
    gmtime_r(&local, &parts);
    return 1000 + parts.tm_year * 12 + parts.tm_mon;
}

std::string group_name(int64_t group) {
    if (group < 3) {
        const char* const names[] = {"TODAY", "YESTERDAY", "LAST 7 DAYS"};
        return names[group];
    }
    const char* const months[] = {"JANUARY",   "FEBRUARY", "MARCH",    "APRIL",
                                  "MAY",       "JUNE",     "JULY",     "AUGUST",
                                  "SEPTEMBER", "OCTOBER",  "NOVEMBER", "DECEMBER"};
    return std::string(months[(group - 1000) % 12]) + " " +
           std::to_string(1900 + (group - 1000) / 12);
}

}  // namespace

std::vector<SidebarRow> sidebar_rows(const AppState& state) {
    const SidebarView& view = state.chat.sidebar;
    std::vector<SidebarRow> rows;
    rows.reserve(state.conversations.size() + 16);
    const auto add = [&](SidebarRow row) { rows.push_back(std::move(row)); };
    if (!view.query.empty()) {
        if (view.hits.empty()) {
            add({SidebarRow::Kind::note, view.found_for == view.query && !view.searching
                                             ? "Nothing is found in any conversation."
                                             : "Searching\u2026"});
        }
        for (size_t i = 0; i < view.hits.size(); i++) {
            add({SidebarRow::Kind::hit, "", nullptr, i});
        }
        return rows;
    }
    if (view.trash_open) {
        if (view.trash.empty()) {
            add({SidebarRow::Kind::note, "The trash is empty."});
        }
        for (const ConversationSummary& item : view.trash) {
            add({SidebarRow::Kind::deleted, "", &item});
        }
        return rows;
    }
    const auto& all = state.conversations;
    if (all.empty()) {
        add({SidebarRow::Kind::note, "Conversations are kept here, on this machine."});
    }
    if (std::any_of(all.begin(), all.end(), [](const auto& c) { return c.pinned; })) {
        add({SidebarRow::Kind::heading, "PINNED"});
        for (const ConversationSummary& item : all) {
            if (item.pinned) {
                add({SidebarRow::Kind::conversation, "", &item});
            }
        }
    }
    if (!view.folders.empty()) {
        add({SidebarRow::Kind::heading, "FOLDERS"});
        for (size_t f = 0; f < view.folders.size(); f++) {
            add({SidebarRow::Kind::folder, "", nullptr, f});
            if (view.closed_folders.count(view.folders[f].id)) {
                continue;
            }
            for (const ConversationSummary& item : all) {
                if (!item.pinned && item.folder == view.folders[f].id) {
                    add({SidebarRow::Kind::conversation, "", &item, 0, 12});
                }
            }
        }
    }
    int64_t group = -1, day = -1;
    for (const ConversationSummary& item : all) {
        if (item.pinned || item.folder != 0) {
            continue;
        }
        // Which month it is takes a look at the calendar: once a day of the list.
        if (const int64_t its = day_of(state, item.updated_at); its != day) {
            day = its;
            if (const int64_t mine = group_of(state, item.updated_at); mine != group) {
                group = mine;
                add({SidebarRow::Kind::heading, group_name(group)});
            }
        }
        add({SidebarRow::Kind::conversation, "", &item});
    }
    return rows;
}

}  // namespace app::window
