#include "store/response_store.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "store/database_file.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace gossamer::store {

namespace {

// Free pages (4 KiB each) that the file may keep for the next responses before it is shrunk.
constexpr std::int64_t kSlackPages = 256;

constexpr std::string_view kPut =
    "INSERT INTO responses(id, owner, previous_id, created_at, checksum, input, response)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(id) DO UPDATE SET"
    " previous_id = excluded.previous_id, created_at = excluded.created_at,"
    " checksum = excluded.checksum, input = excluded.input, response = excluded.response"
    " WHERE owner = excluded.owner";
constexpr std::string_view kGet =
    "SELECT previous_id, created_at, checksum, input, response FROM responses"
    " WHERE id = ?1 AND owner = ?2 AND created_at >= ?3";
constexpr std::string_view kRemove =
    "DELETE FROM responses WHERE id = ?1 AND owner = ?2 AND created_at >= ?3";
constexpr std::string_view kRemoveExpired = "DELETE FROM responses WHERE created_at < ?1";
constexpr std::string_view kRemoveOldest =
    "DELETE FROM responses WHERE rowid = (SELECT rowid FROM responses WHERE id <> ?1"
    " ORDER BY created_at, rowid LIMIT 1)";

// SQLite checks the structure of its pages, not the text in them. FNV-1a.
std::int64_t checksum(const StoredResponse& response) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ 0x100) * 0x100000001b3;
  };
  add(response.id);
  add(response.owner);
  add(response.previous_id.value_or(""));
  add(response.input);
  add(response.response);
  return static_cast<std::int64_t>(hash);
}

std::int64_t unix_seconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

Result<Connection> open_or_begin_anew(
    const std::filesystem::path& file, std::vector<std::string>& warnings
) {
  if (file.empty()) return open_response_database(file);
  GOSSAMER_RETURN_IF_ERROR(prepare_database_file(file));
  auto opened = open_response_database(file);
  if (opened.ok() || opened.error().code != ErrorCode::kCorruptData) return opened;
  GOSSAMER_ASSIGN_OR_RETURN(const auto aside, set_database_aside(file));
  warnings.push_back(fmt::format(
      "{}; set aside as {}, and a new response store begun", opened.error().message, aside.string()
  ));
  GOSSAMER_RETURN_IF_ERROR(prepare_database_file(file));
  return open_response_database(file);
}

}  // namespace

/// The connection and its statements; `mutex_` around everything.
class ResponseStore::Database {
 public:
  static Result<std::unique_ptr<Database>> open(const ResponseStoreOptions& options) {
    std::unique_ptr<Database> database(new Database(options));
    GOSSAMER_RETURN_IF_ERROR(database->begin(database->warnings_));
    return database;
  }

  // Runs an operation in its turn. Where it met damage, the file is set aside, and the next
  // operation finds a new one.
  template <class Operation>
  auto take_turn(Operation operation) -> decltype(operation()) {
    const std::lock_guard lock(mutex_);
    if (!connection_) {
      std::vector<std::string> ignored;
      GOSSAMER_RETURN_IF_ERROR(begin(ignored));
    }
    auto result = operation();
    if (!result.ok() && result.error().code == ErrorCode::kCorruptData && is_damaged()) {
      return begin_anew(result.error());
    }
    return result;
  }

  Status put(const StoredResponse& response);
  Result<std::optional<StoredResponse>> get(const std::string& id, const std::string& owner);
  Result<std::vector<StoredResponse>> chain(const std::string& id, const std::string& owner);
  Result<bool> remove(const std::string& id, const std::string& owner);

  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Statements {
    Statement put, get, remove, remove_expired, remove_oldest, page_count, freelist_count;
  };

  explicit Database(ResponseStoreOptions options) : options_(std::move(options)) {}

  Status begin(std::vector<std::string>& warnings);
  Status prepare();
  bool is_damaged();
  Error begin_anew(const Error& damage);
  Status write(const StoredResponse& response);
  Status remove_expired();
  Status make_room(const std::string& newest);
  Result<std::int64_t> number(Statement& statement);
  void shrink_file();
  std::int64_t oldest_allowed() const { return unix_seconds() - options_.max_age_seconds; }

  const ResponseStoreOptions options_;
  std::mutex mutex_;
  std::vector<std::string> warnings_;
  std::optional<Connection> connection_;
  std::optional<Statements> statements_;
  std::int64_t page_bytes_ = 0;
};

Status ResponseStore::Database::begin(std::vector<std::string>& warnings) {
  GOSSAMER_ASSIGN_OR_RETURN(connection_, open_or_begin_anew(options_.file, warnings));
  auto prepared = prepare();
  if (!prepared.ok()) connection_.reset();
  return prepared;
}

Status ResponseStore::Database::prepare() {
  statements_.emplace();
  const std::pair<Statement*, std::string_view> all[] = {
      {&statements_->put, kPut},
      {&statements_->get, kGet},
      {&statements_->remove, kRemove},
      {&statements_->remove_expired, kRemoveExpired},
      {&statements_->remove_oldest, kRemoveOldest},
      {&statements_->page_count, "PRAGMA page_count"},
      {&statements_->freelist_count, "PRAGMA freelist_count"},
  };
  for (const auto& [statement, sql] : all) {
    GOSSAMER_ASSIGN_OR_RETURN(*statement, connection_->prepare(sql));
  }
  GOSSAMER_ASSIGN_OR_RETURN(page_bytes_, connection_->number("PRAGMA page_size"));
  return {};
}

// One response may be damaged inside a sound file.
bool ResponseStore::Database::is_damaged() {
  const auto verdict = connection_->text("PRAGMA quick_check(1)");
  return !options_.file.empty() && (!verdict.ok() || *verdict != "ok");
}

Error ResponseStore::Database::begin_anew(const Error& damage) {
  connection_->keep_log_on_close(true);
  statements_.reset();
  connection_.reset();
  const auto aside = set_database_aside(options_.file);
  if (!aside.ok()) return aside.error();
  std::vector<std::string> ignored;
  const auto begun = begin(ignored);
  return make_error(
      ErrorCode::kCorruptData,
      "{}; set aside as {}, and {}",
      damage.message,
      aside->string(),
      begun.ok() ? "a new response store begun" : begun.error().message
  );
}

Status ResponseStore::Database::put(const StoredResponse& response) {
  Transaction transaction(*connection_);
  GOSSAMER_RETURN_IF_ERROR(transaction.begin("IMMEDIATE"));
  GOSSAMER_RETURN_IF_ERROR(write(response));
  GOSSAMER_RETURN_IF_ERROR(remove_expired());
  GOSSAMER_RETURN_IF_ERROR(make_room(response.id));
  GOSSAMER_RETURN_IF_ERROR(transaction.commit());
  shrink_file();
  return {};
}

Status ResponseStore::Database::write(const StoredResponse& response) {
  Statement& statement = statements_->put;
  statement.bind_text(1, response.id);
  statement.bind_text(2, response.owner);
  statement.bind_optional(3, response.previous_id);
  statement.bind_number(4, response.created_at);
  statement.bind_number(5, checksum(response));
  statement.bind_text(6, response.input);
  statement.bind_text(7, response.response);
  GOSSAMER_RETURN_IF_ERROR(statement.run());
  if (connection_->num_changes() == 1) return {};
  return make_error(
      ErrorCode::kInvalidArgument, "response {}: the id belongs to someone else", response.id
  );
}

Status ResponseStore::Database::remove_expired() {
  statements_->remove_expired.bind_number(1, oldest_allowed());
  return statements_->remove_expired.run();
}

Status ResponseStore::Database::make_room(const std::string& newest) {
  for (;;) {
    GOSSAMER_ASSIGN_OR_RETURN(const auto num_pages, number(statements_->page_count));
    GOSSAMER_ASSIGN_OR_RETURN(const auto num_free, number(statements_->freelist_count));
    if ((num_pages - num_free) * page_bytes_ <= options_.max_bytes) return {};
    statements_->remove_oldest.bind_text(1, newest);
    GOSSAMER_RETURN_IF_ERROR(statements_->remove_oldest.run());
    if (connection_->num_changes() == 0) {
      return make_error(
          ErrorCode::kInvalidArgument,
          "response {}: larger than the whole response store may be ({} bytes)",
          newest,
          options_.max_bytes
      );
    }
  }
}

Result<std::int64_t> ResponseStore::Database::number(Statement& statement) {
  StatementUse use(statement);
  GOSSAMER_RETURN_IF_ERROR(statement.step());
  return statement.number(0);
}

// What is committed stays so, whether or not this works now: errors wait for the next time.
void ResponseStore::Database::shrink_file() {
  const auto num_free = number(statements_->freelist_count);
  if (!num_free.ok() || *num_free <= kSlackPages) return;
  if (!connection_->execute("PRAGMA incremental_vacuum").ok()) return;
  static_cast<void>(connection_->execute("PRAGMA wal_checkpoint(PASSIVE)"));
}

Result<std::optional<StoredResponse>> ResponseStore::Database::get(
    const std::string& id, const std::string& owner
) {
  Statement& statement = statements_->get;
  StatementUse use(statement);
  statement.bind_text(1, id);
  statement.bind_text(2, owner);
  statement.bind_number(3, oldest_allowed());
  GOSSAMER_ASSIGN_OR_RETURN(const bool found, statement.step());
  if (!found) return std::optional<StoredResponse>();
  StoredResponse response;
  response.id = id;
  response.owner = owner;
  response.previous_id = statement.optional_text(0);
  response.created_at = statement.number(1);
  response.input = statement.text(3);
  response.response = statement.text(4);
  if (statement.number(2) != checksum(response)) {
    return make_error(ErrorCode::kCorruptData, "response {}: damaged in the response store", id);
  }
  return std::optional(std::move(response));
}

Result<std::vector<StoredResponse>> ResponseStore::Database::chain(
    const std::string& id, const std::string& owner
) {
  // One transaction: a chain is of one moment, whatever other processes do.
  Transaction transaction(*connection_);
  GOSSAMER_RETURN_IF_ERROR(transaction.begin("DEFERRED"));
  std::vector<StoredResponse> newest_first;
  std::optional<std::string> next = id;
  while (next.has_value()) {
    const auto is_next = [&next](const StoredResponse& known) { return known.id == *next; };
    if (std::any_of(newest_first.begin(), newest_first.end(), is_next)) {
      return make_error(ErrorCode::kInvalidArgument, "response {}: follows itself", *next);
    }
    GOSSAMER_ASSIGN_OR_RETURN(auto response, get(*next, owner));
    if (!response.has_value()) {
      if (newest_first.empty()) break;
      return make_error(
          ErrorCode::kNotFound,
          "response {}: not found (it comes before {}, and was deleted or is too old)",
          *next,
          newest_first.back().id
      );
    }
    next = response->previous_id;
    newest_first.push_back(std::move(*response));
  }
  std::reverse(newest_first.begin(), newest_first.end());
  return newest_first;
}

Result<bool> ResponseStore::Database::remove(const std::string& id, const std::string& owner) {
  Statement& statement = statements_->remove;
  statement.bind_text(1, id);
  statement.bind_text(2, owner);
  statement.bind_number(3, oldest_allowed());
  GOSSAMER_RETURN_IF_ERROR(statement.run());
  const bool removed = connection_->num_changes() > 0;
  shrink_file();
  return removed;
}

Result<std::unique_ptr<ResponseStore>> ResponseStore::open(const ResponseStoreOptions& options) {
  GOSSAMER_ASSIGN_OR_RETURN(auto database, Database::open(options));
  return std::unique_ptr<ResponseStore>(new ResponseStore(std::move(database)));
}

ResponseStore::ResponseStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

ResponseStore::~ResponseStore() = default;

Status ResponseStore::put(const StoredResponse& response) {
  return database_->take_turn([&] { return database_->put(response); });
}

Result<std::optional<StoredResponse>> ResponseStore::get(
    const std::string& id, const std::string& owner
) {
  return database_->take_turn([&] { return database_->get(id, owner); });
}

Result<std::vector<StoredResponse>> ResponseStore::chain(
    const std::string& id, const std::string& owner
) {
  return database_->take_turn([&] { return database_->chain(id, owner); });
}

Result<bool> ResponseStore::remove(const std::string& id, const std::string& owner) {
  return database_->take_turn([&] { return database_->remove(id, owner); });
}

const std::vector<std::string>& ResponseStore::warnings() const {
  return database_->warnings();
}

}  // namespace gossamer::store
