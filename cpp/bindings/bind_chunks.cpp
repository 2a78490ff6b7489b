// Rows out of the chunks of a file.
#include <pybind11/stl.h>

#include <cstring>
#include <map>
#include <memory>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/rows/chunks.hpp"

namespace tombola::bindings {
namespace {

using Addresses = std::tuple<std::uintptr_t, std::uintptr_t, std::uintptr_t>;

ChunkFilter filter_of(const std::string& name) {
    static const std::map<std::string, ChunkFilter> names{
        {"deflate", ChunkFilter::deflate}, {"shuffle", ChunkFilter::shuffle}, {"fletcher32", ChunkFilter::fletcher32}};
    const auto found = names.find(name);
    if (found == names.end()) {
        throw std::invalid_argument("filters must be deflate, shuffle or fletcher32, but one is " + name);
    }
    return found->second;
}

InflateLibrary library_at(const std::optional<Addresses>& addresses) {
    InflateLibrary library;
    if (addresses) {
        const auto [make, destroy, inflate] = *addresses;
        library.make = reinterpret_cast<decltype(library.make)>(make);
        library.destroy = reinterpret_cast<decltype(library.destroy)>(destroy);
        library.inflate = reinterpret_cast<decltype(library.inflate)>(inflate);
    }
    return library;
}

std::unique_ptr<ChunkReader> make(const OpenFile& file, index_t rows, std::size_t row_bytes, index_t chunk_rows,
                                  std::size_t chunk_row_bytes, std::size_t item_bytes,
                                  const std::vector<std::string>& filters, const py::bytes& fill,
                                  const py::array& addresses, const py::array& sizes, const py::array& skipped,
                                  const std::optional<Addresses>& library) {
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
    return std::make_unique<ChunkReader>(file.descriptor(), std::move(layout), std::move(chunks), library_at(library));
}

py::object read(const ChunkReader& reader, const py::array& starts, const py::array& stops,
                py::array_t<std::uint8_t>& out) {
    require_vector(out, "out");
    const std::span<const index_t> from = borrow<index_t>(starts, "starts");
    const std::span<const index_t> to = borrow<index_t>(stops, "stops");
    const std::span<std::byte> bytes{reinterpret_cast<std::byte*>(out.mutable_data()),
                                     static_cast<std::size_t>(out.size())};
    std::optional<ChunkFault> fault;
    {
        const py::gil_scoped_release release;
        fault = reader.read(from, to, bytes);
    }
    if (!fault) {
        return py::none();
    }
    return py::make_tuple(fault->first_row, fault->last_row, fault->what);
}

}  // namespace

void register_chunks(py::module_& m) {
    py::class_<OpenFile>(m, "OpenFile")
        .def(py::init<int>(), py::arg("descriptor"))
        .def("fileno", &OpenFile::descriptor);
    py::class_<ChunkReader>(m, "ChunkReader")
        .def(py::init(&make), py::keep_alive<1, 2>(), py::arg("file"), py::kw_only(), py::arg("rows"),
             py::arg("row_bytes"), py::arg("chunk_rows"), py::arg("chunk_row_bytes"), py::arg("item_bytes"),
             py::arg("filters"), py::arg("fill"), py::arg("addresses"), py::arg("sizes"), py::arg("skipped"),
             py::arg("library"))
        .def("read", &read, py::arg("starts"), py::arg("stops"), py::arg("out").noconvert());
}

}  // namespace tombola::bindings
