// SPDX-License-Identifier: Apache-2.0
// Files at both ends: a channel that reads a saved stream, and memory that is written with holes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "channel_tools.h"
#include "core/channels/file_layer.h"

namespace godwit::test {
namespace {

UniqueFd file_with(const Bytes& bytes) {
  UniqueFd fd(::memfd_create("stream", MFD_CLOEXEC));
  REQUIRE(fd);
  REQUIRE(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  return fd;
}

TEST_CASE("a file channel answers the file from its beginning and then its end") {
  std::mt19937_64 random(1);
  const Bytes bytes = random_bytes(random, 3 << 20);
  const UniqueFd fd = file_with(bytes);
  Result<std::unique_ptr<Layer>> layer = FileLayer::create(fd.get());
  REQUIRE(layer.ok());
  const auto channel = *Channel::create(*std::move(layer));
  CHECK(*peek(*channel, 100).get() == Bytes(bytes.begin(), bytes.begin() + 100));
  CHECK(*read(*channel, bytes.size()).get() == bytes);
  CHECK(*at_end(*channel).get());
  CHECK(read(*channel, 1).get().failure().code == Failure::kEndOfStream);
  CHECK(::lseek(fd.get(), 0, SEEK_CUR) == static_cast<off_t>(bytes.size()));  // where it was
}

TEST_CASE("a file channel takes no output, and closing it leaves the descriptor open") {
  const UniqueFd fd = file_with({1, 2, 3});
  {
    const auto channel = *Channel::create(*FileLayer::create(fd.get()));
    channel->output().append(Bytes{1});
    CHECK(flush(*channel).get().failure().code == EROFS);
    channel->close();
  }
  CHECK(::fcntl(fd.get(), F_GETFD) >= 0);
}

TEST_CASE("what is not a regular file is refused") {
  auto [a, b] = socket_pair();
  CHECK_FALSE(FileLayer::create(a.get()).ok());
  CHECK_FALSE(FileLayer::create(-1).ok());
}

struct TemporaryPath {
  std::string path = "/tmp/godwit-dump-test-" + std::to_string(::getpid());
  ~TemporaryPath() { ::unlink(path.c_str()); }
};

Bytes contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_CASE("a dump holds every byte, with holes where memory is zero, and leaves holes of the memory alone") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto memory = make_memory("ram", 300);
    for (int i = 0; i < 12; ++i) memory->data()[random() % memory->size()] = static_cast<std::uint8_t>(random() | 1);
    std::memset(memory->data() + 290 * kPageSize, 0, kPageSize);  // has memory, and is zero
    const TemporaryPath file;
    const bool whole = seed % 2 == 0;
    const std::uint64_t offset = whole ? 0 : random() % 5000;
    const std::uint64_t length = whole ? memory->size() : random() % (memory->size() - offset);
    const std::atomic<bool> cancel = false;
    REQUIRE(memory->dump(file.path, offset, length, cancel).ok());
    struct stat status {};
    REQUIRE(::stat(file.path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(static_cast<std::uint64_t>(status.st_size) == length);
    CHECK(static_cast<std::uint64_t>(status.st_blocks) * 512 <= 16 * 2 * kPageSize);
    CHECK(contents_of(file.path) == Bytes(memory->data() + offset, memory->data() + offset + length));
  }
}

TEST_CASE("dumping memory that was never touched takes no memory") {
  const auto memory = make_memory("ram", 4096);
  const TemporaryPath file;
  const std::atomic<bool> cancel = false;
  REQUIRE(memory->dump(file.path, 0, memory->size(), cancel).ok());
  std::vector<unsigned char> resident(memory->pages());
  REQUIRE(::mincore(memory->data(), memory->size(), resident.data()) == 0);
  CHECK(std::none_of(resident.begin(), resident.end(), [](unsigned char byte) { return (byte & 1) != 0; }));
  CHECK(memory->dump("/dev/null", 0, memory->size(), cancel).ok());
}

}  // namespace
}  // namespace godwit::test
