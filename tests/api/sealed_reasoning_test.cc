#include "api/sealed_reasoning.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gossamer::api {
namespace {

const SealedReasoning::Key kKey = {7, 1, 2};

TEST(SealedReasoning, OpensToTheText) {
  const SealedReasoning seal(kKey);
  for (const std::string& text :
       {std::string(), std::string("é thought\n"), std::string(100'000, 'x')}) {
    EXPECT_EQ(seal.open(seal.seal(text)), text);
  }
}

TEST(SealedReasoning, TheSameTextIsSealedDifferentlyEachTime) {
  const SealedReasoning seal(kKey);
  EXPECT_NE(seal.seal("x"), seal.seal("x"));
}

TEST(SealedReasoning, TheBlobIsSafeInAnyUrlAndShowsNothing) {
  const std::string blob = SealedReasoning(kKey).seal("secret secret secret");
  EXPECT_EQ(blob.find("secret"), std::string::npos);
  EXPECT_TRUE(std::all_of(blob.begin(), blob.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  }));
}

TEST(SealedReasoning, AnyChangeOfTheBlobKeepsItShut) {
  const SealedReasoning seal(kKey);
  const std::string blob = seal.seal("some text");
  for (std::size_t i = 0; i < blob.size(); ++i) {
    std::string damaged = blob;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(seal.open(damaged), std::nullopt) << i;
    EXPECT_EQ(seal.open(blob.substr(0, i)), std::nullopt) << i;
  }
  EXPECT_EQ(seal.open(blob + "A"), std::nullopt);
  EXPECT_EQ(seal.open(blob + "AAAA"), std::nullopt);
}

TEST(SealedReasoning, AnotherKeyDoesNotOpenIt) {
  EXPECT_EQ(SealedReasoning({7, 1, 3}).open(SealedReasoning(kKey).seal("x")), std::nullopt);
}

TEST(SealedReasoning, WhatSomeoneElseSealedIsNotOpened) {
  const SealedReasoning seal(kKey);
  for (const char* foreign :
       {"", "A", "gAAAAABo", "not base64!", "AQ", "////++++====", "\xff\xfe"}) {
    EXPECT_EQ(seal.open(foreign), std::nullopt);
  }
}

}  // namespace
}  // namespace gossamer::api
