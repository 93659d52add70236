#pragma once

#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/response_store.h"

namespace gossamer::store {

/// A response of now, with about `num_bytes` of text that depends on its id.
inline StoredResponse sample(
    const std::string& id, const std::string& owner = "", std::size_t num_bytes = 100
) {
  StoredResponse response;
  response.id = id;
  response.owner = owner;
  response.response = "{\"id\":\"" + id + "\"}";
  while (response.input.size() < num_bytes) response.input += "[\"" + id + "\"]";
  response.created_at = std::time(nullptr);
  return response;
}

inline std::unique_ptr<ResponseStore> open_store(const ResponseStoreOptions& options) {
  auto store = ResponseStore::open(options);
  EXPECT_TRUE(store.ok()) << store.error().message;
  return std::move(store).value();
}

inline std::unique_ptr<ResponseStore> open_store(const std::filesystem::path& file) {
  return open_store(ResponseStoreOptions{.file = file});
}

/// Responses that follow each other.
inline void put_chain(ResponseStore& store, const std::vector<std::string>& ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    StoredResponse response = sample(ids[i]);
    if (i > 0) response.previous_id = ids[i - 1];
    ASSERT_TRUE(store.put(response).ok());
  }
}

}  // namespace gossamer::store
