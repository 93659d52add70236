#include "store/response_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include "tests/checkpoint/scratch_directory.h"
#include "tests/store/sample.h"

namespace gossamer::store {
namespace {

namespace fs = std::filesystem;
using checkpoint::ScratchDirectory;

TEST(ResponseStore, WhatIsPutIsThereAfterReopening) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  StoredResponse response = sample("resp_1");
  response.previous_id = "resp_0";
  response.response = std::string("{\"text\":\"gr\xc3\xbc\xc3\x9f \0 dich\"}", 24);
  ASSERT_TRUE(open_store(file)->put(response).ok());
  const auto store = open_store(file);
  EXPECT_TRUE(store->warnings().empty());
  const auto found = store->get("resp_1", "");
  ASSERT_TRUE(found.ok());
  ASSERT_TRUE(found.value().has_value());
  EXPECT_EQ(found.value()->response, response.response);
  EXPECT_EQ(found.value()->input, response.input);
  EXPECT_EQ(found.value()->previous_id, "resp_0");
  EXPECT_EQ(found.value()->created_at, response.created_at);
}

TEST(ResponseStore, PutReplacesAndRemoveRemoves) {
  const auto store = open_store(ResponseStoreOptions{});
  StoredResponse response = sample("resp_1");
  ASSERT_TRUE(store->put(response).ok());
  response.response = "{\"status\":\"completed\"}";
  ASSERT_TRUE(store->put(response).ok());
  EXPECT_EQ(store->get("resp_1", "").value()->response, response.response);
  EXPECT_TRUE(store->remove("resp_1", "").value());
  EXPECT_FALSE(store->remove("resp_1", "").value());
  EXPECT_FALSE(store->get("resp_1", "").value().has_value());
}

TEST(ResponseStore, NobodyReadsReplacesOrRemovesAnothersResponse) {
  const auto store = open_store(ResponseStoreOptions{});
  ASSERT_TRUE(store->put(sample("resp_1", "alice")).ok());
  EXPECT_FALSE(store->get("resp_1", "bob").value().has_value());
  EXPECT_FALSE(store->get("resp_1", "").value().has_value());
  EXPECT_FALSE(store->remove("resp_1", "bob").value());
  EXPECT_TRUE(store->chain("resp_1", "bob").value().empty());
  const auto replaced = store->put(sample("resp_1", "bob"));
  ASSERT_FALSE(replaced.ok());
  EXPECT_EQ(replaced.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(store->get("resp_1", "alice").value().has_value());
}

TEST(ResponseStore, AChainIsOldestFirst) {
  const auto store = open_store(ResponseStoreOptions{});
  put_chain(*store, {"resp_a", "resp_b", "resp_c"});
  const auto chain = store->chain("resp_c", "");
  ASSERT_TRUE(chain.ok());
  ASSERT_EQ(chain.value().size(), 3u);
  EXPECT_EQ(chain.value()[0].id, "resp_a");
  EXPECT_EQ(chain.value()[2].id, "resp_c");
  EXPECT_TRUE(store->chain("resp_x", "").value().empty());
}

TEST(ResponseStore, AChainWithAMissingAncestorNamesIt) {
  const auto store = open_store(ResponseStoreOptions{});
  put_chain(*store, {"resp_a", "resp_b", "resp_c"});
  ASSERT_TRUE(store->remove("resp_a", "").value());
  const auto chain = store->chain("resp_c", "");
  ASSERT_FALSE(chain.ok());
  EXPECT_EQ(chain.error().code, ErrorCode::kNotFound);
  EXPECT_NE(chain.error().message.find("resp_a"), std::string::npos);
}

TEST(ResponseStore, AnAncestorOfSomeoneElseIsMissing) {
  const auto store = open_store(ResponseStoreOptions{});
  ASSERT_TRUE(store->put(sample("resp_a", "alice")).ok());
  StoredResponse thief = sample("resp_b", "bob");
  thief.previous_id = "resp_a";
  ASSERT_TRUE(store->put(thief).ok());
  EXPECT_EQ(store->chain("resp_b", "bob").error().code, ErrorCode::kNotFound);
}

TEST(ResponseStore, AChainThatBitesItsTailIsAnError) {
  const auto store = open_store(ResponseStoreOptions{});
  put_chain(*store, {"resp_a", "resp_b"});
  StoredResponse first = sample("resp_a");
  first.previous_id = "resp_b";
  ASSERT_TRUE(store->put(first).ok());
  EXPECT_FALSE(store->chain("resp_b", "").ok());
}

TEST(ResponseStore, OldResponsesAreNotFoundAndGoWithTheNextPut) {
  ScratchDirectory scratch;
  ResponseStoreOptions options{.file = scratch.path() / "responses.db", .max_age_seconds = 1000};
  {
    const auto store = open_store(options);
    StoredResponse old = sample("resp_old");
    old.created_at = std::time(nullptr) - 1001;
    ASSERT_TRUE(store->put(old).ok());
    EXPECT_FALSE(store->get("resp_old", "").value().has_value());
    old.id = "resp_older";
    ASSERT_TRUE(store->put(old).ok());
    ASSERT_TRUE(store->put(sample("resp_new")).ok());
    EXPECT_TRUE(store->get("resp_new", "").value().has_value());
  }
  options.max_age_seconds = 100'000;
  const auto store = open_store(options);
  EXPECT_FALSE(store->get("resp_old", "").value().has_value());
  EXPECT_FALSE(store->get("resp_older", "").value().has_value());
  EXPECT_TRUE(store->get("resp_new", "").value().has_value());
}

TEST(ResponseStore, TheOldestGoWhenTheStoreIsFull) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  const auto store = open_store(ResponseStoreOptions{.file = file, .max_bytes = 4 << 20});
  const std::int64_t now = std::time(nullptr);
  for (int i = 0; i < 200; ++i) {
    StoredResponse response = sample("resp_" + std::to_string(i), "", 100'000);
    response.created_at = now - 1000 + i;
    ASSERT_TRUE(store->put(response).ok());
    ASSERT_TRUE(store->get(response.id, "").value().has_value());
  }
  EXPECT_FALSE(store->get("resp_0", "").value().has_value());
  EXPECT_FALSE(store->get("resp_150", "").value().has_value());
  EXPECT_TRUE(store->get("resp_170", "").value().has_value());
  EXPECT_LE(fs::file_size(file), std::uintmax_t{6} << 20);
}

TEST(ResponseStore, AResponseLargerThanTheStoreIsRefusedAndNothingGoes) {
  const auto store = open_store(ResponseStoreOptions{.max_bytes = 1 << 20});
  ASSERT_TRUE(store->put(sample("resp_small")).ok());
  const auto status = store->put(sample("resp_huge", "", 2 << 20));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(store->get("resp_small", "").value().has_value());
  EXPECT_FALSE(store->get("resp_huge", "").value().has_value());
}

TEST(ResponseStore, TheFileShrinks) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  const auto store = open_store(file);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(store->put(sample("resp_" + std::to_string(i), "", 500'000)).ok());
  }
  EXPECT_GT(fs::file_size(file), std::uintmax_t{10} << 20);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(store->remove("resp_" + std::to_string(i), "").value());
  }
  EXPECT_LT(fs::file_size(file), std::uintmax_t{3} << 20);
  EXPECT_LT(fs::file_size(file.string() + "-wal"), std::uintmax_t{12} << 20);
}

TEST(ResponseStore, OnlyTheOwnerOfTheProcessMayReadTheFiles) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "new" / "folder" / "responses.db";
  const auto store = open_store(file);
  ASSERT_TRUE(store->put(sample("resp_1")).ok());
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat status {};
    ASSERT_EQ(::stat((file.string() + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
  }
}

TEST(ResponseStore, ThreadsTakeTurns) {
  ScratchDirectory scratch;
  const auto store = open_store(scratch.path() / "responses.db");
  const auto work = [&store](const std::string& owner) {
    for (int i = 0; i < 50; ++i) {
      const std::string id = "resp_" + owner + std::to_string(i);
      ASSERT_TRUE(store->put(sample(id, owner)).ok());
      ASSERT_TRUE(store->get(id, owner).value().has_value());
      if (i % 3 == 0) {
        ASSERT_TRUE(store->remove(id, owner).value());
      }
    }
  };
  std::thread alice(work, "alice");
  std::thread bob(work, "bob");
  alice.join();
  bob.join();
  EXPECT_TRUE(store->get("resp_alice49", "alice").value().has_value());
  EXPECT_TRUE(store->get("resp_bob49", "bob").value().has_value());
  EXPECT_FALSE(store->get("resp_bob48", "bob").value().has_value());
}

TEST(ResponseStore, TwoStoresMayShareAFile) {
  ScratchDirectory scratch;
  const auto file = scratch.path() / "responses.db";
  const auto work = [&file](const std::string& name) {
    const auto store = open_store(file);
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(store->put(sample(name + std::to_string(i))).ok());
  };
  std::thread first(work, "resp_a");
  std::thread second(work, "resp_b");
  first.join();
  second.join();
  const auto store = open_store(file);
  EXPECT_TRUE(store->warnings().empty());
  EXPECT_TRUE(store->get("resp_a29", "").value().has_value());
  EXPECT_TRUE(store->get("resp_b0", "").value().has_value());
}

}  // namespace
}  // namespace gossamer::store
