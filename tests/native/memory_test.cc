// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "core/memory/guest_memory.h"

namespace godwit {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

std::shared_ptr<GuestMemory> make(std::uint64_t size, bool anonymous = false) {
  auto memory = GuestMemory::create({.name = "test.ram", .size = size, .anonymous = anonymous});
  REQUIRE(memory.ok());
  return *memory;
}

std::string refusal(const GuestMemoryOptions& options) {
  auto memory = GuestMemory::create(options);
  return memory.ok() ? "" : memory.failure().message;
}

std::vector<std::uint64_t> take(GuestMemory& memory) {
  std::vector<std::uint64_t> bitmap((memory.pages() + 63) / 64);
  memory.take_user_dirty(bitmap);
  return bitmap;
}

TEST_CASE("guest memory is a memfd that nobody can grow or shrink") {
  auto memory = make(kMiB);
  const int seals = ::fcntl(memory->fd(), F_GET_SEALS);
  CHECK((seals & F_SEAL_GROW) != 0);
  CHECK((seals & F_SEAL_SHRINK) != 0);
  CHECK(::ftruncate(memory->fd(), 0) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(memory->fd(), 2 * kMiB) == -1);
  CHECK((::fcntl(memory->fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("anonymous guest memory has no descriptor and works the same") {
  auto memory = make(kMiB, true);
  CHECK(memory->fd() == -1);
  const std::uint8_t bytes[] = {1, 2, 3};
  CHECK(memory->write(5, bytes).ok());
  std::uint8_t back[3] = {};
  CHECK(memory->read(5, back).ok());
  CHECK(back[2] == 3);
}

/// How much of the mapping at `address` is mapped by huge pages, in KiB, as the kernel says.
std::uint64_t huge_kib(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  char begin[32];
  std::snprintf(begin, sizeof begin, "%lx-", reinterpret_cast<unsigned long>(address));
  bool ours = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("-") != std::string::npos && line.find(':') != std::string::npos && line[0] >= '0' && line[0] <= 'f' &&
        line.find(" rw") != std::string::npos) {
      ours = line.rfind(begin, 0) == 0;
    } else if (ours && line.rfind("ShmemPmdMapped:", 0) == 0) {
      return std::stoull(line.substr(15));
    }
  }
  return 0;
}

TEST_CASE("populated guest memory keeps its content, lies in huge pages where the kernel has them, and ends exactly") {
  // Two pieces of 2 MiB, and a rest that is less than one.
  auto memory = make(5 * kMiB);
  CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % (2 * kMiB) == 0);
  const std::uint8_t bytes[] = {1, 2, 3};
  for (const std::uint64_t offset : {std::uint64_t{0}, 2 * kMiB - 1, 3 * kMiB, 5 * kMiB - 3}) {
    REQUIRE(memory->write(offset, bytes).ok());
  }
  REQUIRE(memory->populate(std::atomic<bool>{false}).ok());
  CHECK(memory->data()[0] == 1);
  CHECK(memory->data()[2 * kMiB + 1] == 3);
  CHECK(memory->data()[3 * kMiB + 2] == 3);
  CHECK(memory->data()[5 * kMiB - 1] == 3);
  CHECK(memory->data()[4 * kMiB] == 0);
  const std::uint64_t huge = huge_kib(memory->data());
  MESSAGE(huge << " KiB of 5 MiB are in huge pages");
  CHECK((huge == 0 || huge == 4096 || huge == 2048));
}

TEST_CASE("discarded guest memory is given back to the kernel and reads as zeros") {
  for (const bool anonymous : {false, true}) {
    auto memory = make(8 * kMiB, anonymous);
    const std::atomic<bool> go_on{false};
    REQUIRE(memory->populate(go_on).ok());
    REQUIRE(memory->write(5 << 20, std::vector<std::uint8_t>(4096, 0x5a)).ok());
    REQUIRE(memory->discard().ok());
    if (!anonymous) {
      struct stat status = {};
      REQUIRE(::fstat(memory->fd(), &status) == 0);
      CHECK(status.st_blocks == 0);
    }
    std::vector<std::uint8_t> page(4096, 1);
    REQUIRE(memory->read(5 << 20, page).ok());
    CHECK(page == std::vector<std::uint8_t>(4096, 0));
  }
}

TEST_CASE("guest memory refuses sizes and names that cannot be, with a sentence") {
  CHECK(refusal({.name = "", .size = kMiB}).find("name") != std::string::npos);
  CHECK(refusal({.name = std::string(256, 'x'), .size = kMiB}).find("255") != std::string::npos);
  CHECK(refusal({.name = "a", .size = 0}).find("more than 0") != std::string::npos);
  CHECK(refusal({.name = "a", .size = 4097}).find("multiple of 4 KiB") != std::string::npos);
  CHECK(refusal({.name = "a", .size = kMiB, .huge_page_size = 3 * kMiB}).find("power of two") != std::string::npos);
  CHECK(refusal({.name = "a", .size = kMiB, .huge_page_size = 2 * kMiB}).find("not a multiple") != std::string::npos);
  CHECK(refusal({.name = "a", .size = 2 * kMiB, .huge_page_size = 2 * kMiB, .anonymous = true}).find("memfd") !=
        std::string::npos);
  const std::string huge = refusal({.name = "a", .size = std::uint64_t{1} << 45});
  CHECK_MESSAGE(huge.find("cannot reserve 32768 GiB of guest memory") == 0, huge);
  CHECK(huge.find("ask for less") != std::string::npos);
}

TEST_CASE("reads and writes stay inside the block, also where offset and length overflow") {
  auto memory = make(kMiB);
  std::uint8_t byte[2] = {};
  CHECK(memory->read(kMiB - 2, byte).ok());
  CHECK_FALSE(memory->read(kMiB - 1, byte).ok());
  CHECK_FALSE(memory->read(UINT64_MAX, byte).ok());
  CHECK_FALSE(memory->write(kMiB - 1, byte).ok());
  CHECK_FALSE(memory->write(UINT64_MAX - 1, byte).ok());
  CHECK(memory->write(kMiB, {}).ok());
  const std::atomic<bool> no{false};
  CHECK_FALSE(memory->dump("/dev/null", 1, UINT64_MAX, no).ok());
}

TEST_CASE("a write marks exactly the pages it touches, and taking the marks clears them") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  auto memory = make(kMiB);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t offset = random() % kMiB;
    const std::uint64_t length = random() % std::min<std::uint64_t>(kMiB - offset, 300'000) + (round % 2);
    const std::vector<std::uint8_t> bytes(std::min(length, kMiB - offset), 7);
    REQUIRE(memory->write(offset, bytes).ok());
    const auto bitmap = take(*memory);
    for (std::uint64_t page = 0; page < memory->pages(); ++page) {
      const bool touched =
          !bytes.empty() && page >= offset / kPageSize && page <= (offset + bytes.size() - 1) / kPageSize;
      REQUIRE(((bitmap[page / 64] >> page % 64) & 1) == touched);
    }
  }
  for (const std::uint64_t word : take(*memory)) CHECK(word == 0);
}

TEST_CASE("no mark is lost while marks are made and taken at the same time") {
  auto memory = make(4 * kMiB);
  std::vector<std::uint64_t> seen((memory->pages() + 63) / 64);
  std::atomic<int> running{2};
  const auto mark = [&](std::uint64_t parity) {
    for (std::uint64_t page = parity; page < memory->pages(); page += 2) memory->mark_dirty(page * kPageSize, 1);
    --running;
  };
  std::thread odd(mark, 1), even(mark, 0);
  while (running != 0) memory->take_user_dirty(seen);
  odd.join();
  even.join();
  memory->take_user_dirty(seen);
  for (const std::uint64_t word : seen) CHECK(word == ~std::uint64_t{0});
}

TEST_CASE("populating keeps contents and stops when cancelled") {
  auto memory = make(64 * kMiB);
  const std::uint8_t bytes[] = {9, 8, 7};
  REQUIRE(memory->write(40 * kMiB, bytes).ok());
  std::atomic<bool> cancel{true};
  const Status cancelled = memory->populate(cancel);
  REQUIRE_FALSE(cancelled.ok());
  CHECK(cancelled.failure().code == ECANCELED);
  struct stat status {};
  REQUIRE(::fstat(memory->fd(), &status) == 0);
  CHECK(status.st_blocks * 512 < static_cast<off_t>(kMiB));
  cancel = false;
  REQUIRE(memory->populate(cancel).ok());
  REQUIRE(::fstat(memory->fd(), &status) == 0);
  CHECK(status.st_blocks * 512 >= static_cast<off_t>(64 * kMiB));
  std::uint8_t back[3] = {};
  REQUIRE(memory->read(40 * kMiB, back).ok());
  CHECK(std::memcmp(back, bytes, 3) == 0);
}

TEST_CASE("a dump holds the bytes asked for, in a file of its owner only") {
  auto memory = make(kMiB);
  std::vector<std::uint8_t> bytes(100'000);
  for (std::size_t n = 0; n < bytes.size(); ++n) bytes[n] = static_cast<std::uint8_t>(n * 31);
  REQUIRE(memory->write(777, bytes).ok());
  char directory[] = "/tmp/godwit-dump-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/ram";
  const std::atomic<bool> no{false};
  REQUIRE(memory->dump(path, 777, bytes.size(), no).ok());
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> back((std::istreambuf_iterator<char>(file)), {});
  REQUIRE(back.size() == bytes.size());
  CHECK(std::memcmp(back.data(), bytes.data(), bytes.size()) == 0);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  REQUIRE(memory->dump(path, 0, 10, no).ok());
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(status.st_size == 10);

  CHECK(memory->dump(directory, 0, 10, no).failure().code == EISDIR);
  CHECK(memory->dump("/nonexistent/ram", 0, 10, no).failure().code == ENOENT);
  const std::string fifo = std::string(directory) + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_FALSE(memory->dump(fifo, 0, 10, no).ok());
  const std::atomic<bool> yes{true};
  CHECK(memory->dump(path, 0, 10, yes).failure().code == ECANCELED);
  ::unlink(path.c_str());
  ::unlink(fifo.c_str());
  ::rmdir(directory);
}

}  // namespace
}  // namespace godwit
