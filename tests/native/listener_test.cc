// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "channel_tools.h"
#include "core/channels/connect.h"
#include "core/channels/listener.h"
#include "core/channels/pending_channel.h"

namespace godwit::test {
namespace {

using namespace std::chrono_literals;

/// A directory of the test's own; removed with the socket files in it.
class Directory {
 public:
  Directory() {
    std::string form = "/tmp/godwit-listener-XXXXXX";
    REQUIRE(::mkdtemp(form.data()) != nullptr);
    path_ = form;
  }
  ~Directory() {
    ::unlink(file("socket").c_str());
    ::rmdir(path_.c_str());
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

bool exists(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

std::shared_ptr<Interrupt> interrupt() { return *Interrupt::create(); }

std::string connect_failure(const SocketTarget& target) {
  const auto cancel = interrupt();
  const Result<UniqueFd> socket = connect_socket(target, *cancel);
  return socket.ok() ? "" : socket.failure().message;
}

std::string open_failure(const SocketTarget& target) {
  const auto listener = Listener::open(target);
  return listener.ok() ? "" : listener.failure().message;
}

struct Pending {
  std::shared_ptr<PendingChannel> operation;
  std::future<Result<std::shared_ptr<Channel>>> outcome;
};

Pending start(PendingChannel::Open open) {
  Pending pending;
  pending.outcome = begin<std::shared_ptr<Channel>>([&](Completion<std::shared_ptr<Channel>> done) {
    pending.operation = *PendingChannel::start(std::move(open), std::move(done));
  });
  return pending;
}

Pending start_accept(std::shared_ptr<Listener> listener) {
  return start([listener](const Interrupt& cancel) { return listener->accept(cancel); });
}
Pending start_connect(SocketTarget target) {
  return start([target](const Interrupt& cancel) { return connect_socket(target, cancel); });
}

void check_round_trip(const SocketTarget& target) {
  const auto listener = *Listener::open(target);
  Pending accepting = start_accept(listener);
  Pending connecting = start_connect(listener->address());
  const auto near = *connecting.outcome.get();
  const auto far = *accepting.outcome.get();
  const Bytes hello{'h', 'e', 'l', 'l', 'o'};
  near->output().append(hello);
  CHECK(*read(*far, 5).get() == hello);
  far->output().append(hello);
  CHECK(*read(*near, 5).get() == hello);
}

TEST_CASE("channels open over tcp, over IPv6 and over a unix socket") {
  const Directory directory;
  check_round_trip(TcpTarget{"127.0.0.1", 0});
  check_round_trip(TcpTarget{"localhost", 0});
  check_round_trip(UnixTarget{directory.file("socket")});
  if (Listener::open(TcpTarget{"::1", 0}).ok()) check_round_trip(TcpTarget{"::1", 0});
}

TEST_CASE("a listener on port 0 tells the kernel's port, and an empty host is every address") {
  const auto listener = *Listener::open(TcpTarget{"", 0});
  const TcpTarget address = std::get<TcpTarget>(listener->address());
  CHECK(address.port != 0);
  CHECK((address.host == "::" || address.host == "0.0.0.0"));
  CHECK(connect_failure(TcpTarget{"127.0.0.1", address.port}) == "");
  CHECK(connect_failure(TcpTarget{"localhost", address.port}) == "");  // through the resolver
}

TEST_CASE("tcp channels have no delay and keepalive") {
  const auto cancel = interrupt();
  const auto listener = *Listener::open(TcpTarget{"127.0.0.1", 0});
  UniqueFd socket = *connect_socket(listener->address(), *cancel);
  const int fd = socket.get();
  const auto channel = adopt(std::move(socket));
  int value = 0;
  socklen_t length = sizeof value;
  REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length) == 0);
  CHECK(value != 0);
  REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &length) == 0);
  CHECK(value != 0);
}

TEST_CASE("failures to connect read as QEMU's do") {
  const Directory directory;
  std::uint16_t port = 0;
  {
    const auto listener = *Listener::open(TcpTarget{"127.0.0.1", 0});
    port = std::get<TcpTarget>(listener->address()).port;
  }
  CHECK(connect_failure(TcpTarget{"127.0.0.1", port}) ==
        "Failed to connect to '127.0.0.1:" + std::to_string(port) + "': Connection refused");
  CHECK(connect_failure(UnixTarget{directory.file("none")}) ==
        "Failed to connect to '" + directory.file("none") + "': No such file or directory");
  CHECK(connect_failure(TcpTarget{"no-such-host.invalid", 1}).find("address resolution failed for "
                                                                   "no-such-host.invalid:1: ") == 0);
  CHECK(connect_failure(TcpTarget{"", 1}) == "A tcp connection needs a host");
}

TEST_CASE("a unix path may have 107 bytes and no more") {
  const Directory directory;
  const std::string longest = directory.file(std::string(107 - directory.file("").size(), 'x'));
  REQUIRE(longest.size() == 107);
  check_round_trip(UnixTarget{longest});
  CHECK_FALSE(exists(longest));
  const std::string sentence = "UNIX socket path '" + longest +
                               "x' is too long: it has 108 bytes, and 107 is the most; use a shorter path";
  CHECK(connect_failure(UnixTarget{longest + "x"}) == sentence);
  CHECK(open_failure(UnixTarget{longest + "x"}) == sentence);
  CHECK(open_failure(UnixTarget{""}) == "A unix socket needs a path");
  CHECK(open_failure(UnixTarget{std::string("/tmp/a\0b", 8)}) == "A unix socket's path holds no NUL byte");
}

TEST_CASE("a tcp address in use is refused, and so is a host that is a name") {
  const auto listener = *Listener::open(TcpTarget{"127.0.0.1", 0});
  CHECK(open_failure(listener->address()) == "Failed to find an available port: Address already in use");
  CHECK(open_failure(TcpTarget{"example.invalid", 0}).find("'example.invalid' is not a numeric address") == 0);
}

TEST_CASE("a vsock address holds the context id and the port") {
  const SocketAddress address = vsock_address({5, 1234});
  CHECK(address.family() == AF_VSOCK);
  CHECK(address.length == sizeof(sockaddr_vm));
  const sockaddr_vm& name = reinterpret_cast<const sockaddr_vm&>(address.storage);
  CHECK(name.svm_cid == 5);
  CHECK(name.svm_port == 1234);
  CHECK(describe(VsockTarget{5, 1234}) == "5:1234");
}

TEST_CASE("vsock carries a channel where the kernel has its loopback, and else says why not") {
  const UniqueFd probe(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe) {
    const int error = errno;
    CHECK(open_failure(VsockTarget{VMADDR_CID_ANY, VMADDR_PORT_ANY}).find(std::strerror(error)) != std::string::npos);
    return;
  }
  // Binding needs no transport: the kernel's own port is told.
  const auto listener = *Listener::open(VsockTarget{VMADDR_CID_ANY, VMADDR_PORT_ANY});
  const VsockTarget address = std::get<VsockTarget>(listener->address());
  CHECK(address.port != VMADDR_PORT_ANY);
  CHECK(open_failure(VsockTarget{VMADDR_CID_ANY, address.port}) ==
        "Failed to bind socket to '" + describe(VsockTarget{VMADDR_CID_ANY, address.port}) +
            "': Address already in use");
  const VsockTarget local{VMADDR_CID_LOCAL, address.port};
  const std::string problem = connect_failure(local);
  if (!problem.empty()) {
    CHECK(problem.find("Failed to connect to '" + describe(local) + "': ") == 0);
    return;
  }
  check_round_trip(VsockTarget{VMADDR_CID_LOCAL, VMADDR_PORT_ANY});
}

TEST_CASE("a unix socket is never open to others, whatever the umask") {
  const Directory directory;
  const mode_t before = ::umask(0);
  const auto listener = *Listener::open(UnixTarget{directory.file("socket")});
  ::umask(before);
  struct stat status{};
  REQUIRE(::lstat(directory.file("socket").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("a stale socket file is replaced, a live one and any other file are refused") {
  const Directory directory;
  const std::string path = directory.file("socket");
  {
    // A socket file whose process is gone.
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    const UniqueFd old(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(old.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  }
  REQUIRE(exists(path));
  auto listener = *Listener::open(UnixTarget{path});
  const std::string in_use = "Failed to bind socket to " + path + ": Address already in use";
  CHECK(open_failure(UnixTarget{path}) == in_use);
  CHECK(connect_failure(UnixTarget{path}) == "");  // the probe did no harm
  listener->close();
  CHECK_FALSE(exists(path));

  const UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK(open_failure(UnixTarget{path}) == in_use);
  CHECK(exists(path));
}

TEST_CASE("close removes its own socket file and not one that took its place") {
  const Directory directory;
  const std::string path = directory.file("socket");
  const auto first = *Listener::open(UnixTarget{path});
  REQUIRE(::unlink(path.c_str()) == 0);
  const auto second = *Listener::open(UnixTarget{path});
  first->close();
  CHECK(exists(path));
  CHECK(connect_failure(UnixTarget{path}) == "");
}

TEST_CASE("a pending accept ends within 100 ms when it is cancelled or the listener is closed") {
  const auto listener = *Listener::open(TcpTarget{"127.0.0.1", 0});
  for (const bool close_listener : {false, true}) {
    CAPTURE(close_listener);
    Pending accepting = start_accept(listener);
    CHECK(accepting.outcome.wait_for(10ms) == std::future_status::timeout);
    const Clock::time_point start = Clock::now();
    if (close_listener) {
      listener->close();
    } else {
      accepting.operation->cancel();
    }
    CHECK(accepting.outcome.get().failure().code == ECANCELED);
    CHECK(since(start) < kCancelLimit);
  }
  CHECK(start_accept(listener).outcome.get().failure().code == ECANCELED);
  CHECK(open_failure(listener->address()) == "");  // the port is free at once
}

TEST_CASE("a pending connect ends within 100 ms when it is cancelled") {
  // A unix listener that accepts nothing, its queue filled until the kernel says so: the next connect has to wait.
  const Directory directory;
  const auto listener = *Listener::open(UnixTarget{directory.file("socket")});
  const SocketAddress address = *unix_address(directory.file("socket"));
  std::vector<UniqueFd> queued;
  int error = 0;
  while (error == 0 && queued.size() < 1000) {
    queued.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    error = ::connect(queued.back().get(), address.get(), address.length) == 0 ? 0 : errno;
  }
  REQUIRE(error == EAGAIN);
  Pending connecting = start_connect(listener->address());
  CHECK(connecting.outcome.wait_for(30ms) == std::future_status::timeout);
  const Clock::time_point start = Clock::now();
  connecting.operation->cancel();
  const Result<std::shared_ptr<Channel>> outcome = connecting.outcome.get();
  CHECK(since(start) < kCancelLimit);
  REQUIRE_FALSE(outcome.ok());
  CHECK(outcome.failure().code == ECANCELED);
}

TEST_CASE("a connect that was cancelled before it began does not connect") {
  const auto listener = *Listener::open(TcpTarget{"127.0.0.1", 0});
  const auto cancel = interrupt();
  cancel->raise();
  CHECK(connect_socket(listener->address(), *cancel).failure().code == ECANCELED);
}

}  // namespace
}  // namespace godwit::test
