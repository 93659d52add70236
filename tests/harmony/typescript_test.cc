#include "harmony/typescript.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harmony/golden.h"

namespace gossamer::harmony {
namespace {

using testing::HasSubstr;

std::string type_of(std::string_view schema) {
  const auto type = typescript_of(schema);
  return type.ok() ? *type : "error: " + type.error().message;
}

TEST(TypescriptTest, EverySchemaOfTheReferenceRecordingsGivesItsType) {
  const auto cases = golden_json("json_schema_to_typescript.json");
  ASSERT_GT(cases.size(), 20U);
  for (const auto& item : cases) {
    EXPECT_EQ(type_of(item["schema"].dump()), item["typescript"].get<std::string>())
        << item["schema"].dump(2);
  }
}

TEST(TypescriptTest, PropertiesKeepTheOrderOfTheSchema) {
  EXPECT_EQ(
      type_of(R"({"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}})"),
      "{\nz?: string,\na?: number,\n}"
  );
}

TEST(TypescriptTest, DefaultsAreWrittenAsTheReferenceWritesNumbers) {
  const auto shown = [](const std::string& number) {
    return type_of(R"({"type":"object","properties":{"x":{"default":)" + number + "}}}");
  };
  EXPECT_THAT(shown("1.0"), HasSubstr("// default: 1.0\n"));
  EXPECT_THAT(shown("0.1"), HasSubstr("// default: 0.1\n"));
  EXPECT_THAT(shown("-2.5"), HasSubstr("// default: -2.5\n"));
  EXPECT_THAT(shown("1e3"), HasSubstr("// default: 1000.0\n"));
  EXPECT_THAT(shown("1e15"), HasSubstr("// default: 1000000000000000.0\n"));
  EXPECT_THAT(shown("1e16"), HasSubstr("// default: 1e16\n"));
  EXPECT_THAT(shown("1.5e300"), HasSubstr("// default: 1.5e300\n"));
  EXPECT_THAT(shown("0.00001"), HasSubstr("// default: 0.00001\n"));
  EXPECT_THAT(shown("0.000001"), HasSubstr("// default: 1e-6\n"));
  EXPECT_THAT(shown("12345.678"), HasSubstr("// default: 12345.678\n"));
  EXPECT_THAT(shown("18446744073709551615"), HasSubstr("// default: 18446744073709551615\n"));
}

TEST(TypescriptTest, ASchemaThatIsNotJsonIsAnError) {
  EXPECT_THAT(type_of("{"), HasSubstr("error: JSON schema: not JSON"));
}

TEST(TypescriptTest, ASchemaNestedTooDeeplyIsAnErrorAndNotACrash) {
  std::string schema;
  for (int i = 0; i < 100'000; ++i) schema += R"({"type":"array","items":)";
  EXPECT_THAT(type_of(schema), HasSubstr("nested deeper than"));
}

}  // namespace
}  // namespace gossamer::harmony
