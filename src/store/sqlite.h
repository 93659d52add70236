#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace gossamer::store {

/// The error of the connection's latest call. kCorruptData where the file is not a database or is
/// damaged, kBusy where another process holds it, kOutOfMemory, else kIo.
Error sqlite_error(sqlite3* handle, std::string_view what);

/// A prepared statement. One thread at a time.
class Statement {
 public:
  /// Binds to ?1, ?2, … The bytes must live until the next reset().
  void bind_text(int index, std::string_view text);
  void bind_number(int index, std::int64_t number);
  void bind_optional(int index, const std::optional<std::string>& text);

  /// True when there is a row, false at the end.
  Result<bool> step();
  /// Steps to the end, for statements without rows, and resets.
  Status run();
  /// Ready to be bound and stepped again.
  void reset();

  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::int64_t number(int column) const;

 private:
  friend class Connection;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

/// Resets a statement at the end of a scope, so that no lock outlives its use.
class StatementUse {
 public:
  explicit StatementUse(Statement& statement) : statement_(statement) {}
  ~StatementUse() { statement_.reset(); }
  StatementUse(const StatementUse&) = delete;
  StatementUse& operator=(const StatementUse&) = delete;

 private:
  Statement& statement_;
};

/// An open database. One thread at a time.
class Connection {
 public:
  /// Empty: a database in memory. Waits up to `busy_timeout_ms` for other processes in every call.
  static Result<Connection> open(const std::filesystem::path& file, int busy_timeout_ms);

  Status execute(const char* sql);
  Result<Statement> prepare(std::string_view sql);
  /// The first column of the first row.
  Result<std::int64_t> number(std::string_view sql);
  Result<std::string> text(std::string_view sql);

  /// Whether closing leaves the log beside the file; else it is written into the file and deleted.
  void keep_log_on_close(bool keep);

  /// Rows that the latest INSERT, UPDATE or DELETE changed.
  std::int64_t num_changes() const;
  /// Whether a transaction is open: SQLite itself ends one on some errors.
  bool in_transaction() const;

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Closer> handle_;
};

/// Rolls back at the end of the scope unless committed.
class Transaction {
 public:
  explicit Transaction(Connection& connection) : connection_(connection) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// `mode`: "DEFERRED" to read, "IMMEDIATE" to write.
  Status begin(std::string_view mode);
  Status commit();

 private:
  Connection& connection_;
};

}  // namespace gossamer::store
