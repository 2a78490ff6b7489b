// Memory for large arrays that are made and dropped in turn: what an array gives back the next one takes. Pages that
// are new to a process are zeroed by the kernel first, which costs a window of rows as much as a copy of it.
#include <algorithm>
#include <limits>
#include <mutex>
#include <vector>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/base/buffer.hpp"

namespace tombola::bindings {
namespace {

using Memory = Buffer<std::byte>;

constexpr std::size_t least_bytes = std::size_t{1} << 20U;  // below, the allocator does as well
constexpr index_t most_kept = 1024;                         // every request looks at all that wait

// At most `keep` buffers of at most `limit` bytes, and of `total` bytes together, wait for their next use; the one that
// waits longest goes first.
class Pool {
  public:
    Pool(std::size_t keep, std::size_t limit, std::size_t total) : keep_(keep), limit_(limit), total_(total) {
        waiting_.reserve(keep + 1);
    }

    // The smallest that is large enough and at most twice as large, for an array may be held for long; else a new one,
    // with an eighth to spare as far as the limit allows: windows differ a little in size. Small ones are made to size.
    Memory take(std::size_t bytes) {
        if (bytes < least_bytes) {
            return Memory(bytes);
        }
        {
            const std::lock_guard lock(mutex_);
            auto best = waiting_.end();
            for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
                const bool fits = it->size() >= bytes && it->size() - bytes <= bytes;
                if (fits && (best == waiting_.end() || it->size() < best->size())) {
                    best = it;
                }
            }
            if (best != waiting_.end()) {
                Memory found = std::move(*best);
                waiting_.erase(best);
                waiting_bytes_ -= found.size();
                return found;
            }
        }
        return Memory(std::max(bytes, std::min(bytes + bytes / 8, limit_)));
    }
    void give_back(Memory memory) {
        if (memory.size() < least_bytes || memory.size() > limit_) {
            return;
        }
        const std::lock_guard lock(mutex_);
        waiting_bytes_ += memory.size();
        waiting_.push_back(std::move(memory));
        while (waiting_.size() > keep_ || waiting_bytes_ > total_) {
            waiting_bytes_ -= waiting_.front().size();
            waiting_.erase(waiting_.begin());
        }
    }
    std::size_t waiting() {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }
    std::size_t keep() const noexcept { return keep_; }
    std::size_t limit() const noexcept { return limit_; }
    std::size_t total() const noexcept { return total_; }

  private:
    std::mutex mutex_;  // never held while Python runs, so not at a fork either
    std::vector<Memory> waiting_;
    std::size_t waiting_bytes_ = 0;
    std::size_t keep_;
    std::size_t limit_;
    std::size_t total_;
};

// What an array and all of its views keep alive
struct Loan {
    std::weak_ptr<Pool> pool;
    Memory memory;
    ~Loan() {
        if (const std::shared_ptr<Pool> owner = pool.lock()) {
            owner->give_back(std::move(memory));
        }
    }
};

class PyBufferPool {
  public:
    PyBufferPool(index_t keep, index_t limit, index_t total) {
        require_at_least("keep", keep, 0);
        if (keep > most_kept) {
            throw std::invalid_argument("keep must be at most " + std::to_string(most_kept) + ", but is " +
                                        std::to_string(keep));
        }
        require_at_least("limit", limit, 0);
        require_at_least("total", total, 0);
        pool_ = std::make_shared<Pool>(static_cast<std::size_t>(keep), static_cast<std::size_t>(limit),
                                       static_cast<std::size_t>(total));
    }
    py::array empty(index_t size, const py::dtype& dtype) const {
        require_at_least("size", size, 0);
        if (dtype.has_fields() || std::string_view("biufc").find(dtype.kind()) == std::string_view::npos) {
            throw py::type_error("dtype must be one of numbers, but is " + py::str(dtype).cast<std::string>());
        }
        const std::size_t item = static_cast<std::size_t>(dtype.itemsize());
        if (static_cast<u64>(size) > static_cast<u64>(largest_size) / item) {
            throw std::invalid_argument("size must be smaller, but is " + std::to_string(size));
        }
        std::unique_ptr<Loan> loan(new Loan{pool_, pool_->take(static_cast<std::size_t>(size) * item)});
        void* const data = loan->memory.data();
        const py::capsule owner(loan.get(), [](void* kept) { delete static_cast<Loan*>(kept); });
        static_cast<void>(loan.release());
        return py::array(dtype, std::vector<py::ssize_t>{size}, {}, data, owner);
    }
    std::size_t waiting() const { return pool_->waiting(); }
    py::tuple state() const { return py::make_tuple(pool_->keep(), pool_->limit(), pool_->total()); }

  private:
    std::shared_ptr<Pool> pool_;
};

}  // namespace

void register_buffers(py::module_& m) {
    py::class_<PyBufferPool>(m, "BufferPool",
                             "Uninitialised arrays whose memory is used again; pickles and copies as an empty pool.")
        .def(py::init<index_t, index_t, index_t>(), py::kw_only(), py::arg("keep"), py::arg("limit"),
             py::arg("total") = std::numeric_limits<index_t>::max())
        .def("empty", &PyBufferPool::empty, py::arg("size"), py::arg("dtype"))
        .def_property_readonly("waiting", &PyBufferPool::waiting)
        .def(py::pickle([](const PyBufferPool& pool) { return pool.state(); },
                        [](const py::tuple& state) {
                            return PyBufferPool(state[0].cast<index_t>(), state[1].cast<index_t>(),
                                                state[2].cast<index_t>());
                        }));
}

}  // namespace tombola::bindings
