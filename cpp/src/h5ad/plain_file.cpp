#include "tombola/h5ad/plain_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tombola/rows/texts.hpp"

namespace tombola {
namespace {

constexpr unsigned page_bits = 15;
constexpr u64 page_bytes = u64{1} << page_bits;
constexpr u64 nowhere = ~u64{0};
constexpr std::size_t superblock_bytes = 96;
constexpr std::size_t node_bytes = 24;
constexpr unsigned most_depth = 8;

// How many bytes there were
std::size_t read_some(int descriptor, u64 address, char* out, std::size_t bytes) {
    std::size_t got = 0;
    while (got < bytes) {
        const ssize_t step = ::pread(descriptor, out + got, bytes - got, static_cast<off_t>(address + got));
        if (step == 0) {
            break;
        }
        if (step < 0) {
            need(errno == EINTR);
            continue;
        }
        got += static_cast<std::size_t>(step);
    }
    return got;
}

FileStamp stamp_or_not_plain(int descriptor) {
    try {
        return stamp_of(descriptor);
    } catch (const FileFailure&) {
        throw NotPlain{};
    }
}

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
    for (std::size_t at = 0; at < bytes.size();) {
        const auto first = static_cast<unsigned char>(bytes[at]);
        if (first < 0x80) {
            ++at;
            continue;
        }
        const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        if (first < 0xc2 || first > 0xf4 || length > bytes.size() - at) {
            return false;
        }
        u32 point = first & (0xffU >> (length + 1));
        for (std::size_t i = 1; i < length; ++i) {
            const auto next = static_cast<unsigned char>(bytes[at + i]);
            if ((next & 0xc0U) != 0x80) {
                return false;
            }
            point = point << 6U | (next & 0x3fU);
        }
        constexpr u32 least_of_three = 0x800;
        constexpr u32 least_of_four = 0x10000;
        if ((length == 3 && (point < least_of_three || (point >= 0xd800 && point < 0xe000))) ||
            (length == 4 && (point < least_of_four || point > 0x10ffff))) {
            return false;
        }
        at += length;
    }
    return true;
}

SharedDescriptor::SharedDescriptor(const std::string& path) : descriptor_(-1) {
    need(path.find('\0') == std::string::npos);
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe would wait for its writer
    need(descriptor_ >= 0);
    struct stat about{};
    const bool is_file = ::fstat(descriptor_, &about) == 0 && S_ISREG(about.st_mode);
    if (!is_file || ::flock(descriptor_, LOCK_SH | LOCK_NB) != 0) {  // as HDF5 does: a writer holds it alone
        ::close(descriptor_);
        throw NotPlain{};
    }
}

SharedDescriptor::~SharedDescriptor() {
    ::flock(descriptor_, LOCK_UN);  // a child forked meanwhile has the same lock
    ::close(descriptor_);
}

PlainFile::PlainFile(int descriptor)
    : descriptor_(descriptor), stamp_(stamp_or_not_plain(descriptor)), size_(stamp_.bytes) {
    const std::string_view block = read(0, superblock_bytes);
    need(block.substr(0, 8) == "\x89HDF\r\n\x1a\n" && block.substr(8, 5) == std::string_view("\0\0\0\0\0", 5));
    need(block[13] == 8 && block[14] == 8);  // bytes of addresses and of lengths
    const u64 base = number_at<u64>(block, 24);
    const u64 end = number_at<u64>(block, 40);
    const u64 driver = number_at<u64>(block, 48);
    need(number_at<u32>(block, 20) == 0 && base == 0 && driver == nowhere && end <= size());
    need(number_at<u32>(block, 72) <= 1);  // what the symbol of the root group holds beside
    root_address_ = number_at<u64>(block, 64);
    size_ = end;
    pages_.clear();  // the first one may be shorter
}

std::string_view PlainFile::read(u64 address, std::size_t bytes) {
    need(address < size() && bytes <= size() - address);
    const u64 start = address % page_bytes;
    if (bytes <= page_bytes - start) {
        std::string& page = pages_[address >> page_bits];
        if (page.empty()) {
            const u64 first = address - start;
            page.resize(static_cast<std::size_t>(std::min(page_bytes, size() - first)));
            page.resize(read_some(descriptor_, first, page.data(), page.size()));
        }
        return part_of(page, static_cast<std::size_t>(start), bytes);
    }
    kept_bytes_ += bytes;
    need(kept_bytes_ <= size());  // what is read lies apart
    std::string& found = kept_.emplace_back(bytes, '\0');
    need(read_some(descriptor_, address, found.data(), bytes) == bytes);
    return found;
}

void PlainFile::read_into(u64 address, std::span<std::byte> out) const {
    need(address <= size() && out.size() <= size() - address);
    need(read_some(descriptor_, address, reinterpret_cast<char*>(out.data()), out.size()) == out.size());
}

TreeNode PlainFile::tree_node(u64 address, char kind, std::size_t key_bytes, std::optional<unsigned> level) {
    const std::string_view node = read(address, node_bytes);
    const unsigned own = number_at<std::uint8_t>(node, 5);
    const std::size_t used = number_at<u16>(node, 6);
    need(node.substr(0, 4) == "TREE" && node[4] == kind && own == level.value_or(own) && own < most_depth);
    return {own, used, read(address + node_bytes, used * (key_bytes + sizeof(u64)) + key_bytes)};
}

const std::vector<index_t>& PlainFile::objects(u64 address) {
    const auto known = collections_.find(address);
    if (known != collections_.end()) {
        return known->second;
    }
    std::optional<std::vector<index_t>> found = heap_objects(descriptor_, address);
    need(found.has_value());
    taken_bytes_ += found->size() * sizeof(index_t);  // there are not more objects than bytes of headers
    need(taken_bytes_ <= size());
    return collections_.emplace(address, std::move(*found)).first->second;
}

std::string PlainFile::text(std::string_view reference) {
    const u32 length = number_at<u32>(reference, 0);
    const u64 number = number_at<u32>(reference, 12);
    if (length == 0) {
        return {};
    }
    const std::vector<index_t>& places = objects(number_at<u64>(reference, 4));
    need(2 * number + 1 < places.size() && length <= most_header);
    need(static_cast<u64>(places[2 * number + 1]) >= length);
    taken_bytes_ += length;  // texts lie apart, and are asked for once
    need(taken_bytes_ <= size());
    std::string found(read(static_cast<u64>(places[2 * number]), length));
    need(found.find('\0') == std::string::npos && is_utf8(found));
    return found;
}

}  // namespace tombola
