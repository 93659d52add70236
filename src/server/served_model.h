#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/error.h"
#include "engine/generator.h"
#include "harmony/encoding.h"

namespace gossamer::server {

/// The model that a server answers with.
struct ServedModel {
  std::vector<std::string> names;  ///< the id in the list of models, then other names for it
  harmony::Encoding encoding;
  std::shared_ptr<void> memory;  ///< what the generator borrows; outlives it
  std::unique_ptr<engine::Generator> generator;
  int context_length = 0;       ///< tokens, prompt and output together
  std::int64_t created_at = 0;  ///< unix seconds
};

/// Where the model appears once it is loaded. Any thread.
class ModelSlot {
 public:
  /// 0 to 1, while loading.
  void set_progress(double progress) { progress_ = progress; }
  double progress() const { return progress_; }

  /// The model, or why there is none. Once.
  void set(Result<ServedModel> model);

  /// Null while loading and when that failed.
  const ServedModel* get() const;
  std::optional<Error> failure() const;

  /// Waits for the end of loading. Error 503 when it failed.
  boost::asio::awaitable<api::ApiResult<const ServedModel*>> wait() const;

 private:
  std::atomic<double> progress_ = 0;
  mutable std::mutex mutex_;
  std::optional<Result<ServedModel>> model_;  // guarded by mutex_; not changed once set
};

}  // namespace gossamer::server
