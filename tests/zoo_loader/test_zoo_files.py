"""Reading and writing files: round trips, damage, bombs."""

import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_loader import ZooFileError, files, formats, read_arrays, write_arrays


def _assert_same(result: dict, expected: dict) -> None:
    assert list(result) == list(expected)
    for name, array in expected.items():
        assert result[name].dtype == array.dtype and result[name].shape == array.shape
        np.testing.assert_array_equal(result[name], array)


def test_npz_round_trip(ant_arrays, tmp_path):
    path = tmp_path / "policy.npz"
    write_arrays(path, ant_arrays)
    _assert_same(read_arrays(path), ant_arrays)
    first = path.read_bytes()
    write_arrays(path, ant_arrays)
    assert path.read_bytes() == first
    assert [other.name for other in tmp_path.iterdir()] == ["policy.npz"]
    with np.load(path, allow_pickle=False) as archive:  # Others can read it too.
        np.testing.assert_array_equal(archive["vffc1/w"], ant_arrays["vffc1/w"])


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.text("abc/_ .\u00e9", min_size=1, max_size=12),
        st.tuples(st.sampled_from(["<f4", ">f8", "i1", "<u8", "?", "<f2"]), st.lists(st.integers(0, 3), max_size=3)),
        max_size=5,
    )
)
def test_any_numeric_arrays_round_trip(tmp_path_factory, shapes):
    path = tmp_path_factory.mktemp("any") / "arrays.npz"
    arrays = {name: np.ones(shape, dtype) for name, (dtype, shape) in shapes.items()}
    write_arrays(path, arrays)
    _assert_same(read_arrays(path), arrays)


@pytest.mark.parametrize("suffix", [".pkl", ".npy", ".weights"])
@pytest.mark.parametrize("kind", ["pickle", "npy"])
def test_flat_vectors_are_told_by_their_content(kind, suffix, ant_arrays, tmp_path):
    vector = formats.join_vector(ant_arrays)
    buffer = io.BytesIO()
    np.save(buffer, vector)
    path = tmp_path / f"policy{suffix}"
    path.write_bytes(pickle.dumps(vector) if kind == "pickle" else buffer.getvalue())
    _assert_same(read_arrays(path), ant_arrays)
    assert all(array.flags.writeable for array in read_arrays(path).values())


@pytest.mark.parametrize(
    "arrays", [{"a": np.array(["text"])}, {"a": np.array([None])}, {"format": np.ones(1)}, {"": np.ones(1)},
               {f"a{i}": np.ones(1) for i in range(256)}]
)  # fmt: skip
def test_what_cannot_be_written(arrays, tmp_path):
    with pytest.raises(ValueError):
        write_arrays(tmp_path / "x.npz", arrays)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(ant_arrays, tmp_path, monkeypatch):
    path = tmp_path / "policy.npz"
    write_arrays(path, ant_arrays)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_arrays(path, {"a": np.ones(3)})
    monkeypatch.undo()
    _assert_same(read_arrays(path), ant_arrays)
    assert [other.name for other in tmp_path.iterdir()] == ["policy.npz"]


def test_a_reader_at_work_keeps_the_old_file(ant_arrays, tmp_path):
    path = tmp_path / "policy.npz"
    write_arrays(path, ant_arrays)
    old = path.read_bytes()
    with open(path, "rb") as reader:
        start = reader.read(100)
        write_arrays(path, {"a": np.ones(3)})
        assert start + reader.read() == old


def _refused(path, data: bytes, match: str) -> None:
    path.write_bytes(data)
    with pytest.raises(ZooFileError, match=match) as error:
        read_arrays(path)
    assert str(path) in str(error.value)


def test_missing_and_special_files(tmp_path):
    with pytest.raises(ZooFileError, match="no such file"):
        read_arrays(tmp_path / "nothing.pkl")
    with pytest.raises(ZooFileError, match="a folder"):
        read_arrays(tmp_path)
    with pytest.raises(ZooFileError):
        read_arrays("a\0b")
    _refused(tmp_path / "empty.pkl", b"", "empty")


def test_object_npy(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    _refused(tmp_path / "x.npy", buffer.getvalue(), "objects")


def _npy(header: str, data: bytes = b"\0" * 8) -> bytes:
    encoded = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + data


@pytest.mark.parametrize(
    "header, match",
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "does not fit"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,)}", "header"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", "does not fit"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "does not fit"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -2)}", "does not fit"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "does not fit"),
        ("{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,)}", "records"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "objects"),
        ("{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}", "text"),
        ("{'descr': '<f4', 'fortran_order': False}", "header"),
        ("__import__('os').system('true')", "header"),
        ("(" * 5000, "header"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "2 numbers"),
    ],
)
def test_hostile_npy_headers(header, match, tmp_path):
    _refused(tmp_path / "x.npy", _npy(header), match)


def test_every_truncation_of_npy_and_npz(tmp_path, make_arrays):
    write_arrays(tmp_path / "x.npz", {"a": np.ones(3, np.float32), "b": np.ones(2)})
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3, np.float32))
    for data in ((tmp_path / "x.npz").read_bytes(), buffer.getvalue()):
        for length in range(len(data)):
            with pytest.raises(ZooFileError):
                files.parse_arrays(data[:length], "x")


def test_every_byte_changed_in_an_npz(tmp_path):
    write_arrays(tmp_path / "x.npz", {"a": np.ones(3, np.float32)})
    data = (tmp_path / "x.npz").read_bytes()
    for position in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[position] ^= change
            try:
                files.parse_arrays(bytes(changed), "x")
            except ZooFileError:
                pass


@settings(deadline=None)
@given(st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00", b"\x80\x03"]), st.binary())
def test_any_bytes_are_read_or_refused(magic, data):
    with pytest.raises(ZooFileError):
        files.parse_arrays(magic + data, "x")


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_foreign_archives(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.ones(3))
    _refused(path, path.read_bytes(), "no member `format`")
    np.savez(path, a=np.ones(3), format=np.asarray("another format"))
    _refused(path, path.read_bytes(), "no member `format`")
    np.savez(path, format=np.ones(3))
    _refused(path, path.read_bytes(), "no member `format`")
    _refused(path, _zip({"a.txt": b"hello"}), "other than .npy")
    _refused(path, _zip({"a.npy": b"hello"}), "member a")
    _refused(path, _zip({"a.npy": b"hello"}, zipfile.ZIP_LZMA), "deflated")
    _refused(path, _zip({f"{i}.npy": b"" for i in range(300)}), "members")
    _refused(path, _zip({f"{i}.npy": b"" for i in range(2000)}), "members")


def test_zip_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_UNZIPPED_BYTES", 10_000)
    _refused(tmp_path / "x.npz", _zip({"a.npy": b"\0" * 10_001}, zipfile.ZIP_DEFLATED), "unpack to 10001")
    # One that declares less than it holds: the reader stops at what is declared, and the checksum does not fit.
    data = _zip({"a.npy": b"\0" * 100_000}, zipfile.ZIP_DEFLATED)
    lying = data.replace(struct.pack("<L", 100_000), struct.pack("<L", 100))
    assert lying != data and len(zlib.compress(b"\0" * 100_000)) < 1000
    _refused(tmp_path / "y.npz", lying, "damaged")


def test_values_in_npz_are_checked(tmp_path):
    path = tmp_path / "x.npz"
    for arrays, match in (({"a": np.array([1, np.nan])}, "NaN"), ({"obsfilter/count": np.array(0.0)}, "at least one")):
        write_arrays(path, arrays)
        with pytest.raises(ZooFileError, match=match):
            read_arrays(path)


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(ZooFileError("a.pkl", "is odd")))
    assert (str(error), error.name, error.reason) == ("a.pkl: is odd", "a.pkl", "is odd")
