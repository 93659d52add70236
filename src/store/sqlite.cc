#include "store/sqlite.h"

namespace gossamer::store {

namespace {

ErrorCode code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorruptData;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kBusy;
    case SQLITE_NOMEM:
      return ErrorCode::kOutOfMemory;
    default:
      return ErrorCode::kIo;
  }
}

std::string name_of(sqlite3* handle) {
  const char* name = handle == nullptr ? nullptr : sqlite3_db_filename(handle, "main");
  return name == nullptr || *name == '\0' ? "the response store" : name;
}

}  // namespace

Error sqlite_error(sqlite3* handle, std::string_view what) {
  const int result = handle == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(handle);
  const char* reason = handle == nullptr ? "out of memory" : sqlite3_errmsg(handle);
  return make_error(
      code_of(result), "{}: cannot {}: {} (SQLite {})", name_of(handle), what, reason, result
  );
}

void Statement::bind_text(int index, std::string_view text) {
  sqlite3_bind_text64(
      statement_.get(), index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8
  );
}

void Statement::bind_number(int index, std::int64_t number) {
  sqlite3_bind_int64(statement_.get(), index, number);
}

void Statement::bind_optional(int index, const std::optional<std::string>& text) {
  if (text.has_value()) {
    bind_text(index, *text);
  } else {
    sqlite3_bind_null(statement_.get(), index);
  }
}

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return sqlite_error(sqlite3_db_handle(statement_.get()), "read or write");
}

Status Statement::run() {
  StatementUse use(*this);
  for (;;) {
    GOSSAMER_ASSIGN_OR_RETURN(const bool row, step());
    if (!row) return {};
  }
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return text(column);
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

Result<Connection> Connection::open(const std::filesystem::path& file, int busy_timeout_ms) {
  const std::string name = file.empty() ? ":memory:" : std::filesystem::absolute(file).string();
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  Connection connection;
  connection.handle_.reset(handle);
  if (result != SQLITE_OK) return sqlite_error(handle, "open it");
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  // What the file says about itself is not trusted.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

Status Connection::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return sqlite_error(handle_.get(), fmt::format("run `{}`", sql));
  }
  return {};
}

Result<Statement> Connection::prepare(std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int result = sqlite3_prepare_v3(
      handle_.get(),
      sql.data(),
      static_cast<int>(sql.size()),
      SQLITE_PREPARE_PERSISTENT,
      &prepared,
      nullptr
  );
  if (result != SQLITE_OK) return sqlite_error(handle_.get(), fmt::format("prepare `{}`", sql));
  Statement statement;
  statement.statement_.reset(prepared);
  return statement;
}

Result<std::int64_t> Connection::number(std::string_view sql) {
  GOSSAMER_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  GOSSAMER_RETURN_IF_ERROR(statement.step());
  return statement.number(0);
}

Result<std::string> Connection::text(std::string_view sql) {
  GOSSAMER_ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  GOSSAMER_RETURN_IF_ERROR(statement.step());
  return statement.text(0);
}

void Connection::keep_log_on_close(bool keep) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep ? 1 : 0, nullptr);
}

std::int64_t Connection::num_changes() const {
  return sqlite3_changes64(handle_.get());
}

bool Connection::in_transaction() const {
  return sqlite3_get_autocommit(handle_.get()) == 0;
}

Transaction::~Transaction() {
  if (connection_.in_transaction()) static_cast<void>(connection_.execute("ROLLBACK"));
}

Status Transaction::begin(std::string_view mode) {
  return connection_.execute(mode == "IMMEDIATE" ? "BEGIN IMMEDIATE" : "BEGIN DEFERRED");
}

Status Transaction::commit() {
  return connection_.execute("COMMIT");
}

}  // namespace gossamer::store
