// Rows out of the chunks of a file.
#include <pybind11/stl.h>

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "arrays.hpp"
#include "dense_work.hpp"
#include "libraries.hpp"
#include "register.hpp"
#include "tombola/base/per_process.hpp"
#include "tombola/rows/chunk_reader.hpp"
#include "tombola/rows/segments.hpp"

namespace tombola::bindings {
namespace {

ChunkFilter filter_of(const std::string& name) {
    static const std::map<std::string, ChunkFilter> names{
        {"deflate", ChunkFilter::deflate}, {"shuffle", ChunkFilter::shuffle}, {"fletcher32", ChunkFilter::fletcher32},
        {"lzf", ChunkFilter::lzf},         {"lz4", ChunkFilter::lz4},         {"zstd", ChunkFilter::zstd},
        {"blosc", ChunkFilter::blosc}};
    const auto found = names.find(name);
    if (found == names.end()) {
        throw std::invalid_argument(
            "filters must be deflate, lzf, lz4, zstd, blosc, shuffle or fletcher32, but one is " + name);
    }
    return found->second;
}

std::unique_ptr<ChunkReader> make(const std::shared_ptr<DataFile>& file, index_t rows, std::size_t row_bytes,
                                  index_t chunk_rows, std::size_t chunk_row_bytes, std::size_t item_bytes,
                                  const std::vector<std::string>& filters, const py::bytes& fill,
                                  const py::array& addresses, const py::array& sizes, const py::array& skipped,
                                  const std::optional<Addresses>& inflate, const std::optional<Addresses>& zstd) {
    ChunkLayout layout{rows, row_bytes, chunk_rows, chunk_row_bytes, item_bytes, {}, {}};
    for (const std::string& name : filters) {
        layout.filters.push_back(filter_of(name));
    }
    const std::string_view item = fill;
    layout.fill.resize(item.size());
    std::memcpy(layout.fill.data(), item.data(), item.size());
    const std::span<const u64> where = borrow<u64>(addresses, "addresses");
    const std::span<const u64> bytes = borrow<u64>(sizes, "sizes");
    const std::span<const std::uint32_t> masks = borrow<std::uint32_t>(skipped, "skipped");
    if (bytes.size() != where.size() || masks.size() != where.size()) {
        throw std::invalid_argument("addresses, sizes and skipped must be equally long");
    }
    std::vector<StoredChunk> chunks(where.size());
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        chunks[i] = {where[i], bytes[i], masks[i]};
    }
    return std::make_unique<ChunkReader>(file, std::move(layout), std::move(chunks), libraries_at(inflate, zstd));
}

// Columns as Python has them: with the array that is borrowed
struct CheckedColumns {
    py::array columns;
    ArrivingColumns arriving;

    CheckedColumns(const py::array& all, index_t n_columns) : columns(all), arriving(of(all), n_columns) {
        require_at_least("n_columns", n_columns, 0);
    }

    static ArrivingColumns::Columns of(const py::array& all) {
        if (holds<std::int32_t>(all)) {
            return borrow<std::int32_t>(all, "indices");
        }
        return borrow<std::int64_t>(all, "indices");
    }
    py::tuple result() const {
        const ColumnCheck found = arriving.result();
        return py::make_tuple(found.in_range, found.ascending);
    }
};

using Types = std::pair<std::string, std::string>;  // stored and given, as NumPy names them
using Job = std::tuple<const ChunkReader*, py::array, py::array, std::optional<py::array>, py::array,
                       std::optional<Types>, const DenseWork*, CheckedColumns*>;

Convert convert_of(const ChunkReader& reader, const std::optional<Types>& types, std::size_t& item_bytes) {
    if (!types) {
        return nullptr;
    }
    const Convert found = converter(types->first, types->second);
    if (found == nullptr || py::dtype(types->first).itemsize() != static_cast<index_t>(reader.layout().item_bytes)) {
        throw py::type_error("values of dtype " + types->first + " cannot be read as " + types->second);
    }
    item_bytes = static_cast<std::size_t>(py::dtype(types->second).itemsize());
    return found;
}

// Calls that take turns: one reads with all threads while the next has its jobs ready. It is for speed alone, so that
// nobody waits for long: whose turn it is may have been interrupted by a signal's handler that waits for this call.
struct Turns {
    static constexpr std::chrono::seconds patience{1};
    PerProcess<std::recursive_timed_mutex> lock;
};

// The arrays are borrowed: they live as long as the list that the caller gave.
py::object read(const py::list& given, const Turns* turns) {
    std::vector<ReadJob> jobs;
    std::vector<Job> kept;
    kept.reserve(given.size());
    for (const py::handle& each : given) {
        const auto& [reader, starts, stops, places, out, types, dense, columns] = kept.emplace_back(each.cast<Job>());
        if (reader == nullptr) {
            throw py::type_error("a job needs a ChunkReader, but has None");
        }
        const std::span<const std::uint8_t> room = borrow<std::uint8_t>(out, "out");
        const std::span<std::byte> bytes{static_cast<std::byte*>(py::array(out).mutable_data()), room.size()};
        std::size_t item_bytes = 0;
        const Convert convert = convert_of(*reader, types, item_bytes);
        jobs.push_back({reader, borrow<index_t>(starts, "starts"), borrow<index_t>(stops, "stops"),
                        places ? borrow<index_t>(*places, "places") : std::span<const index_t>{}, bytes, convert,
                        item_bytes, dense == nullptr ? nullptr : &dense->work,
                        columns == nullptr ? nullptr : &columns->arriving});
        if (columns != nullptr &&
            (dense != nullptr || columns->columns.data() != out.data() || columns->columns.nbytes() != out.nbytes() ||
             !places || jobs.back().row_bytes() != static_cast<std::size_t>(columns->columns.itemsize()))) {
            throw std::invalid_argument("columns must be the array that the job reads, one an item, to places");
        }
        if (dense != nullptr && (dense->work.row_bytes != jobs.back().read_bytes() || dense->work.out_bytes == 0)) {
            throw std::invalid_argument("work must be for rows of " + std::to_string(jobs.back().read_bytes()) +
                                        " bytes and leave some, but is for " + std::to_string(dense->work.row_bytes));
        }
    }
    std::optional<ReadFault> fault;
    {
        const py::gil_scoped_release release;
        std::unique_lock<std::recursive_timed_mutex> turn;
        if (turns != nullptr) {
            turn = std::unique_lock(turns->lock.get(), Turns::patience);
        }
        fault = read_rows(jobs);
    }
    if (!fault) {
        return py::none();
    }
    return py::make_tuple(fault->job, fault->first_row, fault->last_row, fault->what);
}

// As bytes: names of files need not be text
std::shared_ptr<DataFile> file_of(const py::bytes& path, int descriptor) {
    return std::make_shared<DataFile>(std::string(path), stamp_of(descriptor));
}

py::tuple stamp(const DataFile& file) {
    const FileStamp& now = file.stamp();
    return py::make_tuple(now.device, now.number, now.bytes, now.seconds, now.nanoseconds);
}

py::bytes read_bytes(const DataFile& file, u64 address, std::size_t size) {
    if (size > file.stamp().bytes) {
        throw std::invalid_argument("size must be at most the file's, " + std::to_string(file.stamp().bytes) +
                                    ", but is " + std::to_string(size));
    }
    std::string bytes(size, '\0');
    {
        const py::gil_scoped_release release;
        const DataFile::Use use(file);
        const Segment all{address, size, reinterpret_cast<std::byte*>(bytes.data())};
        read_segments(use.descriptor(), {&all, 1}, [] {});
    }
    return py::bytes(bytes);
}

}  // namespace

void register_chunks(py::module_& m) {
    py::register_exception_translator([](std::exception_ptr error) {
        try {
            if (error) {
                std::rethrow_exception(error);
            }
        } catch (const FileFailure& failure) {
            py::set_error(PyExc_OSError, failure.what.c_str());
        }
    });
    py::class_<DataFile, std::shared_ptr<DataFile>>(m, "DataFile",
                                                    "A file that opens when it is read, and is what it was.")
        .def(py::init(&file_of), py::arg("path"), py::kw_only(), py::arg("descriptor"))
        .def_property_readonly("path", [](const DataFile& file) { return py::bytes(file.path()); })
        .def_property_readonly("stamp", &stamp)
        .def("read", &read_bytes, py::arg("address"), py::arg("size"));
    py::class_<ChunkReader>(m, "ChunkReader")
        .def(py::init(&make), py::keep_alive<1, 2>(), py::arg("file"), py::kw_only(), py::arg("rows"),
             py::arg("row_bytes"), py::arg("chunk_rows"), py::arg("chunk_row_bytes"), py::arg("item_bytes"),
             py::arg("filters"), py::arg("fill"), py::arg("addresses"), py::arg("sizes"), py::arg("skipped"),
             py::arg("inflate"), py::arg("zstd"));
    py::class_<CheckedColumns>(m, "ArrivingColumns", "Columns of CSR rows, checked as `read_rows` reads them.")
        .def(py::init<const py::array&, index_t>(), py::arg("indices"), py::arg("n_columns"))
        .def("result", &CheckedColumns::result, "As csr_check_columns of all that was read.");
    py::class_<Turns>(m, "Turns", "Calls of `read_rows` that come one after the other; pickles and copies as new ones.")
        .def(py::init<>())
        .def(py::pickle([](const Turns&) { return py::tuple(); },
                        [](const py::tuple&) { return std::make_unique<Turns>(); }));
    m.def("read_rows", &read, py::arg("jobs"), py::arg("turns") = py::none());
    m.def(
        "can_convert", [](const std::string& from, const std::string& to) { return converter(from, to) != nullptr; },
        py::arg("stored"), py::arg("given"));
    m.def("close_idle_files", &close_idle_files);
    m.def("most_open_files", &most_open_files);
}

}  // namespace tombola::bindings
