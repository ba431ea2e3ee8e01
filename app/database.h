// Database: one connection to an SQLite file - statements prepared, bound, stepped and finished in
// one place; any failure leaves by StoreError. Knows no table. One thread at a time.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace app {

// A read or write failed (disk full, file vanished). Nothing of the call was stored.
class StoreError : public std::runtime_error {
public:
    explicit StoreError(const std::string& text, bool is_busy = false)
        : std::runtime_error(text), busy(is_busy) {}
    bool busy;  // another program is writing: the same call can be tried again
};

class Database {
public:
    struct Blob {
        std::string bytes;
    };
    // A large text that is not copied: it must outlive the statement.
    struct TextView {
        std::string_view text;
    };
    using Value = std::variant<int64_t, double, std::string, Blob, TextView>;

    class Rows {
    public:
        Rows(sqlite3* db, const char* sql, const std::vector<Value>& values);
        ~Rows();
        Rows(const Rows&) = delete;
        Rows& operator=(const Rows&) = delete;

        bool next();
        int64_t number(int column) const;
        double real(int column) const;
        std::string text(int column) const;  // of a blob: its bytes

    private:
        sqlite3* db_;
        sqlite3_stmt* statement_ = nullptr;
    };

    enum class Access { write, read };
    explicit Database(const std::string& path, Access access = Access::write);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    Rows rows(const char* sql, const std::vector<Value>& values = {}) const {
        return {db_, sql, values};
    }
    void run(const char* sql, const std::vector<Value>& values = {}) const;
    void script(const char* sql) const;  // several statements, no values
    int64_t number(const char* sql, const std::vector<Value>& values = {}) const;  // 0: no row
    int64_t last_id() const;
    int64_t changes() const;  // rows that the last statement touched
    int error_code() const;
    void wait_when_busy(int milliseconds) const;
    // Stops the statement in work, from any thread; it fails with StoreError.
    void interrupt() const;

    // All or nothing. `durable`: on the disk when this returns, not only in the operating system's
    // hands.
    template <typename Work>
    void transaction(bool durable, Work&& work) const {
        script(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        script("BEGIN IMMEDIATE");
        try {
            work();
            script("COMMIT");
        } catch (...) {
            roll_back();
            throw;
        }
    }

private:
    void roll_back() const;

    sqlite3* db_ = nullptr;
};

}  // namespace app
