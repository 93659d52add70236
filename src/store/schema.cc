#include "store/schema.h"

namespace gossamer::store {

namespace {

constexpr int kBusyTimeoutMs = 10'000;
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kApplicationId = 0x676f7373;  // "goss"

// FULL: a commit in the WAL waits for the disk, so that what put() returned survives a power cut
// too.
constexpr const char* kSettings =
    "PRAGMA cell_size_check = ON;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA journal_size_limit = 4194304;";

// Counts only before anything is written, and would change a file that exists.
constexpr const char* kSettingsOfNew = "PRAGMA auto_vacuum = INCREMENTAL;";

constexpr const char* kTables =
    "CREATE TABLE responses("
    "  id TEXT NOT NULL UNIQUE,"
    "  owner TEXT NOT NULL,"
    "  previous_id TEXT,"
    "  created_at INTEGER NOT NULL,"
    "  checksum INTEGER NOT NULL,"
    "  input TEXT NOT NULL,"
    "  response TEXT NOT NULL);"
    "CREATE INDEX responses_by_age ON responses(created_at);"
    "PRAGMA application_id = 0x676f7373;"
    "PRAGMA user_version = 1;";

Status create(Connection& connection) {
  Transaction transaction(connection);
  GOSSAMER_RETURN_IF_ERROR(transaction.begin("IMMEDIATE"));
  // Another process may have been faster.
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto num_tables, connection.number("SELECT count(*) FROM sqlite_schema")
  );
  if (num_tables == 0) GOSSAMER_RETURN_IF_ERROR(connection.execute(kTables));
  return transaction.commit();
}

Status check_whose(Connection& connection, const std::filesystem::path& file) {
  GOSSAMER_ASSIGN_OR_RETURN(const auto application, connection.number("PRAGMA application_id"));
  GOSSAMER_ASSIGN_OR_RETURN(const auto version, connection.number("PRAGMA user_version"));
  if (application != kApplicationId) {
    return make_error(ErrorCode::kCorruptData, "{}: a database of another program", file.string());
  }
  if (version != kVersion) {
    return make_error(
        ErrorCode::kCorruptData,
        "{}: a response store of version {}, and this program knows version {}",
        file.string(),
        version,
        kVersion
    );
  }
  return {};
}

Status check_content(Connection& connection, const std::filesystem::path& file) {
  GOSSAMER_ASSIGN_OR_RETURN(const auto verdict, connection.text("PRAGMA quick_check(1)"));
  if (verdict == "ok") return {};
  return make_error(ErrorCode::kCorruptData, "{}: damaged: {}", file.string(), verdict);
}

}  // namespace

Result<Connection> open_response_database(const std::filesystem::path& file) {
  GOSSAMER_ASSIGN_OR_RETURN(Connection connection, Connection::open(file, kBusyTimeoutMs));
  // Until it is known to be ours and sound, nothing in the file or its log may change.
  connection.keep_log_on_close(true);
  GOSSAMER_ASSIGN_OR_RETURN(
      const auto num_tables, connection.number("SELECT count(*) FROM sqlite_schema")
  );
  if (num_tables > 0) {
    GOSSAMER_RETURN_IF_ERROR(check_whose(connection, file));
    GOSSAMER_RETURN_IF_ERROR(check_content(connection, file));
    GOSSAMER_RETURN_IF_ERROR(connection.execute(kSettings));
  } else {
    GOSSAMER_RETURN_IF_ERROR(connection.execute(kSettingsOfNew));
    GOSSAMER_RETURN_IF_ERROR(connection.execute(kSettings));
    GOSSAMER_RETURN_IF_ERROR(create(connection));
  }
  connection.keep_log_on_close(false);
  return connection;
}

}  // namespace gossamer::store
