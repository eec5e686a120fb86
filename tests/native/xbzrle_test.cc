// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/pages/xbzrle.h"
#include "ram_tools.h"

namespace godwit::test {
namespace {

void put_number(Bytes& into, std::size_t number) {
  if (number >= 0x80) into.push_back(static_cast<std::uint8_t>(number | 0x80));
  into.push_back(static_cast<std::uint8_t>(number >= 0x80 ? number >> 7 : number));
}

/// A delta that turns `before` into `after`, as the format's description says.
Bytes delta_of(const Bytes& before, const Bytes& after) {
  Bytes delta;
  for (std::size_t at = 0; at < before.size();) {
    const std::size_t start = at;
    while (at < before.size() && before[at] == after[at]) ++at;
    if (at == before.size()) break;
    const std::size_t changed = at;
    while (at < before.size() && before[at] != after[at]) ++at;
    put_number(delta, changed - start);
    put_number(delta, at - changed);
    delta.insert(delta.end(), after.begin() + static_cast<long>(changed), after.begin() + static_cast<long>(at));
  }
  return delta;
}

const char* apply_delta(const Bytes& delta, Bytes& page) {
  return apply_xbzrle(delta, std::span<std::uint8_t, kPageSize>(page.data(), kPageSize));
}

TEST_CASE("a delta turns the old page into the new one") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Bytes page = random_bytes(random, kPageSize);
    Bytes after = page;
    for (std::size_t changes = random() % 20; changes > 0; --changes) {
      const std::size_t at = random() % kPageSize;
      const std::size_t length = 1 + random() % (seed % 2 == 0 ? 4 : 600);
      for (std::size_t i = at; i < std::min<std::size_t>(kPageSize, at + length); ++i) {
        after[i] = static_cast<std::uint8_t>(random());
      }
    }
    CHECK(apply_delta(delta_of(page, after), page) == nullptr);
    CHECK(page == after);
  }
}

TEST_CASE("every malformed delta is named") {
  const auto problem = [](const Bytes& delta) {
    Bytes page(kPageSize);
    const char* const found = apply_delta(delta, page);
    return std::string(found == nullptr ? "" : found);
  };
  CHECK(problem({}) == "");
  CHECK(problem({0x00, 0x02, 0x50, 0x55}) == "");
  CHECK(problem({0x80}) == "the length of an unchanged run cannot be read");
  CHECK(problem({0x80, 0x80, 0x01}) == "the length of an unchanged run cannot be read");
  CHECK(problem({0x05}) == "the length of a changed run cannot be read");
  CHECK(problem({0x00, 0x00}) == "a changed run is empty");
  CHECK(problem({0x00, 0x01, 0xaa, 0x00, 0x01, 0xbb}) == "an unchanged run inside the delta is empty");
  CHECK(problem({0x00, 0x02, 0xaa}) == "the delta ends inside a changed run");
  CHECK(problem({0xff, 0x1f, 0x01, 0xaa}) == "");  // the page's last byte
  CHECK(problem({0x80, 0x20, 0x01, 0xaa}) == "the delta goes beyond the page");
  CHECK(problem({0xff, 0x1f, 0x02, 0xaa, 0xbb}) == "the delta goes beyond the page");
  CHECK(problem({0xff, 0x7f, 0x01, 0xaa}) == "the delta goes beyond the page");
}

TEST_CASE("random deltas never touch what lies around the page") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Bytes delta = random_bytes(random, random() % 64);
    for (std::uint8_t& byte : delta) byte &= seed % 2 == 0 ? 0x8f : 0xff;
    Bytes page(kPageSize);  // on the heap: a sanitizer sees a step beyond
    (void)apply_delta(delta, page);
  }
}

}  // namespace
}  // namespace godwit::test
