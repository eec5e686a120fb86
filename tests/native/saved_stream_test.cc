// SPDX-License-Identifier: Apache-2.0
// Files at both ends: a channel that reads a saved stream, and memory that is written with holes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>
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

TEST_CASE("a file channel answers the file from where it was told to, and then its end") {
  std::mt19937_64 random(1);
  const Bytes bytes = random_bytes(random, 3 << 20);
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4097}}) {
    const UniqueFd fd = file_with(bytes);
    const auto channel = *Channel::on_descriptor(fd.get(), offset);
    const Bytes rest(bytes.begin() + static_cast<std::ptrdiff_t>(offset), bytes.end());
    CHECK(*peek(*channel, 100).get() == Bytes(rest.begin(), rest.begin() + 100));
    CHECK(*read(*channel, rest.size()).get() == rest);
    CHECK(*at_end(*channel).get());
    CHECK(read(*channel, 1).get().failure().code == Failure::kEndOfStream);
    CHECK(::lseek(fd.get(), 0, SEEK_CUR) == static_cast<off_t>(bytes.size()));  // where it was
  }
}

TEST_CASE("a file channel writes from where it was told to, and leaves what is before alone") {
  const UniqueFd fd = file_with(Bytes(10, 7));
  {
    const auto channel = *Channel::on_descriptor(fd.get(), 6);
    channel->output().append(Bytes{1, 2, 3, 4, 5, 6});
    REQUIRE(flush(*channel).get().ok());
    channel->close();
  }
  Bytes written(12);
  REQUIRE(::pread(fd.get(), written.data(), written.size(), 0) == 12);
  CHECK(written == Bytes{7, 7, 7, 7, 7, 7, 1, 2, 3, 4, 5, 6});
  CHECK(::fcntl(fd.get(), F_GETFD) >= 0);
}

TEST_CASE("a file channel says why the file takes no more") {
  const UniqueFd fd = file_with({1, 2, 3});
  const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  const UniqueFd read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto channel = *Channel::on_descriptor(read_only.get(), 0);
  channel->output().append(Bytes{1});
  CHECK(flush(*channel).get().failure().code == EBADF);
}

TEST_CASE("a pipe channel carries bytes one way, also more than the pipe holds, and ends with its other end") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::mt19937_64 random(2);
  const Bytes bytes = random_bytes(random, 1 << 20);
  const auto in = *Channel::on_descriptor(read_end.get(), 0);
  {
    const auto out = *Channel::on_descriptor(write_end.get(), 0);
    write_end.reset();
    out->output().append(bytes);
    CHECK(*read(*in, bytes.size()).get() == bytes);
    REQUIRE(flush(*out).get().ok());
    out->close();
  }
  CHECK(read(*in, 1).get().failure().code == Failure::kEndOfStream);
}

TEST_CASE("a pipe channel that waits is woken by shutdown, and a closed reader breaks it") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const auto in = *Channel::on_descriptor(read_end.get(), 0);
  auto waiting = read(*in, 1);
  in->shutdown();
  CHECK(waiting.get().failure().code == ECANCELED);
  in->close();
  read_end.reset();
  const auto out = *Channel::on_descriptor(write_end.get(), 0);
  std::signal(SIGPIPE, SIG_IGN);  // as libuv does in every Node process
  out->output().append(Bytes(1 << 20, 1));
  CHECK(flush(*out).get().failure().code == EPIPE);
}

TEST_CASE("what is no open descriptor is refused") {
  CHECK_FALSE(Channel::on_descriptor(-1, 0).ok());
  auto [a, b] = socket_pair();
  CHECK_FALSE(FileLayer::create(std::move(a), 0).ok());
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
