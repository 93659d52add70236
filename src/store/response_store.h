#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace gossamer::store {

/// What is kept of a response.
struct StoredResponse {
  std::string id;        ///< "resp_…"
  std::string response;  ///< the response object, JSON
  std::string input;     ///< its input items, normalised and with ids: a JSON array, in order
  std::optional<std::string> previous_id;
  std::string owner;            ///< who may read it: the name of the API key, or empty
  std::int64_t created_at = 0;  ///< unix seconds
};

struct ResponseStoreOptions {
  std::filesystem::path file;  ///< empty: in memory
  std::int64_t max_bytes = std::int64_t{1} << 30;
  std::int64_t max_age_seconds = std::int64_t{30} * 24 * 3600;
};

/// Responses by id, in a SQLite file that survives kill -9 at any moment. The oldest go when the
/// limits are reached, and the file shrinks. Only its owner may read the file. Any thread; calls
/// take turns, and put() and remove() wait for the disk.
///
/// A file that turns out to be damaged while it is in use is set aside too: the call that met the
/// damage fails with kCorruptData and a message that says so, the next one finds a new store. A
/// single damaged response fails with kCorruptData and leaves the others alone.
class ResponseStore {
 public:
  /// Opens or creates. A file that SQLite cannot read, or that is another program's or a later
  /// version's, is renamed to FILE.corrupt-N, never deleted, and a new one is begun; `warnings()`
  /// tells. Errors: the folder cannot be written, permissions are missing or a folder is in the
  /// file's place (kIo); another process holds it for too long (kBusy).
  static Result<std::unique_ptr<ResponseStore>> open(const ResponseStoreOptions& options);

  ~ResponseStore();
  ResponseStore(const ResponseStore&) = delete;
  ResponseStore& operator=(const ResponseStore&) = delete;

  /// Adds or replaces, durably when it returns. Errors (kIo, e.g. a full disk) leave the store as
  /// it was, and usable; so do an id that belongs to someone else and a response larger than
  /// max_bytes (kInvalidArgument).
  Status put(const StoredResponse& response);

  /// Nothing when there is none, it is too old, or it belongs to someone else.
  Result<std::optional<StoredResponse>> get(const std::string& id, const std::string& owner);

  /// The response and those before it, following previous_id: oldest first. Empty when the id is
  /// unknown; a chain whose beginning is gone is an error (kNotFound) that names the missing id.
  Result<std::vector<StoredResponse>> chain(const std::string& id, const std::string& owner);

  /// True when there was one.
  Result<bool> remove(const std::string& id, const std::string& owner);

  const std::vector<std::string>& warnings() const;

 private:
  class Database;
  explicit ResponseStore(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace gossamer::store
