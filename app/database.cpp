#include "app/database.h"

#include <sqlite3.h>

namespace app {
namespace {

[[noreturn]] void fail(sqlite3* db) {
    const int code = sqlite3_errcode(db) & 0xFF;
    throw StoreError(sqlite3_errmsg(db), code == SQLITE_BUSY || code == SQLITE_LOCKED);
}

}  // namespace

Database::Rows::Rows(sqlite3* db, const char* sql, const std::vector<Value>& values) : db_(db) {
    if (sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) != SQLITE_OK) {
        fail(db);
    }
    for (size_t i = 0; i < values.size(); i++) {
        const int at = static_cast<int>(i) + 1;
        if (const auto* number = std::get_if<int64_t>(&values[i])) {
            sqlite3_bind_int64(statement_, at, *number);
        } else if (const auto* real = std::get_if<double>(&values[i])) {
            sqlite3_bind_double(statement_, at, *real);
        } else if (const auto* blob = std::get_if<Blob>(&values[i])) {
            sqlite3_bind_blob64(statement_, at, blob->bytes.data(), blob->bytes.size(),
                                SQLITE_TRANSIENT);
        } else if (const auto* view = std::get_if<TextView>(&values[i])) {
            sqlite3_bind_text64(statement_, at, view->text.data() ? view->text.data() : "",
                                view->text.size(), SQLITE_STATIC, SQLITE_UTF8);
        } else {
            const auto& text = std::get<std::string>(values[i]);
            sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_TRANSIENT,
                                SQLITE_UTF8);
        }
    }
}

Database::Rows::~Rows() {
    sqlite3_finalize(statement_);
}

bool Database::Rows::next() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
        fail(db_);
    }
    return result == SQLITE_ROW;
}

int64_t Database::Rows::number(int column) const {
    return sqlite3_column_int64(statement_, column);
}

double Database::Rows::real(int column) const {
    return sqlite3_column_double(statement_, column);
}

std::string Database::Rows::text(int column) const {
    const void* bytes = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(size)) : "";
}

Database::Database(const std::string& path, Access access) {
    const int flags =
        access == Access::write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(path.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
        const std::string reason = db_ ? sqlite3_errmsg(db_) : "out of memory";
        sqlite3_close(db_);
        throw StoreError(reason);
    }
    wait_when_busy(2000);
}

Database::~Database() {
    sqlite3_close(db_);
}

void Database::run(const char* sql, const std::vector<Value>& values) const {
    Rows result(db_, sql, values);
    while (result.next()) {
    }
}

void Database::script(const char* sql) const {
    char* message = nullptr;
    if (sqlite3_exec(db_, sql, nullptr, nullptr, &message) != SQLITE_OK) {
        sqlite3_free(message);
        fail(db_);
    }
}

int64_t Database::number(const char* sql, const std::vector<Value>& values) const {
    Rows row(db_, sql, values);
    return row.next() ? row.number(0) : 0;
}

int64_t Database::last_id() const {
    return sqlite3_last_insert_rowid(db_);
}

int64_t Database::changes() const {
    return sqlite3_changes(db_);
}

int Database::error_code() const {
    return sqlite3_errcode(db_);
}

void Database::wait_when_busy(int milliseconds) const {
    sqlite3_busy_timeout(db_, milliseconds);
}

void Database::interrupt() const {
    sqlite3_interrupt(db_);
}

void Database::roll_back() const {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace app
